# SPDX-License-Identifier: Apache-2.0
"""Tiny models that a runtime runs, refuses, or falls over, each by the name of what it shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy
from onnx import TensorProto, helper, numpy_helper

FLOAT: Final = TensorProto.FLOAT
INT32: Final = TensorProto.INT32
INT64: Final = TensorProto.INT64
BOOL: Final = TensorProto.BOOL

FOREVER: Final = 2**62
"""Rounds of a loop that takes too long."""

HUGE: Final = 2**40
"""Elements of a tensor that no memory holds."""

Shape = Sequence[int | str | None] | None

node = helper.make_node
tensor = helper.make_tensor_value_info


def model(
    nodes: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    constants: Mapping[str, Any] | None = None,
    *,
    opset: int = 17,
    domains: Sequence[str] = (),
) -> bytes:
    weights = [numpy_helper.from_array(v, n) for n, v in (constants or {}).items()]
    made = helper.make_model(
        helper.make_graph(list(nodes), "tests", list(inputs), list(outputs), weights),
        ir_version=10,
        producer_name="tests",
        opset_imports=[
            helper.make_opsetid("", opset),
            *(helper.make_opsetid(d, 1) for d in domains),
        ],
    )
    content: bytes = made.SerializeToString(deterministic=True)
    return content


def identity(
    dtype: int = FLOAT, shape: Shape = ("batch", 6), gives: Shape = ("batch", 6), *, opset: int = 17
) -> bytes:
    """A model that gives its input `x` as `y`, which it declares to be of the shape `gives`."""
    nodes = [node("Identity", ["x"], ["y"])]
    inputs, outputs = [tensor("x", dtype, shape)], [tensor("y", dtype, gives)]
    return model(nodes, inputs, outputs, opset=opset)


def of_one(
    *operators: str,
    constants: Mapping[str, Any] | None = None,
    dtype: int = FLOAT,
    shape: Shape = ("batch", 6),
    gives: Shape = None,
    domain: str = "",
    **attributes: Any,
) -> bytes:
    """A model that passes `x` through some operators; the constants are the last one's inputs."""
    *before, last = operators
    names = ["x", *(f"v{i}" for i in range(len(before)))]
    nodes = [node(o, [a], [b]) for o, a, b in zip(before, names, names[1:], strict=False)]
    fed = [names[-1], *(constants or {})]
    nodes.append(node(last, fed, ["y"], domain=domain, **attributes))
    return model(
        nodes,
        [tensor("x", dtype, shape)],
        [tensor("y", dtype, gives)],
        constants,
        domains=[domain] if domain else (),
    )


def loop(operator: str, start: str = "x", **attributes: Any) -> bytes:
    """A model that applies an operator to a value and itself, for ever.

    It starts with the input `x`, or with the constant `one`.
    """
    body = helper.make_graph(
        [
            node("Identity", ["go"], ["still"]),
            node(operator, ["value", "value"], ["next"], **attributes),
        ],
        "body",
        [tensor("i", INT64, []), tensor("go", BOOL, []), tensor("value", FLOAT, None)],
        [tensor("still", BOOL, []), tensor("next", FLOAT, None)],
    )
    return model(
        [
            node("Loop", ["rounds", "", start], ["last"], body=body),
            node("Add", ["last", "x"], ["y"]),
        ],
        [tensor("x", FLOAT, ["batch", 6])],
        [tensor("y", FLOAT, None)],
        {"rounds": numpy.array(FOREVER, numpy.int64), "one": numpy.ones((1, 6), numpy.float32)},
    )


def of_a_sequence() -> bytes:
    """A model whose input is a sequence, and which gives its length."""
    return model(
        [node("SequenceLength", ["x"], ["y"])],
        [helper.make_tensor_sequence_value_info("x", FLOAT, None)],
        [tensor("y", INT64, [])],
    )


def for_pictures(size: int) -> bytes:
    """A model that declares pictures of any size, and takes those of one."""
    return model(
        [node("Flatten", ["x"], ["flat"]), node("MatMul", ["flat", "weights"], ["y"])],
        [tensor("x", FLOAT, ["N", 1, "H", None])],
        [tensor("y", FLOAT, ["N", 1])],
        {"weights": numpy.zeros((size * size, 1), numpy.float32)},
    )


def into_a_sequence() -> bytes:
    return model(
        [node("SequenceConstruct", ["x", "x"], ["y"])],
        [tensor("x", FLOAT, ["batch", 6])],
        [helper.make_tensor_sequence_value_info("y", FLOAT, None)],
    )


def bomb() -> bytes:
    """A model that wants a tensor of 4 TiB."""
    return model(
        [node("ReduceMean", ["x"], ["mean"], keepdims=0), node("Expand", ["mean", "size"], ["y"])],
        [tensor("x", FLOAT, ["batch", 6])],
        [tensor("y", FLOAT, None)],
        {"size": numpy.array([HUGE], numpy.int64)},
    )


def trap() -> bytes:
    """A model that divides the least integer by -1: the quotient does not fit, x86 traps.

    onnxruntime looks for a zero before it divides, and not for this.
    """
    least = numpy.full(3, numpy.iinfo(numpy.int32).min, numpy.int32)
    return model(
        [node("Add", ["x", "least"], ["sum"]), node("Div", ["sum", "minus"], ["y"])],
        [tensor("x", INT32, ["batch", 3])],
        [tensor("y", INT32, ["batch", 3])],
        {"least": least, "minus": numpy.full(3, -1, numpy.int32)},
    )


RECIPES: Final[Mapping[str, Callable[[], bytes]]] = {
    "gives-what-it-declares": identity,
    "gives-another-rank": lambda: identity(gives=("batch",)),
    "gives-another-size": lambda: identity(gives=("batch", 5)),
    "gives-one-element-of-what-it-declares": lambda: of_one("ReduceMean", gives=("batch", 6)),
    "gives-a-symbol-of-another-size": lambda: identity(shape=("n", "m"), gives=("m", "n")),
    "gives-a-scalar": lambda: of_one("ReduceMean", keepdims=0, gives=()),
    "gives-nan": lambda: of_one("Neg", "Sqrt", gives=("batch", 6)),
    "of-opset-99": lambda: identity(opset=99),
    "of-an-operator-that-nobody-has": lambda: of_one("Mystery", domain="com.example"),
    "for-a-batch-of-8": lambda: of_one(
        "Reshape", constants={"size": numpy.array([8, 6], numpy.int64)}, gives=(8, 6)
    ),
    "for-pictures-of-224": lambda: for_pictures(224),
    "for-pictures-of-123": lambda: for_pictures(123),
    "of-a-sequence": of_a_sequence,
    "of-no-declared-shape": lambda: identity(shape=None, gives=None),
    "that-hangs": lambda: loop("Add"),
    "that-hangs-on-constants": lambda: loop("Add", "one"),
    "that-grows": lambda: loop("Concat", axis=0),
    "of-four-tebibytes": bomb,
    "that-crashes": trap,
}
"""Models for cases, by name."""
