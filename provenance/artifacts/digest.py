# SPDX-License-Identifier: Apache-2.0
"""Streaming SHA-256 of open files, in flat memory.

`hashlib` releases the interpreter lock while it hashes and `readinto` while it reads, so several
files are hashed at once in threads. All digests of this project are SHA-256 in lower-case hex.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from typing import BinaryIO, TypeGuard

CHUNK = 1 << 20
"""Bytes per read: large enough that the calls cost nothing, small enough to stay in cache."""

MINIMUM = 1 << 12
"""Bytes of the smallest buffer. To fill a large one takes longer than to hash a small file."""

HEX_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Digest:
    """The SHA-256 (lower-case hex) and size in bytes of what was read."""

    sha256: str
    size: int


def is_sha256(value: object) -> TypeGuard[str]:
    """Whether `value` is a SHA-256 digest as this project writes it: 64 lower-case hex digits."""
    return isinstance(value, str) and HEX_SHA256.fullmatch(value) is not None


def of_bytes(data: bytes) -> Digest:
    """The digest of bytes in memory."""
    return Digest(hashlib.sha256(data).hexdigest(), len(data))


def of_stream(stream: BinaryIO, size: int = CHUNK) -> Digest:
    """The digest of the rest of `stream`, an unbuffered binary file of about `size` bytes.

    Raises:
        OSError: It cannot be read.
    """
    reader = HashingReader(stream, size)
    reader.drain()
    return reader.digest()


def of_copy(stream: BinaryIO, target: BinaryIO) -> Digest:
    """The digest of the rest of `stream`, and of nothing but what is written to `target`.

    Raises OSError.
    """
    found, size = hashlib.sha256(), 0
    while chunk := stream.read(CHUNK):
        found.update(chunk)
        target.write(chunk)
        size += len(chunk)
    return Digest(found.hexdigest(), size)


class HashingReader:
    """Reads a stream once, front to back, and hashes every byte that passes.

    What a parser was given and what was hashed are therefore the same bytes, even if somebody
    writes to the file meanwhile.
    """

    def __init__(self, stream: BinaryIO, size: int = CHUNK) -> None:
        """A reader of `stream`, which has about `size` bytes: no more than that is buffered."""
        self._stream = stream
        self._hash = hashlib.sha256()
        self._buffer = memoryview(bytearray(max(MINIMUM, min(size + 1, CHUNK))))
        self._start = self._end = 0
        self.position = 0

    def read(self, n: int) -> bytes:
        """Exactly `n` bytes.

        Raises:
            EOFError: The stream ends before that.
            OSError: It cannot be read.
        """
        have = self._end - self._start
        if n <= have:
            part = bytes(self._buffer[self._start : self._start + n])
            self._start += n
            self.position += n
            return part
        parts: list[bytes] = []
        left = n
        while left:
            if self._start == self._end and not self._fill():
                raise EOFError
            take = min(left, self._end - self._start)
            parts.append(bytes(self._buffer[self._start : self._start + take]))
            self._start += take
            left -= take
        self.position += n
        return b"".join(parts)

    def skip(self, n: int) -> None:
        """Hash `n` bytes without keeping them. Raises EOFError and OSError as `read`."""
        left = n
        while left:
            if self._start == self._end and not self._fill():
                raise EOFError
            take = min(left, self._end - self._start)
            self._start += take
            left -= take
        self.position += n

    def skip_run(self, pattern: re.Pattern[bytes], end: int) -> None:
        """Hash what `pattern` matches here, not beyond position `end`, as far as it is buffered."""
        last = min(self._end, self._start + end - self.position)
        match = pattern.match(self._buffer, self._start, last)
        if match is not None:
            self.position += match.end() - self._start
            self._start = match.end()

    def drain(self) -> None:
        """Hash everything that is left."""
        self.position += self._end - self._start
        self._start = self._end
        while self._fill():
            self.position += self._end
            self._start = self._end

    def digest(self) -> Digest:
        """The digest of the whole stream; only after `drain`."""
        return Digest(self._hash.hexdigest(), self.position)

    def _fill(self) -> bool:
        # FileIO.readinto may return fewer bytes than asked for; 0 means the end.
        count = self._stream.readinto(self._buffer)  # type: ignore[attr-defined]
        if not count:
            return False
        self._read(self._buffer[:count])
        self._start, self._end = 0, count
        return True

    def _read(self, chunk: memoryview) -> None:
        self._hash.update(chunk)


class SeekingReader(HashingReader):
    """Reads a file front to back and hashes nothing: what is skipped is not even read."""

    def skip(self, n: int) -> None:
        """Pass over `n` bytes. Beyond the end of the file, the next `read` raises EOFError."""
        inside = min(n, self._end - self._start)
        self._start += inside
        self._stream.seek(n - inside, os.SEEK_CUR)
        self.position += n

    def digest(self) -> Digest:
        """Raises TypeError: nothing was hashed."""
        raise TypeError("a SeekingReader hashes nothing")

    def _read(self, chunk: memoryview) -> None:
        pass
