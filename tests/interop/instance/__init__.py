# SPDX-License-Identifier: Apache-2.0
"""A Sigstore instance on loopback: Fulcio, Rekor v2, a timestamp authority, a CT log, an issuer.

Fulcio, Rekor and the timestamp authority are the real programs. The CT log and the issuer of
GitHub-like tokens are minimal: Fulcio needs no more.
"""
