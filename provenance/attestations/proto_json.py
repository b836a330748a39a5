# SPDX-License-Identifier: Apache-2.0
"""Read protobuf messages in JSON strictly (https://protobuf.dev/programming-guides/json).

Writers may omit every field that has its zero value. So a missing field is read as that value, and
the reader of the message checks whether the value makes sense. Invalid or ambiguous encodings are
refused: unknown fields, other types, base64 that is not canonical, and numbers that are not plain
digits.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from provenance.artifacts.documents.strict_json import type_name
from provenance.artifacts.forms import is_whole

UINT63: Final = 2**63
_DIGITS = re.compile(r"0|[1-9][0-9]{0,18}")
# Hours end with 23: Python 3.14 takes 24:00 for the next day.
_TIME = re.compile(r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d:\d\d(?:\.\d{1,9})?Z", re.ASCII)


class ProtoJsonError(ValueError):
    """The JSON is not a valid message. The error names the field."""


class Message:
    """A message in a JSON object. `where` is its path, for errors."""

    __slots__ = ("_value", "where")

    def __init__(self, value: Mapping[str, Any], where: str, known: Sequence[str]) -> None:
        for key in value:
            if key not in known:
                first = min(key for key in value if key not in known)
                prefix = f"{where}." if where else ""
                raise ProtoJsonError(f"it has an unknown field {prefix}{first[:80]}")
        self._value = value
        self.where = where

    def at(self, key: str) -> str:
        """Return the path of a field, for errors."""
        return f"{self.where}.{key}" if self.where else key

    def has(self, key: str) -> bool:
        """Return whether a field is set. In proto3 JSON, null is an unset field."""
        return self._value.get(key) is not None

    def message(self, key: str, known: Sequence[str]) -> Message:
        """Return the message in a field. It must be set: a message has no zero value."""
        return _message(self._value.get(key), self.at(key), known)

    def messages(self, key: str, known: Sequence[str], limit: int) -> list[Message]:
        """Return the messages in a repeated field, at most `limit`."""
        value = self._list(key, limit)
        return [_message(v, f"{self.at(key)}[{i}]", known) for i, v in enumerate(value)]

    def text(self, key: str) -> str:
        """Return the string in a field; empty if it is unset."""
        value = self._value.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise ProtoJsonError(f"{self.at(key)} is not a string")
        return value

    def number(self, key: str) -> int:
        """Return the int64 in a field; 0 if it is unset. It must not be negative."""
        value = self._value.get(key)
        if value is None:
            return 0
        # Writers use strings, but readers must also accept JSON numbers.
        spelt = str(value) if is_whole(value) else value
        if not isinstance(spelt, str) or _DIGITS.fullmatch(spelt) is None or int(spelt) >= UINT63:
            raise ProtoJsonError(f"{self.at(key)} is not an int64 in plain digits")
        return int(spelt)

    def octets(self, key: str) -> bytes:
        """Return the bytes in a field. The field must be set and not empty."""
        return _canonical(self._value.get(key), self.at(key))

    def octets_list(self, key: str, limit: int) -> tuple[bytes, ...]:
        """Return the bytes in each entry of a repeated field, at most `limit` entries."""
        value = self._list(key, limit)
        return tuple(_canonical(v, f"{self.at(key)}[{i}]") for i, v in enumerate(value))

    def time(self, key: str) -> datetime.datetime | None:
        """Return the Timestamp in a field, or None. Digits below microseconds are cut off."""
        value = self._value.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or _TIME.fullmatch(value) is None:
            raise ProtoJsonError(f"{self.at(key)} is not a time such as 2026-11-24T12:00:00Z")
        try:
            return datetime.datetime.fromisoformat(value)
        except ValueError as e:
            raise ProtoJsonError(f"{self.at(key)} is not a time: {value}") from e

    def _list(self, key: str, limit: int) -> list[Any]:
        value = self._value.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise ProtoJsonError(f"{self.at(key)} is {type_name(value)}, not a list")
        if len(value) > limit:
            raise ProtoJsonError(f"{self.at(key)} has more than {limit} entries")
        return value


def _message(value: object, where: str, known: Sequence[str]) -> Message:
    if not isinstance(value, dict):
        raise ProtoJsonError(f"{where} is {type_name(value)}, not an object")
    return Message(value, where, known)


def _canonical(value: object, where: str) -> bytes:
    """Decode canonical base64. Otherwise two different bundles could have the same signature."""
    if not isinstance(value, str) or not value:
        raise ProtoJsonError(f"{where} is missing")
    try:
        decoded = canonical_octets(memoryview(value.encode("ascii")))
        if decoded is not None:
            return decoded
        base64.b64decode(value, validate=True)
    except ValueError as e:
        raise ProtoJsonError(f"{where} is not base64") from e
    raise ProtoJsonError(f"{where} is not canonical base64")


_CHUNK: Final = 48 * 1024
"""Bytes that are encoded at a time. A multiple of three, so that the base64 needs no padding."""


def canonical_octets(value: memoryview) -> bytes | None:
    """Decode `value`, or return None if it is not canonical base64."""
    try:
        decoded = binascii.a2b_base64(value)
    except ValueError:
        return None
    at = 0
    for start in range(0, len(decoded), _CHUNK):
        chunk = binascii.b2a_base64(decoded[start : start + _CHUNK], newline=False)
        if bytes(value[at : at + len(chunk)]) != chunk:  # faster than comparing a memoryview
            return None
        at += len(chunk)
    return decoded if at == len(value) else None
