# SPDX-License-Identifier: Apache-2.0
"""What is said about artifacts: in-toto statements, their predicates, Sigstore bundles."""
