# SPDX-License-Identifier: Apache-2.0
"""The gate names each file that onnxruntime opens for a model, or refuses the model.

Implementations of protobuf differ at its edges. Here one tensor has its data in a file, and each
part of the message that names the file is written in every unusual way.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import onnx
import onnxruntime
import pytest

from provenance.artifacts.onnx_model import NotOnnxError, read_onnx
from provenance.artifacts.onnx_wire import SMALL, SMALL_TENSOR

VARINT, BYTES = 0, 2
EXTERNAL: Final = "w.bin"
SIZE: Final = 16

Writer = Callable[[str, int, int, bytes | int], bytes]
"""Writes one field: its name here, its number, its wire type, and its value."""


def varint(value: int, size: int = 1) -> bytes:
    """Encode a number in at least `size` bytes."""
    out = bytearray()
    while value > 0x7F or len(out) + 1 < size:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(
    number: int, wire: int, value: bytes | int, *, high: int = 0, tag_size: int = 1, size: int = 1
) -> bytes:
    """Encode a field, with `high` added to its tag, and a least size of its tag and length."""
    tag = varint((number << 3 | wire) + high, tag_size)
    if isinstance(value, int):
        return tag + varint(value, size)
    return tag + varint(len(value), size) + value


def plain(_name: str, number: int, wire: int, value: bytes | int) -> bytes:
    return field(number, wire, value)


def written(write: Writer, *, padding: int) -> bytes:
    """A model that adds `x` and the tensor in the file `w.bin`."""

    def entry(key: str, value: str) -> bytes:
        inside = write("key", 1, BYTES, key.encode()) + write("value", 2, BYTES, value.encode())
        return write("external_data", 13, BYTES, inside)

    tensor = (
        field(1, VARINT, SIZE)
        + field(2, VARINT, onnx.TensorProto.FLOAT)
        + field(8, BYTES, b"W")
        + entry("location", EXTERNAL)
        + entry("length", str(4 * SIZE))
        + write("data_location", 14, VARINT, onnx.TensorProto.EXTERNAL)
    )
    around = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["x", "W"], ["y"])],
        "g",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [SIZE])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [SIZE])],
        [onnx.helper.make_tensor("pad", onnx.TensorProto.UINT8, [padding], b"\1" * padding, True)],
    )
    model = onnx.helper.make_model(
        around, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8
    )
    graph = around.SerializeToString() + write("initializer", 5, BYTES, tensor)
    model.ClearField("graph")
    return bytes(model.SerializeToString() + write("graph", 7, BYTES, graph))


PARTS: Final = ("graph", "initializer", "external_data", "key", "value", "data_location")
ODD: Final[dict[str, dict[str, Any]]] = {
    **{f"tag of {n} bytes": {"tag_size": n} for n in (2, 3, 4, 5, 6, 10)},
    **{f"tag with bit {n}": {"high": 1 << n} for n in (32, 33, 34, 35, 62)},
    **{f"value or length of {n} bytes": {"size": n} for n in (2, 5, 6, 10)},
}


def odd(part: str, how: dict[str, Any]) -> Writer:
    def write(name: str, number: int, wire: int, value: bytes | int) -> bytes:
        return field(number, wire, value, **(how if name == part else {}))

    return write


def is_located(value: int) -> Writer:
    def write(name: str, number: int, wire: int, found: bytes | int) -> bytes:
        return field(number, wire, value if name == "data_location" else found)

    return write


def in_two_parts(name: str, number: int, wire: int, value: bytes | int) -> bytes:
    """Write the graph in two parts, which protobuf merges: the last field is the second part."""
    if name != "graph":
        return plain(name, number, wire, value)
    assert isinstance(value, bytes)
    graph = onnx.GraphProto.FromString(value)
    (initializer,) = (t for t in graph.initializer if t.name == "W")
    graph.initializer.remove(initializer)
    last = onnx.GraphProto(initializer=[initializer])
    return b"".join(field(number, wire, g.SerializeToString()) for g in (graph, last))


def in_a_constant(size: int) -> Writer:
    """Make the tensor the value of a node, in two parts: the second one names the file."""

    def write(name: str, number: int, wire: int, value: bytes | int) -> bytes:
        if name != "graph":
            return plain(name, number, wire, value)
        assert isinstance(value, bytes)
        graph = onnx.GraphProto.FromString(value)
        (first,) = (t for t in graph.initializer if t.name == "W")
        graph.initializer.remove(first)
        last = onnx.TensorProto(external_data=first.external_data)
        first.ClearField("external_data")
        first.doc_string = "x" * size
        value_of = onnx.AttributeProto(name="value", type=onnx.AttributeProto.TENSOR)
        parts = b"".join(field(5, BYTES, t.SerializeToString()) for t in (first, last))
        node = onnx.NodeProto(op_type="Constant", output=["W"])
        attribute = field(5, BYTES, value_of.SerializeToString() + parts)
        before = field(1, BYTES, node.SerializeToString() + attribute)
        return field(number, wire, before + graph.SerializeToString())

    return write


def named(file: Path) -> set[str] | None:
    """Return the files that the gate names, or None if it refuses the model."""
    try:
        with file.open("rb", buffering=0) as stream:
            _, facts = read_onnx(stream, file.stat().st_size)
    except NotOnnxError:
        return None
    return {e.location for e in facts.external}


def runs(file: Path) -> bool:
    """Return whether onnxruntime loads the model, for which it has to open the file."""
    try:
        onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    except Exception:
        return False
    return True


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / EXTERNAL).write_bytes(b"\0" * 4 * SIZE)
    return tmp_path / "m.onnx"


padding = pytest.mark.parametrize("padding", [1, SMALL])


@padding
@pytest.mark.parametrize("how", ODD)
@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_written_in_another_way_hides_no_file(
    model: Path, part: str, how: str, padding: int
) -> None:
    model.write_bytes(written(odd(part, ODD[how]), padding=padding))
    names = named(model)
    assert names is None or EXTERNAL in names or not runs(model)


@padding
@pytest.mark.parametrize("location", [0, 2, 1 + (1 << 32), 1 + (1 << 63), (1 << 64) - 1])
def test_no_value_for_the_location_of_the_data_hides_a_file(
    model: Path, location: int, padding: int
) -> None:
    model.write_bytes(written(is_located(location), padding=padding))
    names = named(model)
    assert names is None or EXTERNAL in names or not runs(model)


@padding
@pytest.mark.parametrize(
    "write", [plain, in_two_parts, *(in_a_constant(size) for size in (0, SMALL_TENSOR, SMALL))]
)
def test_a_message_in_one_or_two_parts_is_read_by_both(
    model: Path, write: Writer, padding: int
) -> None:
    model.write_bytes(written(write, padding=padding))
    assert named(model) == {EXTERNAL}
    assert runs(model)
