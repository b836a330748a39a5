# SPDX-License-Identifier: Apache-2.0
"""Find the position of each value in JSON text (docs/adr/0004-strict-json.md).

The parser of the standard library gives no positions. The text is scanned a second time if a
position is needed.
"""

from __future__ import annotations

import json
import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from itertools import islice

from provenance.artifacts import limits
from provenance.artifacts.documents.strict_json import JsonPath, Position
from provenance.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Member:
    """The position of one value: character offsets of its key (None in an array) and the value."""

    path: JsonPath
    key_start: int | None
    start: int
    end: int


class SourceMap:
    """The positions of the values in JSON text that `parse` has accepted.

    Only the requested objects and arrays are scanned, and not the insides of their values.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._walked: dict[JsonPath, _Places] = {}

    def position(self, offset: int) -> Position:
        """Return the line and column of a character offset."""
        line = bisect_right(self._line_starts, offset)
        return Position(line, offset - self._line_starts[line - 1] + 1)

    def find(self, path: JsonPath) -> Member | None:
        """Return the position of the value at `path`, or None if it is missing."""
        if not path:
            end = len(self.text)
            while self.text[end - 1] in " \t\r\n":  # rstrip would copy the whole text
                end -= 1
            return Member((), None, _after(_SPACE, self.text, 0), end)
        places = self._places(path[:-1])
        return None if places is None else places.find(path)

    @cached_property
    def duplicates(self) -> tuple[Member, ...]:
        """The second and further members with the same key, in the order of the text.

        Members inside a repeated object are not included, although they repeat those of the first.
        """
        found = self._duplicates((), _after(_SPACE, self.text, 0))
        return tuple(islice(found, limits.ROWS))

    @cached_property
    def _line_starts(self) -> array[int]:
        starts = array("I", [0])
        starts.extend(m.end() for m in re.finditer("\n", self.text))
        return starts

    def _places(self, path: JsonPath) -> _Places | None:
        """Return the positions of the members of the object or array at `path`, or None."""
        known = self._walked.pop(path, None)
        if known is None:
            member = self.find(path)
            if member is None or not _holds_members(self.text, member.start):
                return None
            known = _Places(self.text, member.start)
        self._walked[path] = known  # moved to the end: the first is the least recently used
        while len(self._walked) > _KEPT:
            del self._walked[next(iter(self._walked))]
        return known

    def _duplicates(self, path: JsonPath, start: int) -> Iterator[Member]:
        if len(path) > _DEPTH or not _holds_members(self.text, start):
            return
        seen: set[str | int] = set()
        for key, key_start, at, end in _members(self.text, start):
            if key in seen:
                yield Member((*path, key), key_start, at, end)
                continue
            seen.add(key)
            yield from self._duplicates((*path, key), at)


class _Places:
    """The positions of the members of one object or array, as offsets of 8 bytes each."""

    def __init__(self, text: str, start: int) -> None:
        self._is_array = text[start] == "["
        self._offsets = array("I")
        self._index: dict[str | int, int] = {}
        for number, (key, key_start, at, end) in enumerate(_members(text, start)):
            if key_start is not None:
                self._index[key] = number  # the last member with a key counts
                self._offsets.append(key_start)
            self._offsets.extend((at, end))
            if number + 1 == limits.ROWS:
                break  # further members are reported without a position

    def find(self, path: JsonPath) -> Member | None:
        """Return the position of the member that is the last step of `path`."""
        key = path[-1]
        if not self._is_array:
            number = self._index.get(key)
            found = None if number is None else self._offsets[3 * number : 3 * number + 3]
            return None if found is None else Member(path, *found)
        if not isinstance(key, int) or not 0 <= key < len(self._offsets) // 2:
            return None
        return Member(path, None, *self._offsets[2 * key : 2 * key + 2])


def _holds_members(text: str, start: int) -> bool:
    """Return whether the value at `start` is an object or array."""
    return text[start] in "{["


def _members(text: str, start: int) -> Iterator[tuple[str | int, int | None, int, int]]:
    """Yield key, offset of the key, and start and end of the value, for each member.

    The object or array opens at `start`. In an array, the key is the index and has no offset.
    """
    in_object = text[start] == "{"
    at = _after(_SPACE, text, start + 1)
    count = 0
    while text[at] not in "}]":
        key: str | int = count
        key_start = None
        if in_object:
            key_start, key_end = at, _after(_STRING, text, at)
            key = json.loads(text[key_start:key_end])
            at = _after(_COLON, text, key_end)
        end = _end(text, at)
        yield key, key_start, at, end
        at = _after(_COMMA, text, end)
        count += 1


def _end(text: str, start: int) -> int:
    """Return the end of the value at `start`."""
    if text[start] == '"':
        return _after(_STRING, text, start)
    if not _holds_members(text, start):
        return _after(_SCALAR, text, start)
    at, levels = start + 1, 1
    while levels:
        at = _after(_UP_TO_BRACKET, text, at)
        levels += 1 if text[at] in "{[" else -1
        at += 1
    return at


def _after(pattern: re.Pattern[str], text: str, start: int) -> int:
    match = pattern.match(text, start)
    assert match is not None  # the text is JSON
    return match.end()


# These patterns run only over text that json.loads has accepted, so they need not validate.
# Nearly every string ends at the next quotation mark, which is found much faster.
_ONE_STRING = r'"(?:[^"]*+"(?<!\\")|(?:[^"\\]++|\\.)*+")'
_STRING = re.compile(_ONE_STRING)
_SCALAR = re.compile(r'[^\s,\[\]{}"]++')
_SPACE = re.compile(r"[ \t\r\n]*+")
_COLON = re.compile(r"[ \t\r\n]*+:[ \t\r\n]*+")
_COMMA = re.compile(r"[ \t\r\n]*+,?[ \t\r\n]*+")
_UP_TO_BRACKET = re.compile(rf'[^\[\]{{}}"]*+(?:{_ONE_STRING}[^\[\]{{}}"]*+)*+')
_DEPTH = limits.NESTING
_KEPT = 16  # objects and arrays: the rows, and those that rules use together
