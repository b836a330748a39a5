# SPDX-License-Identifier: Apache-2.0
"""How far a run is, for a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final, cast

LARGE: Final = 64 << 20
"""Bytes from which on the progress within a file is shown: a tenth of a second of hashing."""


class Progress:
    """Receives what is being done, from several threads. This one shows nothing."""

    def begin(self, what: str, steps: int) -> None:
        """A stage begins, of so many steps; or the present one has turned out to have more."""

    def advance(self) -> None:
        """A step is done."""

    @contextmanager
    def large_file(self, path: str, size: int) -> Iterator[Callable[[int], None]]:
        """A large file is read; yields a function that takes the number of further bytes."""
        yield lambda _count: None

    @contextmanager
    def reading(self, stream: BinaryIO, path: str, size: int) -> Iterator[BinaryIO]:
        """Yield `stream`, an unbuffered file of `size` bytes, counting those of a large one."""
        if size < LARGE:
            yield stream
            return
        with self.large_file(path, size) as read:
            yield cast(BinaryIO, _Counted(stream, read))


class _Counted:
    """The one method of a file that `digest.HashingReader` reads by."""

    def __init__(self, stream: BinaryIO, read: Callable[[int], None]) -> None:
        self._stream = stream
        self._read = read

    def readinto(self, buffer: memoryview) -> int | None:
        count: int | None = self._stream.readinto(buffer)  # type: ignore[attr-defined]
        self._read(count or 0)
        return count
