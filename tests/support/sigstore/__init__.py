# SPDX-License-Identifier: Apache-2.0
"""A whole Sigstore instance in memory, independent of the code under test.

An attack is a short test: make a good bundle, change one thing, and see it refused.
"""
