# SPDX-License-Identifier: Apache-2.0
"""The facts of one `.onnx` file."""

from __future__ import annotations

import importlib.util
import io
import math
import sys
from pathlib import Path
from typing import Any, Final

import onnx
import pytest
from onnx import TensorProto, helper

from provenance.artifacts import limits, onnx_model
from provenance.artifacts.digest import of_bytes
from provenance.artifacts.onnx_model import (
    ExternalReference,
    NotOnnxError,
    OnnxFacts,
    TensorSpec,
    plain_dtype,
    read_onnx,
)
from tests.support import models
from tests.support.command import run_process
from tests.support.models import External, Where


def facts(message: Any) -> OnnxFacts:
    content = message if isinstance(message, bytes) else message.SerializeToString()
    digest, found = read_onnx(io.BytesIO(content), len(content))
    assert digest == of_bytes(content)
    return found


def refusal(message: Any) -> str:
    content = message if isinstance(message, bytes) else message.SerializeToString()
    with pytest.raises(NotOnnxError) as raised:
        read_onnx(io.BytesIO(content), len(content))
    assert raised.value.digest == of_bytes(content)
    return str(raised.value)


def test_the_facts_of_a_model() -> None:
    found = facts(models.model(inputs=[("features", 6), ("codec_onehot", 14)], opset=18))
    assert (found.ir_version, found.opsets, found.external) == (10, {"": 18}, ())
    shown = [str(i) for i in found.inputs]
    assert shown == ["features: float [batch, 6]", "codec_onehot: float [batch, 14]"]
    assert found.outputs == (TensorSpec("score", "float", ("batch", 1)),)


def test_weights_among_the_inputs_are_no_inputs() -> None:
    message = models.proto()
    message.graph.input.append(helper.make_tensor_value_info("weight", TensorProto.FLOAT, [6, 1]))
    assert [i.name for i in facts(message).inputs] == ["features"]


def test_a_shape_may_be_unknown_in_part_or_whole() -> None:
    described = {
        "a: int8 [?, ?, 3]": helper.make_tensor_value_info("a", TensorProto.INT8, [None, "", 3]),
        "b: float": helper.make_tensor_value_info("b", TensorProto.FLOAT, None),
        "c: sequence_type": helper.make_tensor_sequence_value_info("c", TensorProto.FLOAT, None),
        "d: type 99 [1]": helper.make_tensor_value_info("d", 99, [1]),
        "e: unknown": onnx.ValueInfoProto(name="e"),
    }
    message = models.proto()
    message.graph.input.extend(described.values())
    assert [str(i) for i in facts(message).inputs[1:]] == list(described)


@pytest.mark.parametrize("where", ["initializer", "attribute", "subgraph", "function", "sparse"])
@pytest.mark.parametrize("padding", [0, 20_000])
def test_external_data_has_a_location_an_end_and_a_tensor(where: Where, padding: int) -> None:
    external = External("x.data", offset=8, length=24, where=where, tensor="hidden")
    found = facts(models.model(external=external, padding=padding)).external
    assert found == (ExternalReference("x.data", 32, "hidden"),)


def test_the_last_byte_that_a_tensor_needs_is_the_end_of_a_file() -> None:
    ends = [(0, "first"), (1000, "last"), (24, "second")]
    external = [External("x.data", offset=offset, tensor=name) for offset, name in ends]
    found = facts(models.model(external=external)).external
    assert found == (ExternalReference("x.data", 1024, "last"),)


def test_external_data_counts_without_the_flag() -> None:
    message = models.proto(external=[External("x.data")])
    message.graph.initializer[0].ClearField("data_location")
    assert len(facts(message).external) == 1


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
"""The number of bits of an element where ONNX packs them (onnx.proto, raw_data)."""


def end_of(data_type: int, dims: list[int], message: Any = None) -> int:
    message = message or models.proto()
    tensor = TensorProto(name="w", data_type=data_type, dims=dims)
    tensor.external_data.add(key="location", value="w.data")
    message.graph.initializer.append(tensor)
    return facts(message).external[0].end


@pytest.mark.parametrize(("name", "number"), TensorProto.DataType.items())
def test_every_element_type_of_onnx_has_a_size_and_a_name(name: str, number: int) -> None:
    message = models.proto()
    message.graph.input[0].type.tensor_type.elem_type = number
    assert end_of(number, [3], message) == math.ceil(3 * BITS[name] / 8)
    assert facts(message).inputs[0].dtype == name.lower()
    assert plain_dtype(name) == (name.lower() if number else None)
    if BITS[name] >= 8:
        assert helper.tensor_dtype_to_np_dtype(number).itemsize * 8 == BITS[name]


@pytest.mark.parametrize("dims", [[1 << 40] * 3, [1 << 62, 1 << 62], [8] * 40])
def test_a_huge_tensor_needs_more_bytes_than_any_file_has(dims: list[int]) -> None:
    assert end_of(TensorProto.INT2, dims) >= 1 << 62


