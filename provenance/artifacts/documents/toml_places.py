# SPDX-License-Identifier: Apache-2.0
"""Find the place of each value in TOML text that `tomllib` has accepted.

`tomllib` gives no positions. The text is read a second time, if a position is needed, with the same
tokens as the scan of `toml_text` (docs/adr/0025-indexes-of-any-shape.md compares `tomlkit`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

from provenance.artifacts.documents.strict_json import JsonPath
from provenance.artifacts.documents.toml_text import TOKEN, quoted
from provenance.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a value as character offsets: of its key or header, and of the value.

    A table has the place of its header, `start` and `end` included.
    """

    key_start: int
    start: int
    end: int


def places(text: str) -> dict[JsonPath, Place]:
    """Return the place of each value, table and array element in TOML `text`."""
    reader = _Reader(text)
    reader.read()
    return reader.places


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


class _Reader:
    def __init__(self, text: str) -> None:
        self.places: dict[JsonPath, Place] = {}
        self._text = text
        self._arrays: dict[JsonPath, int] = {}  # the number of tables in each array of tables
        self._tokens = _tokens(text)
        self._next = next(self._tokens)

    def read(self) -> None:
        table: JsonPath = ()
        while self._next.kind != "end":
            if self._next.kind == "open":
                table = self._header()
            elif self._next.kind == "part":
                self._pair(table)
            else:
                self._take()

    def _take(self) -> _Token:
        token = self._next
        self._next = next(self._tokens, token)
        return token

    def _skip(self, *kinds: str) -> None:
        while self._next.kind in kinds:
            self._take()

    def _header(self) -> JsonPath:
        start = self._take().start
        is_array = self._next.kind == "open" and self._next.start == start + 1
        if is_array:
            self._take()
        self._skip("space")
        *parents, name = self._keys()
        path = (*self._inside(tuple(parents)), name)
        end = self._take().end
        if is_array:
            end = self._take().end
            number = self._arrays[path] = self._arrays.get(path, -1) + 1
            self.places.setdefault(path, Place(start, start, end))
            path = (*path, number)
        self.places.setdefault(path, Place(start, start, end))
        return path

    def _inside(self, names: JsonPath) -> JsonPath:
        """Return the location of a table, in the last table of each array on the way."""
        path: JsonPath = ()
        for name in names:
            path = (*path, name)
            if path in self._arrays:
                path = (*path, self._arrays[path])
        return path

    def _keys(self) -> list[str]:
        """Return the names of a dotted key, with the blanks behind it consumed."""
        names = []
        while True:
            written = self._take().text
            is_quoted = written[0] in "\"'"
            names.append(str(tomllib.loads(f"x={written}")["x"]) if is_quoted else written)
            self._skip("space")
            if self._next.kind != "dot":
                return names
            self._take()
            self._skip("space")

    def _pair(self, table: JsonPath) -> None:
        start = self._next.start
        path = (*table, *self._keys())
        self._take()  # the equals sign
        self._skip("space")
        self._value(path, start)

    def _value(self, path: JsonPath, key_start: int | None = None) -> None:
        start = self._next.start
        key_start = start if key_start is None else key_start
        if self._next.kind != "open":
            end = start
            while self._next.kind not in ("line", "comma", "close", "comment", "end"):
                token = self._take()
                end = end if token.kind == "space" or token.text == "\r" else token.end
        else:
            is_array = self._take().text == "["
            number = 0
            while True:
                self._skip("space", "line", "comment", "comma", "other")
                if self._next.kind == "close":
                    break
                if is_array:
                    self._value((*path, number))
                    number += 1
                else:
                    self._pair(path)
            end = self._take().end
        self.places[path] = Place(key_start, start, end)


def _tokens(text: str) -> Iterator[_Token]:
    for match in TOKEN.finditer(text):
        yield _Token(match.lastgroup or "other", match[0], match.start(), match.end())
    yield _Token("end", "", len(text), len(text))


def replaced(old: str, value: Any) -> str | None:
    """Return the spelling of a new value in place of `old`, or None if that is not supported.

    A string keeps its quotes. Multi-line strings, arrays and tables are not replaced.
    """
    if isinstance(value, bool):
        return str(value).lower() if old in ("true", "false") else None
    if isinstance(value, int):
        return str(value) if old.lstrip("+-").isdigit() else None
    if not isinstance(value, str) or old[:3] in ('"""', "'''") or old[:1] not in ('"', "'"):
        return None
    literal = old[0] == "'" and "'" not in value and value.isprintable()
    return f"'{value}'" if literal else quoted(value)
