# SPDX-License-Identifier: Apache-2.0
"""How far a run is, for whoever shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final, cast

LARGE: Final = 64 << 20
"""Bytes from which on a file tells how far it is read: a tenth of a second of hashing."""


class Progress:
    """Told what is being done, from several threads. This one shows nothing."""

    def begin(self, what: str, steps: int) -> None:
        """A stage begins, of so many steps; or the present one has turned out to have more."""

    def advance(self) -> None:
        """A step is done."""

    @contextmanager
    def large_file(self, path: str, size: int) -> Iterator[Callable[[int], None]]:
        """A large file is read; what is given is told how many bytes more have been."""
        yield lambda _count: None

    @contextmanager
    def reading(self, stream: BinaryIO, path: str, size: int) -> Iterator[BinaryIO]:
        """`stream`, an unbuffered file of `size` bytes, in a form that tells how far it is read.

        A small file is given back as it is: only one that takes a while is worth the telling.
        """
        if size < LARGE:
            yield stream
            return
        with self.large_file(path, size) as told:
            yield cast(BinaryIO, _Told(stream, told))


class _Told:
    """The one method of a file that `digest.HashingReader` reads by."""

    def __init__(self, stream: BinaryIO, told: Callable[[int], None]) -> None:
        self._stream = stream
        self._told = told

    def readinto(self, buffer: memoryview) -> int | None:
        count: int | None = self._stream.readinto(buffer)  # type: ignore[attr-defined]
        self._told(count or 0)
        return count
