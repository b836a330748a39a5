# SPDX-License-Identifier: Apache-2.0
"""Where things stand in a TOML text, and how a string is written in one. Readers give no positions.

The text is one that `tomllib` has accepted. It is searched by lines, so what a multi-line string
holds could be taken for a table: where the count of tables is not the known one, or a key stands
twice in one, the answer is the next larger thing.
"""

from __future__ import annotations

import json
import re
from typing import Final

from provenance.artifacts.documents.strict_json import START, Position
from provenance.frozen import dataclass

_TABLE: Final = re.compile(r"\s*\[")


@dataclass(frozen=True)
class Tables:
    """The array of tables `[[name]]` in a text: its lines, and which of them are headers."""

    _lines: tuple[str, ...]
    _headers: tuple[int, ...]

    @classmethod
    def of(cls, text: str, name: str) -> Tables:
        """The tables `[[name]]` of a text."""
        dotted = r"\s*\.\s*".join(map(re.escape, name.split(".")))
        header = re.compile(rf"\s*\[\[\s*{dotted}\s*\]\]\s*(#.*)?")
        lines = tuple(text.split("\n"))  # and no others: what else looks like one stands in strings
        return cls(lines, tuple(n for n, line in enumerate(lines) if header.fullmatch(line)))

    def locate(self, index: int, count: int, key: str | None = None) -> Position:
        """Where table number `index` of `count` stands, or `key` in it.

        The table's header where the key is not found; the start of the file where that is not.
        """
        if len(self._headers) != count:
            return START
        here = self._headers[index]
        found = [n for n in self._below(here) if key is not None and _sets(self._lines[n], key)]
        if len(found) != 1:
            return Position(here + 1, 1)
        line = self._lines[found[0]]
        return Position(found[0] + 1, len(line) - len(line.lstrip()) + 1)

    def _below(self, header: int) -> range:
        end = header + 1
        while end < len(self._lines) and not _TABLE.match(self._lines[end]):
            end += 1
        return range(header + 1, end)


def _sets(line: str, key: str) -> bool:
    """Whether a line gives `key` a value."""
    name, equals, _ = line.partition("=")
    return bool(equals) and name.strip() in (key, f'"{key}"', f"'{key}'")


def quoted(text: str) -> str:
    """A TOML string: JSON's, written without surrogate pairs and without DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def locate(text: str, prefix: str, key: tuple[str, ...]) -> Position | None:
    """The line that gives a key its value, or None if it is not found, or found twice.

    `key` is the way to it from where the headers have the `prefix`, such as `tool.provenance.`.
    """
    wanted = f"{prefix}{'.'.join(key)}"
    header, found = "", []
    for number, line in enumerate(text.split("\n"), 1):
        if _TABLE.match(line):
            header = "".join(line.partition("#")[0].split()).strip("[]")
            here = header
        else:
            name, equals, _ = line.partition("=")
            here = f"{header}.{name.strip()}".lstrip(".") if equals else ""
        if here == wanted:
            found.append(Position(number, len(line) - len(line.lstrip()) + 1))
    return found[0] if len(found) == 1 else None
