# SPDX-License-Identifier: Apache-2.0
"""JSON, read strictly (docs/adr/0004-strict-json.md).

The standard library parses; this module refuses what it lets through: NaN, infinities, duplicate
keys, lone surrogates, bottomless nesting. What is wrong and where is looked for only after a text
was refused: the parser of the standard library does not give its hooks the place where they are.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable
from functools import partial
from itertools import islice
from math import isinf
from typing import Any, Final, TypeAlias

from provenance.artifacts import limits
from provenance.frozen import dataclass

JsonPath: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a text file: 1-based line and column, in characters."""

    line: int
    column: int


START: Final = Position(1, 1)
"""Where a text begins: what is pointed at where a value has no place of its own."""


class JsonError(ValueError):
    """Text that is not strict JSON. The message says what and, where known, at which line.

    `position` is that place, None where only the text as a whole is known to be wrong.
    """

    def __init__(self, message: str, *, position: Position | None = None) -> None:
        super().__init__(message)
        self.position = position


class _RefusedError(ValueError):
    """The standard library would read it; `_first_fault` says what is wrong and where."""


def decode(data: bytes) -> str:
    """UTF-8 text without a byte-order mark. Raises JsonError."""
    if data.startswith(codecs.BOM_UTF8):
        reason = "starts with a byte-order mark; JSON is UTF-8 without one"
        raise JsonError(reason, position=START)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise JsonError("is UTF-16; JSON is UTF-8", position=START)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as e:
        # What stands before it is.
        before = data[: e.start].decode("utf-8")
        raise _error("is not UTF-8", len(before), before) from e


def parse(
    text: str, *, duplicate_keys: list[str] | None = None, nesting: int = limits.NESTING
) -> Any:
    """The value of strict JSON `text`.

    Where a list `duplicate_keys` is given, repeated keys are added to it, the last of equal keys
    wins, as in most readers, and the caller promises to report them; and equal members are one
    string, as many rows of a registry have the same notes. `nesting` is the number of levels that
    are read. Raises JsonError.
    """
    decoder = _STRICT if duplicate_keys is None else _decoder(partial(_unique, duplicate_keys, {}))
    if len(text) > limits.JSON_VALUES and _values(text) > limits.JSON_VALUES:
        raise JsonError(f"holds more than {limits.JSON_VALUES:,} values")
    try:
        value = decoder.decode(text)
        if text.count("[") + text.count("{") > nesting and _is_deeper(value, nesting):
            raise _RefusedError
        # A lone surrogate cannot be written as UTF-8 again; only an escape can spell one.
        if "\\" in text and _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as e:
        if not text.strip():
            raise JsonError("is empty", position=START) from e
        conflict = _CONFLICT.search(text)
        if conflict is not None:
            reason = "holds an unresolved merge conflict"
            raise _error(reason, conflict.start(), text) from e
        raise _error(f"is not JSON: {e.msg}", e.pos, text) from e
    except (RecursionError, UnicodeEncodeError, _RefusedError) as e:
        reason, offset = _first_fault(text, nesting, repeated=duplicate_keys is not None)
        raise _error(reason, offset, text) from e
    return value


def parse_object(data: bytes) -> dict[str, Any]:
    """The object that strict JSON `data` holds. Raises JsonError, also for any other value."""
    return parse_object_text(decode(data))


def parse_object_text(text: str) -> dict[str, Any]:
    """As `parse_object`, for text that was decoded already."""
    value = parse(text)
    if not isinstance(value, dict):
        raise JsonError(f"holds {type_name(value)}, not an object")
    return value


def type_name(value: object) -> str:
    """The JSON name of `value`'s type, with its article."""
    return _TYPE_NAMES.get(type(value), "an object")


