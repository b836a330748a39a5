# SPDX-License-Identifier: Apache-2.0
"""Streaming SHA-256 in flat memory."""

from __future__ import annotations

import hashlib
import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.artifacts.digest import CHUNK, HashingReader, is_sha256, of_bytes, of_stream


class Trickle(io.RawIOBase):
    """A stream that gives at most so many bytes at once, as pipes and network disks do."""

    def __init__(self, content: bytes, most: int) -> None:
        self._rest = io.BytesIO(content)
        self._most = most

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        part = self._rest.read(min(len(buffer), self._most))
        buffer[: len(part)] = part
        return len(part)


def reader(content: bytes, most: int = CHUNK) -> HashingReader:
    return HashingReader(Trickle(content, most))  # type: ignore[arg-type]


@given(st.binary(max_size=3000), st.integers(1, 500))
def test_the_digest_is_that_of_all_bytes_however_they_come(content: bytes, most: int) -> None:
    found = reader(content, most)
    found.drain()
    assert found.digest() == of_bytes(content)
    assert found.digest().sha256 == hashlib.sha256(content).hexdigest()


@given(
    st.binary(max_size=2000),
    st.lists(st.tuples(st.booleans(), st.integers(0, 300)), max_size=10),
    st.integers(1, 400),
)
def test_what_is_read_and_skipped_is_hashed_all_the_same(
    content: bytes, steps: list[tuple[bool, int]], most: int
) -> None:
    found = reader(content, most)
    at = 0
    for keep, count in steps:
        if at + count > len(content):
            with pytest.raises(EOFError):
                found.read(count) if keep else found.skip(count)
            return
        if keep:
            assert found.read(count) == content[at : at + count]
        else:
            found.skip(count)
        at += count
        assert found.position == at
    found.drain()
    assert found.digest() == of_bytes(content)


def test_a_file_is_hashed_in_flat_memory(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as stream:
        stream.truncate(64 << 20)
    tracemalloc.start()
    try:
        with path.open("rb", buffering=0) as stream:
            found = of_stream(stream)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.size == 64 << 20
    assert peak < 4 << 20


@pytest.mark.parametrize(
    "value", ["a" * 63, "a" * 65, "A" * 64, "g" * 64, "a" * 64 + "\n", 5, None, b"a" * 64]
)
def test_only_64_lower_case_hex_digits_are_a_digest(value: object) -> None:
    assert not is_sha256(value)
    assert is_sha256("0123456789abcdef" * 4)
