# SPDX-License-Identifier: Apache-2.0
"""A model without its weights gives the same facts as the whole model."""

from __future__ import annotations

import io
from typing import Any, Final

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from provenance.artifacts import limits, onnx_model
from provenance.artifacts.digest import HashingReader, SeekingReader, of_bytes
from provenance.artifacts.onnx_model import NotOnnxError, OnnxFacts, read_facts, read_onnx
from provenance.artifacts.onnx_wire import (
    SMALL,
    SMALL_TENSOR,
    MalformedMessageError,
    is_external,
    tensors,
    without_weights,
)
from tests.support import models
from tests.support.memory import memory_limit
from tests.support.models import External

DESCRIPTOR = onnx.ModelProto.DESCRIPTOR


def slim(content: bytes) -> bytes:
    reader = HashingReader(io.BytesIO(content))
    kept = without_weights(reader, len(content), DESCRIPTOR)
    reader.drain()
    assert reader.digest() == of_bytes(content)
    return kept


def facts(content: bytes) -> OnnxFacts:
    digest, found = read_onnx(io.BytesIO(content), len(content))
    assert digest == of_bytes(content)
    return found


# --- any model ------------------------------------------------------------------------------------

PLACES: Final = (
    *("initializer", "attribute", "list", "subgraph", "subgraphs", "function", "function subgraph"),
    *("sparse", "sparse indices", "sparse attribute", "training", "initialization"),
)
lengths = st.sampled_from([0, 0, 0, 1, 200, SMALL - 40, 2 * SMALL])
"""Of documentation and padding: what makes a message small or large."""

counts = st.sampled_from(["0", "8", "24", "4096"])
locations = st.sampled_from(["a.data", "b.data", "c" * 300])
entries = st.fixed_dictionaries(
    {},
    optional={
        "location": locations,
        "offset": counts,
        "length": counts,
        "checksum": st.just("x" * 300),
    },
)
dims = st.one_of(
    st.lists(st.sampled_from([0, 1, 2, 3, 1024, 1 << 40, -1]), max_size=6),
    st.integers(0, 3000).map(lambda n: [1] * n),
)


@st.composite
def odd_tensors(draw: st.DrawFn) -> Any:
    """A tensor with everything that facts are read from, and with what they are not read from."""
    made = TensorProto(
        name=draw(st.sampled_from(["w", "location", "jp", "n" * 300, "n" * SMALL])),
        dims=draw(dims),
        data_type=draw(st.sampled_from([*TensorProto.DataType.values(), 99])),
        doc_string="d" * draw(lengths),
    )
    said = list(draw(entries).items())
    for key, value in (*said, *(said if draw(st.booleans()) else [])):
        made.external_data.add(key=key, value=value)
    if draw(st.booleans()):
        made.data_location = draw(st.sampled_from([TensorProto.DEFAULT, TensorProto.EXTERNAL]))
    content = draw(st.sampled_from(["raw_data", "float_data", "int32_data", "string_data", ""]))
    count = draw(lengths)
    if content == "raw_data":
        made.raw_data = b"\7" * count
    elif content:
        values: Any = [b"x"] if content == "string_data" else [1]
        getattr(made, content).extend(values * (count // 4))
    return made


def put(message: Any, made: Any, place: str) -> None:
    """Put a tensor into one of the places where ONNX allows it."""
    graph, inner = message.graph, models._graph_with(made)
    inner.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [1]))
    several: dict[str, dict[str, Any]] = {
        "attribute": {"value": made},
        "list": {"values": [made, made]},
        "subgraphs": {"graphs": [inner, inner]},
    }
    match place:
        case "initializer":
            graph.initializer.append(made)
        case "attribute" | "list" | "subgraphs":
            graph.node.append(helper.make_node("Custom", [], ["out"], axis=1, **several[place]))
        case "subgraph":
            graph.node.append(models._branch(inner))
        case "function":
            message.functions.append(models._function(made))
        case "function subgraph":
            function = models._function(models.weight("inside"))
            function.node.append(models._branch(inner))
            message.functions.append(function)
        case "sparse":
            graph.sparse_initializer.add().values.CopyFrom(made)
        case "sparse indices":
            graph.sparse_initializer.add().indices.CopyFrom(made)
        case "sparse attribute":
            attribute = onnx.AttributeProto(name="s", type=onnx.AttributeProto.SPARSE_TENSOR)
            attribute.sparse_tensor.values.CopyFrom(made)
            graph.node.add(op_type="Constant", output=["s"]).attribute.append(attribute)
        case "training":
            message.training_info.add().algorithm.CopyFrom(inner)
        case "initialization":
            message.training_info.add().initialization.initializer.append(made)


