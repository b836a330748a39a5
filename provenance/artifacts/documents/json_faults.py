# SPDX-License-Identifier: Apache-2.0
"""Where a JSON text breaks a rule that the standard library's parser does not know.

Asked only after a text was refused: the parser's hooks are not told where they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[{}\[\]]|[^\s"{}\[\]:,]++', re.DOTALL)
_COLON = re.compile(r"[ \t\r\n]*:")


def of_token(text: str, token: str) -> int | None:
    """The offset of a number or a word that is no text, the first of them."""
    return next((m.start() for m in _TOKEN.finditer(text) if m[0] == token), None)


def of_repeated_key(text: str, key: str) -> int | None:
    """The offset of a key that its object has already, the first of them."""
    objects: list[set[str] | None] = []
    for token in _TOKEN.finditer(text):
        match token[0]:
            case "{":
                objects.append(set())
            case "[":
                objects.append(None)
            case "}" | "]":
                if objects:
                    objects.pop()
            case _ if token[0].startswith('"') and objects and _COLON.match(text, token.end()):
                keys = objects[-1]
                name = _text(token[0])
                if keys is not None and name is not None:
                    if name == key and name in keys:
                        return token.start()
                    keys.add(name)
    return None


def of_depth(text: str, levels: int) -> int | None:
    """The offset of the first object or array that is more than so many levels deep."""
    depth = 0
    for token in _TOKEN.finditer(text):
        if token[0] in "{[":
            depth += 1
            if depth > levels:
                return token.start()
        elif token[0] in "}]":
            depth -= 1
    return None


def of_half_a_pair(text: str) -> int | None:
    """The offset of the first text with half of a surrogate pair in it."""
    return next((start for start, value in _texts(text) if _is_half(value)), None)


def _texts(text: str) -> Iterator[tuple[int, str]]:
    for token in _TOKEN.finditer(text):
        value = _text(token[0]) if token[0].startswith('"') else None
        if value is not None:
            yield token.start(), value


def _text(token: str) -> str | None:
    try:
        value = json.loads(token)
    except ValueError:
        return None  # behind the place that is looked for
    return value if isinstance(value, str) else None


def _is_half(value: str) -> bool:
    return any("\ud800" <= c <= "\udfff" for c in value)
