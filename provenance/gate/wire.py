# SPDX-License-Identifier: Apache-2.0
"""Serialize frozen dataclasses as JSON, to send results between processes.

Data from another process is parsed as strictly as any other document. It can only become a value of
the expected type.
"""

from __future__ import annotations

import enum
import json
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from functools import cache
from typing import Any, Final, TypeAlias

_Reader: TypeAlias = Callable[[Any], Any]


class WireError(ValueError):
    """The data is not of the expected type."""


def dump(value: object) -> bytes:
    """Return `value` as JSON. `load` with the same type returns an equal value."""
    return json.dumps(value, default=_plain, separators=(",", ":")).encode("ascii")


def load(kind: Any, data: bytes) -> Any:
    """Return the value of the type `kind` in `data`.

    Raises:
        WireError: If the data is not JSON, or not of that type.
    """
    try:
        return _reader(kind)(json.loads(data))
    except (ValueError, RecursionError) as e:
        raise WireError(str(e)[:200]) from e


def _plain(value: Any) -> Any:
    """Return a value that JSON has no type for. A dataclass becomes a list: its name and fields."""
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, date):
        return value.isoformat()
    kind: Any = type(value)
    if is_dataclass(value):
        return [kind.__name__, *[getattr(value, name) for name in _names(kind)]]
    return dict(value) if isinstance(value, Mapping) else sorted(value)


_PLAIN: Final = frozenset((str, bool, int, float))


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind) if field.init)


@cache
def _reader(kind: Any) -> _Reader:
    """Return the reader for a type."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return lambda value: value
    if kind in _PLAIN or kind is types.NoneType:
        return _class_reader(kind)
    if origin in (typing.Union, types.UnionType):
        return _union_reader(arguments)
    if origin is tuple and arguments[1:] != (...,):
        return _tuple_reader(tuple(map(_reader, arguments)))
    if origin in (tuple, frozenset):
        return _list_reader(origin, _reader(arguments[0]))
    if origin is not None and issubclass(origin, Mapping):
        return _mapping_reader(_reader(arguments[1]))
    if issubclass(kind, enum.Enum):
        return lambda value: _member(kind, value)
    if kind in (date, datetime):
        return lambda value: kind.fromisoformat(_class_reader(str)(value))
    return _dataclass_reader(kind)


def _member(kind: Any, value: Any) -> Any:
    found = kind.__members__.get(value) if isinstance(value, str) else None
    if found is None:
        raise WireError(f"not a valid {kind.__name__}: {value!r:.100}")
    return found


def _class_reader(kind: type) -> _Reader:
    def read(value: Any) -> Any:
        if type(value) is not kind and not (value is None and kind is types.NoneType):
            raise WireError(f"expected {kind.__name__}, found {type(value).__name__}")
        return value

    return read


def _list_reader(container: Callable[[Any], Any], item: _Reader) -> _Reader:
    def read(value: Any) -> Any:
        return container(map(item, _list(value)))

    return read


def _tuple_reader(items: Sequence[_Reader]) -> _Reader:
    def read(value: Any) -> Any:
        found = _list(value)
        if len(found) != len(items):
            raise WireError(f"expected {len(items)} values, found {len(found)}")
        return tuple(item(part) for item, part in zip(items, found, strict=True))

    return read


def _mapping_reader(item: _Reader) -> _Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise WireError(f"expected an object, found {type(value).__name__}")
        return {key: item(part) for key, part in value.items()}

    return read


def _dataclass_reader(kind: Any) -> _Reader:
    hints = typing.get_type_hints(kind)
    parts = _tuple_reader(tuple(_reader(hints[name]) for name in _names(kind)))
    name = kind.__name__

    def read(value: Any) -> Any:
        found = _list(value)
        if not found or found[0] != name:
            raise WireError(f"expected {name}")
        return kind(*parts(found[1:]))

    return read


def _union_reader(kinds: Sequence[Any]) -> _Reader:
    """Return the reader for a union, whose types differ by JSON type or by dataclass name."""
    classes: dict[str, _Reader] = {}
    readers: list[_Reader] = []
    for kind in kinds:
        reader = _reader(kind)
        if is_dataclass(kind):
            classes[typing.cast(type, kind).__name__] = reader
        else:
            readers.append(reader)

    def read(value: Any) -> Any:
        if isinstance(value, list) and value and str(value[0]) in classes:
            return classes[str(value[0])](value)
        for reader in readers:
            try:
                return reader(value)
            except WireError:
                continue
        raise WireError(f"unexpected type {type(value).__name__}")

    return read


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise WireError(f"expected a list, found {type(value).__name__}")
    return value
