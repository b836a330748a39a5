# SPDX-License-Identifier: Apache-2.0
"""Compute the SHA-256 of open files in constant memory, and parse digests in any spelling.

`hashlib` and `readinto` release the interpreter lock, so threads can hash several files at once.
All digests of this project are SHA-256 in lower-case hex. Registries, sidecars and manifests of
other projects also write `sha256:HEX`, upper case and `sha256-BASE64`. Digests are compared by
value; only `parse` knows the spellings.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, BinaryIO, Final, TypeGuard

from provenance.frozen import dataclass

CHUNK = 1 << 20
"""Bytes per read: large enough that calls cost little, small enough to stay in the CPU cache."""

MINIMUM = 1 << 12
"""Bytes of the smallest buffer. Allocating a large one takes longer than hashing a small file."""

HEX_SHA256 = re.compile(r"[0-9a-f]{64}")

MAX_WRITTEN: Final = 256
"""Characters of the longest digest that is parsed. `blake2b-512:` with 128 digits has 140."""

_SIZES: Final[Mapping[str, int]] = {
    "md5": 16, "sha1": 20, "sha224": 28, "sha256": 32, "sha384": 48, "sha512": 64,
}  # fmt: skip
"""Bytes of a digest, for algorithms that are recognized by the length of the digest."""

_BY_SIZE: Final = {size: algorithm for algorithm, size in _SIZES.items()}
_PREFIXED: Final = re.compile(r"([A-Za-z][A-Za-z0-9_/-]{0,31})([:=-])(.+)", re.ASCII)
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2}){16,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Digest:
    """The SHA-256 (lower-case hex) and the size in bytes of a file or of data in memory.

    Attributes:
        others: Digests of further algorithms that were asked for, in lower-case hex.
    """

    sha256: str
    size: int
    others: tuple[tuple[str, str], ...] = ()

    def of(self, algorithm: str) -> str | None:
        """Return the digest of an algorithm, or None if it was not computed."""
        return self.sha256 if algorithm == "sha256" else dict(self.others).get(algorithm)


def is_sha256(value: object) -> TypeGuard[str]:
    """Return whether `value` is a SHA-256 as this project writes it: 64 lower-case hex digits."""
    return isinstance(value, str) and len(value) == 64 and _is_hex(value)


@lru_cache(maxsize=512)
def _is_hex(value: str) -> bool:
    """Return the same for 64 characters. Cached, because rules check the same digests often."""
    return HEX_SHA256.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class Written:
    """A digest as a document writes it.

    Attributes:
        algorithm: The name in lower case without separators: `sha256`, `md5`.
        hex: The value in lower-case hex.
        prefix: What is written before the value: `sha256:`, or empty.
        is_base64: Whether the value is written in base64, as in `sha256-BASE64`.
        is_upper: Whether its hex digits are written in upper case.
    """

    algorithm: str
    hex: str
    prefix: str = ""
    is_base64: bool = False
    is_upper: bool = False

    @property
    def sha256(self) -> str | None:
        """The value in lower-case hex, or None if the algorithm is not SHA-256."""
        return self.hex if self.algorithm == "sha256" else None

    def respell(self, hex: str) -> str:
        """Return another value of the same algorithm, in the same spelling."""
        if self.is_base64:
            return self.prefix + base64.b64encode(bytes.fromhex(hex)).decode("ascii")
        return self.prefix + (hex.upper() if self.is_upper else hex)


def parse(value: object) -> Written | None:
    """Parse a digest in any known spelling. Return None if `value` is not a digest.

    The known spellings are hex digits in either case (their number determines the algorithm),
    `ALGORITHM:HEX`, also with `=` or `-`, and `ALGORITHM-BASE64` as in Subresource Integrity.
    Surrounding white space is ignored.
    """
    if not isinstance(value, str) or len(value) > MAX_WRITTEN:
        return None
    text = value.strip()
    if _HEX.fullmatch(text):
        algorithm = _BY_SIZE.get(len(text) // 2)
        return _written(algorithm, text) if algorithm else None
    match = _PREFIXED.fullmatch(text)
    if match is None:
        return None
    name, separator, rest = match.groups()
    algorithm = re.sub("[-_/]", "", name.lower())
    size = _SIZES.get(algorithm)
    if _HEX.fullmatch(rest) and size in (None, len(rest) // 2):
        return _written(algorithm, rest, name + separator)
    if separator == "-" and size is not None:
        try:
            raw = base64.b64decode(rest, validate=True)
        except (binascii.Error, ValueError):
            return None
        if len(raw) == size:
            return Written(algorithm, raw.hex(), name + separator, is_base64=True)
    return None


def _written(algorithm: str, digits: str, prefix: str = "") -> Written:
    is_upper = digits != digits.lower() and digits == digits.upper()
    return Written(algorithm, digits.lower(), prefix, is_upper=is_upper)


def called(written: Written) -> str:
    """Return the name of a digest for messages, such as `an MD5 digest`."""
    name = written.algorithm
    name = name.upper().replace("SHA", "SHA-") if name in _SIZES else name
    return f"{'an' if name == 'MD5' else 'a'} {name} digest"


def sha256_of(value: object) -> str | None:
    """Return the SHA-256 in `value`, in lower-case hex, or None if it is not a SHA-256."""
    if is_sha256(value):
        return value
    written = parse(value)
    return written.sha256 if written else None


def canonical(value: str) -> str:
    """Return a SHA-256 of any spelling in lower-case hex, and any other string unchanged.

    Two canonical strings are equal if they are the same digest, or the same other string.
    """
    return sha256_of(value) or value


def is_mentioned(sha256: str, text: str) -> bool:
    """Return whether `text` contains a SHA-256 in any spelling. `sha256` is lower-case hex."""
    return sha256 in text.lower() or base64.b64encode(bytes.fromhex(sha256)).decode() in text


def of_bytes(data: bytes, algorithms: Collection[str] = ()) -> Digest:
    """Return the digest of bytes in memory, and those of further `algorithms`."""
    others = tuple((name, _new(name, data).hexdigest()) for name in algorithms)
    return Digest(hashlib.sha256(data).hexdigest(), len(data), others)


def _new(algorithm: str, data: bytes = b"") -> Any:
    """Return a hash of an algorithm. MD5 and SHA-1 are compared where an index declares them."""
    return hashlib.new(algorithm, data, usedforsecurity=False)


def of_stream(stream: BinaryIO, size: int = CHUNK, algorithms: Collection[str] = ()) -> Digest:
    """Hash the rest of `stream`, an unbuffered file of `size` bytes. Raises OSError."""
    reader = HashingReader(stream, size, algorithms)
    reader.drain()
    return reader.digest()


def of_copy(stream: BinaryIO, target: BinaryIO) -> Digest:
    """Copy the rest of `stream` to `target`, and return its digest. Raises OSError."""
    found, size = hashlib.sha256(), 0
    while chunk := stream.read(CHUNK):
        found.update(chunk)
        target.write(chunk)
        size += len(chunk)
    return Digest(found.hexdigest(), size)


class HashingReader:
    """A reader that hashes every byte of a stream as it reads it, once and in order.

    A parser that uses it therefore sees the same bytes that are hashed, even if another process
    writes to the file at the same time.
    """

    def __init__(
        self, stream: BinaryIO, size: int = CHUNK, algorithms: Collection[str] = ()
    ) -> None:
        """Read `stream`, which has about `size` bytes. The buffer is not larger than that.

        Besides SHA-256, digests of further `algorithms` are computed in the same pass.
        """
        self._stream = stream
        self._hash = hashlib.sha256()
        self._others = {name: _new(name) for name in algorithms}
        self._buffer = memoryview(bytearray(max(MINIMUM, min(size + 1, CHUNK))))
        self._start = self._end = 0
        self.position = 0

    def read(self, n: int) -> bytes:
        """Return exactly `n` bytes.

        Raises:
            EOFError: If the stream ends before that.
            OSError: If the stream cannot be read.
        """
        parts: list[bytes] = []
        while n > (have := self._end - self._start):
            parts.append(self._take(have))
            n -= have
            if not self._fill():
                raise EOFError
        last = self._take(n)
        return b"".join((*parts, last)) if parts else last

    def skip(self, n: int) -> None:
        """Hash `n` bytes without returning them. Raises EOFError and OSError, as `read` does."""
        while n > (have := self._end - self._start):
            self._pass(have)
            n -= have
            if not self._fill():
                raise EOFError
        self._pass(n)

    def skip_run(self, pattern: re.Pattern[bytes], end: int) -> None:
        """Hash what `pattern` matches in the buffer, at most up to position `end`."""
        last = min(self._end, self._start + end - self.position)
        match = pattern.match(self._buffer, self._start, last)
        if match is not None:
            self._pass(match.end() - self._start)

    def drain(self) -> None:
        """Hash the rest of the stream."""
        self._pass(self._end - self._start)
        while self._fill():
            self._pass(self._end)

    def digest(self) -> Digest:
        """Return the digest of the whole stream. Call `drain` first."""
        others = tuple((name, found.hexdigest()) for name, found in self._others.items())
        return Digest(self._hash.hexdigest(), self.position, others)

    def _take(self, n: int) -> bytes:
        part = bytes(self._buffer[self._start : self._start + n])
        self._start += n
        self.position += n
        return part

    def _pass(self, n: int) -> None:
        self._start += n
        self.position += n

    def _fill(self) -> bool:
        # FileIO.readinto may return fewer bytes than the buffer holds; 0 means the end.
        count = self._stream.readinto(self._buffer)  # type: ignore[attr-defined]
        if not count:
            return False
        self._read(self._buffer[:count])
        self._start, self._end = 0, count
        return True

    def _read(self, chunk: memoryview) -> None:
        self._hash.update(chunk)
        for other in self._others.values():
            other.update(chunk)


class SeekingReader(HashingReader):
    """A reader that hashes nothing. Skipped bytes are not even read."""

    def skip(self, n: int) -> None:
        """Skip `n` bytes. If that is past the end of the file, the next `read` raises EOFError."""
        inside = min(n, self._end - self._start)
        self._start += inside
        self._stream.seek(n - inside, os.SEEK_CUR)
        self.position += n

    def digest(self) -> Digest:
        """Raise TypeError: nothing was hashed."""
        raise TypeError("a SeekingReader hashes nothing")

    def _read(self, chunk: memoryview) -> None:
        pass
