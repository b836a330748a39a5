# SPDX-License-Identifier: Apache-2.0
"""Keeping JSON text and values in memory, in bounded multiples of the size of their files.

A realistic sidecar of 3 KB takes 11 KB when it is parsed, and is kept that way. A hostile file of
`[],[],…` takes 24 times its size. Such an object is kept packed instead: in about its own size,
and unpacked when it is looked into.
"""

from __future__ import annotations

import marshal
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

_SPARSE: Final = 20
"""Bytes of JSON for each value in it, from which on it takes about six times its size at most."""

_SMALL: Final = 64 * 1024
"""Bytes of the largest file of which the value is kept as it is."""

_RECENT: Final = 3
"""Packed objects that are kept unpacked: 4 MiB of JSON can take 100 MB."""


def pack(data: bytes) -> bytes:
    """The UTF-8 text that `data` is, compressed."""
    return zlib.compress(data, level=1)


def unpack(packed: bytes) -> str:
    """The text that `pack` packed."""
    return zlib.decompress(packed).decode("utf-8")


def kept(value: Mapping[str, Any], data: bytes) -> Mapping[str, Any]:
    """Return the JSON object in `data` as it is to be kept: packed if it takes too much memory."""
    if len(data) <= _SMALL and sum(map(data.count, (b",", b"[", b"{"))) * _SPARSE <= len(data):
        return value
    return PackedObject(value)


class PackedObject(Mapping[str, Any]):
    """A JSON object that is unpacked when it is looked into."""

    __slots__ = ("_packed",)

    def __init__(self, value: Mapping[str, Any]) -> None:
        # `marshal` is for this process alone: it reads nothing that comes from elsewhere. Copied,
        # because it cuts its buffer to size, and the heap loses what is cut off: a fifth.
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
    """A JSON object of which each member is packed by itself: a small one costs no large one."""

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