@st.composite
def odd_models(draw: st.DrawFn) -> bytes:
    """A model of any size, in which tensors are wherever ONNX allows one."""
    message = models.proto(padding=draw(lengths))
    placed = st.tuples(odd_tensors(), st.sampled_from(PLACES))
    for made, place in draw(st.lists(placed, max_size=5)):
        put(message, made, place)
    for domain in draw(st.lists(st.sampled_from(["", "ai.onnx", "com.x"]), max_size=3)):
        message.opset_import.add(domain=domain, version=17)
    for described in (message.graph.input[0], message.graph.output[0], message.graph, message):
        described.doc_string = "d" * draw(lengths)
        described.metadata_props.add(key="k", value="v" * draw(lengths))
    shape = message.graph.input[0].type.tensor_type.shape
    shape.dim.extend([shape.dim[0]] * draw(st.sampled_from([0, 1, 2000])))
    message.graph.node[0].name = "n" * draw(lengths)
    content: bytes = message.SerializeToString()
    return content


def facts_or_reason(content: bytes, *, hashed: bool) -> OnnxFacts | str:
    """The facts of a full parse, or of a file that is not hashed, or why they are refused."""
    try:
        if hashed:
            return onnx_model._facts(onnx_model._model(content))
        return read_facts(io.BytesIO(content), len(content))
    except MalformedMessageError as e:
        return str(e)


@settings(max_examples=300)
@given(odd_models())
def test_the_facts_are_those_of_a_full_parse(content: bytes) -> None:
    found = facts_or_reason(content, hashed=True)
    assert facts_or_reason(slim(content), hashed=True) == found
    assert facts_or_reason(content, hashed=False) == found
    message = onnx.ModelProto.FromString(content)
    external = [t for t in tensors(message) if is_external(t)]
    assert list(tensors(message, only_external=True)) == external


# --- what is kept ---------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", [0, SMALL])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("size", [10, SMALL_TENSOR, SMALL], ids=lambda s: f"{s} bytes")
def test_external_data_is_found_in_a_model_of_any_size(size: int, place: str, padding: int) -> None:
    shaped = TensorProto(data_type=TensorProto.DOUBLE, dims=[1024, 3], doc_string="d" * size)
    shaped.external_data.add(key="location", value="w.data")
    unplaced = TensorProto(name="w", data_location=TensorProto.EXTERNAL)
    for tensor, location, end in ((shaped, "w.data", 8 * 1024 * 3), (unplaced, "", 0)):
        message = models.proto(padding=padding)
        put(message, tensor, place)
        (found,) = facts(message.SerializeToString()).external
        assert (found.location, found.end) == (location, end)


@pytest.mark.parametrize("padding", [0, SMALL])
@pytest.mark.parametrize("size", [10, SMALL_TENSOR], ids=lambda s: f"{s} bytes")
def test_a_shape_may_be_packed(size: int, padding: int) -> None:
    """As no ONNX writes it, and every protobuf reads it."""
    tensor = TensorProto(name="w", data_type=TensorProto.DOUBLE, doc_string="d" * size, dims=[2])
    tensor.external_data.add(key="location", value="w.data")
    packed = tensor.SerializeToString() + field(1, varint(1024) + varint(3))
    content = models.model(padding=padding) + field(GRAPH, field(INITIALIZER, packed))
    assert facts(content).external[0].end == 8 * 2 * 1024 * 3


@pytest.mark.parametrize("values", ["raw_data", "float_data", "int32_data", "int64_data"])
@pytest.mark.parametrize("place", ["initializer", "attribute"])
def test_large_weights_are_left_out(values: str, place: str) -> None:
    large: Any = {values: b"\7" * 100 * SMALL if values == "raw_data" else [3] * 25 * SMALL}
    message = models.proto()
    put(message, TensorProto(name="location", **large), place)
    content = message.SerializeToString()
    assert len(slim(content)) < SMALL
    assert facts(content).external == ()


def test_nodes_without_external_data_are_left_out() -> None:
    hidden = External(where="subgraph")
    for external, nodes in (((), 0), (hidden, 1)):
        kept = slim(models.model(padding=3 * SMALL, external=external))
        assert len(models.parse(kept).graph.node) == nodes


def test_unknown_fields_are_passed_over() -> None:
    unknown = varint(900 << 3 | 1) + b"8 bytes!" + varint(901 << 3 | 5) + b"four"
    content = models.model(padding=2 * SMALL)
    assert slim(unknown + content) == slim(content)


def test_skipped_bytes_are_not_read() -> None:
    reader = SeekingReader(io.BytesIO(b"12345678"))
    assert reader.read(1) == b"1"
    reader.skip(3)
    assert (reader.read(2), reader.position) == (b"56", 6)
    with pytest.raises(TypeError):
        reader.digest()


