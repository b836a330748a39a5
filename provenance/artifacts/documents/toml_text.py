# SPDX-License-Identifier: Apache-2.0
"""TOML: bounded in structure before it is parsed, and where things stand in its text.

`tomllib` takes quadratic time for long dotted keys and headers. So the text is scanned first, in
linear time, for how long its keys are, how deep it nests, and how many values it holds. The scan
reads strings and comments as `tomllib` does, up to the first error, at which `tomllib` stops.

Positions are of a text that `tomllib` has accepted. It is searched by lines, so what a multi-line
string holds could be taken for a table: where the count of tables is not the known one, or a key
stands twice in one, the answer is the next larger thing.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from typing import Any, Final

from provenance.artifacts import limits
from provenance.artifacts.documents.strict_json import START, Position
from provenance.frozen import dataclass

_INTEGERS: Final = range(-(2**63), 2**63)
"""What TOML promises to keep; larger ones cannot even be printed."""

_STRING: Final = (
    r'"""(?:[^"\\]|\\[\s\S]|"(?!""))*+"{3,5}'
    r"|'''(?:[^']|'(?!''))*+'{3,5}"
    r'|"(?:[^"\\\n]|\\[^\n])*+"'
    r"|'[^'\n]*+'"
)
_TOKEN: Final = re.compile(
    rf"(?P<space>[ \t]++)|(?P<comment>\#[^\n]*+)|(?P<part>{_STRING}|[A-Za-z0-9_-]++)"
    r"|(?P<dot>\.)|(?P<open>[\[{])|(?P<close>[\]}])|(?P<comma>,)|(?P<equals>=)|(?P<line>\n++)"
    r"|(?P<other>[\s\S])"
)
_COUNTED: Final = frozenset({"dot", "open", "comma", "equals"})
"""What a further key or value takes at least one of. `tomllib` keeps a kilobyte for some."""

_LONGEST: Final = 300
"""Characters of an error of `tomllib`, which quotes keys and values whole."""

_TABLE: Final = re.compile(r"\s*\[")


class TomlError(ValueError):
    """Text that is not TOML, or TOML of more structure than is read. The message is a clause."""


def parse(text: str) -> dict[str, Any]:
    """Return the table that TOML `text` holds.

    Raises:
        TomlError: If the text is not TOML or exceeds a limit on its structure.
    """
    _bound(text.replace("\r\n", "\n"))
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as e:  # ValueError: also a number of 5,000 digits
        raise TomlError(f"not TOML: {str(e)[:_LONGEST]}") from e
    if any(type(v) is int and v not in _INTEGERS for v in _scalars(table)):
        raise TomlError("an integer of more than 64 bits")
    return table


def _bound(text: str) -> None:
    """Raise TomlError if parsing `text` takes more than time and memory linear in its length."""
    parts = levels = values = 0
    line = 1
    after_dot = False
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup
        if kind == "part":
            parts = parts + 1 if after_dot else 1
            _at_most(limits.TOML_KEY, parts, "names in a dotted key", line)
            if token[0][0] not in "\"'":
                _at_most(limits.TOML_BARE, len(token[0]), "characters in a name or number", line)
        elif kind == "open":
            levels += 1
            _at_most(limits.NESTING, levels, "levels of arrays and tables", line)
        elif kind == "close":
            levels = max(0, levels - 1)
        if kind in _COUNTED:
            values += 1
            _at_most(limits.TOML_VALUES, values, "keys and values", line)
        if kind != "space":
            after_dot = kind == "dot"
        line += token[0].count("\n")


def _at_most(limit: int, found: int, what: str, line: int) -> None:
    if found > limit:
        raise TomlError(f"more than {limit:,} {what} (at line {line})")


def _scalars(table: dict[str, Any]) -> Iterable[object]:
    """Return the values that are neither tables nor arrays."""
    below: list[object] = [table]
    while below:
        value = below.pop()
        if isinstance(value, dict):
            below.extend(value.values())
        elif isinstance(value, list):
            below.extend(value)
        else:
            yield value


@dataclass(frozen=True)
class Tables:
    """The array of tables `[[name]]` in a text: the header of each, and then its keys."""

    _found: tuple[list[tuple[str, Position]], ...]

    @classmethod
    def of(cls, text: str, name: str) -> Tables:
        """The tables `[[name]]` of a text."""
        found: list[list[tuple[str, Position]]] = []
        for header, key, place in _lines(text):
            if header == f"[[{name}]]":
                if not key:
                    found.append([])
                found[-1].append((key, place))
        return cls(tuple(found))

    def locate(self, index: int, count: int, key: str | None = None) -> Position:
        """Where table number `index` of `count` stands, or `key` in it.

        The table's header where the key is not found; the start of the file where that is not.
        """
        if len(self._found) != count:
            return START
        (_, header), *keys = self._found[index]
        found = [place for name, place in keys if name == key]
        return found[0] if len(found) == 1 else Position(header.line, 1)


def locate(text: str, prefix: str, key: tuple[str, ...]) -> Position | None:
    """The line that gives a key its value, or None if it is not found, or found twice.

    `key` is the way to it from where the headers have the `prefix`, such as `tool.provenance.`.
    """
    wanted = f"{prefix}{'.'.join(key)}"
    found = [
        p for header, name, p in _lines(text) if f"{header.strip('[]')}.{name}".strip(".") == wanted
    ]
    return found[0] if len(found) == 1 else None


def _lines(text: str) -> Iterator[tuple[str, str, Position]]:
    """The lines that begin a table or set a key: the table's header, the key or "", the place."""
    header = ""
    for number, line in enumerate(text.split("\n"), 1):  # what else ends a line stands in strings
        name, equals, _ = line.partition("=")
        place = Position(number, len(line) - len(line.lstrip()) + 1)
        if _TABLE.match(line):
            header = "".join(line.partition("#")[0].split())
            yield header, "", place
        elif equals:
            yield header, name.strip().strip("\"'"), place


def quoted(text: str) -> str:
    """A TOML string: JSON's, written without surrogate pairs and without DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
