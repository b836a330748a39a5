# SPDX-License-Identifier: Apache-2.0
"""SHA-256 of streams in flat memory, and digests in the spellings of other projects."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.artifacts import digest
from provenance.artifacts.digest import HashingReader, of_bytes
from tests.support.memory import memory_limit
from tests.support.spellings import SPELLINGS, integrity


class Trickle(io.RawIOBase):
    """A stream that gives at most so many bytes at once, as pipes and network disks do."""

    def __init__(self, content: bytes, most: int) -> None:
        self._rest = io.BytesIO(content)
        self._most = most

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        part = self._rest.read(min(len(buffer), self._most))
        buffer[: len(part)] = part
        return len(part)


@given(
    st.binary(max_size=3000),
    st.lists(st.tuples(st.booleans(), st.integers(0, 300)), max_size=10),
    st.integers(1, 500),
)
def test_all_bytes_are_hashed(content: bytes, steps: list[tuple[bool, int]], most: int) -> None:
    reader = HashingReader(Trickle(content, most))  # type: ignore[arg-type]
    at = 0
    for keep, count in steps:
        if at + count > len(content):
            with pytest.raises(EOFError):
                reader.read(count) if keep else reader.skip(count)
            return
        if keep:
            assert reader.read(count) == content[at : at + count]
        else:
            reader.skip(count)
        at += count
        assert reader.position == at
    reader.drain()
    assert reader.digest() == of_bytes(content)
    assert reader.digest().sha256 == hashlib.sha256(content).hexdigest()


def test_a_file_is_hashed_in_flat_memory(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as stream:
        stream.truncate(64 << 20)
    with memory_limit(4 << 20), path.open("rb", buffering=0) as stream:
        assert digest.of_stream(stream).size == 64 << 20


@pytest.mark.parametrize(
    "value", ["a" * 63, "a" * 65, "A" * 64, "g" * 64, "a" * 64 + "\n", 5, None, b"a" * 64]
)
def test_a_sha256_is_64_lower_case_hex_digits(value: object) -> None:
    assert not digest.is_sha256(value)
    assert digest.is_sha256("0123456789abcdef" * 4)


HEX = "0123456789abcdef" * 3 + "fedcba98" * 2


@pytest.mark.parametrize("spell", SPELLINGS)
def test_a_sha256_is_parsed_in_every_spelling(spell: Callable[[str], str]) -> None:
    assert digest.sha256_of(spell(HEX)) == HEX
    assert digest.canonical(spell(HEX)) == HEX
    written = digest.parse(spell(HEX))
    assert written is not None
    if spell(HEX) == spell(HEX).strip():
        assert written.respell(HEX[::-1]) == spell(HEX[::-1])


@pytest.mark.parametrize(
    "value",
    [
        None, 7, [], "", "sha256:", "sha256", HEX[1:], f"{HEX}00", f"sha256:{HEX[2:]}",
        f"sha256:sha256:{HEX}", f"{HEX}  m.onnx", f"0x{HEX}", "x" * 10_000, "sha256-zz==",
        f"sha256-{'A' * 40}", f"sha256:{'A' * 43}=", f"md5:{HEX}", "\uff10" * 64,
        f"blake2b-{'zz' * 16}",
    ],
)  # fmt: skip
def test_another_value_is_no_digest(value: object) -> None:
    assert digest.parse(value) is None
    assert digest.sha256_of(value) is None


@pytest.mark.parametrize(
    ("value", "algorithm"),
    [
        (HEX[:32], "md5"), (f"MD5:{HEX[:32]}", "md5"), (HEX[:40], "sha1"), (HEX[:56], "sha224"),
        (HEX[:48] * 2, "sha384"), (HEX * 2, "sha512"), (f"SHA-512:{HEX * 2}", "sha512"),
        (f"blake3:{HEX}", "blake3"), (f"sha3-256:{HEX}", "sha3256"),
        ("sha384-" + "A" * 64, "sha384"),
    ],
)  # fmt: skip
def test_a_digest_of_another_algorithm_is_no_sha256(value: str, algorithm: str) -> None:
    written = digest.parse(value)
    assert written is not None
    assert (written.algorithm, written.sha256) == (algorithm, None)
    assert digest.canonical(value) == value


def test_a_digest_is_found_in_a_text_in_every_spelling() -> None:
    for spell in (*SPELLINGS[:5], integrity):
        assert digest.is_mentioned(HEX, f'{{"x": "{spell(HEX)}"}}')
    assert not digest.is_mentioned(HEX, HEX[1:])


@given(st.text(alphabet="shaSHAmd5:=-/+ 0123456789abcdefABCDEF", max_size=140) | st.text())
def test_a_parsed_digest_is_spelled_back_as_the_same_digest(value: str) -> None:
    written = digest.parse(value)
    assert digest.sha256_of(value) is None or len(value.strip()) >= 51
    if written is not None:
        again = digest.parse(written.respell(written.hex))
        assert again is not None
        assert (again.algorithm, again.hex) == (written.algorithm, written.hex)
