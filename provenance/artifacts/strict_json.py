# SPDX-License-Identifier: Apache-2.0
"""JSON, read strictly.

The standard library parses; this module refuses what it lets through: NaN, infinities, duplicate
keys, lone surrogates, bottomless nesting (docs/adr/0004-strict-json.md). Where a value stands in
the text is for `provenance.artifacts.source_map` to say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from math import isfinite
from typing import Any, Final, TypeAlias

from provenance.artifacts import json_faults, limits

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


class DuplicateKeyError(JsonError):
    """An object names the same key twice; readers disagree about which value counts."""


def decode(data: bytes) -> str:
    """UTF-8 text without a byte-order mark. Raises JsonError."""
    if data.startswith(b"\xef\xbb\xbf"):
        raise JsonError("starts with a byte-order mark; JSON is UTF-8 without one", position=START)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as e:
        # What stands before it is.
        before = data[: e.start].decode("utf-8")
        raise _at("is not UTF-8", before, len(before)) from e


def parse(
    text: str, *, duplicate_keys: list[str] | None = None, nesting: int = limits.NESTING
) -> Any:
    """The value of strict JSON `text`.

    Where a list `duplicate_keys` is given, repeated keys are added to it, the last of equal keys
    wins, as in most readers, and the caller promises to report them. `nesting` is the number of
    levels that are read.

    Raises:
        DuplicateKeyError: An object has a key twice.
        JsonError: Anything else that is not strict JSON.
    """
    decoder = _STRICT if duplicate_keys is None else _decoder(partial(_unique, duplicate_keys))
    if len(text) > limits.JSON_VALUES and _values(text) > limits.JSON_VALUES:
        raise JsonError(f"holds more than {limits.JSON_VALUES:,} values")
    try:
        value = decoder.decode(text)
    except json.JSONDecodeError as e:
        if not text.strip():
            raise JsonError("is empty", position=START) from e
        raise JsonError(
            f"is not JSON: {e.msg} at line {e.lineno}, column {e.colno}",
            position=Position(e.lineno, e.colno),
        ) from e
    except RecursionError as e:
        raise _too_deep(text, nesting) from e
    except _RefusedTokenError as e:
        raise _at(str(e), text, json_faults.of_token(text, e.token)) from e
    except _RepeatedKeyError as e:
        place = json_faults.of_repeated_key(text, e.key)
        raise _at(str(e), text, place, DuplicateKeyError) from e
    if text.count("[") + text.count("{") > nesting and _is_deeper(value, nesting):
        raise _too_deep(text, nesting)
    # A lone surrogate cannot be written as UTF-8 again; only an escape can spell one.
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as e:
            says = "holds half of a surrogate pair, which is no character"
            raise _at(says, text, json_faults.of_half_a_pair(text)) from e
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
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"


def same(a: object, b: object) -> bool:
    """Whether two JSON values are the same, types included: 1, 1.0 and true all differ."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(v, b[k]) for k, v in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


_DIGITS_OF_DOUBLE = 308
_MARK: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|[,\[{]', re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def _too_deep(text: str, nesting: int) -> JsonError:
    place = json_faults.of_depth(text, nesting)
    return _at(f"is nested too deeply: more than {nesting} levels", text, place)


class _RefusedTokenError(ValueError):
    def __init__(self, message: str, token: str) -> None:
        super().__init__(message)
        self.token = token


class _RepeatedKeyError(ValueError):
    def __init__(self, key: str) -> None:
        super().__init__(f"has the key {key[:80]!r} twice in one object")
        self.key = key


def _at(
    message: str, text: str, offset: int | None, error: type[JsonError] = JsonError
) -> JsonError:
    """The error with the place that it is about, where that is known."""
    if offset is None:
        return error(message)
    line = text.count("\n", 0, offset) + 1
    column = offset - text.rfind("\n", 0, offset)
    return error(f"{message}, at line {line}, column {column}", position=Position(line, column))


def _unique(repeated: list[str] | None, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen and repeated is None:
                raise _RepeatedKeyError(key)
            if key in seen and repeated is not None:
                repeated.append(key)
            seen.add(key)
    return value


def _refuse_constant(name: str) -> Any:
    raise _RefusedTokenError(f"holds {name}, which is not JSON", name)


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


def _in_range(text: str) -> int:
    # No other reader keeps an integer beyond the doubles, and protobuf refuses it.
    if len(text) > _DIGITS_OF_DOUBLE:
        raise _RefusedTokenError(f"holds the number {text[:40]}…, which is out of range", text)
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise _RefusedTokenError(f"holds the number {text[:40]}, which is out of range", text)
    return value


def _decoder(hook: Callable[[list[tuple[str, Any]]], dict[str, Any]]) -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=hook,
        parse_constant=_refuse_constant,
        parse_float=_finite,
        parse_int=_in_range,
    )


_STRICT: Final = _decoder(partial(_unique, None))
