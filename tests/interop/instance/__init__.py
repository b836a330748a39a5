# SPDX-License-Identifier: Apache-2.0
"""A whole Sigstore instance on loopback: Fulcio, Rekor v2, a timestamp authority, CT log, issuer.

Fulcio, Rekor and the timestamp authority are the real programs. The CT log and the issuer of
GitHub-shaped tokens are a few lines each: Fulcio asks no more of them.
"""
