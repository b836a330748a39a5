# SPDX-License-Identifier: Apache-2.0
"""What one `.onnx` file says."""

from __future__ import annotations

import importlib.util
import io
import math
import sys
from pathlib import Path
from typing import Final

import onnx
import pytest
from onnx import TensorProto, helper

from provenance.artifacts import limits, onnx_model
from provenance.artifacts.digest import of_bytes
from provenance.artifacts.onnx_model import (
    NotOnnxError,
    OnnxFacts,
    TensorSpec,
    plain_dtype,
    read_onnx,
)
from tests.support import models
from tests.support.command import run_process
from tests.support.models import External, Where


def facts(content: bytes) -> OnnxFacts:
    digest, found = read_onnx(io.BytesIO(content), len(content))
    assert digest == of_bytes(content)
    return found


def refusal(content: bytes) -> str:
    with pytest.raises(NotOnnxError) as raised:
        read_onnx(io.BytesIO(content), len(content))
    assert raised.value.digest == of_bytes(content)
    return str(raised.value)


def test_the_facts_of_a_model() -> None:
    found = facts(models.model(inputs=[("features", 6), ("codec_onehot", 14)], opset=18))
    assert found.ir_version == 10
    assert found.opsets == {"": 18}
    assert [str(i) for i in found.inputs] == [
        "features: float [batch, 6]",
        "codec_onehot: float [batch, 14]",
    ]
    assert found.outputs == (TensorSpec("score", "float", ("batch", 1)),)
    assert found.external == ()


def test_weights_that_are_listed_as_inputs_are_no_inputs() -> None:
    message = models.proto()
    message.graph.input.append(helper.make_tensor_value_info("weight", TensorProto.FLOAT, [6, 1]))
    assert [i.name for i in facts(message.SerializeToString()).inputs] == ["features"]


def test_shapes_that_are_unknown_in_part_or_whole() -> None:
    message = models.proto()
    partly = helper.make_tensor_value_info("partly", TensorProto.INT8, [None, "", 3])
    wholly = helper.make_tensor_value_info("wholly", TensorProto.FLOAT, None)
    sequence = helper.make_tensor_sequence_value_info("sequence", TensorProto.FLOAT, None)
    odd = helper.make_tensor_value_info("odd", 99, [1])
    untyped = onnx.ValueInfoProto(name="untyped")
    message.graph.input.extend([partly, wholly, sequence, odd, untyped])
    shown = [str(i) for i in facts(message.SerializeToString()).inputs[1:]]
    assert shown == [
        "partly: int8 [?, ?, 3]",
        "wholly: float",
        "sequence: sequence_type",
        "odd: type 99 [1]",
        "untyped: unknown",
    ]


@pytest.mark.parametrize("where", ["initializer", "attribute", "subgraph", "function", "sparse"])
@pytest.mark.parametrize("padding", [0, 20_000])
def test_external_data_is_found_wherever_a_tensor_can_stand(where: Where, padding: int) -> None:
    external = External("x.data", offset=8, length=24, where=where, tensor="hidden")
    (reference,) = facts(models.model(external=external, padding=padding)).external
    assert (reference.location, reference.end, reference.tensor) == ("x.data", 32, "hidden")


def test_external_data_is_found_in_lists_of_tensors_and_graphs() -> None:
    message = models.proto()
    tensor = models.external_tensor(External("list.data", tensor="t"))
    node = helper.make_node("Custom", [], ["out"], tensors=[tensor])
    graph = models._graph_with(models.external_tensor(External("graphs.data", tensor="g")))
    node.attribute.append(helper.make_attribute("graphs", [graph, graph]))
    message.graph.node.append(node)
    found = {r.location for r in facts(message.SerializeToString()).external}
    assert found == {"list.data", "graphs.data"}


def test_external_data_is_found_in_training_information() -> None:
    message = models.proto()
    training = message.training_info.add()
    tensor = models.external_tensor(External("training.data", tensor="t"))
    training.algorithm.CopyFrom(models._graph_with(tensor))
    (reference,) = facts(message.SerializeToString()).external
    assert reference.location == "training.data"


def test_the_furthest_byte_that_any_tensor_needs_of_a_file_counts() -> None:
    external = [
        External("x.data", offset=0, length=24, tensor="first"),
        External("x.data", offset=1000, length=24, tensor="last"),
        External("x.data", offset=24, length=24, tensor="second"),
    ]
    (reference,) = facts(models.model(external=external)).external
    assert (reference.end, reference.tensor) == (1024, "last")


