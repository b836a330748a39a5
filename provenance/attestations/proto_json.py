# SPDX-License-Identifier: Apache-2.0
"""Protobuf messages in their JSON form, read strictly (https://protobuf.dev/programming-guides/json).

The form may leave out every field that holds its zero value, and writers do. So a field that is not
there is read as that value; whether the value makes sense is for the reader of the message to say.
What is not legal, or legal in two spellings, is refused: an unknown field, another type, base64
that is not canonical, a number that is not in plain digits.
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
    """A message that is not what it has to be. The message names the field."""


class Message:
    """One JSON object that is a message, and `where` it stands, for errors."""

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
        """How a field is called in an error."""
        return f"{self.where}.{key}" if self.where else key

    def has(self, key: str) -> bool:
        """Whether the field is there; null is how JSON spells that it is not."""
        return self._value.get(key) is not None

    def message(self, key: str, known: Sequence[str]) -> Message:
        """The message in a field. It has to be there: a message has no zero value."""
        return _message(self._value.get(key), self.at(key), known)

    def messages(self, key: str, known: Sequence[str], limit: int) -> list[Message]:
        """The messages in a repeated field, at most `limit`."""
        value = self._list(key, limit)
        return [_message(v, f"{self.at(key)}[{i}]", known) for i, v in enumerate(value)]

    def text(self, key: str) -> str:
        """The string in a field."""
        value = self._value.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise ProtoJsonError(f"{self.at(key)} is not a string")
        return value

    def number(self, key: str) -> int:
        """The int64 in a field, which is not negative in any message that is read here."""
        value = self._value.get(key)
        if value is None:
            return 0
        # JSON numbers are read too: writers use strings, and readers must take both.
        spelt = str(value) if is_whole(value) else value
        if not isinstance(spelt, str) or _DIGITS.fullmatch(spelt) is None or int(spelt) >= UINT63:
            raise ProtoJsonError(f"{self.at(key)} is not a number of an int64 in plain digits")
        return int(spelt)

    def octets(self, key: str) -> bytes:
        """The bytes in a field. They have to be there: none that is read here may be empty."""
        return _canonical(self._value.get(key), self.at(key))

    def octets_list(self, key: str, limit: int) -> tuple[bytes, ...]:
        """The bytes in a repeated field."""
        value = self._list(key, limit)
        return tuple(_canonical(v, f"{self.at(key)}[{i}]") for i, v in enumerate(value))

    def time(self, key: str) -> datetime.datetime | None:
        """Return the Timestamp in a field, or None. Digits below microseconds are cut."""
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
            raise ProtoJsonError(f"{self.at(key)} holds more than {limit} entries")
        return value


def _message(value: object, where: str, known: Sequence[str]) -> Message:
    if not isinstance(value, dict):
        raise ProtoJsonError(f"{where} is {type_name(value)}, not an object")
    return Message(value, where, known)


def _canonical(value: object, where: str) -> bytes:
    """Canonical base64: two spellings of one signature would be two bundles of one meaning."""
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
"""Bytes that are written as base64 at a time. Three bytes are four characters: none is cut."""


def canonical_octets(value: memoryview) -> bytes | None:
    """The bytes that `value` is the canonical base64 of; None if it is not that of any."""
    try:
        decoded = binascii.a2b_base64(value)
    except ValueError:
        return None
    written = (
        binascii.b2a_base64(decoded[at : at + _CHUNK], newline=False)
        for at in range(0, len(decoded), _CHUNK)
    )
    at = 0
    for chunk in written:
        if value[at : at + len(chunk)] != chunk:
            return None
        at += len(chunk)
    return decoded if at == len(value) else None
