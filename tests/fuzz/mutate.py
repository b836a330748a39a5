# SPDX-License-Identifier: Apache-2.0
"""Making a document worse: as a tree where it is JSON, as text, and as bytes."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any, Final

Tree = dict[str, Any] | list[Any]

VALUES: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, -(2**63), 10**400, 0.5, 1e308),
    *("", "0", "-1", "1e3", " ", "\0", "\x7f", "\u202e", "\U0001f512"),
    *("A" * 5000, "AAAA", "AA==", "AB=="),
    *("../x", "/etc/passwd", "a\\b", "C:\\x", "sha256", "SHA256", "f" * 64, "F" * 64, "f" * 63),
    *("2026-02-30T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:60Z", "*", "**", "["),
    *([], {}, [[]], [{}], {"": ""}, [None], {"sha256": "f" * 64}),
)
"""Limits of numbers, empty values, other types, paths and digests."""

TEXTS: Final = (
    *"\ufeff\0\n\r\t#\"'{}[],:=",
    *("//", "/**/"),
    *("NaN", "Infinity", "-0", "1e999", "\\ud800", "\\u0000", "true", "null", "[[", "]]", '"""'),
    *("[" * 3000, '{"a":' * 500, "9" * 5000, "é", "\u2028"),
)


def json_tree(data: bytes, chance: random.Random) -> bytes:
    tree = json.loads(data)
    for _ in range(chance.randint(1, 4)):
        places = list(_places(tree))
        if places:
            chance.choice(_TREE_CHANGES)(*chance.choice(places), tree, chance)
    text = json.dumps(tree, ensure_ascii=chance.random() < 0.5)
    if chance.random() < 0.1:
        text = _key_twice(text, chance)
    return text.encode("utf-8", "surrogatepass")


def text(data: bytes, chance: random.Random) -> bytes:
    found = data.decode("utf-8", "replace")
    for _ in range(chance.randint(1, 4)):
        start = chance.randint(0, len(found))
        end = min(len(found), start + chance.choice((0, 0, 1, 1, 2, 10, 100)))
        middle = chance.choice((*TEXTS, "", found[start:end] * 2))
        found = found[:start] + middle + found[end:]
    return found.encode("utf-8", "surrogatepass")


def lines(data: bytes, chance: random.Random) -> bytes:
    """Lines that are dropped, repeated or swapped, or whose value is another."""
    found = data.decode("utf-8", "replace").splitlines()
    for _ in range(chance.randint(1, 3)):
        if not found:
            break
        at, other = chance.randrange(len(found)), chance.randrange(len(found))
        key, equals, _value = found[at].partition("=")
        change = chance.randrange(4)
        if change == 0:
            del found[at]
        elif change == 1:
            found.insert(other, found[at])
        elif change == 2:
            found[at], found[other] = found[other], found[at]
        elif equals:
            found[at] = f"{key}= {_toml(chance.choice(VALUES))}"
    return "\n".join(found).encode("utf-8", "surrogatepass")


def raw(data: bytes, chance: random.Random) -> bytes:
    found = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at = chance.randint(0, len(found))
        change = chance.randrange(4)
        if change == 0 and at < len(found):
            found[at] ^= 1 << chance.randrange(8)
        elif change == 1:
            found[at:at] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 4)))
        elif change == 2:
            del found[at : at + chance.randint(1, 20)]
        else:
            found[at:] = b"" if chance.random() < 0.1 else found[at:]
    return bytes(found)


def _places(tree: Tree) -> list[tuple[Tree, Any]]:
    """Every member of every object and array, with what holds it."""
    found: list[tuple[Tree, Any]] = []
    waiting: list[Any] = [tree]
    while waiting:
        holder = waiting.pop()
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        for key in keys:
            found.append((holder, key))
            if isinstance(holder[key], dict | list):
                waiting.append(holder[key])
    return found


def _drop(holder: Any, key: Any, _tree: Tree, _chance: random.Random) -> None:
    del holder[key]


def _replace(holder: Any, key: Any, _tree: Tree, chance: random.Random) -> None:
    holder[key] = json.loads(json.dumps(chance.choice(VALUES)))


def _move(holder: Any, key: Any, tree: Tree, chance: random.Random) -> None:
    other, there = chance.choice(list(_places(tree)))
    holder[key] = json.loads(json.dumps(other[there]))


def _repeat(holder: Any, key: Any, _tree: Tree, chance: random.Random) -> None:
    if isinstance(holder, list):
        holder.insert(key, json.loads(json.dumps(holder[key])))
    else:
        holder[chance.choice((key.upper(), key + "_", "extra", "$" + key))] = holder[key]


def _wrap(holder: Any, key: Any, _tree: Tree, chance: random.Random) -> None:
    holder[key] = chance.choice(([holder[key]], {"value": holder[key]}, str(holder[key])))


def _edit(holder: Any, key: Any, _tree: Tree, chance: random.Random) -> None:
    value = holder[key]
    if isinstance(value, str) and value:
        at = chance.randrange(len(value))
        inserted = value[:at] + chance.choice("=-_+/ \n\0é") + value[at:]
        without = value[:at] + value[at + 1 :]
        holder[key] = chance.choice((without, inserted, value.swapcase(), value + "=", value[:at]))
    elif isinstance(value, int):
        holder[key] = chance.choice((value + 1, -value, str(value), float(value % 2**50)))


_TREE_CHANGES: Final[tuple[Callable[[Any, Any, Tree, random.Random], None], ...]] = (
    *(_drop, _replace, _replace, _move, _repeat, _wrap, _edit, _edit),
)


def _key_twice(found: str, chance: random.Random) -> str:
    """Some object names its first key twice."""
    starts = [at for at, c in enumerate(found) if c == "{" and found[at + 1 : at + 2] == '"']
    if not starts:
        return found
    at = chance.choice(starts) + 1
    key = found[at : found.index('"', at + 1) + 1]
    return f"{found[:at]}{key}: 1, {found[at:]}"


def _toml(value: Any) -> str:
    if value is None:
        return "1979-05-27"
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{k}" = {_toml(v)}' for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return json.dumps(value)