@pytest.mark.parametrize("dims", [[0], [1 << 40, 1 << 40, 0], [-1, 8]])
def test_a_tensor_without_elements_needs_no_bytes(dims: list[int]) -> None:
    assert end_of(TensorProto.FLOAT, dims) == 0


@pytest.mark.parametrize("key", ["location", "offset", "length"])
def test_external_data_may_be_given_twice_if_it_is_the_same(key: str) -> None:
    message = models.proto(external=[External("x.data", offset=8)])
    entries = message.graph.initializer[0].external_data
    again = {e.key: e.value for e in entries}[key]
    entries.add(key=key, value=again)
    assert facts(message).external[0].end == 32
    entries.add(key=key, value=f"{again}0")
    assert f"external data {key!r} is" in refusal(message)


@pytest.mark.parametrize("value", ["-1", "0x10", "1.5", "", "9" * 20, " 1", "١"])
@pytest.mark.parametrize("key", ["offset", "length"])
def test_a_malformed_byte_count_is_refused(key: str, value: str) -> None:
    external = External(offset=value) if key == "offset" else External(length=value)
    assert f"{key} {value!r} is not a byte count" in refusal(models.model(external=external))


def test_more_external_files_than_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "EXTERNAL_FILES", 2)
    external = [External(f"{i}.data", tensor=f"t{i}") for i in range(3)]
    assert "more than 2 external files" in refusal(models.model(external=external))


@pytest.mark.parametrize(
    ("imported", "found"),
    [
        ([("ai.onnx", 17)], {"": 17}),
        ([("", 17), ("", 17)], {"": 17}),
        ([("", 17), ("ai.onnx", 17), ("", 17), ("ai.onnx.ml", 3)], {"": 17, "ai.onnx.ml": 3}),
        ([("", 17), ("com.x", 1), ("com.x", 1)], {"": 17, "com.x": 1}),
        ([("", 17), ("", 18)], None),
        ([("", 17), ("ai.onnx", 18)], None),
        ([("", 17), ("com.x", 1), ("com.x", 2)], None),
    ],
)
def test_an_opset_is_unique(imported: list[tuple[str, int]], found: dict[str, int] | None) -> None:
    message = models.proto()
    del message.opset_import[:]
    message.opset_import.extend(helper.make_opsetid(*opset) for opset in imported)
    if found is None:
        assert "contradicts itself: opset" in refusal(message)
    else:
        assert facts(message).opsets == found
        assert facts(message).opset == 17


def without(field: str) -> bytes:
    message = models.proto()
    message.ClearField(field)
    content: bytes = message.SerializeToString()
    return content


def with_name(name: bytes) -> bytes:
    content = models.model(external=External())
    assert name in content
    return content.replace(name, b"\xff" * len(name))


REFUSED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "the file is empty"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "HTML": (b"<!DOCTYPE html>", "protobuf cannot decode it"),
    "no graph": (b"\x08\x0a", "no graph"),
    "no ir_version": (without("ir_version"), "ir"),
    "no graph field": (without("graph"), "graph"),
    "no opset": (without("opset_import"), "opset"),
    "input not UTF-8": (with_name(b"features"), "UTF-8"),
    "output not UTF-8": (with_name(b"score"), "UTF-8"),
    "location not UTF-8": (with_name(b"m.onnx.data"), "UTF-8"),
    **{
        f"long name, {padding}": (
            models.model(inputs=[("n" * 4097, 6)], padding=padding),
            "a name in it has 4,097",
        )
        for padding in (0, 20_000, 100_000)
    },
}


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=list(REFUSED))
def test_a_file_that_is_no_model_is_refused_with_the_reason(content: bytes, message: str) -> None:
    assert message in refusal(content)


def test_an_unused_name_need_not_be_utf8() -> None:
    content = models.model()
    assert facts(content.replace(b"MatMul", b"\xff" * 6)) == facts(content)


def test_a_file_larger_than_protobuf_can_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ONNX", 100)
    assert "more than an ONNX file can hold (100)" in refusal(models.model())


READ_ONE = """
import sys
from provenance.artifacts.onnx_model import read_onnx
with open(sys.argv[1], "rb", buffering=0) as stream:
    print(read_onnx(stream, len(open(sys.argv[1], "rb").read()))[1].opsets)
print("onnx" in sys.modules, "numpy" in sys.modules)
"""


def test_a_model_is_read_without_importing_onnx(tmp_path: Path) -> None:
    # `_messages` loads the generated messages by their path to spare its users the whole package.
    # If this fails, onnx has moved them: the command still works, five times slower to start.
    path = tmp_path / "m.onnx"
    path.write_bytes(models.model())
    result = run_process(path, python=("-c", READ_ONE))
    assert result.out.splitlines() == ["{'': 17}", "False False"], result.err


def test_the_package_is_imported_if_the_generated_messages_have_moved(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = importlib.util.find_spec("onnx")
    assert spec is not None
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: spec)
    monkeypatch.delitem(sys.modules, "onnx.onnx_ml_pb2")
    assert onnx_model.load_messages.__wrapped__() is onnx
