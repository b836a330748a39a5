# SPDX-License-Identifier: Apache-2.0
"""Match regular expressions in linear time, for any expression.

Python's `re` tries alternatives one after the other: `^(a+)+$` takes years for 60 characters. This
module follows all alternatives at once, and caches the sets of places that they reach.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from provenance.frozen import dataclass

_REMEMBERED: Final = 200_000
"""Places in all cached sets of one expression: about 10 MB."""

Ranges: TypeAlias = tuple[tuple[int, int], ...]
_Set: TypeAlias = frozenset[int]

MATCH: Final = 0


@dataclass(frozen=True, slots=True)
class Place:
    """A step of the expression: a character to read, or steps to take without reading one."""

    ranges: Ranges | None = None
    ways: tuple[int, ...] = ()
    at: str = ""  # "^" or "$": continue only at the start or at the end


class Pattern:
    """A regular expression. `cost` counts the steps so far, of about a microsecond each."""

    def __init__(self, places: list[Place], start: int) -> None:
        self._places, self._start, self.cost = places, start, 0
        self._anywhere = self._reach({start}, start=False)
        self._forget()

    def search(self, text: str) -> bool:
        """Return whether the expression matches anywhere in `text`."""
        now = self._first
        self.cost += 1 + len(text) // 8
        for char in text:
            if MATCH in self._sets[now]:
                return True
            following = self._steps.get((now, char))
            if following is None:
                following = self._step(now, char)
            now = following
        return MATCH in self._reach(self._sets[now], start=not text, end=True)

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
        self._steps: dict[tuple[int, str], int] = {}
        self._sets: list[_Set] = []
        self._numbers: dict[_Set, int] = {}
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
        """Return the places that can be reached without reading a character."""
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
