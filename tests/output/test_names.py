# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.output.text import MOST, joined, runs, some


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["a1", "a2", "a3", "b7", "b9", "c", "d1", "d2"], ["a1…3", "b7", "b9", "c", "d1", "d2"]),
        (["s0.json", "s1.json", "s2.json"], ["s0…2.json"]),
        (["s0.json", "s1.toml", "s2.json"], ["s0.json", "s1.toml", "s2.json"]),
        (["v2_seed9", "v2_seed10", "v2_seed11"], ["v2_seed9…11"]),
        (["s01", "s02", "s03"], ["s01…3"]),
        (["s09", "s10", "s11"], ["s09", "s10", "s11"]),
        (["a3", "a2", "a1"], ["a3", "a2", "a1"]),
        (["a1", "a1", "a2"], ["a1", "a1", "a2"]),
        (["1", "2", "3"], ["1…3"]),
        ([], []),
    ],
)
def test_names_are_joined_only_where_they_count_up(names: list[str], shown: list[str]) -> None:
    assert list(runs(names)) == shown


@given(st.lists(st.text("a01.", max_size=4)))
def test_every_name_that_is_not_in_a_run_is_told(names: list[str]) -> None:
    shortened = list(runs(names))
    assert [n for n in names if n in shortened] == [t for t in shortened if "…" not in t]
    assert sum(_length(t) for t in shortened) == len(names)


def _length(shortened: str) -> int:
    if "…" not in shortened:
        return 1
    before, after = shortened.split("…")
    first = before[len(before.rstrip("0123456789")) :]
    last = after[: len(after) - len(after.lstrip("0123456789"))]
    # "s01…3" counts from 1: the zero belongs to the name.
    return int(last) - int(first[-1] if first.startswith("0") and len(first) > 1 else first) + 1


def test_a_long_list_is_cut_and_says_by_how_much() -> None:
    assert some(str(n) for n in range(MOST)) == ", ".join(str(n) for n in range(MOST))
    assert some("x" for _ in range(MOST + 1_000)).endswith("x and 1,000 more")
    assert joined(f"m{n}" for n in range(1_000)) == "m0…999"


def test_hostile_names_take_no_time() -> None:
    began = time.monotonic()
    list(runs(["1" * 200_000, "a1" * 200_000, "1" + "a" * 200_000]))
    assert time.monotonic() - began < 1