def test_external_data_counts_even_where_the_flag_is_not_set() -> None:
    message = models.proto(external=[External("x.data")])
    message.graph.initializer[0].ClearField("data_location")
    assert len(facts(message.SerializeToString()).external) == 1


BITS: Final = {
    **dict.fromkeys(("UNDEFINED", "STRING"), 0),
    **dict.fromkeys(("INT2", "UINT2"), 2),
    **dict.fromkeys(("INT4", "UINT4", "FLOAT4E2M1"), 4),
    **dict.fromkeys(("FLOAT6E2M3", "FLOAT6E3M2"), 6),
    **dict.fromkeys(("INT8", "UINT8", "BOOL", "FLOAT8E8M0"), 8),
    **dict.fromkeys(("FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ"), 8),
    **dict.fromkeys(("INT16", "UINT16", "FLOAT16", "BFLOAT16"), 16),
    **dict.fromkeys(("INT32", "UINT32", "FLOAT"), 32),
    **dict.fromkeys(("INT64", "UINT64", "DOUBLE", "COMPLEX64"), 64),
    "COMPLEX128": 128,
}
"""How many bits an element has where ONNX packs them (onnx.proto, raw_data)."""


@pytest.mark.parametrize(("name", "number"), TensorProto.DataType.items())
def test_every_element_type_of_onnx_has_a_size_and_a_name(name: str, number: int) -> None:
    message = models.proto()
    message.graph.input[0].type.tensor_type.elem_type = number
    tensor = TensorProto(name="w", data_type=number, dims=[3])
    tensor.external_data.add(key="location", value="w.data")
    message.graph.initializer.append(tensor)
    found = facts(message.SerializeToString())
    assert found.external[0].end == math.ceil(3 * BITS[name] / 8)
    assert found.inputs[0].dtype == name.lower()
    assert plain_dtype(name) == (name.lower() if number else None)


def test_the_size_of_every_element_type_is_that_which_onnx_itself_uses() -> None:
    differing = [
        name
        for name, number in TensorProto.DataType.items()
        if BITS[name] >= 8 and helper.tensor_dtype_to_np_dtype(number).itemsize * 8 != BITS[name]
    ]
    assert differing == []


@pytest.mark.parametrize("dims", [[1 << 40] * 3, [1 << 62, 1 << 62], [8] * 40])
def test_a_tensor_larger_than_any_file_has_no_file_that_is_long_enough(dims: list[int]) -> None:
    message = models.proto()
    tensor = TensorProto(name="w", data_type=TensorProto.INT2, dims=dims)
    tensor.external_data.add(key="location", value="w.data")
    message.graph.initializer.append(tensor)
    assert facts(message.SerializeToString()).external[0].end >= 1 << 62


@pytest.mark.parametrize("dims", [[0], [1 << 40, 1 << 40, 0], [-1, 8]])
def test_a_tensor_without_elements_needs_no_bytes(dims: list[int]) -> None:
    message = models.proto()
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims)
    tensor.external_data.add(key="location", value="w.data")
    message.graph.initializer.append(tensor)
    assert facts(message.SerializeToString()).external[0].end == 0


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ([("", 17)], {"": 17}),
        ([("ai.onnx", 17)], {"": 17}),
        ([("ai.onnx", 17), ("", 17), ("ai.onnx.ml", 3)], {"": 17, "ai.onnx.ml": 3}),
        ([("com.x", 1), ("com.x", 1)], {"": 17, "com.x": 1}),
    ],
)
def test_an_opset_may_be_imported_twice(more: list[tuple[str, int]], found: dict[str, int]) -> None:
    message = models.proto()
    message.opset_import.extend(helper.make_opsetid(*opset) for opset in more)
    assert facts(message.SerializeToString()).opsets == found


def test_an_opset_that_is_imported_as_ai_onnx_is_that_of_onnx() -> None:
    message = models.proto()
    message.opset_import[0].domain = "ai.onnx"
    assert facts(message.SerializeToString()).opset == 17


