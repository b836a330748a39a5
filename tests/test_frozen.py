# SPDX-License-Identifier: Apache-2.0
"""Frozen dataclasses with shared methods behave as those of the standard library do."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import pytest

from provenance import frozen

NAN = float("nan")


def classes(dataclass: Any) -> dict[str, Any]:
    """The same classes, made with a decorator."""

    @dataclass(frozen=True, slots=True)
    class Point:
        x: Any
        y: int = 0
        note: str = dataclasses.field(default="", compare=False)
        hidden: str = dataclasses.field(default="", compare=False, repr=False)

    @dataclass(frozen=True)
    class Inherited(Point):
        z: int = 0

    @dataclass(frozen=True)
    class One:
        x: Any

    @dataclass(frozen=True)
    class Empty:
        x: Any = dataclasses.field(compare=False)

    @dataclass(frozen=True)
    class Own:
        x: Any

        def __eq__(self, other: object) -> bool:
            return type(self) is type(other)

        def __repr__(self) -> str:
            return "own"

    @dataclass(frozen=True)
    class Hashed:
        x: Any

        def __hash__(self) -> int:
            return 7

    @dataclass(frozen=True, eq=False)
    class Identical:
        x: Any

    @dataclass(frozen=True, eq=False)
    class ComparedByBase(One):
        y: int = 0

    @dataclass(frozen=True, order=True)
    class Ordered:
        x: Any

    @dataclass
    class Mutable:
        x: Any

    return {name: kind for name, kind in locals().items() if isinstance(kind, type)}


SHARED, STANDARD = classes(frozen.dataclass), classes(dataclasses.dataclass)


def hashed(value: object) -> object:
    """Whether a value has a hash, and whether an equal one has the same."""
    try:
        return hash(value) == hash(dataclasses.replace(value))  # type: ignore[type-var]
    except TypeError as e:
        return str(e)


def behaviour(kind: Any) -> list[object]:
    values = [kind(1), kind(1), kind(2), kind(NAN), kind([])]
    values.append(kind(values))
    if "note" in kind.__dataclass_fields__:
        values += [kind(1, note="other"), kind(1, y=1)]
    if kind.__name__ == "ComparedByBase":
        values.append(kind(1, y=1))
    return [
        [[a == b for b in [*values, (1,), None]] for a in values],
        [hashed(value) for value in values],
        [repr(value) for value in values if kind.__name__ != "Identical"],
        [dataclasses.asdict(value) for value in values[:4]],
        kind.__match_args__,
        kind.__slots__ if "__slots__" in vars(kind) else None,
    ]


@pytest.mark.parametrize("name", STANDARD)
def test_it_behaves_as_a_standard_dataclass(name: str) -> None:
    assert str(behaviour(SHARED[name])) == str(behaviour(STANDARD[name]))


def test_values_of_different_classes_are_not_equal() -> None:
    assert SHARED["One"](1) != SHARED["Hashed"](1)
    assert SHARED["Inherited"](1) != SHARED["Point"](1)


def test_a_value_that_contains_itself_can_be_printed() -> None:
    items: list[object] = []
    items.append(SHARED["One"](items))
    assert repr(items[0]).endswith("One(x=[...])")


@frozen.dataclass(frozen=True, slots=True)
class Pickled:
    x: int
    y: tuple[int, ...] = ()


def test_a_value_can_be_sent_to_another_process() -> None:
    value = Pickled(1, (2,))
    assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301
