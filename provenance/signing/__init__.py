# SPDX-License-Identifier: Apache-2.0
"""Who says it: trusted signers, and signing and verifying with keys."""
