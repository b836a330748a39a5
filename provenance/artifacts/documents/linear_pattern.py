# SPDX-License-Identifier: Apache-2.0
"""Regular expressions in time linear in the text, whatever the expression.

Python's `re` tries alternatives one after the other: `^(a+)+$` takes seconds for 30 characters and
years for 60. Here all alternatives are followed at once, and the sets of places in the expression
that are reached are remembered. The syntax is that of ECMA-262, as JSON Schema asks for, without
what no finite automaton can follow: look-around and back-references. Word boundaries, named groups
and Unicode properties are not supported either.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

_LENGTH: Final = 2_000
_PLACES: Final = 2_000
"""Places of an expression: a character each, counted as often as it is repeated."""

_GROUPS: Final = 40
_REMEMBERED: Final = 200_000
"""Places in all sets that are remembered for one expression: about 10 MB."""

_Ranges: TypeAlias = tuple[tuple[int, int], ...]
_Set: TypeAlias = frozenset[int]

_END: Final = 0x10FFFF
_CLASSES: Final[dict[str, _Ranges]] = {
    "d": ((0x30, 0x39),),
    "w": ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)),
    "s": (
        *((0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A)),
        *((0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000)),
        (0xFEFF, 0xFEFF),
    ),
}
_LINE_ENDS: Final[_Ranges] = ((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029))
_CONTROLS: Final = {"t": 0x09, "n": 0x0A, "v": 0x0B, "f": 0x0C, "r": 0x0D, "0": 0}
_COUNT: Final = re.compile(r"\{([0-9]{1,4})(?:(,)([0-9]{1,4})?)?\}")
_HEX: Final = re.compile(r"x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,6})\}")


class PatternError(ValueError):
    """The expression is not one that can be followed in linear time."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A step of the expression: a character to read, or ways to go on without reading one."""

    ranges: _Ranges | None = None
    ways: tuple[int, ...] = ()
    at: str = ""  # "^" or "$": goes on only at the start or at the end


@dataclass
class Pattern:
    """A regular expression. `cost` counts the work done so far, about a microsecond each."""

    _places: list[_Place]
    _start: int
    cost: int = 0
    _sets: list[_Set] = field(default_factory=list)
    _numbers: dict[_Set, int] = field(default_factory=dict)
    _steps: dict[tuple[int, str], int] = field(default_factory=dict)
    _anywhere: _Set = frozenset()
    _first: int = 0
    _size: int = 0

    def __post_init__(self) -> None:
        self._anywhere = self._reach({self._start}, start=False)
        self._forget()

    def search(self, text: str) -> bool:
        """Whether the expression matches anywhere in the text."""
        now = self._first
        self.cost += 1 + len(text) // 8
        for char in text:
            if _MATCH in self._sets[now]:
                return True
            following = self._steps.get((now, char))
            if following is None:
                following = self._step(now, char)
            now = following
        return _MATCH in self._reach(self._sets[now], start=not text, end=True)

    def _step(self, now: int, char: str) -> int:
        code = ord(char)
        places = self._sets[now]
        self.cost += len(places)
        read = {
            place + 1
            for place in places
            if (ranges := self._places[place].ranges) is not None
            and any(low <= code <= high for low, high in ranges)
        }
        following = self._reach(read, start=False) | self._anywhere
        if self._size > _REMEMBERED:
            self._forget()
            return self._number(following)
        number = self._steps[now, char] = self._number(following)
        self._size += 1
        return number

    def _forget(self) -> None:
        self._steps, self._sets, self._numbers = {}, [], {}
        self._size = 0
        self._first = self._number(self._reach({self._start}, start=True))

    def _number(self, places: _Set) -> int:
        number = self._numbers.get(places)
        if number is None:
            number = self._numbers[places] = len(self._sets)
            self._sets.append(places)
            self._size += len(places)
        return number

    def _reach(self, places: set[int] | _Set, *, start: bool, end: bool = False) -> _Set:
        """The places that are reached without reading a character."""
        found: set[int] = set()
        left = list(places)
        while left:
            place = left.pop()
            if place in found:
                continue
            found.add(place)
            here = self._places[place]
            if (here.at == "^" and not start) or (here.at == "$" and not end):
                continue
            left += here.ways
        self.cost += len(found)
        return frozenset(found)


