# SPDX-License-Identifier: Apache-2.0
"""Read the metadata of an ONNX file: the keys and values in `metadata_props` of the model.

Metadata is unchecked text of the exporter, such as `model_license` (ONNX, docs/IR.md). Only the
fields at the top of the file are visited; the graph is skipped without being read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import BinaryIO, Final

from provenance.artifacts.digest import SeekingReader

LICENSE: Final = "model_license"
"""The key for the name or the URL of the model's license (ONNX, docs/IR.md)."""

_METADATA: Final = 14
"""The number of `metadata_props` in `ModelProto` (onnx.proto)."""

_FIELDS: Final = 10_000
"""The maximum number of fields that are visited at each level."""

_ENTRY: Final = 64 * 1024
"""Bytes of the largest entry that is read."""

_LENGTHS: Final[Mapping[int, int]] = {1: 8, 5: 4}
"""Bytes of a field by wire type, for those of a fixed size."""


class _MalformedError(ValueError):
    """The bytes are not fields of a protobuf message."""


def read_metadata(stream: BinaryIO) -> dict[str, str]:
    """Return the metadata of the model in `stream`, an unbuffered file at its beginning.

    Later entries replace earlier ones with the same key, as in onnxruntime. A file that is not a
    protobuf message has no metadata.

    Raises:
        OSError: If the file cannot be read.
    """
    size = os.fstat(stream.fileno()).st_size
    reader = SeekingReader(stream, size)
    found: dict[str, str] = {}
    try:
        for number, entry in _fields(reader, size, wanted=_METADATA):
            if number == _METADATA:
                pair = dict(_pairs(entry))
                if 1 in pair:
                    found[pair[1]] = pair.get(2, "")
    except (_MalformedError, EOFError, UnicodeDecodeError):
        return {}
    return found


def _fields(reader: SeekingReader, size: int, wanted: int) -> Iterator[tuple[int, bytes]]:
    """Yield the number and content of each field with the number `wanted`; skip all others."""
    visited = 0
    while reader.position < size:
        visited += 1
        if visited > _FIELDS:
            raise _MalformedError
        tag = _varint(reader)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            _varint(reader)
            continue
        length = _varint(reader) if kind == 2 else _LENGTHS.get(kind)
        if length is None or reader.position + length > size:
            raise _MalformedError
        if number == wanted and kind == 2 and length <= _ENTRY:
            yield number, reader.read(length)
        else:
            reader.skip(length)


def _pairs(entry: bytes) -> Iterator[tuple[int, str]]:
    """Yield the fields of a `StringStringEntryProto`: 1 is the key and 2 the value."""
    at = 0
    while at < len(entry):
        tag, at = _varint_in(entry, at)
        if tag & 7 != 2:
            raise _MalformedError
        length, at = _varint_in(entry, at)
        if at + length > len(entry):
            raise _MalformedError
        yield tag >> 3, entry[at : at + length].decode("utf-8")
        at += length


def _varint(reader: SeekingReader) -> int:
    value = 0
    for shift in range(0, 70, 7):
        (byte,) = reader.read(1)
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
    raise _MalformedError


def _varint_in(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _MalformedError
