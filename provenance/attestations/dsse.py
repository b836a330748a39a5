# SPDX-License-Identifier: Apache-2.0
"""What a DSSE signature is over (https://github.com/secure-systems-lab/dsse, protocol v1.0.0)."""

from __future__ import annotations


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Both lengths are in bytes, as ASCII decimals."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
