# SPDX-License-Identifier: Apache-2.0
"""Text for people: escapes, colours, wrapped lines, and short lists of names."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.output.text import MOST, Style, count, joined, printable, runs, size, some


@given(st.text())
def test_no_character_controls_the_terminal(hostile: str) -> None:
    assert all(c.isprintable() for c in printable(hostile))


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31m", "\\u001b[31m"),
        ("a\nb", "a\\u000ab"),
        ("\u202e", "\\u202e"),
        ("\u200b", "\\u200b"),
        ("\udcff", "\\udcff"),
        ("Grün – 模型", "Grün – 模型"),
    ],
)
def test_control_and_bidirectional_characters_are_written_as_escapes(
    hostile: str, shown: str
) -> None:
    assert printable(hostile) == shown


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("::error::x", "\\u003a:error::x"),
        ("a ::error::x", "a \\u003a:error::x"),
        ("##[add-mask]x", "\\u0023#[add-mask]x"),
        ("x ##vso[task]", "x \\u0023#vso[task]"),
        ("###[x", "\\u0023\\u0023#[x"),
        ("std::vector a:b #7", "std::vector a:b #7"),
    ],
)
def test_commands_to_a_runner_are_written_as_escapes(hostile: str, shown: str) -> None:
    assert printable(hostile) == shown


@pytest.mark.parametrize("colour", ["error", "warning", "good", "quiet", "strong"])
def test_text_is_painted_only_with_colour(colour: str) -> None:
    assert getattr(Style(), colour)("x") == "x"
    painted = getattr(Style(colour=True), colour)("x")
    assert painted.startswith("\x1b[")
    assert painted.endswith("x\x1b[0m")


def test_paths_and_digests_are_never_broken() -> None:
    text = "the bytes of " + "a-long/path-with-hyphens/" * 4 + " " + "0" * 64
    lines = Style(width=40).wrapped(text, 2, 4)
    assert "".join(line.strip() for line in lines).count("0" * 64) == 1
    assert any(line.strip() == "a-long/path-with-hyphens/" * 4 for line in lines)
    assert lines[0].startswith("  the")
    assert lines[1].startswith("    ")


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (1, "row", "1 row"),
        (0, "row", "0 rows"),
        (2, "entry", "2 entries"),
        (1234, "row", "1,234 rows"),
    ],
)
def test_a_number_agrees_with_its_noun(number: int, noun: str, text: str) -> None:
    assert count(number, noun) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, ""),
        (0, "0 B"),
        (1023, "1,023 B"),
        (1536, "1.5 KiB"),
        (5 << 20, "5.0 MiB"),
        (3 << 30, "3.0 GiB"),
    ],
)
def test_a_size_has_a_binary_unit(number: int | None, text: str) -> None:
    assert size(number) == text


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ("a1 a2 a3 b7 b9 c d1 d2", "a1…3 b7 b9 c d1 d2"),
        ("s0.json s1.json s2.json", "s0…2.json"),
        ("s0.json s1.toml s2.json", "s0.json s1.toml s2.json"),
        ("v2_seed9 v2_seed10 v2_seed11", "v2_seed9…11"),
        ("s01 s02 s03", "s01…3"),
        ("s09 s10 s11", "s09 s10 s11"),
        ("a3 a2 a1", "a3 a2 a1"),
        ("a1 a1 a2", "a1 a1 a2"),
        ("1 2 3", "1…3"),
        ("", ""),
    ],
)
def test_names_are_joined_only_where_they_count_up(names: str, shown: str) -> None:
    assert list(runs(names.split())) == shown.split()


@given(st.lists(st.text("a01.", max_size=4)))
def test_every_name_outside_a_run_is_listed(names: list[str]) -> None:
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


def test_a_long_list_is_cut_and_the_rest_counted() -> None:
    assert some(str(n) for n in range(MOST)) == ", ".join(str(n) for n in range(MOST))
    assert some("x" for _ in range(MOST + 1_000)).endswith("x and 1,000 more")
    assert joined(f"m{n}" for n in range(1_000)) == "m0…999"


def test_hostile_names_take_linear_time() -> None:
    began = time.monotonic()
    list(runs(["1" * 200_000, "a1" * 200_000, "1" + "a" * 200_000]))
    assert time.monotonic() - began < 1
