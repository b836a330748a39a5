# SPDX-License-Identifier: Apache-2.0
"""Deferrals and the findings that they cover."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatchcase

from hypothesis import given
from hypothesis import strategies as st

from provenance.config import Deferral
from provenance.gate import deferral_matching
from provenance.gate.deferral_matching import Deferrals, InForce
from provenance.gate.finding import Finding, Severity

ids = st.text("ab1*?[]", min_size=1, max_size=4)


def deferral(index: int, *rows: str, rule: str = "SID402") -> Deferral:
    return Deferral(index, rule, rows, f"reason {index}", "ADR-1105")


def matches(rows: Iterable[str], id: str) -> bool:
    return any(fnmatchcase(id, pattern) for pattern in rows)


@given(st.lists(st.lists(ids, min_size=1, max_size=3), max_size=4), ids)
def test_the_first_that_matches_is_found_as_by_a_search(rows: list[list[str]], id: str) -> None:
    declared = [deferral(i, *each) for i, each in enumerate(rows)]
    expected = next((d for d in declared if matches(d.rows, id)), None)
    assert Deferrals(declared).covering("SID402", id) == expected
    assert Deferrals(declared).covering("ART310", id) is None


@given(st.lists(ids, min_size=1, max_size=3), st.lists(ids, unique=True, max_size=6))
def test_ids_are_matched_as_by_a_search(rows: list[str], labels: list[str]) -> None:
    declared = deferral(0, *rows)
    places = {label: place for place, label in enumerate(labels)}
    assert deferral_matching.matched(declared, places) == [i for i in labels if matches(rows, i)]
    assert deferral_matching.unmatched(declared, set(labels)) == [
        p for p in rows if not any(matches([p], i) for i in labels)
    ]


def test_patterns_match_as_in_a_shell_and_case_counts() -> None:
    declared = Deferrals([deferral(0, "seed?", "a*[xy]"), deferral(1, "*", rule="ART310")])
    asked = ("seed0", "Seed0", "seed10", "ax", "abcy", "az")
    assert [id for id in asked if declared.covering("SID402", id)] == ["seed0", "ax", "abcy"]
    assert [id for id in asked if declared.covering("SID403", id)] == []


def finding(row: str | None, by: Deferral | None, ensemble: str | None = None) -> Finding:
    made = Finding(
        "SID402", "sidecar-stale", Severity.ERROR, row, "m.json", None, "m", "h", "m.json"
    )
    return replace(made, deferred=by, ensemble=ensemble)


def test_deferrals_in_force_are_listed_once_in_the_order_of_the_configuration() -> None:
    first, second, third = (deferral(i, "*") for i in range(3))
    covered = [("a", second), ("a", first), ("a", second), ("a", None), ("b", first)]
    found = [finding(row, by) for row, by in covered]
    in_force = InForce([*found, finding(None, third, "e")])

    def indexes(row: str, ensemble: str | None) -> list[int]:
        reasons = (d["reason"] for d in in_force.of(row, ensemble))
        return [int(re.sub(r"\D", "", reason)) for reason in reasons]

    assert indexes("a", None) == [0, 1]
    assert indexes("a", "e") == [0, 1, 2]
    assert indexes("b", "other") == [0]
    assert indexes("c", "e") == [2]
    assert indexes("c", None) == []
