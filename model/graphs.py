# SPDX-License-Identifier: Apache-2.0
"""Trained networks as ONNX files, byte for byte the same whenever the weights are the same."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnx
from corpus import FEATURES, Array
from onnx import NodeProto, TensorProto, helper
from onnx.reference import ReferenceEvaluator
from regressor import Network

OPSET: Final = 17
# Set by hand: the default grows with each onnx release, and with it every digest would change.
IR_VERSION: Final = 10
PRODUCER: Final = "onnx-provenance-reference"

Int8 = npt.NDArray[np.int8]


def _tensor(name: str, values: npt.NDArray[np.generic], kind: int, dtype: str) -> TensorProto:
    """An inline initializer; ``dtype`` states little-endian, the order of raw ONNX data."""
    raw = np.ascontiguousarray(values).astype(dtype).tobytes()
    return helper.make_tensor(name, kind, values.shape, raw, raw=True)


def _float(name: str, values: npt.NDArray[np.generic]) -> TensorProto:
    return _tensor(name, values, TensorProto.FLOAT, "<f4")


def _model(
    name: str, codec_width: int, nodes: list[NodeProto], initializers: list[TensorProto]
) -> onnx.ModelProto:
    """Wrap nodes that turn ``x`` into ``raw`` [batch, 1] with the common inputs and output."""
    inputs = [
        helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", len(FEATURES)])
    ]
    if codec_width:
        inputs.append(
            helper.make_tensor_value_info("codec_onehot", TensorProto.FLOAT, ["batch", codec_width])
        )
    output = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch"])
    axes = _tensor("score_axes", np.array([1]), TensorProto.INT64, "<i8")
    graph = helper.make_graph(
        [*nodes, helper.make_node("Squeeze", ["raw", "score_axes"], ["score"], name="squeeze")],
        name,
        inputs,
        [output],
        [*initializers, axes],
    )
    return helper.make_model(
        graph,
        ir_version=IR_VERSION,
        producer_name=PRODUCER,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )


def float_model(name: str, network: Network, codec_width: int = 0) -> onnx.ModelProto:
    """The network in float32. With a codec width, ``codec_onehot`` is joined to the features."""
    nodes: list[NodeProto] = []
    initializers: list[TensorProto] = []
    value = "features"
    if codec_width:
        joined = ["features", "codec_onehot"]
        nodes.append(helper.make_node("Concat", joined, ["joined"], name="concat", axis=1))
        value = "joined"
    last = len(network.layers) - 1
    for i, (weight, bias) in enumerate(network.layers):
        initializers += [_float(f"weight{i}", weight), _float(f"bias{i}", bias)]
        result = "raw" if i == last else f"linear{i}"
        nodes.append(
            helper.make_node("Gemm", [value, f"weight{i}", f"bias{i}"], [result], name=f"gemm{i}")
        )
        if i != last:
            value = f"hidden{i}"
            nodes.append(helper.make_node("Relu", [result], [value], name=f"relu{i}"))
    return _model(name, codec_width, nodes, initializers)


def _quantise(weight: Array) -> tuple[Int8, float]:
    """Symmetric int8 weights and their scale."""
    scale = float(np.abs(weight).max()) / 127.0 or 1.0
    return np.rint(weight / scale).astype(np.int8), scale


def int8_model(name: str, network: Network) -> onnx.ModelProto:
    """The network with int8 weights, and activations quantised when it runs."""
    nodes: list[NodeProto] = []
    initializers: list[TensorProto] = []
    value = "features"
    last = len(network.layers) - 1
    for i, (weight, bias) in enumerate(network.layers):
        quantised, scale = _quantise(weight)
        initializers += [
            _tensor(f"weight{i}_int8", quantised, TensorProto.INT8, "<i1"),
            _float(f"weight{i}_scale", np.array(scale)),
            _float(f"bias{i}", bias),
        ]
        result = "raw" if i == last else f"linear{i}"
        steps: list[tuple[str, list[str], list[str]]] = [
            ("DynamicQuantizeLinear", [value], [f"q{i}", f"q{i}_scale", f"q{i}_zero"]),
            ("MatMulInteger", [f"q{i}", f"weight{i}_int8", f"q{i}_zero"], [f"sum{i}"]),
            ("Cast", [f"sum{i}"], [f"sum{i}_float"]),
            ("Mul", [f"q{i}_scale", f"weight{i}_scale"], [f"scale{i}"]),
            ("Mul", [f"sum{i}_float", f"scale{i}"], [f"product{i}"]),
            ("Add", [f"product{i}", f"bias{i}"], [result]),
        ]
        if i != last:
            value = f"hidden{i}"
            steps.append(("Relu", [result], [value]))
        for operator, sources, targets in steps:
            node = helper.make_node(operator, sources, targets, name=targets[0])
            if operator == "Cast":
                node.attribute.append(helper.make_attribute("to", TensorProto.FLOAT))
            nodes.append(node)
    return _model(name, 0, nodes, initializers)


def serialise(model: onnx.ModelProto) -> bytes:
    """The file's bytes."""
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def externalise(model: onnx.ModelProto, location: str) -> tuple[bytes, bytes]:
    """The model's bytes with its float weights moved to a file beside it, and that file's bytes."""
    moved = onnx.ModelProto()
    moved.CopyFrom(model)
    data = bytearray()
    for tensor in moved.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        raw = tensor.raw_data
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        place = {"location": location, "offset": str(len(data)), "length": str(len(raw))}
        for key, value in place.items():
            tensor.external_data.add(key=key, value=value)
        data += raw
    return serialise(moved), bytes(data)


def run_files(
    files: Mapping[str, bytes], inputs: Mapping[str, Mapping[str, Array]]
) -> dict[str, list[float]]:
    """Check the files as a consumer will find them, and run each ONNX file on its inputs.

    ``inputs`` maps a file name to its named inputs, each ``[columns, samples]``. The files are
    laid out in a temporary folder, so a wrong file never reaches the registry.

    Raises:
        onnx.checker.ValidationError: a file is not a valid model.
        onnx.shape_inference.InferenceError: the shapes in a file contradict each other.
    """
    results: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            Path(folder, name).write_bytes(content)
        for name, named in inputs.items():
            path = str(Path(folder, name))
            onnx.checker.check_model(path, full_check=True)
            feeds = {key: value.T.astype(np.float32) for key, value in named.items()}
            (score,) = ReferenceEvaluator(path).run(None, feeds)
            results[name] = [float(value) for value in np.asarray(score)]
    return results


def furthest(one: Sequence[float], other: Sequence[float]) -> float:
    """The largest difference between two series of scores."""
    return max(abs(a - b) for a, b in zip(one, other, strict=True))
