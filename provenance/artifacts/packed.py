# SPDX-License-Identifier: Apache-2.0
"""Texts and values that are kept for every row of a registry, in little memory.

A sidecar of 3 KB takes 11 KB when it is parsed, and its text 6 KB where one character of it is
beyond Latin-1. Packed, both together take 3.5 KB. Rules go through a registry row by row, so that
the few values last asked for are kept unpacked.
"""

from __future__ import annotations

import marshal
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

_RECENT: Final = 16
"""Values that are kept unpacked: those of one row, and of the members of one ensemble."""

_LARGE: Final = 64 * 1024
"""Bytes of a packed value from which on it is kept among few: 4 MiB of JSON can take 100 MB."""

_RECENT_LARGE: Final = 3
"""Large values that are kept unpacked: a sidecar, its manifest and its verdict."""


def pack_text(text: str) -> bytes:
    """`text`, compressed."""
    return zlib.compress(text.encode("utf-8"), level=1)


def unpack_text(packed: bytes) -> str:
    """The text that `pack_text` packed."""
    return zlib.decompress(packed).decode("utf-8")


def pack_value(value: Any) -> bytes:
    """A JSON value in a form that is read eight times as fast as its text.

    `marshal` is for this process alone: nothing that comes from elsewhere is ever given to it.
    """
    # Copied, because marshal cuts its buffer to size, and the heap loses what is cut off: a fifth.
    return bytes(memoryview(marshal.dumps(value)))


def unpack_value(packed: bytes) -> Any:
    """The value that `pack_value` packed. It may be shared: nobody changes it."""
    return (_small if len(packed) <= _LARGE else _large)(packed)


@lru_cache(maxsize=_RECENT)
def _small(packed: bytes) -> Any:
    return marshal.loads(packed)  # noqa: S302


@lru_cache(maxsize=_RECENT_LARGE)
def _large(packed: bytes) -> Any:
    return marshal.loads(packed)  # noqa: S302


class PackedObject(Mapping[str, Any]):
    """A JSON object that is unpacked when it is looked into."""

    __slots__ = ("_packed",)

    def __init__(self, value: Mapping[str, Any]) -> None:
        self._packed = pack_value(value)

    def __getitem__(self, key: str) -> Any:
        return self._value[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._value)

    def __len__(self) -> int:
        return len(self._value)

    @property
    def _value(self) -> Mapping[str, Any]:
        value: Mapping[str, Any] = unpack_value(self._packed)
        return value
