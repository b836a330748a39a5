# SPDX-License-Identifier: Apache-2.0
"""How models are run: the limits of one, and the values that the graph leaves open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from provenance.artifacts.documents.toml_tables import known
from provenance.errors import InputError

TIMEOUT: Final = 60
"""Seconds: hundreds of times what a model of a few MiB needs on one thread."""

MEMORY: Final = 2048
"""MiB: onnxruntime itself takes about 150, and a model one to two times the size of its weights."""

TIMEOUTS: Final = range(1, 24 * 3600 + 1)
"""What `timeout` may be."""

MEMORIES: Final = range(256, 1024 * 1024 + 1)
"""What `memory` may be: less would refuse every model, because of what onnxruntime itself takes."""

SIZES: Final = range(1, 2**31)
"""What a dimension may be."""

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


def parse(table: Mapping[str, Any], path: str) -> RunSettings:
    """The table `run` of a configuration. Raises InputError."""
    run = table.get("run", {})
    if not isinstance(run, dict):
        raise InputError(f"{path}: `run` is not a table", help="Write it as [run].")
    known(run, {"timeout", "memory", "dimensions", "inputs"}, path, "run.")
    default = RunSettings()
    return RunSettings(
        timeout=_whole(run.get("timeout", default.timeout), TIMEOUTS, f"{path}: `run.timeout`"),
        memory=_whole(run.get("memory", default.memory), MEMORIES, f"{path}: `run.memory`"),
        dimensions=_numbers(run, "dimensions", path, _size),
        inputs=_numbers(run, "inputs", path, _number),
    )


def _numbers(
    run: Mapping[str, Any], key: str, path: str, read: Callable[[object, str], _Number]
) -> Mapping[str, _Number]:
    values = run.get(key, {})
    if not isinstance(values, dict):
        raise InputError(f"{path}: `run.{key}` is not a table", help=f"{key} = {{ name = 1 }}")
    return {name: read(value, f"{path}: `run.{key}.{name}`") for name, value in values.items()}


def _size(value: object, where: str) -> int:
    return _whole(value, SIZES, where)


def _whole(value: object, allowed: range, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value not in allowed:
        raise InputError(
            f"{where} must be a whole number from {allowed[0]:,} to {allowed[-1]:,}, "
            f"not {str(value)[:40]}"
        )
    return value


def _number(value: object, where: str) -> float:
    # What a float holds: comparing refuses NaN, infinity, and a number of 400 digits.
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST:
        return value
    raise InputError(f"{where} must be a number, not {str(value)[:40]}")
