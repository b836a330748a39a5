# SPDX-License-Identifier: Apache-2.0
"""Who signed: trust, and signing and verifying with keys and identities."""
