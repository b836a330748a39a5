# SPDX-License-Identifier: Apache-2.0
"""Documents that repeat a value: which of them are reported, and where."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provenance.artifacts import digest
from provenance.artifacts.sidecar import Sidecar
from provenance.evidence.recorded import same
from provenance.gate.rules import BY_CODE
from provenance.gate.rules.ensembles.base import Agreement, Claim, EnsembleRule


def document(value: Any, path: str = "a.json") -> Sidecar:
    return Sidecar(path, digest.of_bytes(b""), json.dumps(value, indent=1), value)


def say(*values: Any) -> list[Claim[Any]]:
    return [Claim(document({}, f"{n}.json"), None, (), v) for n, v in enumerate(values)]


def others(*values: Any) -> list[Any]:
    """The values that differ from the majority."""
    return [one.value for one in Agreement.of(say(*values), same).others]


@pytest.mark.parametrize(
    ("values", "reported"),
    [
        ([], []),
        ([1], []),
        ([1, 1, 1], []),
        ([1, 2, 2], [1]),
        ([2, 2, 1], [1]),
        ([1, 2], [2]),  # of two that are as frequent, the first counts
        ([2, 1, 1, 2], [1, 1]),
        ([1, 2, 3, 2], [1, 3]),
        ([True, 1, 1], [True]),
        ([0.5, 0.5, 0.9712, 0.97123, 0.971234, 0.9712341], [0.5, 0.5]),  # the others are rounded
    ],
)
def test_values_that_differ_from_the_majority_are_reported(
    values: list[Any], reported: list[Any]
) -> None:
    assert others(*values) == reported


@pytest.mark.parametrize(("ahead", "reported"), [(7, 7), (8, 9)])
def test_eight_most_frequent_values_are_tried(ahead: int, reported: int) -> None:
    """Of more, the work would grow with the square of what a hostile document holds."""
    alone = [float(n) for n in range(10, 10 + ahead)]
    assert len(others(*alone, 0.9712, 0.97123)) == reported


def test_majority_is_named_by_its_first_document() -> None:
    assert Agreement.of(say(1)).whose == "0.json"
    assert Agreement.of(say(1, 1, 1)).whose == "0.json and 2 more"


VALUE = {"a": {"b": 1}, "list": [{"c": 1}, 5, [6], "x"]}


@pytest.mark.parametrize(
    ("where", "line"),
    [
        (("a",), 2),
        (("a", "b"), 3),
        (("a", "x"), 2),  # at what holds it, where it is missing
        (("a", "x", "b"), 2),
        (("x",), 1),
        (("list", 0), 6),
        (("list", 0, "c"), 7),
        (("list", 1), 9),
        (("list", 1, "c"), 9),
        (("list", 2), 10),
        (("list", 4), 5),  # there are four
        (("list", 5), 5),
        (("list", "c"), 5),
        (("a", 0), 2),
    ],
)
def test_finding_is_at_the_member_or_at_what_would_hold_it(
    where: tuple[str | int, ...], line: int
) -> None:
    rule = BY_CODE["ENS512"]
    assert isinstance(rule, EnsembleRule)
    position = rule.at(document(VALUE), where, "found", "help").position
    assert position is not None
    assert position.line == line
