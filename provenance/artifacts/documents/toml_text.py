# SPDX-License-Identifier: Apache-2.0
"""Read TOML with limits on its structure, and find positions in its text.

`tomllib` takes quadratic time for long dotted keys and headers. So the text is first scanned in
linear time for the length of keys, the depth of nesting and the number of values. The scan reads
strings and comments as `tomllib` does, up to the first error, at which `tomllib` stops.

Positions are searched line by line in text that `tomllib` has accepted. A line inside a multi-line
string could look like a table. If the number of tables is not as expected, or a table seems to have
a key twice, the position of the enclosing table or file is returned instead.
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
"""The integers that TOML guarantees. Python cannot even print much larger ones."""

_STRING: Final = (
    r'"""(?:[^"\\]|\\[\s\S]|"(?!""))*+"{3,5}'
    r"|'''(?:[^']|'(?!''))*+'{3,5}"
    r'|"(?:[^"\\\n]|\\[^\n])*+"'
    r"|'[^'\n]*+'"
)
TOKEN: Final = re.compile(
    rf"(?P<space>[ \t]++)|(?P<comment>\#[^\n]*+)|(?P<part>{_STRING}|[A-Za-z0-9_-]++)"
    r"|(?P<dot>\.)|(?P<open>[\[{])|(?P<close>[\]}])|(?P<comma>,)|(?P<equals>=)|(?P<line>\n++)"
    r"|(?P<other>[\s\S])"
)
_COUNTED: Final = frozenset({"dot", "open", "comma", "equals"})
"""Tokens to count: each further key or value needs at least one."""

_LONGEST: Final = 300
"""Characters of an error of `tomllib`, which quotes keys and values in full."""

_TABLE: Final = re.compile(r"\s*\[")


class TomlError(ValueError):
    """The text is not TOML, or exceeds a limit on its structure. The message is a clause."""


def parse(text: str) -> dict[str, Any]:
    """Return the table in TOML `text`.

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
    """Raise TomlError if `text` exceeds a limit on keys, nesting or values."""
    parts = levels = values = 0
    line = 1
    after_dot = False
    for token in TOKEN.finditer(text):
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
    """The positions of an array of tables `[[name]]` in a text, and of their keys."""

    _found: tuple[list[tuple[str, Position]], ...]

    @classmethod
    def of(cls, text: str, name: str) -> Tables:
        """Find the tables `[[name]]` in a text."""
        found: list[list[tuple[str, Position]]] = []
        for header, key, place in _lines(text):
            if header == f"[[{name}]]":
                if not key:
                    found.append([])
                found[-1].append((key, place))
        return cls(tuple(found))

    def locate(self, index: int, count: int, key: str | None = None) -> Position:
        """Return the position of table number `index` of `count`, or of `key` in it.

        If the key is not found, this is the header of the table; if the table is not found, the
        start of the file.
        """
        if len(self._found) != count:
            return START
        (_, header), *keys = self._found[index]
        found = [place for name, place in keys if name == key]
        return found[0] if len(found) == 1 else Position(header.line, 1)


def locate(text: str, prefix: str, key: tuple[str, ...]) -> Position | None:
    """Return the position of a key, or None if it is not found or found twice.

    `key` is the path of the key below `prefix`, such as `tool.provenance.`.
    """
    wanted = f"{prefix}{'.'.join(key)}"
    found = [
        p for header, name, p in _lines(text) if f"{header.strip('[]')}.{name}".strip(".") == wanted
    ]
    return found[0] if len(found) == 1 else None


def _lines(text: str) -> Iterator[tuple[str, str, Position]]:
    """Yield header, key and position of each line that starts a table or sets a key.

    The header is that of the table. For a line that starts a table, the key is "".
    """
    header = ""
    for number, line in enumerate(text.split("\n"), 1):  # strings may hold other line separators
        name, equals, _ = line.partition("=")
        place = Position(number, len(line) - len(line.lstrip()) + 1)
        if _TABLE.match(line):
            header = "".join(line.partition("#")[0].split())
            yield header, "", place
        elif equals:
            yield header, name.strip().strip("\"'"), place


def quoted(text: str) -> str:
    """Return a TOML string: as in JSON, but without surrogate pairs and DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
