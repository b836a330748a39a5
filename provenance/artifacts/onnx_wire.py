# SPDX-License-Identifier: Apache-2.0
"""Reduce an ONNX message to the fields that must be parsed, while hashing every byte of it.

The facts are a tiny part of a model (opsets, inputs, outputs, external tensors), and protobuf
cannot skip fields. This module reads the wire format
(https://protobuf.dev/programming-guides/encoding/), skips all other fields, and leaves the rest for
protobuf to parse. tests/artifacts/test_onnx_wire.py compares the facts with those of a full parse.

Encodings that implementations of protobuf read differently are refused: a runtime must not find a
field that is skipped here. Time and memory are bounded by what is kept, not by the file's size.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from provenance.artifacts import limits
from provenance.artifacts.digest import HashingReader, SeekingReader

SMALL: Final = 4096
"""Bytes of the largest message that is read at once. Longer names and locations are refused."""

SMALL_TENSOR: Final = 256
"""Bytes of the largest tensor that is kept with its data."""

LOCATION: Final = b"location"
"""The key under which a tensor names the file with its data (onnx.proto, external_data)."""

EXTERNAL: Final = 1
"""`TensorProto.DataLocation.EXTERNAL` (onnx.proto)."""

_TENSOR: Final = "onnx.TensorProto"
_NODE: Final = "onnx.NodeProto"
_GRAPH: Final = "onnx.ModelProto.graph"
_DIMS: Final = "onnx.TensorProto.dims"
_NUMBERS: Final = frozenset(
    {
        "onnx.ModelProto.ir_version",
        "onnx.TensorProto.data_type",
        "onnx.TensorProto.data_location",
        _DIMS,
    }
)
"""The numeric fields outside `_FACTS` that the facts need."""

_NAME: Final = "onnx.TensorProto.name"
_FACTS: Final = frozenset(
    {
        "onnx.ModelProto.opset_import",
        "onnx.GraphProto.input",
        "onnx.GraphProto.output",
        "onnx.TensorProto.external_data",
    }
)
"""Messages that are kept completely, except for `_PROSE`."""

_PROSE: Final = frozenset({"doc_string", "metadata_props"})
"""Fields with documentation, which are skipped everywhere."""

_MAY_BE_EXTERNAL: Final = re.compile(rb"\x70[\x01\x81]|[\x6a\xea\xf0]")
"""Matches every encoding of `data_location: EXTERNAL` and of `external_data`."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_DEPTH: Final = 100  # protobuf's own limit on nesting
_MAX_TAG: Final = (1 << 32) - 1
_MAX_LENGTH: Final = 5
"""Bytes in which a length may be encoded. protobuf in C++ refuses more."""


class MalformedMessageError(ValueError):
    """The bytes are not a valid message. The error message is a clause that says why."""


def without_weights(reader: HashingReader, size: int, descriptor: Any) -> bytes:
    """Return a ModelProto of `size` bytes, re-encoded with only the fields that the facts need.

    Raises:
        MalformedMessageError: If the bytes are not a message of this type, or its structure is too
            large.
        EOFError: If the file is shorter than `size`.
    """
    if size <= SMALL:
        return reader.read(size)
    return _Walk().message(reader, size, descriptor, 0)


@cache
def reaches_tensor(descriptor: Any) -> bool:
    """Return whether a message of this type is a tensor, or can contain one at any depth."""
    seen: set[str] = set()
    todo = [descriptor]
    while todo:
        message = todo.pop()
        if message.full_name == _TENSOR:
            return True
        if message.full_name not in seen:
            seen.add(message.full_name)
            todo += [f.message_type for f in message.fields if f.message_type is not None]
    return False


def tensors(message: Any, *, only_external: bool = False) -> Iterator[Any]:
    """Yield every tensor in `message`: in initializers, attributes, subgraphs and functions.

    The search follows the message definitions, so that it misses no place. With `only_external`,
    only external tensors are yielded, and nodes whose bytes rule out such a tensor are skipped.
    """
    stack = [message]
    while stack:
        current = stack.pop()
        kind = current.DESCRIPTOR.full_name
        if kind == _TENSOR:
            if not only_external or is_external(current):
                yield current
            continue
        long = only_external and kind == _NODE and len(current.attribute) > 1
        if long and _MAY_BE_EXTERNAL.search(current.SerializePartialToString()) is None:
            continue
        for name, repeated in _fields_with_tensors(current.DESCRIPTOR):
            if repeated:
                stack.extend(getattr(current, name))
            elif current.HasField(name):
                stack.append(getattr(current, name))


@cache
def _fields_with_tensors(descriptor: Any) -> tuple[tuple[str, bool], ...]:
    """Return the fields of a message type that can contain a tensor, and whether each repeats."""
    return tuple(
        (f.name, f.is_repeated)
        for f in descriptor.fields
        if f.message_type is not None and reaches_tensor(f.message_type)
    )


def is_external(tensor: Any) -> bool:
    """Return whether a tensor keeps its data outside the model, or names a location for it."""
    return bool(tensor.data_location == EXTERNAL or tensor.external_data)


def _refers_outside(small: bytes, descriptor: Any) -> bool:
    """Return whether a tensor in a small message is external, or names a location."""
    if LOCATION in small:
        return True
    if _MAY_BE_EXTERNAL.search(small) is None:
        return False
    from google.protobuf.message import DecodeError
    from google.protobuf.message_factory import GetMessageClass

    try:
        parsed = GetMessageClass(descriptor).FromString(small)
        return next(tensors(parsed, only_external=True), None) is not None
    except DecodeError as e:
        raise MalformedMessageError("protobuf cannot decode it") from e


