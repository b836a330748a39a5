# SPDX-License-Identifier: Apache-2.0
"""Keep JSON text and values in memory that is proportional to the size of their files.

A typical sidecar of 3 KB takes 11 KB once parsed, and is kept parsed. A hostile file of `[],[],…`
takes 24 times its size. Such an object is kept packed, in about the size of its file, and unpacked
on access.
"""

from __future__ import annotations

import marshal
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

_SPARSE: Final = 20
"""Bytes of JSON per value. With more bytes per value, a parsed object takes at most about six times
the size of its file."""

_SMALL: Final = 64 * 1024
"""Bytes of the largest file whose value is kept parsed."""

_RECENT: Final = 3
"""Number of packed objects that are cached unpacked: 4 MiB of JSON can take 100 MB."""


def pack(data: bytes) -> bytes:
    """Compress UTF-8 text."""
    return zlib.compress(data, level=1)


def unpack(packed: bytes) -> str:
    """Return the text that `pack` compressed."""
    return zlib.decompress(packed).decode("utf-8")


def kept(value: Mapping[str, Any], data: bytes) -> Mapping[str, Any]:
    """Return `value`, the JSON object in `data`, or a packed copy if it takes too much memory."""
    if len(data) <= _SMALL and sum(map(data.count, (b",", b"[", b"{"))) * _SPARSE <= len(data):
        return value
    return PackedObject(value)


class PackedObject(Mapping[str, Any]):
    """A JSON object that is unpacked on access."""

    __slots__ = ("_packed",)

    def __init__(self, value: Mapping[str, Any]) -> None:
        # `marshal` is safe, because only this process reads what it writes. The bytes are copied,
        # because `marshal` truncates its buffer, and the heap loses the rest: a fifth.
        self._packed = bytes(memoryview(marshal.dumps(dict(value))))

    @property
    def unpacked(self) -> Mapping[str, Any]:
        """The object. It may be shared and must not be changed."""
        return _unpacked(self._packed)

    def __getitem__(self, key: str) -> Any:
        return self.unpacked[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.unpacked)

    def __len__(self) -> int:
        return len(self.unpacked)


class PackedMembers(Mapping[str, Any]):
    """A JSON object whose members are packed separately, so that a small one is fast to read."""

    __slots__ = ("_members",)

    def __init__(self, value: Mapping[str, Any]) -> None:
        self._members = {key: PackedObject({"": member}) for key, member in value.items()}

    def __getitem__(self, key: str) -> Any:
        return self._members[key][""]

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)


@lru_cache(maxsize=_RECENT)
def _unpacked(packed: bytes) -> Mapping[str, Any]:
    value: Mapping[str, Any] = marshal.loads(packed)  # noqa: S302
    return value
