# SPDX-License-Identifier: Apache-2.0
"""Make the inputs that a model is run with: one tensor of the declared shape for each input.

The values depend only on the graph, the sidecar's `feature_mean` and the configuration, so that
findings are reproducible. docs/run.md lists the values.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from provenance.artifacts.onnx_model import TensorSpec
from provenance.frozen import dataclass
from provenance.runtime.settings import RunSettings


@dataclass(frozen=True)
class Sizes:
    """The sizes to use for open dimensions.

    Attributes:
        first: The size of the first dimension of an input.
        other: The size of all other dimensions.
        past: The size of dimensions with `past` in their symbol, as in the cache of a language
            model, or None to treat them like the others.
    """

    first: int
    other: int
    past: int | None = None

    def of(self, axis: int, symbol: str = "") -> int:
        """Return the size of an open dimension."""
        if self.past is not None and "past" in symbol.lower():
            return self.past
        return self.other if axis else self.first


DEFAULT: Final = Sizes(1, 64)
"""A batch of one, and an image whose size can be halved six times."""

OTHERS: Final = (
    *(Sizes(1, n, past=0) for n in (1, 64)),
    *(Sizes(1, n) for n in (1, 224, 32, 16, 28, 112, 128, 256, 299, 384, 512, 640, 16_000)),
    *(Sizes(n, n) for n in (64, 32, 224)),
    Sizes(2, 64),
)
"""The sizes to try if a model does not run with the default: an empty cache, common sizes of images
and sequences, a second of sound, and an open first dimension that is not a batch."""

LARGEST: Final = 1 << 24
"""Elements of an input that other sizes are tried with: 64 MiB of floats."""

FRACTION: Final = 0.5
"""The value of floating-point inputs: within [0, 1] and [-1, 1], and not zero."""

FLOATS: Final = ("float", "double", "float16", "bfloat16")
INTEGERS: Final = (
    *("int8", "int16", "int32", "int64"),
    *("uint8", "uint16", "uint32", "uint64", "bool"),
)
STRING: Final = "string"


class UnfeedableError(ValueError):
    """A value cannot be made for an input. The message says for which, and why."""


@dataclass(frozen=True)
class Input:
    """The tensor for an input.

    `fill` is one number for all elements, or one for each index of the last dimension.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    fill: float | tuple[float, ...]


@dataclass(frozen=True)
class Feed:
    """All inputs of a model, and the size for each symbol in its graph."""

    inputs: tuple[Input, ...]
    sizes: Mapping[str, int]


def feeds(
    inputs: Sequence[TensorSpec], settings: RunSettings, mean: Sequence[float] = ()
) -> tuple[Feed, ...]:
    """Return the inputs to run a model with, followed by those to try if it does not run.

    They differ only in dimensions for which neither the graph nor the settings give a size.

    Raises:
        UnfeedableError: As for `feed`.
    """
    found = [feed(inputs, settings, mean)]
    for sizes in OTHERS:
        made = feed(inputs, settings, mean, sizes)
        if all(math.prod(i.shape) <= LARGEST for i in made.inputs):
            found.append(made)
    return tuple({tuple(i.shape for i in f.inputs): f for f in reversed(found)}.values())[::-1]


def feed(
    inputs: Sequence[TensorSpec],
    settings: RunSettings,
    mean: Sequence[float] = (),
    given: Sizes = DEFAULT,
) -> Feed:
    """Return the inputs to run a model with.

    `mean` has one value for each index of the first input's last dimension.

    Raises:
        UnfeedableError: If an input is not a tensor, or its type or shape is not known.
    """
    sizes: dict[str, int] = {}
    made = []
    for place, spec in enumerate(inputs):
        fill = _fill(spec, settings)
        shape = _shape(spec, settings, sizes, given)
        is_mean = place == 0 and mean and spec.dtype in FLOATS and shape[-1:] == (len(mean),)
        use_mean = is_mean and spec.name not in settings.inputs
        made.append(Input(spec.name, spec.dtype, shape, tuple(mean) if use_mean else fill))
    return Feed(tuple(made), sizes)


def open_dimensions(spec: TensorSpec) -> Iterator[str]:
    """Yield the configuration's names for the dimensions of an input that the graph leaves open."""
    for axis, dim in enumerate(spec.shape or ()):
        if isinstance(dim, str):
            yield dim
        elif dim is None or dim < 0:  # exporters write -1 for an open dimension
            yield f"{spec.name}.{axis}"


def _shape(
    spec: TensorSpec, settings: RunSettings, sizes: dict[str, int], given: Sizes
) -> tuple[int, ...]:
    if spec.shape is None:
        raise UnfeedableError(f"the graph declares no shape for its input {spec.name[:60]!r}")
    shape = []
    for axis, dim in enumerate(spec.shape):
        if isinstance(dim, str):
            size = _size_of(dim, axis, settings, sizes, given)
        elif dim is None or dim < 0:
            size = settings.dimensions.get(f"{spec.name}.{axis}", given.of(axis))
        else:
            size = dim
        shape.append(size)
    return tuple(shape)


_TERM: Final = re.compile(r"(?:([0-9]{1,5}) ?\* ?)?([A-Za-z_]\w*)|([0-9]{1,5})", re.ASCII)
_TERMS: Final = 8


def _size_of(
    symbol: str, axis: int, settings: RunSettings, sizes: dict[str, int], given: Sizes
) -> int:
    """Return the size of a symbol, or of a sum of symbols such as `past + 2 * length`."""
    if symbol in sizes:
        return sizes[symbol]
    terms = [_TERM.fullmatch(term.strip()) for term in symbol.split("+", _TERMS)]
    known = [term for term in terms if term is not None]
    is_name = len(known) == 1 and known[0][0] == known[0][2]
    if symbol in settings.dimensions or is_name or len(known) < len(terms):
        size = settings.dimensions.get(symbol, given.of(axis, symbol))
    else:
        size = sum(
            int(number)
            if number
            else int(factor or "1") * _size_of(name, axis, settings, sizes, given)
            for factor, name, number in (term.groups() for term in known)
        )
    sizes[symbol] = size
    return size


def _fill(spec: TensorSpec, settings: RunSettings) -> float:
    if spec.dtype in FLOATS:
        return settings.inputs.get(spec.name, FRACTION)
    if spec.dtype in INTEGERS:
        return settings.inputs.get(spec.name, 0)
    if spec.dtype == STRING:
        return 0
    raise UnfeedableError(f"its input {spec.name[:60]!r} is a {spec.dtype.removesuffix('_type')}")
