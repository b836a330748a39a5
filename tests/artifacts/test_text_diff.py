# SPDX-License-Identifier: Apache-2.0
"""Differences that `patch` applies, of any two texts, and fast if lines are alike."""

from __future__ import annotations

import difflib
import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.artifacts.documents import text_diff
from provenance.artifacts.writing import Change
from tests.support.command import time_limit

# Few different lines, so that they repeat, and a text may end without a line end.
texts = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "{\n", "\n"]), max_size=14).flatmap(
    lambda lines: st.sampled_from(["".join(lines), "".join(lines) + "end"])
)


def applied(difference: str, before: str) -> str:
    """Apply a difference by the rules of the format alone."""
    old, new = before.splitlines(keepends=True), []
    at = 0
    lines = difference.splitlines(keepends=True)[2:]
    for n, line in enumerate(lines):
        mark, text = line[0], line[1:]
        if mark == "\\":
            continue
        if n + 1 < len(lines) and lines[n + 1].startswith("\\"):
            text = text.removesuffix("\n")
        if mark == "@":
            start, _, length = line.split()[1][1:].partition(",")
            first = int(start) - (length != "0")
            new += old[at:first]
            at = first
        elif mark == "+":
            new.append(text)
        else:
            assert old[at] == text
            at += 1
            new += [text] if mark == " " else []
    return "".join(new + old[at:])


@given(texts, texts)
@settings(max_examples=300)
def test_a_difference_turns_one_text_into_the_other(before: str, after: str) -> None:
    assert applied(text_diff.unified("x", before, after), before) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "a\n"),
        ("a\n", ""),
        ("a", "a\n"),
        ("a\n", "b"),
        ("a\nb", "a\nB"),
        ("a\r\nb\r\n", "a\r\nB\r\n"),
        ('["\u2028", "\u0085", "\f"]\nb\n', '["\u2028", "\u0085", "\f"]\nB\n'),
    ],
)
def test_git_applies_a_difference(before: str, after: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(before.encode())
    difference = Change("x", before, after).diff.encode()
    subprocess.run(["git", "apply", "-"], input=difference, cwd=tmp_path, check=True)
    assert (tmp_path / "x").read_bytes().decode() == after


@pytest.mark.parametrize(
    ("changed", "hunks"), [([], 0), ([10], 1), ([10, 16], 1), ([10, 17], 1), ([10, 18], 2)]
)
def test_changes_are_shown_with_three_lines_around_them(changed: list[int], hunks: int) -> None:
    lines = [f"{n}\n" for n in range(40)]
    after = [f"new{n}\n" if n in changed else line for n, line in enumerate(lines)]
    difference = Change("x", "".join(lines), "".join(after)).diff
    assert difference.count("\n@@ ") == hunks
    assert difference == "".join(difflib.unified_diff(lines, after, "a/x", "b/x"))


def test_a_line_separator_inside_a_string_ends_no_line() -> None:
    difference = text_diff.unified("x", '"\u2028\x0c"\n', '"\u2028"\n')
    assert difference == '--- a/x\n+++ b/x\n@@ -1 +1 @@\n-"\u2028\x0c"\n+"\u2028"\n'


def test_large_texts_are_compared_fast() -> None:
    rows = [{"id": f"m{n}", "kind": "fr", "license": "MIT", "smoke": True} for n in range(10_000)]
    before = json.dumps([{k: v for k, v in r.items() if k != "license"} for r in rows], indent=1)
    with time_limit(10):
        difference = text_diff.unified("x", before, json.dumps(rows, indent=1))
    assert difference.count('\n+  "license": "MIT",') == 10_000
    assert "\n-" not in difference.partition("\n+++")[2]
    with time_limit(10):  # no line is unique
        difference = text_diff.unified("x", "a\n" * 3000, "b\n" * 3000)
    assert difference.count("\n-a") == difference.count("\n+b") == 3000
