# SPDX-License-Identifier: Apache-2.0
"""The progress of a run, for a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final, cast

LARGE: Final = 64 << 20
"""File size in bytes from which progress within the file is shown: 0.1 seconds of hashing."""


class Progress:
    """Receives what is being done, from several threads. This class shows nothing."""

    def begin(self, what: str, steps: int) -> None:
        """Start a stage with this many steps, or raise the number of steps of the current one."""

    def advance(self) -> None:
        """Count a finished step."""

    @contextmanager
    def large_file(self, path: str, size: int) -> Iterator[Callable[[int], None]]:
        """Start reading a large file. Yields a function that receives the number of bytes read."""
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
    """A file with the one method that `digest.HashingReader` uses."""

    def __init__(self, stream: BinaryIO, read: Callable[[int], None]) -> None:
        self._stream = stream
        self._read = read

    def readinto(self, buffer: memoryview) -> int | None:
        count: int | None = self._stream.readinto(buffer)  # type: ignore[attr-defined]
        self._read(count or 0)
        return count
