# SPDX-License-Identifier: Apache-2.0
"""Just enough DER to remove an extension from a TBSCertificate."""

from __future__ import annotations

from typing import Final

POISON: Final = bytes.fromhex("3013060a2b06010401d6790204030101ff04020500")
"""The precertificate poison extension (RFC 6962, section 3.1), whole: it has no variable part."""

_SEQUENCE: Final = 0x30
_EXTENSIONS: Final = 0xA3  # [3] EXPLICIT


def without_poison(tbs: bytes) -> bytes:
    """Return a TBSCertificate (RFC 5280) without the poison extension, as RFC 6962 signs it."""
    fields, start = list[bytes](), _header(tbs, 0)[1]
    while start < len(tbs):
        _, body, end = _header(tbs, start)
        if tbs[start] == _EXTENSIONS:
            _, first, _ = _header(tbs, body)
            fields.append(_encode(_EXTENSIONS, _encode(_SEQUENCE, _others(tbs, first, end))))
        else:
            fields.append(tbs[start:end])
        start = end
    return _encode(_SEQUENCE, b"".join(fields))


def _others(data: bytes, start: int, end: int) -> bytes:
    kept = b""
    while start < end:
        _, _, behind = _header(data, start)
        extension = data[start:behind]
        kept += b"" if extension == POISON else extension
        start = behind
    return kept


def _header(data: bytes, at: int) -> tuple[int, int, int]:
    """Return the tag at an offset, and the begin and end of its body."""
    length, start = data[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        length = int.from_bytes(data[start : start + count], "big")
        start += count
    return data[at], start, start + length


def _encode(tag: int, body: bytes) -> bytes:
    size = len(body)
    if size < 0x80:
        return bytes([tag, size]) + body
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + body
