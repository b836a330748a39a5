# SPDX-License-Identifier: Apache-2.0
"""Digests as other people write them: compared by value."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.artifacts import digest
from tests.support.spellings import SPELLINGS, integrity

HEX = "0123456789abcdef" * 3 + "fedcba98" * 2


@pytest.mark.parametrize("spell", SPELLINGS)
def test_a_sha256_is_parsed_in_every_spelling(spell: Callable[[str], str]) -> None:
    assert digest.sha256_of(spell(HEX)) == HEX
    assert digest.canonical(spell(HEX)) == HEX


@pytest.mark.parametrize("spell", [s for s in SPELLINGS if s(HEX) == s(HEX).strip()])
def test_another_value_is_spelled_as_the_first_one_is(spell: Callable[[str], str]) -> None:
    written = digest.parse(spell(HEX))
    assert written is not None
    other = HEX[::-1]
    assert written.respell(other) == spell(other)


@pytest.mark.parametrize(
    "value",
    [
        None, 7, [], "", "sha256:", "sha256", HEX[1:], f"{HEX}00", f"sha256:{HEX[2:]}",
        f"sha256:sha256:{HEX}", f"{HEX}  m.onnx", f"0x{HEX}", "x" * 10_000, "sha256-zz==",
        f"sha256-{'A' * 40}", f"sha256:{'A' * 43}=", f"md5:{HEX}", "\uff10" * 64,
        f"blake2b-{'zz' * 16}",
    ],
)  # fmt: skip
def test_what_is_no_digest_is_none(value: object) -> None:
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
    assert all(digest.is_mentioned(HEX, f'{{"x": "{spell(HEX)}"}}') for spell in SPELLINGS[:5])
    assert digest.is_mentioned(HEX, integrity(HEX))
    assert not digest.is_mentioned(HEX, HEX[1:])


@given(st.text(alphabet="shaSHAmd5:=-/+ 0123456789abcdefABCDEF", max_size=140))
def test_whatever_is_parsed_is_spelled_back_as_the_same_digest(value: str) -> None:
    written = digest.parse(value)
    if written is not None:
        again = digest.parse(written.respell(written.hex))
        assert again is not None
        assert (again.algorithm, again.hex) == (written.algorithm, written.hex)


@given(st.text())
def test_any_text_is_a_digest_or_none(value: str) -> None:
    assert digest.sha256_of(value) is None or len(value.strip()) >= 51
