# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a text that is not strict JSON, and where.

Asked only after a text was refused: the standard library's parser does not give its hooks the
place where they are, and lets through what other readers refuse.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from typing import Final, NamedTuple

DIGITS_OF_DOUBLE: Final = 308
"""No other reader keeps an integer of more digits, and protobuf refuses it."""


class Fault(NamedTuple):
    """What is wrong, and its offset in the text. `repeated` is set for a key that is repeated."""

    reason: str
    offset: int
    repeated: bool = False


def of_bytes(data: bytes) -> str | None:
    """Return why bytes are not UTF-8 as JSON requires it, if they start like another encoding."""
    if data.startswith(codecs.BOM_UTF8):
        return "starts with a byte-order mark; JSON is UTF-8 without one"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "is UTF-16; JSON is UTF-8"
    return None


def of_syntax(text: str, error: json.JSONDecodeError) -> Fault:
    """Return why the standard library does not parse `text`."""
    conflict = _CONFLICT.search(text)
    if conflict is not None:
        return Fault("holds an unresolved merge conflict", conflict.start())
    return Fault(f"is not JSON: {error.msg}", error.pos)


def first(text: str, levels: int, *, repeated: bool) -> Fault:
    """Return the first fault of JSON that the standard library would read.

    It may be nested `levels` deep, and with `repeated` an object may have a key twice.
    """
    keys: list[set[str] | None] = []
    for match in _MARK.finditer(text):
        mark, start = match[0], match.start()
        if mark in "{[":
            keys.append(set() if mark == "{" else None)
            if len(keys) > levels:
                return Fault(f"is nested too deeply: more than {levels} levels", start)
        elif mark in "}]":
            del keys[-1:]
        elif mark.startswith('"'):
            value = _string(mark)
            if any("\ud800" <= c <= "\udfff" for c in value):
                return Fault("holds half of a surrogate pair, which is no character", start)
            known = keys[-1] if keys and not repeated else None
            if known is not None and _COLON.match(text, match.end()):
                if value in known:
                    return Fault(f"has the key {value[:80]!r} twice in one object", start, True)
                known.add(value)
        elif mark.lstrip("-") in ("NaN", "Infinity"):
            return Fault(f"holds {mark}, which is not JSON", start)
        elif _is_out_of_range(mark):
            return Fault(f"holds the number {mark[:40]}, which is out of range", start)
    return Fault("is not strict JSON", 0)


def _is_out_of_range(number: str) -> bool:
    if number.lstrip("-").isdigit():
        return len(number) > DIGITS_OF_DOUBLE
    try:
        return math.isinf(float(number))
    except ValueError:
        return False  # a word


def _string(mark: str) -> str:
    try:
        return str(json.loads(mark))
    except ValueError:
        return ""  # behind a fault of another kind


_MARK: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|[{}\[\]]|[^\s"{}\[\]:,]++', re.DOTALL)
_COLON: Final = re.compile(r"[ \t\r\n]*:")
_CONFLICT: Final = re.compile(r"^(<{7}|>{7}) ", re.MULTILINE)
"""What git leaves in a file that two branches changed."""
