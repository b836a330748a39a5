# SPDX-License-Identifier: Apache-2.0
"""What came of running a model, as a value that rules judge."""

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
    """An output as it came. `dtype` and `shape` are None of what is no tensor.

    `nonfinite` counts elements that are NaN or infinite, None where that was not looked at.
    """

    name: str
    dtype: str | None
    shape: tuple[int, ...] | None
    nonfinite: int | None = None


@dataclass(frozen=True)
class Run:
    """What came of running a model once.

    Attributes:
        version: Of onnxruntime.
        loaded: Whether the model was loaded before it ended.
        reason: What the runtime, or the dying process, said. One printable line.
        outputs: What the model gave.
        sizes: The size that each symbol of the inputs' shapes was given.
        tried: How many other sizes of the open dimensions it does not run with either.
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
    """The names in models that settings may refer to: open dimensions of inputs, and inputs.

    `complete` is false if a model was not read: then any name may be one of it.
    """

    dimensions: frozenset[str] = frozenset()
    inputs: frozenset[str] = frozenset()
    complete: bool = True

    def __or__(self, other: RunNames) -> RunNames:
        """Those of more models."""
        return RunNames(
            self.dimensions | other.dimensions,
            self.inputs | other.inputs,
            self.complete and other.complete,
        )
