# SPDX-License-Identifier: Apache-2.0
"""The difference of two texts as `diff -u` writes it, in linear time for registries.

`difflib` alone takes minutes for ten thousand rows, because their lines are so much alike. Lines
that occur once in each text, as an id does, are matched first; `difflib` compares what is between.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")
_CONTEXT: Final = 3
_PAIRS: Final = 4_000_000
"""Pairs of lines that `difflib` compares; a longer stretch without a unique line is replaced."""


class _Change(NamedTuple):
    """Lines `i` to `i_end` of the one text are lines `j` to `j_end` of the other."""

    i: int
    i_end: int
    j: int
    j_end: int


def unified(path: str, before: str, after: str) -> str:
    """The difference of two states of the file at `path`; empty if they are equal."""
    if before == after:
        return ""
    a, b = _LINE.findall(before), _LINE.findall(after)
    lines = [f"--- a/{path}\n", f"+++ b/{path}\n"]
    for hunk in _hunks(_changes(a, b)):
        lines += _written(hunk, a, b)
    return "".join(lines)


def _changes(a: Sequence[str], b: Sequence[str]) -> Iterator[_Change]:
    """What differs, in order: between lines that are the same, and do not touch."""
    i = j = 0
    for i_same, j_same in (*_same_lines(a, b), (len(a), len(b))):
        if (i, j) != (i_same, j_same):
            yield _Change(i, i_same, j, j_same)
        i, j = i_same + 1, j_same + 1


def _same_lines(a: Sequence[str], b: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Pairs of lines that are the same in both, ever further on in each."""
    from difflib import SequenceMatcher

    i = j = 0
    for i_end, j_end in (*_anchors(a, b), (len(a), len(b))):
        if (i_end - i) * (j_end - j) <= _PAIRS:
            matcher = SequenceMatcher(None, a[i:i_end], b[j:j_end], autojunk=False)
            for block in matcher.get_matching_blocks():
                yield from ((i + block.a + n, j + block.b + n) for n in range(block.size))
        if i_end < len(a):
            yield i_end, j_end
        i, j = i_end + 1, j_end + 1


def _anchors(a: Sequence[str], b: Sequence[str]) -> list[tuple[int, int]]:
    """The longest run of lines that occur once in each text, and in the same order."""
    in_a, in_b = Counter(a), Counter(b)
    place = {line: j for j, line in enumerate(b) if in_b[line] == 1 == in_a[line]}
    pairs = [(i, place[line]) for i, line in enumerate(a) if line in place]
    ends: list[int] = []  # of the best run of each length, where it ends in b
    last: list[int] = []
    before: list[int | None] = []
    for n, (_, j) in enumerate(pairs):
        length = bisect_left(ends, j)
        before.append(last[length - 1] if length else None)
        ends[length : length + 1] = [j]
        last[length : length + 1] = [n]
    run = []
    at = last[-1] if last else None
    while at is not None:
        run.append(pairs[at])
        at = before[at]
    return run[::-1]


def _hunks(changes: Iterable[_Change]) -> Iterator[list[_Change]]:
    """Changes that are shown together, because the lines around them meet."""
    hunk: list[_Change] = []
    for change in changes:
        if hunk and change.i - hunk[-1].i_end > 2 * _CONTEXT:
            yield hunk
            hunk = []
        hunk.append(change)
    yield hunk


def _written(hunk: Sequence[_Change], a: Sequence[str], b: Sequence[str]) -> Iterator[str]:
    lead = min(_CONTEXT, hunk[0].i)
    start, end = hunk[0].i - lead, min(len(a), hunk[-1].i_end + _CONTEXT)
    j_end = hunk[-1].j_end + end - hunk[-1].i_end
    yield f"@@ -{_range(start, end)} +{_range(hunk[0].j - lead, j_end)} @@\n"
    for change in hunk:
        yield from _marked(" ", a[start : change.i])
        yield from _marked("-", a[change.i : change.i_end])
        yield from _marked("+", b[change.j : change.j_end])
        start = change.i_end
    yield from _marked(" ", a[start:end])


def _marked(mark: str, lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        end = "" if line.endswith("\n") else "\n\\ No newline at end of file\n"
        yield f"{mark}{line}{end}"


def _range(start: int, end: int) -> str:
    """Lines as the head of a hunk names them: counted from 1; of none, the line before."""
    length = end - start
    return f"{start + 1}" if length == 1 else f"{start + bool(length)},{length}"
