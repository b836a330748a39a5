# SPDX-License-Identifier: Apache-2.0
"""How models are run: the limits of one, and the values that the graph leaves open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from provenance.artifacts.documents.toml_tables import Table
from provenance.artifacts.forms import Form, whole_in

TIMEOUT: Final = 60
"""Seconds: hundreds of times what a model of a few MiB needs on one thread."""

MEMORY: Final = 2048
"""MiB: onnxruntime itself takes about 150, and a model one to two times the size of its weights."""

TIMEOUTS: Final = range(1, 24 * 3600 + 1)
SIZES: Final = range(1, 2**31)
MEMORIES: Final = range(256, 1024 * 1024 + 1)
"""What `memory` may be: less would refuse every model, because of what onnxruntime itself takes."""

LARGEST: Final = 3e38
"""What an input may be filled with, up or down: what a float holds."""

_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True)
class RunSettings:
    """The table `[run]` of the configuration.

    Attributes:
        timeout: Seconds that a model may take to load and to run once.
        memory: MiB of address space that the process which runs a model may have.
        dimensions: Sizes of dimensions that the graph leaves open: by symbol, or by place
            (`image.2` is the third dimension of the input `image`).
        inputs: What an input is filled with, by its name.
    """

    timeout: int = TIMEOUT
    memory: int = MEMORY
    dimensions: Mapping[str, int] = field(default_factory=dict)
    inputs: Mapping[str, float] = field(default_factory=dict)


def parse(table: Table) -> RunSettings:
    """Return the table `run` of a configuration. Raises InputError."""
    run = table.table("run", {"timeout", "memory", "dimensions", "inputs"}, "[run]")
    default = RunSettings()
    return RunSettings(
        timeout=run.get("timeout", whole_in(TIMEOUTS), default.timeout),
        memory=run.get("memory", whole_in(MEMORIES), default.memory),
        dimensions=_numbers(run, "dimensions", whole_in(SIZES)),
        inputs=_numbers(run, "inputs", _NUMBER),
    )


def _numbers(run: Table, key: str, form: Form[_Number]) -> Mapping[str, _Number]:
    values = run.table(key, None, f"{key} = {{ name = 1 }}")
    return {name: values.need(name, form) for name in values.values}


def is_number(value: object, limit: float = LARGEST) -> bool:
    """Whether a value is a number, up or down to a limit; NaN, infinity and booleans are not."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) <= limit


_NUMBER: Final = Form[float]("a number", is_number)
