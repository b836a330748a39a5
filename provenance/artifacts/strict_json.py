# SPDX-License-Identifier: Apache-2.0
"""JSON, read strictly, and where each value stands in the text.

The standard library parses; this module refuses what it lets through (NaN, infinities, duplicate
keys, lone surrogates, bottomless nesting) and, only where a position is asked for, walks the text
once more for the line and column of every member. No library that is still kept does both
(docs/adr/0004-strict-json.md).
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from provenance.artifacts import limits

JsonPath: TypeAlias = tuple[str | int, ...]


class JsonError(ValueError):
    """Text that is not strict JSON. The message says what and, where known, at which line."""


class DuplicateKeyError(JsonError):
    """An object names the same key twice; readers disagree about which value counts."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a text file: 1-based line and column, in characters."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Member:
    """Where one value stands: character offsets of the key (None in an array) and the value."""

    path: JsonPath
    key_start: int | None
    start: int
    end: int


def decode(data: bytes) -> str:
    """UTF-8 text without a byte-order mark. Raises JsonError."""
    if data.startswith(b"\xef\xbb\xbf"):
        raise JsonError("starts with a byte-order mark; JSON is UTF-8 without one")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise JsonError(f"is not UTF-8 (byte {e.start})") from e


def parse(text: str, *, duplicate_keys: list[str] | None = None) -> Any:
    """The value of strict JSON `text`.

    Where a list `duplicate_keys` is given, repeated keys are added to it, the last of equal keys
    wins, as in most readers, and the caller promises to report them.

    Raises:
        DuplicateKeyError: An object has a key twice.
        JsonError: Anything else that is not strict JSON.
    """

    def hook(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return _unique(pairs, duplicate_keys)

    try:
        value = json.loads(
            text,
            object_pairs_hook=hook,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_in_range,
        )
    except json.JSONDecodeError as e:
        if not text.strip():
            raise JsonError("is empty") from e
        raise JsonError(f"is not JSON: {e.msg} at line {e.lineno}, column {e.colno}") from e
    except RecursionError as e:
        raise JsonError("is nested too deeply") from e
    if text.count("[") + text.count("{") > limits.NESTING and _is_deeper(value, limits.NESTING):
        raise JsonError(f"is nested too deeply: more than {limits.NESTING} levels")
    # A lone surrogate cannot be written as UTF-8 again; only an escape can spell one.
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as e:
            raise JsonError("holds half of a surrogate pair, which is no character") from e
    return value


def parse_object(data: bytes) -> dict[str, Any]:
    """The object that strict JSON `data` holds. Raises JsonError, also for any other value."""
    value = parse(decode(data))
    if not isinstance(value, dict):
        raise JsonError(f"holds {type_name(value)}, not an object")
    return value


def type_name(value: object) -> str:
    """The JSON name of `value`'s type, with its article."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"


def same(a: object, b: object) -> bool:
    """Whether two JSON values are the same, types included: 1, 1.0 and true all differ."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(v, b[k]) for k, v in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@dataclass(frozen=True)
class SourceMap:
    """Where the values of a JSON text stand. Only for text that `parse` has accepted.

    Values deeper than any field that is ever reported, and numbers and strings in arrays, are not
    recorded: a hostile file has many of them.
    """

    text: str

    def position(self, offset: int) -> Position:
        """The line and column of a character offset."""
        line = bisect_right(self._line_starts, offset)
        return Position(line, offset - self._line_starts[line - 1] + 1)

    def find(self, path: JsonPath) -> Member | None:
        """Where the value at `path` stands, None where there is none."""
        return self._members.get(path)

    @property
    def duplicates(self) -> tuple[Member, ...]:
        """The second and further members of equal key, in the order of the text."""
        return self._walk[1]

    @property
    def _members(self) -> Mapping[JsonPath, Member]:
        return self._walk[0]

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(m.end() for m in re.finditer("\n", self.text))]

    @cached_property
    def _walk(self) -> tuple[dict[JsonPath, Member], tuple[Member, ...]]:
        members: dict[JsonPath, Member] = {}
        duplicates: list[Member] = []
        open_values: list[_Open] = []
        key: str | None = None
        key_start: int | None = None
        too_deep = 0

        def record(path: JsonPath, key_at: int | None, start: int, end: int) -> None:
            member = Member(path, key_at, start, end)
            if path in members:
                duplicates.append(member)
            members[path] = member

        for count, token in enumerate(_TOKEN.finditer(self.text)):
            kind = token.lastgroup
            if too_deep:
                too_deep += (kind == "open") - (kind == "close")
            elif kind == "open":
                if len(open_values) > _DEPTH:
                    too_deep = 1
                    continue
                path: JsonPath = ()
                if open_values:
                    parent = open_values[-1]
                    path = (*parent.path, parent.next_index if key is None else key)
                is_array = token.group() == "["
                open_values.append(_Open(path, key_start, token.start(), is_array))
                key = key_start = None
            elif kind == "close":
                done = open_values.pop()
                record(done.path, done.key_start, done.start, token.end())
            elif kind == "between":
                if open_values and open_values[-1].is_array:
                    open_values[-1].next_index += token.group().count(",")
            elif kind == "string":
                if key is not None and open_values:
                    record((*open_values[-1].path, key), key_start, token.start(), token.end())
                key = key_start = None
            else:  # a key, perhaps with its number, true, false or null
                key, key_start = json.loads(token.group("key")), token.start("key")
                if kind == "scalar":
                    record((*open_values[-1].path, key), key_start, *token.span("scalar"))
                    key = key_start = None
            if count > _TOKENS:
                break  # what stands beyond is reported without its place
        return members, _outermost(duplicates)


