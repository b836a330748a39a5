# SPDX-License-Identifier: Apache-2.0
"""The result of running a model, as the rules see it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import field

from provenance.frozen import dataclass


class Outcome(enum.Enum):
    """How a run ended."""

    RAN = "it ran"
    REFUSED = "the runtime refused it"
    UNFED = "no input could be made"
    TOO_LONG = "it took too long"
    TOO_LARGE = "it took too much memory"
    CRASHED = "it took the process down"


@dataclass(frozen=True)
class Output:
    """An output of a run.

    Attributes:
        dtype, shape: None if the output is not a tensor.
        nonfinite: The number of elements that are NaN or infinite, or None if not counted.
    """

    name: str
    dtype: str | None
    shape: tuple[int, ...] | None
    nonfinite: int | None = None


@dataclass(frozen=True)
class Run:
    """The result of running a model once.

    Attributes:
        version: The version of onnxruntime.
        loaded: Whether the model was loaded before the run ended.
        reason: The message of the runtime or of the crashed process, as one printable line.
        outputs: The outputs of the model.
        sizes: The size that was used for each symbol in the inputs' shapes.
        tried: The number of other sizes of open dimensions with which the model does not run
            either.
    """

    outcome: Outcome
    version: str
    loaded: bool = True
    reason: str = ""
    outputs: tuple[Output, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    tried: int = 0


@dataclass(frozen=True)
class RunNames:
    """The names of open dimensions and of inputs, which settings may refer to.

    `complete` is false if a model could not be read, because any name might be in that model.
    """

    dimensions: frozenset[str] = frozenset()
    inputs: frozenset[str] = frozenset()
    complete: bool = True

    def __or__(self, other: RunNames) -> RunNames:
        """Return the names of both."""
        return RunNames(
            self.dimensions | other.dimensions,
            self.inputs | other.inputs,
            self.complete and other.complete,
        )