def same(a: object, b: object) -> bool:
    """Whether two JSON values are the same, types included: 1, 1.0 and true all differ."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() != b.keys():
            return False
        for key, value in a.items():
            other = b[key]
            # Most are strings, which no other value equals.
            if value != other if type(value) is str else not same(value, other):
                return False
        return True
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


_TYPE_NAMES: Final = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "an array",
}
_DIGITS_OF_DOUBLE: Final = 308
"""No other reader keeps an integer of more digits, and protobuf refuses it."""

_MARK: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|[,\[{]', re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|[{}\[\]]|[^\s"{}\[\]:,]++', re.DOTALL)
_COLON: Final = re.compile(r"[ \t\r\n]*:")
_CONFLICT: Final = re.compile(r"^(<{7}|>{7}) ", re.MULTILINE)
"""What git leaves in a file that two branches changed."""


def _error(reason: str, offset: int, text: str) -> JsonError:
    """The error with the place that it is about."""
    line = text.count("\n", 0, offset) + 1
    column = offset - text.rfind("\n", 0, offset)
    message = f"{reason}, at line {line}, column {column}"
    return JsonError(message, position=Position(line, column))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _RefusedError
    return value


def _unique(
    repeated: list[str], texts: dict[str, str], pairs: list[tuple[str, Any]]
) -> dict[str, Any]:
    value = {k: texts.setdefault(v, v) if isinstance(v, str) else v for k, v in pairs}
    if len(value) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                repeated.append(key)
            seen.add(key)
    return value


def _refuse(name: str) -> Any:
    raise _RefusedError


def _in_range(number: str) -> int:
    if len(number) > _DIGITS_OF_DOUBLE:
        raise _RefusedError
    return int(number)


def _finite(number: str) -> float:
    value = float(number)
    if isinf(value):
        raise _RefusedError
    return value


def _values(text: str) -> int:
    """Return an upper bound of the number of values in JSON `text`.

    Each value follows a comma or opens its array or object, unless it is the only one. Marks inside
    strings count only where all marks together are few enough.
    """
    found = sum(map(text.count, ",[{"))
    if found <= limits.JSON_VALUES:
        return found
    return sum(1 for _ in islice(_MARK.finditer(text), limits.JSON_VALUES + 1))


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


def _decoder(hook: Callable[[list[tuple[str, Any]]], dict[str, Any]]) -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=hook,
        parse_constant=_refuse,
        parse_float=_finite,
        parse_int=_in_range,
    )


_STRICT: Final = _decoder(_object)


def _first_fault(text: str, levels: int, *, repeated: bool) -> tuple[str, int]:
    """Return the first fault of JSON that the standard library would read, and its offset.

    It may be nested `levels` deep, and with `repeated` an object may have a key twice.
    """
    keys: list[set[str] | None] = []
    for match in _TOKEN.finditer(text):
        mark, start = match[0], match.start()
        if mark in "{[":
            keys.append(set() if mark == "{" else None)
            if len(keys) > levels:
                return f"is nested too deeply: more than {levels} levels", start
        elif mark in "}]":
            del keys[-1:]
        elif mark.startswith('"'):
            value = _string(mark)
            if any("\ud800" <= c <= "\udfff" for c in value):
                return "holds half of a surrogate pair, which is no character", start
            known = keys[-1] if keys and not repeated else None
            if known is not None and _COLON.match(text, match.end()):
                if value in known:
                    return f"has the key {value[:80]!r} twice in one object", start
                known.add(value)
        elif mark.lstrip("-") in ("NaN", "Infinity"):
            return f"holds {mark}, which is not JSON", start
        elif _is_out_of_range(mark):
            return f"holds the number {mark[:40]}, which is out of range", start
    return "is not strict JSON", 0


def _is_out_of_range(number: str) -> bool:
    if number.lstrip("-").isdigit():
        return len(number) > _DIGITS_OF_DOUBLE
    try:
        return isinf(float(number))
    except ValueError:
        return False  # a word


def _string(mark: str) -> str:
    try:
        return str(json.loads(mark))
    except ValueError:
        return ""  # behind a fault of another kind