def _outermost(duplicates: list[Member]) -> tuple[Member, ...]:
    """Without what stands inside another: a second object repeats all members of the first."""
    found: list[Member] = []
    for member in sorted(duplicates, key=lambda m: m.start):
        if not found or member.start >= found[-1].end:
            found.append(member)
    return tuple(found)


@dataclass(slots=True)
class _Open:
    path: JsonPath
    key_start: int | None
    start: int
    is_array: bool
    next_index: int = 0


# Runs only over text that json.loads has accepted, so it needs to recognise, not to validate.
_STRING = r'"(?:[^"\\]++|\\.)*+"'
_TOKEN = re.compile(
    rf"(?P<open>[\[{{])|(?P<close>[\]}}])"
    rf'|(?P<key>{_STRING})[ \t\r\n]*+:[ \t\r\n]*+(?P<scalar>[^\s,\[\]{{}}"]++)?'
    rf'|(?P<string>{_STRING})|(?P<between>[^\[\]{{}}"]++)'
)
_DEPTH = 4  # "models", a row, "external_data_sha256", a name
_TOKENS = 2_500_000  # 100,000 rows
_DIGITS_OF_DOUBLE = 308
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def _unique(pairs: list[tuple[str, Any]], repeated: list[str] | None) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen and repeated is None:
                raise DuplicateKeyError(f"has the key {key[:80]!r} twice in one object")
            if key in seen and repeated is not None:
                repeated.append(key)
            seen.add(key)
    return value


def _refuse_constant(name: str) -> Any:
    raise JsonError(f"holds {name}, which is not JSON")


def _is_deeper(value: Any, levels: int) -> bool:
    """Whether `value` has more than so many levels of objects and arrays."""
    here = [value]
    for _ in range(levels):
        here = [
            below
            for outer in here
            if isinstance(outer, dict | list)
            for below in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(below, dict | list)
        ]
        if not here:
            return False
    return True


def _in_range(text: str) -> int:
    # No other reader keeps an integer beyond the doubles, and protobuf refuses it.
    if len(text) > _DIGITS_OF_DOUBLE:
        raise JsonError(f"holds the number {text[:40]}…, which is out of range")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise JsonError(f"holds the number {text[:40]}, which is out of range")
    return value
