# SPDX-License-Identifier: Apache-2.0
"""The settings for running models: limits, and values that the graph leaves open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Final, TypeVar

from provenance.artifacts.documents.toml_tables import Table
from provenance.artifacts.forms import Form, whole_in
from provenance.frozen import dataclass

TIMEOUT: Final = 60
"""In seconds. A model of a few MiB needs less than a hundredth of it on one thread."""

MEMORY: Final = 2048
"""In MiB. onnxruntime itself takes about 150, and a model one to two times its weights."""

TIMEOUTS: Final = range(1, 24 * 3600 + 1)
SIZES: Final = range(1, 2**31)
MEMORIES: Final = range(256, 1024 * 1024 + 1)
"""The range of `memory`. With less, no model could run: onnxruntime alone would not fit."""

LARGEST: Final = 3e38
"""The largest absolute value of an input: the range of a float."""

_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True)
class RunSettings:
    """The table `[run]` of the configuration.

    Attributes:
        timeout: The seconds that a model may take to load and to run once.
        memory: The address space in MiB for the process that runs a model.
        dimensions: Sizes of dimensions that the graph leaves open, by symbol or by position
            (`image.2` is the third dimension of the input `image`).
        inputs: The values of inputs, by their names.
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
    """Return whether a value is a number from -`limit` to `limit`; not NaN and not a boolean."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) <= limit


_NUMBER: Final = Form[float]("a number", is_number)
