# SPDX-License-Identifier: Apache-2.0
"""The parts of every message: shortened values, digests, and the command that fixes."""

from __future__ import annotations

import pytest

from provenance.artifacts.documents.json_edit import Remove
from provenance.gate.finding import Fix
from provenance.gate.rules import BY_CODE
from provenance.gate.rules.base import FIX_COMMAND, differing, short, shown, some

FIX = (Fix("a.json", Remove(("a",))),)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        ("x" * 78, f"'{'x' * 78}'"),  # with its quotes it is 80 long
        ("x" * 79, f"'{'x' * 78}…"),
    ],
)
def test_a_value_is_shown_in_80_characters_at_most(value: object, text: str) -> None:
    assert shown(value) == text
    assert len(text) <= 80


def test_two_values_of_60_characters_are_not_shortened() -> None:
    now, then = "x" * 58, "x" * 57 + "y"
    assert differing(now, then) == (repr(now), repr(then))


@pytest.mark.parametrize("longer", ["now", "then", "both"])
def test_longer_values_are_shown_from_ten_characters_before_they_differ(longer: str) -> None:
    now = "=" * 30 + "a" * (60 if longer in ("now", "both") else 1)
    then = "=" * 30 + "b" * (60 if longer in ("then", "both") else 1)
    shown_now, shown_then = differing(now, then)
    assert shown_now == "…" + repr(now)[21:81] + ("…" if len(repr(now)) > 81 else "")
    assert shown_then == "…" + repr(then)[21:81] + ("…" if len(repr(then)) > 81 else "")
    assert shown_now.startswith("…" + "=" * 10 + "a")


def test_values_that_differ_at_the_start_are_shortened_at_the_end_only() -> None:
    now, then = "a" * 59, "b" * 59
    assert differing(now, then) == (repr(now)[:60] + "…", repr(then)[:60] + "…")


def test_a_value_that_is_a_prefix_of_the_other_is_shown_to_its_end() -> None:
    assert differing("x" * 70, "x" * 69) == ("…" + "x" * 10 + "x'", "…" + "x" * 10 + "'")


def test_a_digest_is_shortened_to_twelve_digits() -> None:
    assert short("0123456789abcdef" * 4) == "0123456789ab…"
    assert short(None) == "none"


@pytest.mark.parametrize(
    ("help", "fixes", "expected"),
    [
        ("Remove it.", FIX, f"Remove it: {FIX_COMMAND}"),
        ("Remove it.", (), "Remove it."),
        ("Write it: provenance hash m --write", FIX, "Write it: provenance hash m --write"),
        ("Write it: provenance hash m --write", (), "Write it: provenance hash m --write"),
    ],
)
def test_the_help_names_the_command_that_makes_the_fix(
    help: str, fixes: tuple[Fix, ...], expected: str
) -> None:
    finding = BY_CODE["ART312"].finding("found", help, path="a.json", fixes=fixes)
    assert finding.help == expected


@pytest.mark.parametrize(
    ("names", "expected"), [("a", "a"), ("abc", "a, b, c"), ("abcd", "a, b, c and 1 more")]
)
def test_three_names_are_listed_and_the_rest_is_counted(names: str, expected: str) -> None:
    assert some(list(names), 3) == expected
