# SPDX-License-Identifier: Apache-2.0
"""What a model is fed: one tensor an input, of the declared shape, of harmless values.

The values depend on nothing but the graph, the sidecar's `feature_mean` and the configuration, so
that a finding can be seen again. docs/run.md says them in a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from provenance.artifacts.onnx_model import TensorSpec
from provenance.runtime.settings import RunSettings

BATCH: Final = 1
"""An open first dimension: one of whatever the model takes many of."""

EXTENT: Final = 64
"""Any other open dimension: a picture that can be halved six times, a short sequence."""

FRACTION: Final = 0.5
"""What floating-point inputs are filled with: within [0, 1] and [-1, 1], and not zero."""

FLOATS: Final = ("float", "double", "float16", "bfloat16")
INTEGERS: Final = (
    *("int8", "int16", "int32", "int64"),
    *("uint8", "uint16", "uint32", "uint64", "bool"),
)
STRING: Final = "string"


class UnfeedableError(ValueError):
    """No value can be made for an input. The message says which, and why."""


@dataclass(frozen=True)
class Input:
    """A tensor as it is fed. `fill` is one number for all elements, or one for each last place."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    fill: float | tuple[float, ...]

    def as_json(self) -> dict[str, Any]:
        """The tensor as the worker is told of it."""
        return {"name": self.name, "dtype": self.dtype, "shape": self.shape, "fill": self.fill}


@dataclass(frozen=True)
class Feed:
    """All inputs of a model, and the size that each symbol of its graph was given."""

    inputs: tuple[Input, ...]
    sizes: Mapping[str, int]


def feed(inputs: Sequence[TensorSpec], settings: RunSettings, mean: Sequence[float] = ()) -> Feed:
    """What to run a model with. `mean` is of the last dimension of the first input.

    Raises:
        UnfeedableError: An input is no tensor, or is of a type or shape that no value is known for.
    """
    sizes: dict[str, int] = {}
    made = []
    for place, spec in enumerate(inputs):
        fill = _fill(spec, settings)
        shape = _shape(spec, settings, sizes)
        is_mean = place == 0 and mean and spec.dtype in FLOATS and shape[-1:] == (len(mean),)
        use_mean = is_mean and spec.name not in settings.inputs
        made.append(Input(spec.name, spec.dtype, shape, tuple(mean) if use_mean else fill))
    return Feed(tuple(made), sizes)


def open_dimensions(spec: TensorSpec) -> Iterator[str]:
    """What the configuration may call the dimensions of an input that the graph leaves open."""
    for axis, dim in enumerate(spec.shape or ()):
        if isinstance(dim, str):
            yield dim
        elif dim is None or dim < 0:  # exporters write -1 for what is open
            yield f"{spec.name}.{axis}"


def _shape(spec: TensorSpec, settings: RunSettings, sizes: dict[str, int]) -> tuple[int, ...]:
    if spec.shape is None:
        raise UnfeedableError(f"the graph declares no shape for its input {spec.name[:60]!r}")
    shape = []
    for axis, dim in enumerate(spec.shape):
        by_default = EXTENT if axis else BATCH
        if isinstance(dim, str):
            size = sizes.setdefault(dim, settings.dimensions.get(dim, by_default))
        elif dim is None or dim < 0:
            size = settings.dimensions.get(f"{spec.name}.{axis}", by_default)
        else:
            size = dim
        shape.append(size)
    return tuple(shape)


def _fill(spec: TensorSpec, settings: RunSettings) -> float:
    if spec.dtype in FLOATS:
        return settings.inputs.get(spec.name, FRACTION)
    if spec.dtype in INTEGERS:
        return settings.inputs.get(spec.name, 0)
    if spec.dtype == STRING:
        return 0
    raise UnfeedableError(f"its input {spec.name[:60]!r} is a {spec.dtype.removesuffix('_type')}")