_MATCH: Final = 0


def compile_pattern(text: str) -> Pattern:
    """The expression. Raises PatternError."""
    if len(text) > _LENGTH:
        raise PatternError(f"is longer than {_LENGTH:,} characters")
    parser = _Parser(text)
    tree = parser.alternatives(0)
    if parser.at < len(text):
        raise PatternError("has a `)` without a `(`")
    places: list[_Place] = [_Place()]
    start = _place(tree, places, _MATCH)
    return Pattern(places, start)


# A tree is built from the end: each function adds its places before the given next one, and
# returns where it begins. A place that reads a character goes on at the place after it.
_Tree: TypeAlias = Callable[[list[_Place], int], int]


def _place(tree: _Tree, places: list[_Place], following: int) -> int:
    start = tree(places, following)
    if len(places) > _PLACES:
        raise PatternError(f"has more than {_PLACES:,} places")
    return start


def _jump(places: list[_Place], *ways: int, at: str = "") -> int:
    places.append(_Place(ways=ways, at=at))
    return len(places) - 1


def _char(ranges: _Ranges) -> _Tree:
    def add(places: list[_Place], following: int) -> int:
        places.append(_Place(ranges=ranges))
        _jump(places, following)
        return len(places) - 2

    return add


def _anchor(at: str) -> _Tree:
    return lambda places, following: _jump(places, following, at=at)


def _sequence(parts: list[_Tree]) -> _Tree:
    def add(places: list[_Place], following: int) -> int:
        for part in reversed(parts):
            following = _place(part, places, following)
        return following

    return add


def _either(trees: list[_Tree]) -> _Tree:
    def add(places: list[_Place], following: int) -> int:
        return _jump(places, *[_place(tree, places, following) for tree in trees])

    return add


def _repeated(tree: _Tree, least: int, most: int | None) -> _Tree:
    def add(places: list[_Place], following: int) -> int:
        if most is None:
            again = _jump(places)
            begin = _place(tree, places, again)
            places[again] = _Place(ways=(begin, following))
            following = again
        for _ in range((most or 0) - least if most is not None else 0):
            following = _jump(places, _place(tree, places, following), following)
        for _ in range(least):
            before = len(places)
            following = _place(tree, places, following)
            if len(places) == before:
                break  # it is empty, however often it is repeated
        return following

    return add


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def alternatives(self, depth: int) -> _Tree:
        if depth > _GROUPS:
            raise PatternError(f"has more than {_GROUPS} groups inside one another")
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
        self._next("?")  # which of several matches is taken does not matter
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
            raise PatternError("has a repetition with its limits in the wrong order")
        return least, most

    def _one(self, depth: int) -> _Tree:
        char = self.text[self.at]
        self.at += 1
        if char in "^$":
            return _anchor(char)
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
            raise PatternError("has a group that looks around, or has a name")
        tree = self.alternatives(depth + 1)
        if not self._next(")"):
            raise PatternError("has a `(` without a `)`")
        return tree

    def _set(self) -> _Ranges:
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

    def _member(self) -> _Ranges:
        if self.at >= len(self.text):
            raise PatternError("has a `[` without a `]`")
        char = self.text[self.at]
        self.at += 1
        return self._escape(in_set=True) if char == "\\" else ((ord(char), ord(char)),)

    def _escape(self, *, in_set: bool) -> _Ranges:
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


def _others(ranges: _Ranges) -> _Ranges:
    """The characters that are not in the ranges."""
    found: list[tuple[int, int]] = []
    after = 0
    for low, high in sorted(ranges):
        if low > after:
            found.append((after, low - 1))
        after = max(after, high + 1)
    if after <= _END:
        found.append((after, _END))
    return tuple(found)