@pytest.mark.parametrize("more", [[("", 18)], [("ai.onnx", 18)], [("com.x", 1), ("com.x", 2)]])
def test_two_versions_of_an_opset_contradict_each_other(more: list[tuple[str, int]]) -> None:
    message = models.proto()
    message.opset_import.extend(helper.make_opsetid(*opset) for opset in more)
    assert "contradicts itself: opset" in refusal(message.SerializeToString())


@pytest.mark.parametrize("key", ["location", "offset", "length"])
def test_external_data_may_be_named_twice_and_not_in_two_ways(key: str) -> None:
    message = models.proto(external=[External("x.data", offset=8)])
    entries = message.graph.initializer[0].external_data
    again = {e.key: e.value for e in entries}[key]
    entries.add(key=key, value=again)
    assert facts(message.SerializeToString()).external[0].end == 32
    entries.add(key=key, value=f"{again}0")
    assert f"external data {key!r} is" in refusal(message.SerializeToString())


@pytest.mark.parametrize("value", ["-1", "0x10", "1.5", "", "9" * 20, " 1", "١"])
@pytest.mark.parametrize("key", ["offset", "length"])
def test_a_byte_count_that_is_none_is_refused(key: str, value: str) -> None:
    external = External(offset=value) if key == "offset" else External(length=value)
    message = refusal(models.model(external=external))
    assert f"{key} {value!r} is not a byte count" in message


def test_more_external_files_than_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "EXTERNAL_FILES", 2)
    external = [External(f"{i}.data", tensor=f"t{i}") for i in range(3)]
    assert "more than 2 external files" in refusal(models.model(external=external))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"<!DOCTYPE html>", "protobuf cannot decode it"),
        (b"\x08\x0a", "no graph"),
    ],
)
def test_bytes_that_are_no_model_are_told_why(content: bytes, message: str) -> None:
    assert message in refusal(content)


@pytest.mark.parametrize("field", ["ir_version", "graph", "opset_import"])
def test_a_model_lacks_nothing_that_every_model_has(field: str) -> None:
    message = models.proto()
    message.ClearField(field)
    assert field.partition("_")[0] in refusal(message.SerializeToString())


@pytest.mark.parametrize("name", [b"features", b"score", b"m.onnx.data"])
def test_a_name_that_is_not_utf8_is_refused(name: bytes) -> None:
    content = models.model(external=External())
    assert "UTF-8" in refusal(content.replace(name, b"\xff" * len(name)))


def test_a_name_that_is_not_utf8_does_not_matter_where_it_is_not_used() -> None:
    content = models.model()
    assert facts(content.replace(b"MatMul", b"\xff" * 6)) == facts(content)


def test_a_file_larger_than_protobuf_can_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ONNX", 100)
    assert "more than an ONNX file can hold (100)" in refusal(models.model())


def test_the_generated_messages_of_onnx_are_where_they_are_looked_for() -> None:
    # `_messages` loads this file by its path to spare its users the whole package. If this fails,
    # onnx has moved it: the command still works, five times slower to start.
    spec = importlib.util.find_spec("onnx")
    assert spec is not None
    folders = list(spec.submodule_search_locations or [])
    assert [Path(f, "onnx_ml_pb2.py").is_file() for f in folders] == [True]


READ_ONE = """
import sys
from provenance.artifacts.onnx_model import read_onnx
with open(sys.argv[1], "rb", buffering=0) as stream:
    print(read_onnx(stream, len(open(sys.argv[1], "rb").read()))[1].opsets)
print("onnx" in sys.modules, "numpy" in sys.modules)
"""


def test_a_model_is_read_without_importing_onnx(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(models.model())
    result = run_process(path, python=("-c", READ_ONE))
    assert result.out.splitlines() == ["{'': 17}", "False False"], result.err


def test_where_the_generated_messages_have_moved_the_package_is_imported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = importlib.util.find_spec("onnx")
    assert spec is not None
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: spec)
    monkeypatch.delitem(sys.modules, "onnx.onnx_ml_pb2")
    assert onnx_model.load_messages.__wrapped__() is onnx


@pytest.mark.parametrize("padding", [0, 20_000, 100_000])
def test_a_name_longer_than_any_honest_one_is_refused(padding: int) -> None:
    content = models.model(inputs=[("n" * 4097, 6)], padding=padding)
    with pytest.raises(NotOnnxError, match="a name in it has 4,097"):
        read_onnx(io.BytesIO(content), len(content))