class _Walk:
    def __init__(self) -> None:
        self._kept = 0
        self._fields = 0

    def message(
        self,
        reader: HashingReader,
        size: int,
        descriptor: Any,
        depth: int,
        *,
        is_fact: bool = False,
    ) -> bytes:
        """Return the part of a message that is kept: with `is_fact`, all except `_PROSE`."""
        if depth > _MAX_DEPTH:
            raise MalformedMessageError("its messages are nested too deeply")
        end = reader.position + size
        out = bytearray()
        while reader.position < end:
            self._fields += 1
            if self._fields > limits.ONNX_FIELDS:
                raise MalformedMessageError(f"it has more than {limits.ONNX_FIELDS:,} fields")
            tag = _tag(reader, end)
            number, wire = tag >> 3, tag & 7
            field = descriptor.fields_by_number.get(number)
            if wire == _BYTES:
                length = _length(reader, end)
                if length > end - reader.position:
                    raise MalformedMessageError("it ends in the middle of a field: truncated?")
                body = self._body(reader, length, field, depth, is_fact=is_fact)
                if body is not None:
                    out += _encode(tag) + _encode(len(body)) + body
            elif wire in (_VARINT, _FIXED32, _FIXED64):
                fixed = {_FIXED32: 4, _FIXED64: 8}.get(wire)
                value = reader.read(fixed) if fixed else _encode(_varint(reader, end))
                if field is not None and (is_fact or field.full_name in _NUMBERS):
                    self._count(len(value))
                    out += _encode(tag) + value
                else:
                    reader.skip_run(_run(_encode(tag), wire), end)
            else:
                raise MalformedMessageError(f"protobuf wire type {wire} does not occur in ONNX")
        if reader.position != end:
            raise MalformedMessageError("a field runs past the message that holds it")
        return bytes(out)

    def _body(
        self, reader: HashingReader, length: int, field: Any, depth: int, *, is_fact: bool
    ) -> bytes | None:
        """Return the part of a length-delimited field that is kept, or None if it is not needed."""
        nested = None if field is None else field.message_type
        if field is None or field.name in _PROSE:
            reader.skip(length)
            return None
        if field.full_name == _DIMS:  # packed
            self._count(length)
            return reader.read(length)
        if nested is None:
            if is_fact or field.full_name == _NAME:
                return self._name(reader, length, field.name)
            reader.skip(length)
            return None
        if is_fact or field.full_name in _FACTS:
            if length <= SMALL:
                return self._name(reader, length, field.name)
            return self.message(reader, length, nested, depth + 1, is_fact=True)
        if nested.full_name == _TENSOR and length <= SMALL_TENSOR:
            self._count(length)
            return reader.read(length)
        if not reaches_tensor(nested):
            reader.skip(length)
            return None
        if length > SMALL or field.full_name == _GRAPH or nested.full_name == _TENSOR:
            return self.message(reader, length, nested, depth + 1)
        small = reader.read(length)
        if not _refers_outside(small, nested):
            return None
        return self.message(SeekingReader(io.BytesIO(small), length), length, nested, depth + 1)

    def _name(self, reader: HashingReader, length: int, what: str) -> bytes:
        if length > SMALL:
            raise MalformedMessageError(f"a {what} in it has {length:,} bytes")
        self._count(length)
        return reader.read(length)

    def _count(self, size: int) -> None:
        self._kept += size
        if self._kept > limits.ONNX_STRUCTURE:
            raise MalformedMessageError(
                f"without its weights it is larger than {limits.ONNX_STRUCTURE:,} bytes"
            )


@cache
def _run(tag: bytes, wire: int) -> re.Pattern[bytes]:
    """Return a pattern for a run of one repeated scalar. A tree ensemble can have millions."""
    value = {_VARINT: rb"[\x80-\xff]{0,9}[\x00-\x7f]", _FIXED32: rb".{4}", _FIXED64: rb".{8}"}[wire]
    return re.compile(rb"(?:" + re.escape(tag) + value + rb")*+", re.DOTALL)


def _tag(reader: HashingReader, end: int) -> int:
    """Read the tag of a field (its number and wire type), which must be encoded as protobuf does.

    protobuf in C++, which onnxruntime uses, ignores the bits of a tag above 32; in Python it
    refuses the message. A tag of 33 bits could be an unknown field here but a tensor for
    onnxruntime.

    Raises:
        MalformedMessageError: If the tag is encoded in another way, or has no field number.
    """
    begins = reader.position
    tag = _varint(reader, end)
    size = reader.position - begins
    if tag > _MAX_TAG or tag >> 3 == 0 or size != len(_encode(tag)):
        raise MalformedMessageError("the tag of a field is not encoded as protobuf does")
    return tag


def _length(reader: HashingReader, end: int) -> int:
    begins = reader.position
    length = _varint(reader, end)
    if reader.position - begins > _MAX_LENGTH:
        raise MalformedMessageError("the length of a field is not encoded as protobuf does")
    return length


def _varint(reader: HashingReader, end: int) -> int:
    value = shift = 0
    while reader.position < end and shift < 70:
        byte = reader.read(1)[0]
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
