# SPDX-License-Identifier: Apache-2.0
"""Tiny ONNX models. Their bytes depend on nothing but the arguments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import onnx
from onnx import TensorProto, helper

Where = Literal["initializer", "attribute", "subgraph", "function", "sparse"]
WIDTH = 6
CODECS = ("x264", "x265", "libsvtav1", "libvvenc", "libvpx-vp9", "unknown")


@dataclass(frozen=True)
class External:
    """A tensor kept outside the model. Offset and length are text in ONNX, so any text goes."""

    location: str = "m.onnx.data"
    length: int | str | None = 24
    offset: int | str | None = None
    where: Where = "initializer"
    tensor: str = "weight"


def external_tensor(external: External) -> Any:
    """A FLOAT tensor of six elements whose bytes are in `external.location`."""
    tensor = TensorProto(name=external.tensor, data_type=TensorProto.FLOAT, dims=[WIDTH, 1])
    tensor.data_location = TensorProto.EXTERNAL
    for key in ("location", "offset", "length"):
        value = getattr(external, key)
        if value is not None:
            tensor.external_data.add(key=key, value=str(value))
    return tensor


def weight(name: str = "weight", salt: int = 0) -> Any:
    """A FLOAT tensor of six elements, inside the model; `salt` makes its bytes different."""
    return helper.make_tensor(name, TensorProto.FLOAT, [WIDTH, 1], [salt + i / 8 for i in range(6)])


def model(
    *,
    inputs: Iterable[Sequence[Any]] = (("features", WIDTH),),
    opset: int = 17,
    salt: int = 0,
    external: External | Sequence[External] = (),
    padding: int = 0,
) -> bytes:
    """A model that is well formed for the gate (it need not run).

    Inputs are `float [batch, width]`. `salt` makes the bytes different, `padding` the file large.
    """
    outside = (external,) if isinstance(external, External) else tuple(external)
    result = proto(inputs=inputs, opset=opset, salt=salt, external=outside, padding=padding)
    content: bytes = result.SerializeToString(deterministic=True)
    return content


def proto(
    *,
    inputs: Iterable[Sequence[Any]] = (("features", WIDTH),),
    opset: int = 17,
    salt: int = 0,
    external: Sequence[External] = (),
    padding: int = 0,
) -> Any:
    """The model as a message, to be changed further. Arguments are those of `model`."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["features", "weight"], ["score"], name="matmul")],
        "tests",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", w]) for n, w in inputs],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch", 1])],
    )
    inside = weight(salt=salt)
    functions: list[Any] = []
    for found in external:
        tensor = external_tensor(found)
        match found.where:
            case "initializer":
                graph.initializer.append(tensor)
            case "attribute":
                graph.node.append(_constant(tensor))
            case "subgraph":
                graph.node.append(_branch(_graph_with(tensor)))
            case "function":
                functions.append(_function(tensor))
            case "sparse":
                sparse = graph.sparse_initializer.add()
                sparse.values.CopyFrom(tensor)
                sparse.dims.append(WIDTH)
    if not any(e.where == "initializer" and e.tensor == "weight" for e in external):
        graph.initializer.append(inside)
    if padding:
        graph.initializer.append(
            helper.make_tensor("pad", TensorProto.UINT8, [padding], b"\1" * padding, raw=True)
        )
    return helper.make_model(
        graph,
        ir_version=10,
        producer_name=f"tests {salt}",
        opset_imports=[helper.make_opsetid("", opset)],
        functions=functions,
    )


def data(size: int = 24, salt: int = 0) -> bytes:
    return bytes((salt + i) % 251 for i in range(size))


def _constant(tensor: Any) -> Any:
    return helper.make_node("Constant", [], [f"{tensor.name}_value"], value=tensor)


def _graph_with(tensor: Any) -> Any:
    output = helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)
    return helper.make_graph([_constant(tensor)], "branch", [], [output], [])


def _branch(graph: Any) -> Any:
    # One more level: a subgraph inside a subgraph is where a list of known places would stop.
    output = helper.make_tensor_value_info("middle", TensorProto.FLOAT, None)
    inner = helper.make_node("If", ["condition"], ["middle"], then_branch=graph, else_branch=graph)
    outer = helper.make_graph([inner], "outer", [], [output], [])
    return helper.make_node("If", ["condition"], ["branch"], then_branch=outer, else_branch=outer)


def _function(tensor: Any) -> Any:
    return helper.make_function(
        "tests", "Weights", [], ["out"], [_constant(tensor)], [helper.make_opsetid("", 17)]
    )


def parse(content: bytes) -> Any:
    """The message that protobuf itself reads from `content`."""
    return onnx.ModelProto.FromString(content)
