# SPDX-License-Identifier: Apache-2.0
"""Text for people: untrusted text cannot move the cursor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.output.text import Style, count, printable, size


@given(st.text())
def test_no_character_whatever_controls_the_terminal(hostile: str) -> None:
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


def test_without_colour_text_is_left_alone() -> None:
    style = Style()
    for paint in (style.error, style.warning, style.good, style.quiet, style.strong):
        assert paint("x") == "x"


def test_with_colour_it_is_painted_and_reset() -> None:
    style = Style(colour=True)
    for paint in (style.error, style.warning, style.good, style.quiet, style.strong):
        painted = paint("x")
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
def test_numbers_have_their_nouns(number: int, noun: str, text: str) -> None:
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
def test_sizes_are_as_people_read_them(number: int | None, text: str) -> None:
    assert size(number) == text
