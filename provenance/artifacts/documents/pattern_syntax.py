# SPDX-License-Identifier: Apache-2.0
"""Parse regular expressions that can be matched in linear time.

The syntax is that of ECMA-262, as JSON Schema requires, without look-around and back-references,
which a finite automaton cannot match. Word boundaries, named groups and Unicode properties are not
supported either.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeAlias

from provenance.artifacts.documents.linear_pattern import MATCH, Pattern, Place, Ranges

_LENGTH: Final = 2_000
_PLACES: Final = 2_000
"""Places of an expression: one for each character, times its repetitions."""

_GROUPS: Final = 40

_END: Final = 0x10FFFF
_CLASSES: Final[dict[str, Ranges]] = {
    "d": ((0x30, 0x39),),
    "w": ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)),
    "s": (
        *((0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A)),
        *((0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000)),
        (0xFEFF, 0xFEFF),
    ),
}
_LINE_ENDS: Final[Ranges] = ((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029))
_CONTROLS: Final = {"t": 0x09, "n": 0x0A, "v": 0x0B, "f": 0x0C, "r": 0x0D, "0": 0}
_COUNT: Final = re.compile(r"\{([0-9]{1,4})(?:(,)([0-9]{1,4})?)?\}")
_HEX: Final = re.compile(r"x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,6})\}")


class PatternError(ValueError):
    """The expression is not supported. The message completes "the pattern …"."""


def compile_pattern(text: str) -> Pattern:
    """Compile an expression. Raises PatternError."""
    if len(text) > _LENGTH:
        raise PatternError(f"is longer than {_LENGTH:,} characters")
    parser = _Parser(text)
    tree = parser.alternatives(0)
    if parser.at < len(text):
        raise PatternError("has a `)` without a `(`")
    places: list[Place] = [Place()]
    start = _place(tree, places, MATCH)
    return Pattern(places, start)


# A pattern is built from its end: each function adds its places before `following`, and returns
# its first place. A place that reads a character continues at the place after it.
_Tree: TypeAlias = Callable[[list[Place], int], int]


def _place(tree: _Tree, places: list[Place], following: int) -> int:
    start = tree(places, following)
    if len(places) > _PLACES:
        raise PatternError(f"has more than {_PLACES:,} places")
    return start


def _jump(places: list[Place], *ways: int, at: str = "") -> int:
    places.append(Place(ways=ways, at=at))
    return len(places) - 1


def _char(ranges: Ranges) -> _Tree:
    def add(places: list[Place], following: int) -> int:
        places.append(Place(ranges=ranges))
        _jump(places, following)
        return len(places) - 2

    return add


def _sequence(parts: list[_Tree]) -> _Tree:
    def add(places: list[Place], following: int) -> int:
        for part in reversed(parts):
            following = _place(part, places, following)
        return following

    return add


def _either(trees: list[_Tree]) -> _Tree:
    def add(places: list[Place], following: int) -> int:
        return _jump(places, *[_place(tree, places, following) for tree in trees])

    return add


def _repeated(tree: _Tree, least: int, most: int | None) -> _Tree:
    def add(places: list[Place], following: int) -> int:
        if most is None:
            again = _jump(places)
            begin = _place(tree, places, again)
            places[again] = Place(ways=(begin, following))
            following = again
        for _ in range((most or 0) - least if most is not None else 0):
            following = _jump(places, _place(tree, places, following), following)
        for _ in range(least):
            before = len(places)
            following = _place(tree, places, following)
            if len(places) == before:
                break  # an empty expression stays empty when it is repeated
        return following

    return add


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def alternatives(self, depth: int) -> _Tree:
        if depth > _GROUPS:
            raise PatternError(f"has more than {_GROUPS} nested groups")
        trees = [self._sequence(depth)]
        while self._next("|"):
            trees.append(self._sequence(depth))
        return trees[0] if len(trees) == 1 else _either(trees)

    def _sequence(self, depth: int) -> _Tree:
        parts: list[_Tree] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            parts.append(self._repeated(depth))
        return _sequence(parts)

    def _repeated(self, depth: int) -> _Tree:
        anchor = self.text[self.at] in "^$"
        tree = self._one(depth)
        counts = self._counts()
        if counts is None:
            return tree
        if anchor:
            raise PatternError("repeats `^` or `$`")
        self._next("?")  # a lazy repetition matches the same strings
        if self._counts() is not None:
            raise PatternError("repeats a repetition")
        return _repeated(tree, *counts)

    def _counts(self) -> tuple[int, int | None] | None:
        for char, counts in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._next(char):
                return counts
        match = _COUNT.match(self.text, self.at)
        if match is None:
            return None
        self.at = match.end()
        least = int(match[1])
        most = least if match[2] is None else int(match[3]) if match[3] else None
        if most is not None and most < least:
            raise PatternError("has a repetition whose maximum is less than its minimum")
        return least, most

    def _one(self, depth: int) -> _Tree:
        char = self.text[self.at]
        self.at += 1
        if char in "^$":
            return lambda places, following: _jump(places, following, at=char)
        if char == ".":
            return _char(_others(_LINE_ENDS))
        if char == "(":
            return self._group(depth)
        if char == "[":
            return _char(self._set())
        if char == "\\":
            return _char(self._escape(in_set=False))
        if char in "*+?{}]":
            raise PatternError(f"has a {char!r} where a character is expected")
        return _char(((ord(char), ord(char)),))

    def _group(self, depth: int) -> _Tree:
        if self._next("?") and not self._next(":"):
            raise PatternError("has look-around or a named group, which is not supported")
        tree = self.alternatives(depth + 1)
        if not self._next(")"):
            raise PatternError("has a `(` without a `)`")
        return tree

    def _set(self) -> Ranges:
        others = self._next("^")
        found: list[tuple[int, int]] = []
        while not self._next("]"):
            low = self._member()
            if self.text[self.at : self.at + 1] == "-" and self.text[self.at + 1 :][:1] != "]":
                self.at += 1
                high = self._member()
                if len(low) != 1 or len(high) != 1 or low[0][0] != low[0][1] or low > high:
                    raise PatternError("has a range whose end is before its start")
                found.append((low[0][0], high[0][1]))
            else:
                found += low
        return _others(tuple(found)) if others else tuple(found)

    def _member(self) -> Ranges:
        if self.at >= len(self.text):
            raise PatternError("has a `[` without a `]`")
        char = self.text[self.at]
        self.at += 1
        return self._escape(in_set=True) if char == "\\" else ((ord(char), ord(char)),)

    def _escape(self, *, in_set: bool) -> Ranges:
        match = _HEX.match(self.text, self.at)
        if match is not None:
            self.at = match.end()
            code = int(next(filter(None, match.groups())), 16)
            if code > _END:
                raise PatternError("names a character that does not exist")
            return ((code, code),)
        char = self.text[self.at : self.at + 1]
        self.at += 1
        if char.lower() in _CLASSES and char:
            ranges = _CLASSES[char.lower()]
            return _others(ranges) if char.isupper() else ranges
        if in_set and char == "b":
            return ((0x08, 0x08),)
        if char in _CONTROLS and char:
            return ((_CONTROLS[char], _CONTROLS[char]),)
        if not char or char.isalnum():
            raise PatternError(f"has \\{char}, which is not supported")
        return ((ord(char), ord(char)),)

    def _next(self, char: str) -> bool:
        found = self.text.startswith(char, self.at)
        self.at += found
        return found


def _others(ranges: Ranges) -> Ranges:
    """Return the characters that are not in the ranges."""
    found: list[tuple[int, int]] = []
    after = 0
    for low, high in sorted(ranges):
        if low > after:
            found.append((after, low - 1))
        after = max(after, high + 1)
    if after <= _END:
        found.append((after, _END))
    return tuple(found)
