# SPDX-License-Identifier: Apache-2.0
"""Read JSON strictly (docs/adr/0004-strict-json.md).

The standard library parses the text. This module refuses what it lets through: NaN, infinities,
duplicate keys, lone surrogates and unlimited nesting. The fault and its position are determined
only after a text is refused, because the standard library does not pass positions to its hooks.
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
"""The start of a text, for findings without a more precise position."""


class JsonError(ValueError):
    """The text is not strict JSON. The message says why and, if known, at which line.

    Attributes:
        position: The position of the fault, or None if it is not known.
    """

    def __init__(self, message: str, *, position: Position | None = None) -> None:
        super().__init__(message)
        self.position = position


class _RefusedError(ValueError):
    """The standard library would accept the text. `_first_fault` finds the fault."""


def decode(data: bytes) -> str:
    """Decode UTF-8 without a byte-order mark. Raises JsonError."""
    if data.startswith(codecs.BOM_UTF8):
        reason = "starts with a byte-order mark; JSON is UTF-8 without one"
        raise JsonError(reason, position=START)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise JsonError("is UTF-16; JSON is UTF-8", position=START)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as e:
        # The bytes before the fault are UTF-8.
        before = data[: e.start].decode("utf-8")
        raise _error("is not UTF-8", len(before), before) from e


def parse(
    text: str, *, duplicate_keys: list[str] | None = None, nesting: int = limits.NESTING
) -> Any:
    """Return the value of strict JSON `text`.

    Args:
        text: The text.
        duplicate_keys: If given, duplicate keys are appended to this list instead of refused. The
            last member with a key wins, as in most readers, and the caller must report the keys.
            Equal strings also become one object, because many rows of a registry have the same
            notes.
        nesting: The maximum number of levels.

    Raises:
        JsonError: If `text` is not strict JSON, or exceeds a limit.
    """
    decoder = _STRICT if duplicate_keys is None else _decoder(partial(_unique, duplicate_keys, {}))
    if len(text) > limits.JSON_VALUES and _values(text) > limits.JSON_VALUES:
        raise JsonError(f"has more than {limits.JSON_VALUES:,} values")
    try:
        value = decoder.decode(text)
        if text.count("[") + text.count("{") > nesting and _is_deeper(value, nesting):
            raise _RefusedError
        # Only an escape can produce a lone surrogate, which cannot be encoded as UTF-8.
        if "\\" in text and _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as e:
        if not text.strip():
            raise JsonError("is empty", position=START) from e
        conflict = _CONFLICT.search(text)
        if conflict is not None:
            reason = "contains an unresolved merge conflict"
            raise _error(reason, conflict.start(), text) from e
        raise _error(f"is not JSON: {e.msg}", e.pos, text) from e
    except (RecursionError, UnicodeEncodeError, _RefusedError) as e:
        reason, offset = _first_fault(text, nesting, repeated=duplicate_keys is not None)
        raise _error(reason, offset, text) from e
    return value


def parse_object(data: bytes) -> dict[str, Any]:
    """Return the object in strict JSON `data`. Raises JsonError, also for any other value."""
    return parse_object_text(decode(data))


def parse_object_text(text: str) -> dict[str, Any]:
    """Return the object in `text`, which is already decoded. Raises JsonError."""
    value = parse(text)
    if not isinstance(value, dict):
        raise JsonError(f"contains {type_name(value)}, not an object")
    return value


def type_name(value: object) -> str:
    """Return the JSON name of the type of `value`, with its article."""
    return _TYPE_NAMES.get(type(value), "an object")


def same(a: object, b: object) -> bool:
    """Return whether two JSON values are equal, including their types: 1, 1.0 and true differ."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() != b.keys():
            return False
        for key, value in a.items():
            other = b[key]
            # Most values are strings, which equal only the same string.
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
"""Other readers lose the value of an integer with more digits, and protobuf refuses it."""

_MARK: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|[,\[{]', re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|[{}\[\]]|[^\s"{}\[\]:,]++', re.DOTALL)
_COLON: Final = re.compile(r"[ \t\r\n]*:")
_CONFLICT: Final = re.compile(r"^(<{7}|>{7}) ", re.MULTILINE)
"""The marker that git leaves in a file with a merge conflict."""


def _error(reason: str, offset: int, text: str) -> JsonError:
    """Return the error with its position."""
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

    Each value follows a comma or an opening bracket, unless it is the only value. Commas and
    brackets inside strings are excluded only if the count would otherwise exceed the limit.
    """
    found = sum(map(text.count, ",[{"))
    if found <= limits.JSON_VALUES:
        return found
    return sum(1 for _ in islice(_MARK.finditer(text), limits.JSON_VALUES + 1))


_HOLDERS: Final = (dict, list)


def _is_deeper(value: Any, levels: int) -> bool:
    """Return whether `value` has more than `levels` levels of objects and arrays."""
    here = [value]
    for _ in range(levels):
        here = [
            below
            for outer in here
            if type(outer) in _HOLDERS
            for below in (outer.values() if type(outer) is dict else outer)
            if type(below) in _HOLDERS
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
    """Return the first fault in JSON that the standard library accepts, and its offset.

    Nesting up to `levels` is allowed and, with `repeated`, duplicate keys.
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
                return "contains half of a surrogate pair, which is not a character", start
            known = keys[-1] if keys and not repeated else None
            if known is not None and _COLON.match(text, match.end()):
                if value in known:
                    return f"has the key {value[:80]!r} twice in one object", start
                known.add(value)
        elif mark.lstrip("-") in ("NaN", "Infinity"):
            return f"contains {mark}, which is not JSON", start
        elif _is_out_of_range(mark):
            return f"contains the number {mark[:40]}, which is out of range", start
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
        return ""  # there is another fault before it
