# SPDX-License-Identifier: Apache-2.0
"""A protobuf message without its weights, while every byte of it is hashed.

protobuf offers no way to parse a message and leave out a field, and a model's weights are all but
a sliver of its bytes. This walks the wire format (https://protobuf.dev/programming-guides/encoding/)
of large messages only, drops large scalar fields (raw_data, float_data, …) and hands everything
else on unchanged, so that protobuf itself still does all the parsing that counts.
"""

from __future__ import annotations

from typing import Any

from provenance.artifacts import limits
from provenance.artifacts.digest import HashingReader

SMALL = 4096
"""Bytes up to which a message or field is kept whole. No name, location or shape is longer."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_DEPTH = 100  # protobuf's own limit of nesting


class MalformedMessageError(ValueError):
    """The bytes are not such a message. The message says why, in a clause."""


def without_weights(reader: HashingReader, size: int, descriptor: Any) -> bytes:
    """The message of `size` bytes in `reader`, re-encoded without fields that only hold weights.

    Raises:
        MalformedMessageError: It is not a message of this kind, or too large without its weights.
        EOFError: The file is shorter than `size`.
    """
    return _Walk(reader).message(size, descriptor, 0)


class _Walk:
    def __init__(self, reader: HashingReader) -> None:
        self._reader = reader
        self._kept = 0
        self._fields = 0

    def message(self, size: int, descriptor: Any, depth: int) -> bytes:
        if size <= SMALL:
            return self._keep(size)
        if depth > _MAX_DEPTH:
            raise MalformedMessageError("its messages are nested too deeply")
        end = self._reader.position + size
        out = bytearray()
        while self._reader.position < end:
            self._fields += 1
            if self._fields > limits.ONNX_FIELDS:
                raise MalformedMessageError(f"it has more than {limits.ONNX_FIELDS:,} fields")
            tag = self._varint(end)
            number, wire = tag >> 3, tag & 7
            if wire == _BYTES:
                length = self._varint(end)
                if length > end - self._reader.position:
                    raise MalformedMessageError("it ends in the middle of a field: truncated?")
                field = descriptor.fields_by_number.get(number)
                nested = None if field is None else field.message_type
                if nested is not None:
                    body = self.message(length, nested, depth + 1)
                elif length > SMALL:
                    self._reader.skip(length)
                    continue
                else:
                    body = self._keep(length)
                out += _encode(tag) + _encode(len(body)) + body
            elif wire == _VARINT:
                out += _encode(tag) + _encode(self._varint(end))
            elif wire in (_FIXED64, _FIXED32):
                out += _encode(tag) + self._keep(8 if wire == _FIXED64 else 4)
            else:
                raise MalformedMessageError(f"protobuf wire type {wire} does not occur in ONNX")
        if self._reader.position != end:
            raise MalformedMessageError("a field runs past the message that holds it")
        return bytes(out)

    def _keep(self, size: int) -> bytes:
        self._kept += size
        if self._kept > limits.ONNX_STRUCTURE:
            raise MalformedMessageError(
                f"without its weights it is larger than {limits.ONNX_STRUCTURE:,} bytes"
            )
        return self._reader.read(size)

    def _varint(self, end: int) -> int:
        value = shift = 0
        while self._reader.position < end and shift < 70:
            byte = self._reader.read(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFF_FFFF_FFFF_FFFF
            shift += 7
        raise MalformedMessageError("it ends in the middle of a field: truncated?")


def _encode(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
