# SPDX-License-Identifier: Apache-2.0
"""Where things stand in a TOML text, and how a string is written in one. Readers give no positions.

The text is one that `tomllib` has accepted. It is searched by lines, so what a multi-line string
holds could be taken for a table: where the count of tables is not the known one, or a key stands
twice in one, the answer is the next larger thing.
"""

from __future__ import annotations

import json
import re

from provenance.artifacts.strict_json import Position

_TABLE = re.compile(r"\s*\[")
_START = Position(1, 1)


def locate(text: str, table: str, index: int, count: int, key: str | None = None) -> Position:
    """Where the table `[[table]]` number `index` of `count` stands, or `key` in it.

    The table's header where the key is not found; the start of the file where that is not.
    """
    name = r"\s*\.\s*".join(map(re.escape, table.split(".")))
    header = re.compile(rf"\s*\[\[\s*{name}\s*\]\]\s*(#.*)?")
    lines = text.split("\n")
    headers = [number for number, line in enumerate(lines) if header.fullmatch(line)]
    if len(headers) != count:
        return _START
    here = headers[index]
    if key is not None:
        wanted = re.compile(rf"\s*([\"']?){re.escape(key)}\1\s*=")
        found = []
        for number in range(here + 1, len(lines)):
            if _TABLE.match(lines[number]):
                break
            if wanted.match(lines[number]):
                found.append(number)
        if len(found) == 1:
            line = lines[found[0]]
            return Position(found[0] + 1, len(line) - len(line.lstrip()) + 1)
    return Position(here + 1, 1)


def quoted(text: str) -> str:
    """A TOML string: JSON's, written without surrogate pairs and without DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
