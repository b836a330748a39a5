# SPDX-License-Identifier: Apache-2.0
"""Claims about artifacts: in-toto statements, their predicates, and Sigstore bundles."""
