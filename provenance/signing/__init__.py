# SPDX-License-Identifier: Apache-2.0
"""Trust, and signing and verifying with keys and identities."""
