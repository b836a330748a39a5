# SPDX-License-Identifier: Apache-2.0
"""A model without its weights says what the whole model says."""

from __future__ import annotations

import io
import tracemalloc
from typing import Any, Final

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from provenance.artifacts import limits, onnx_model
from provenance.artifacts.digest import HashingReader, SeekingReader, of_bytes
from provenance.artifacts.onnx_model import NotOnnxError, read_facts, read_onnx
from provenance.artifacts.onnx_wire import (
    SMALL,
    SMALL_TENSOR,
    MalformedMessageError,
    is_external,
    tensors,
    without_weights,
)
from tests.support import models
from tests.support.models import External

DESCRIPTOR = onnx.ModelProto.DESCRIPTOR


def tensor(name: str, size: int, kind: str) -> Any:
    """A tensor whose weights are in one of the fields that can hold them."""
    match kind:
        case "raw":
            return helper.make_tensor(name, TensorProto.UINT8, [size], b"\7" * size, raw=True)
        case "float":
            return helper.make_tensor(name, TensorProto.FLOAT, [size // 4], [0.5] * (size // 4))
        case "int32":
            return helper.make_tensor(name, TensorProto.INT32, [size // 4], [-1] * (size // 4))
        case "int64":
            return helper.make_tensor(name, TensorProto.INT64, [size // 4], [300] * (size // 4))
        case _:
            texts: Any = [b"x" * 8] * (size // 16)
            return helper.make_tensor(name, TensorProto.STRING, [len(texts)], texts)


def build(found: list[tuple[tuple[str, int, str], str]], external: list[External]) -> bytes:
    message = models.proto(external=external)
    for (name, size, kind), place in found:
        made = tensor(name, size, kind)
        match place:
            case "initializer":
                message.graph.initializer.append(made)
            case "attribute":
                message.graph.node.append(models._constant(made))
            case "subgraph":
                message.graph.node.append(models._branch(models._graph_with(made)))
            case "function":
                message.functions.append(models._function(made))
    content: bytes = message.SerializeToString()
    return content


def slim(content: bytes) -> bytes:
    reader = HashingReader(io.BytesIO(content))
    kept = without_weights(reader, len(content), DESCRIPTOR)
    reader.drain()
    assert reader.digest() == of_bytes(content)
    return kept


PLACES: Final = (
    *("initializer", "attribute", "list", "subgraph", "subgraphs", "function", "function subgraph"),
    *("sparse", "sparse indices", "sparse attribute", "training", "initialization"),
)
lengths = st.sampled_from([0, 0, 0, 1, 200, SMALL - 40, 2 * SMALL])
"""Of documentation and padding: what makes a message small or large."""

counts = st.sampled_from(["0", "8", "24", "4096"])
entries = st.fixed_dictionaries(
    {},
    optional={
        "location": st.sampled_from(["a.data", "b.data", "c" * 300]),
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
    graph = message.graph
    match place:
        case "initializer":
            graph.initializer.append(made)
        case "attribute" | "list":
            found: Any = {"value": made} if place == "attribute" else {"values": [made, made]}
            graph.node.append(helper.make_node("Custom", [], ["out"], axis=1, **found))
        case "subgraph" | "subgraphs":
            inner = models._graph_with(made)
            inner.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [1]))
            branches: Any = {"graphs": [inner, inner]}
            several = helper.make_node("Custom", [], ["out"], **branches)
            graph.node.append(models._branch(inner) if place == "subgraph" else several)
        case "function":
            message.functions.append(models._function(made))
        case "function subgraph":
            function = models._function(models.weight("inside"))
            function.node.append(models._branch(models._graph_with(made)))
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
            message.training_info.add().algorithm.CopyFrom(models._graph_with(made))
        case "initialization":
            message.training_info.add().initialization.initializer.append(made)


@st.composite
def odd_models(draw: st.DrawFn) -> bytes:
    """A model of any size, in which tensors are wherever ONNX allows one."""
    message = models.proto(padding=draw(lengths))
    for made, place in draw(
        st.lists(st.tuples(odd_tensors(), st.sampled_from(PLACES)), max_size=5)
    ):
        put(message, made, place)
    domains = st.sampled_from(["", "ai.onnx", "com.x"])
    for domain in draw(st.lists(domains, max_size=3)):
        message.opset_import.add(domain=domain, version=17)
    for described in (message.graph.input[0], message.graph.output[0], message.graph, message):
        described.doc_string = "d" * draw(lengths)
        described.metadata_props.add(key="k", value="v" * draw(lengths))
    shape = message.graph.input[0].type.tensor_type.shape
    shape.dim.extend([shape.dim[0]] * draw(st.sampled_from([0, 1, 2000])))
    message.graph.node[0].name = "n" * draw(lengths)
    content: bytes = message.SerializeToString()
    return content


def facts_of(content: bytes) -> onnx_model.OnnxFacts | str:
    """The facts that a message holds, or why it is refused."""
    try:
        return onnx_model._facts(onnx_model._model(content))
    except MalformedMessageError as e:
        return str(e)


def facts_of_file(content: bytes) -> onnx_model.OnnxFacts | str:
    """The facts as they are read where nothing is hashed."""
    try:
        return read_facts(io.BytesIO(content), len(content))
    except MalformedMessageError as e:
        return str(e)


@settings(max_examples=300)
@given(odd_models())
def test_the_facts_are_those_of_a_full_parse(content: bytes) -> None:
    found = facts_of(content)
    assert facts_of(slim(content)) == found
    assert facts_of_file(content) == found


@settings(max_examples=100)
@given(odd_models())
def test_external_tensors_are_found_as_among_all_tensors(content: bytes) -> None:
    message = onnx.ModelProto.FromString(content)
    expected = [t for t in tensors(message) if is_external(t)]
    assert list(tensors(message, only_external=True)) == expected


@pytest.mark.parametrize("size", [3 * SMALL, 0])
def test_a_file_that_is_not_hashed_is_refused_as_one_that_is(size: int) -> None:
    content = models.model(padding=2 * SMALL)[:-10] if size else b""
    with pytest.raises(NotOnnxError) as hashed:
        read_onnx(io.BytesIO(content), size)
    with pytest.raises(MalformedMessageError) as not_hashed:
        read_facts(io.BytesIO(content), size)
    assert str(not_hashed.value) == str(hashed.value)


def test_what_is_skipped_is_not_read() -> None:
    content = models.model(padding=1 << 22)
    stream = io.BytesIO(content)
    read_facts(stream, len(content))
    reader = SeekingReader(io.BytesIO(b"12345678"))
    assert reader.read(1) == b"1"
    reader.skip(3)
    assert (reader.read(2), reader.position) == (b"56", 6)
    with pytest.raises(TypeError):
        reader.digest()


@pytest.mark.parametrize("padding", [0, SMALL])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("size", [10, SMALL_TENSOR, SMALL], ids=lambda s: f"{s} bytes")
def test_the_shape_of_external_data_counts_in_a_model_of_any_size(
    size: int, place: str, padding: int
) -> None:
    tensor = TensorProto(name="w", data_type=TensorProto.DOUBLE, doc_string="d" * size)
    tensor.external_data.add(key="location", value="w.data")
    tensor.dims.extend([1024, 3])
    message = models.proto(padding=padding)
    put(message, tensor, place)
    content = message.SerializeToString()
    (found,) = read_onnx(io.BytesIO(content), len(content))[1].external
    assert found.end == 8 * 1024 * 3


@pytest.mark.parametrize("padding", [0, SMALL])
@pytest.mark.parametrize("size", [10, SMALL_TENSOR], ids=lambda s: f"{s} bytes")
def test_a_shape_may_be_packed(size: int, padding: int) -> None:
    """As no ONNX writes it, and every protobuf reads it."""
    tensor = TensorProto(name="w", data_type=TensorProto.DOUBLE, doc_string="d" * size, dims=[2])
    tensor.external_data.add(key="location", value="w.data")
    packed = tensor.SerializeToString() + field(1, varint(1024) + varint(3))
    content = models.model(padding=padding) + field(GRAPH, field(INITIALIZER, packed))
    (found,) = read_onnx(io.BytesIO(content), len(content))[1].external
    assert found.end == 8 * 2 * 1024 * 3


def test_a_small_part_that_protobuf_cannot_decode_is_refused() -> None:
    broken = field(NODE, field(ATTRIBUTE, field(TENSOR_NAME, b"j") + b"\xff"))
    content = models.model(padding=SMALL) + field(GRAPH, broken)
    with pytest.raises(NotOnnxError, match="protobuf cannot decode it"):
        read_onnx(io.BytesIO(content), len(content))


@pytest.mark.parametrize("padding", [0, SMALL])
@pytest.mark.parametrize("place", PLACES)
def test_external_data_without_a_location_is_found_in_a_model_of_any_size(
    place: str, padding: int
) -> None:
    tensor = TensorProto(name="w", data_location=TensorProto.EXTERNAL)
    message = models.proto(padding=padding)
    put(message, tensor, place)
    content = message.SerializeToString()
    (found,) = read_onnx(io.BytesIO(content), len(content))[1].external
    assert found.location == ""


@pytest.mark.parametrize("kind", ["raw", "float", "int32", "int64"])
def test_large_weights_are_left_out(kind: str) -> None:
    assert len(slim(build([(("w", 100 * SMALL, kind), "initializer")], []))) < SMALL


def test_nodes_without_external_data_are_left_out() -> None:
    plain = models.parse(slim(models.model(padding=3 * SMALL)))
    assert list(plain.graph.node) == []
    hidden = models.model(padding=3 * SMALL, external=External(where="subgraph"))
    assert len(models.parse(slim(hidden)).graph.node) == 1


def test_a_tensor_that_is_only_called_location_is_no_external_data() -> None:
    content = build([(("location", 3 * SMALL, "raw"), "attribute")], [])
    _, found = read_onnx(io.BytesIO(content), len(content))
    assert found.external == ()


def test_memory_does_not_grow_with_the_model() -> None:
    content = models.model(padding=32 << 20)
    tracemalloc.start()
    try:
        read_onnx(io.BytesIO(content), len(content))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


def judge(content: bytes, size: int | None = None) -> None:
    """Only the errors that a caller expects may come out."""
    reader = HashingReader(io.BytesIO(content))
    try:
        kept = without_weights(reader, len(content) if size is None else size, DESCRIPTOR)
    except (MalformedMessageError, EOFError):
        return
    assert len(kept) <= len(content)


def facts_or_refusal(content: bytes) -> None:
    try:
        found, _ = read_onnx(io.BytesIO(content), len(content))
    except NotOnnxError as e:
        found = e.digest
    assert found == of_bytes(content)


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_no_bytes_whatever_break_the_reader(content: bytes) -> None:
    # Large enough to be walked field by field.
    judge(content + b"\x0a" + b"\xff" * 5 + content * (SMALL // max(1, len(content)) + 1))
    facts_or_refusal(content)


@settings(max_examples=150)
@given(st.data())
def test_a_model_with_a_byte_changed_is_read_or_refused(data: st.DataObject) -> None:
    content = bytearray(models.model(padding=SMALL, external=External(where="subgraph")))
    at = data.draw(st.integers(0, len(content) - SMALL - 1))
    content[at] = data.draw(st.integers(0, 255))
    facts_or_refusal(bytes(content))


@settings(max_examples=60)
@given(st.floats(0, 1))
def test_a_model_cut_short_anywhere_is_refused(part: float) -> None:
    content = models.model(padding=2 * SMALL)
    cut = content[: min(int(len(content) * part), len(content) - 1)]
    with pytest.raises(NotOnnxError):
        read_onnx(io.BytesIO(cut), len(cut))


def test_a_file_shorter_than_it_was_when_it_was_opened_ends_early() -> None:
    content = models.model(padding=2 * SMALL)
    with pytest.raises(EOFError):
        without_weights(HashingReader(io.BytesIO(content[:100])), len(content), DESCRIPTOR)


def field(number: int, body: bytes) -> bytes:
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(body)) + body


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


GRAPH, NODE, ATTRIBUTE, SUBGRAPH, INITIALIZER, TENSOR_NAME = 7, 1, 5, 6, 5, 8


def test_subgraphs_nested_deeper_than_protobuf_reads_are_refused() -> None:
    graph = b"\0" * (SMALL + 1)
    for _ in range(60):
        graph = field(NODE, field(ATTRIBUTE, field(SUBGRAPH, graph)))
    with pytest.raises(MalformedMessageError, match="nested too deeply"):
        slim(field(GRAPH, graph))


@pytest.mark.parametrize(
    ("hostile", "message"),
    [
        (b"\xff" * 11 + b"\0" * SMALL, "in the middle of a field"),
        (b"\x80" * (SMALL + 1), "in the middle of a field"),
        (b"\x0b" + b"\0" * SMALL, "wire type 3 does not occur"),
        (field(2, b"x" * SMALL)[:-1], "truncated"),
        (b"\x08\x01" * SMALL + b"\x09\0", "runs past the message"),
        (b"\0\1" + b"\x08\x01" * SMALL, "tag of a field"),  # field 0
        (b"\x88\0\1" + b"\x08\x01" * SMALL, "tag of a field"),  # in two bytes instead of one
        (b"\xba\x80\x80\x80\x10\0" + b"\x08\x01" * SMALL, "tag of a field"),  # of 33 bits
        (b"\x12\x81\x80\x80\x80\x80\0x" + b"\x08\x01" * SMALL, "length of a field"),
    ],
)
def test_hostile_fields_are_named(hostile: bytes, message: str) -> None:
    with pytest.raises((MalformedMessageError, EOFError), match=message):
        without_weights(HashingReader(io.BytesIO(hostile + b"\0" * 8)), len(hostile), DESCRIPTOR)


def test_more_fields_than_can_be_walked_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ONNX_FIELDS", 1000)
    with pytest.raises(MalformedMessageError, match="more than 1,000 fields"):
        slim(b"\x08\x01" * SMALL)


def test_a_structure_larger_than_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ONNX_STRUCTURE", 2 * SMALL)
    named = field(INITIALIZER, field(TENSOR_NAME, b"n" * 300))
    with pytest.raises(MalformedMessageError, match="without its weights it is larger than 8,192"):
        slim(field(GRAPH, named * 40))


def test_a_name_longer_than_any_honest_one_is_refused() -> None:
    named = field(INITIALIZER, field(TENSOR_NAME, b"n" * (SMALL + 1)))
    with pytest.raises(MalformedMessageError, match="a name in it has 4,097 bytes"):
        slim(field(GRAPH, named))


def test_fields_that_onnx_may_add_are_passed_over() -> None:
    unknown = varint(900 << 3 | 1) + b"8 bytes!" + varint(901 << 3 | 5) + b"four"
    content = models.model(padding=2 * SMALL)
    assert slim(unknown + content) == slim(content)