def test_memory_does_not_grow_with_the_model() -> None:
    content = models.model(padding=32 << 20)
    with memory_limit(4 << 20):
        read_onnx(io.BytesIO(content), len(content))


# --- hostile bytes --------------------------------------------------------------------------------


def require_facts_or_refusal(content: bytes) -> None:
    """Fail on an error that no caller expects."""
    try:
        found, _ = read_onnx(io.BytesIO(content), len(content))
    except NotOnnxError as e:
        found = e.digest
    assert found == of_bytes(content)


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    require_facts_or_refusal(content)
    # large enough to be walked field by field
    large = content + b"\x0a" + b"\xff" * 5 + content * (SMALL // max(1, len(content)) + 1)
    try:
        kept = without_weights(HashingReader(io.BytesIO(large)), len(large), DESCRIPTOR)
    except (MalformedMessageError, EOFError):
        return
    assert len(kept) <= len(large)


@settings(max_examples=150)
@given(st.data())
def test_a_model_with_a_byte_changed_is_read_or_refused(data: st.DataObject) -> None:
    content = bytearray(models.model(padding=SMALL, external=External(where="subgraph")))
    content[data.draw(st.integers(0, len(content) - SMALL - 1))] = data.draw(st.integers(0, 255))
    require_facts_or_refusal(bytes(content))


@settings(max_examples=60)
@given(st.floats(0, 1))
def test_a_model_cut_short_anywhere_is_refused(part: float) -> None:
    content = models.model(padding=2 * SMALL)
    cut = content[: min(int(len(content) * part), len(content) - 1)]
    for size in (len(cut), len(content)):
        with pytest.raises(NotOnnxError) as hashed:
            read_onnx(io.BytesIO(cut), size)
        with pytest.raises(MalformedMessageError) as not_hashed:
            read_facts(io.BytesIO(cut), size)
        assert str(not_hashed.value) == str(hashed.value)


GRAPH, NODE, ATTRIBUTE, SUBGRAPH, INITIALIZER, TENSOR_NAME = 7, 1, 5, 6, 5, 8


def field(number: int, body: bytes) -> bytes:
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(body)) + body


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def nested_graphs(depth: int) -> bytes:
    graph = b"\0" * (SMALL + 1)
    for _ in range(depth):
        graph = field(NODE, field(ATTRIBUTE, field(SUBGRAPH, graph)))
    return field(GRAPH, graph)


FIELDS = b"\x08\x01" * SMALL
BROKEN = field(NODE, field(ATTRIBUTE, field(TENSOR_NAME, b"j") + b"\xff"))
HOSTILE = {
    "endless varint": (b"\xff" * 11 + b"\0" * SMALL, "in the middle of a field"),
    "endless tag": (b"\x80" * (SMALL + 1), "in the middle of a field"),
    "group": (b"\x0b" + b"\0" * SMALL, "wire type 3 does not occur"),
    "truncated": (field(2, b"x" * SMALL)[:-1], "truncated"),
    "too long": (FIELDS + b"\x09\0", "runs past the message"),
    "field 0": (b"\0\1" + FIELDS, "tag of a field"),
    "tag in two bytes instead of one": (b"\x88\0\1" + FIELDS, "tag of a field"),
    "tag of 33 bits": (b"\xba\x80\x80\x80\x10\0" + FIELDS, "tag of a field"),
    "length of 33 bits": (b"\x12\x81\x80\x80\x80\x80\0x" + FIELDS, "length of a field"),
    "nested graphs": (nested_graphs(60), "nested too deeply"),
    "many fields": (FIELDS * 2, "more than 5,000 fields"),
    "large structure": (
        field(GRAPH, field(INITIALIZER, field(TENSOR_NAME, b"n" * 300)) * 40),
        "without its weights it is larger than 8,192",
    ),
    "long name": (
        field(GRAPH, field(INITIALIZER, field(TENSOR_NAME, b"n" * (SMALL + 1)))),
        "a name in it has 4,097 bytes",
    ),
}


@pytest.mark.parametrize(("hostile", "message"), HOSTILE.values(), ids=list(HOSTILE))
def test_a_fault_is_refused(hostile: bytes, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ONNX_FIELDS", 5000)
    monkeypatch.setattr(limits, "ONNX_STRUCTURE", 2 * SMALL)
    with pytest.raises((MalformedMessageError, EOFError), match=message):
        without_weights(HashingReader(io.BytesIO(hostile + b"\0" * 8)), len(hostile), DESCRIPTOR)


def test_a_small_part_that_protobuf_cannot_decode_is_refused() -> None:
    content = models.model(padding=SMALL) + field(GRAPH, BROKEN)
    with pytest.raises(NotOnnxError, match="protobuf cannot decode it"):
        facts(content)
