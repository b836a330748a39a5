# SPDX-License-Identifier: Apache-2.0
"""What a model is fed: one tensor an input, of the declared shape, of harmless values.

The values depend on nothing but the graph, the sidecar's `feature_mean` and the configuration, so
that a finding can be seen again. docs/run.md says them in a table.
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
    """The sizes that open dimensions are given: the first, any other, and, if it differs, one whose
    symbol speaks of the past, as that of a cache of a language model does.
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
"""One of whatever the model takes many of; a picture that can be halved six times."""

OTHERS: Final = (
    *(Sizes(1, n, past=0) for n in (1, 64)),
    *(Sizes(1, n) for n in (1, 224, 32, 16, 28, 112, 128, 256, 299, 384, 512, 640, 16_000)),
    *(Sizes(n, n) for n in (64, 32, 224)),
    Sizes(2, 64),
)
"""What is tried where a model does not run with the default: one step, usual sizes of pictures and
sequences, a second of sound, and an open first dimension that is no batch."""

LARGEST: Final = 1 << 24
"""Elements of an input that is tried with other sizes: 64 MiB of floats."""

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


@dataclass(frozen=True)
class Feed:
    """All inputs of a model, and the size that each symbol of its graph was given."""

    inputs: tuple[Input, ...]
    sizes: Mapping[str, int]


def feeds(
    inputs: Sequence[TensorSpec], settings: RunSettings, mean: Sequence[float] = ()
) -> tuple[Feed, ...]:
    """Return what to run a model with, and what to try if it does not run with that.

    Only dimensions that neither graph nor settings have a size for differ. Raises as `feed`.
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
    """Return what to run a model with. `mean` is of the last dimension of the first input.

    Raises UnfeedableError for an input that is not a tensor, or has no known type or shape.
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
    """What the configuration may call the dimensions of an input that the graph leaves open."""
    for axis, dim in enumerate(spec.shape or ()):
        if isinstance(dim, str):
            yield dim
        elif dim is None or dim < 0:  # exporters write -1 for what is open
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
    """Return the size of a symbol; of a sum, such as `past + 2 * length`, that of its terms."""
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
