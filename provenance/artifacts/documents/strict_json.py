# SPDX-License-Identifier: Apache-2.0
"""JSON, read strictly (docs/adr/0004-strict-json.md).

The standard library parses; this module refuses what it lets through: NaN, infinities, duplicate
keys, lone surrogates, bottomless nesting.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from itertools import islice
from math import isinf
from typing import Any, Final, TypeAlias

from provenance.artifacts import limits
from provenance.artifacts.documents import json_faults
from provenance.artifacts.documents.json_faults import DIGITS_OF_DOUBLE, Fault
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


class DuplicateKeyError(JsonError):
    """An object names the same key twice; readers disagree about which value counts."""


def decode(data: bytes) -> str:
    """UTF-8 text without a byte-order mark. Raises JsonError."""
    reason = json_faults.of_bytes(data)
    if reason is not None:
        raise JsonError(reason, position=START)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as e:
        # What stands before it is.
        before = data[: e.start].decode("utf-8")
        raise _error(Fault("is not UTF-8", len(before)), before) from e


def parse(
    text: str, *, duplicate_keys: list[str] | None = None, nesting: int = limits.NESTING
) -> Any:
    """The value of strict JSON `text`.

    Where a list `duplicate_keys` is given, repeated keys are added to it, the last of equal keys
    wins, as in most readers, and the caller promises to report them; and equal members are one
    string, as many rows of a registry have the same notes. `nesting` is the number of levels that
    are read.

    Raises:
        DuplicateKeyError: An object has a key twice.
        JsonError: Anything else that is not strict JSON.
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
        raise _error(json_faults.of_syntax(text, e), text) from e
    except (RecursionError, UnicodeEncodeError, _RefusedError) as e:
        repeated = duplicate_keys is not None
        raise _error(json_faults.first(text, nesting, repeated=repeated), text) from e
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


_MARK: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|[,\[{]', re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class _RefusedError(ValueError):
    """The standard library would read it; `json_faults` says what is wrong and where."""


def _error(fault: Fault, text: str) -> JsonError:
    """The error with the place that it is about."""
    line = text.count("\n", 0, fault.offset) + 1
    column = fault.offset - text.rfind("\n", 0, fault.offset)
    error = DuplicateKeyError if fault.repeated else JsonError
    at = f", at line {line}, column {column}"
    return error(f"{fault.reason}{at}", position=Position(line, column))


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
    if len(number) > DIGITS_OF_DOUBLE:
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
