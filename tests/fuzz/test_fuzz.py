# SPDX-License-Identifier: Apache-2.0
"""Whatever a document is made of: it is read, or refused with an error of our own.

Rounds start from the corpus. FUZZ_ROUNDS says how many for each document (`make fuzz`), FUZZ_SEED
where chance starts; both are in the message of a failure.
"""

from __future__ import annotations

import base64
import json
import os
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from provenance.attestations.bundle import Bundle, BundleError, Envelope, decode
from provenance.errors import UnavailableError
from provenance.signing import judging
from provenance.signing.judgement import Verdict
from provenance.signing.trust import Trust, TrustedKey
from tests.fuzz import mutate
from tests.fuzz.make_corpus import corpus
from tests.fuzz.targets import TARGETS, Target
from tests.signing.workshop import CONTENT, PAYLOAD, SHA256, instance, trust
from tests.support.cases import dsse_bundle
from tests.support.keys import KeyPair

# `cryptography` warns of what we refuse.
pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number")

ROUNDS: Final = int(os.environ.get("FUZZ_ROUNDS", "150"))
SEED: Final = int(os.environ.get("FUZZ_SEED", "1"))


def mutants(data: bytes, target: Target, label: str) -> Iterator[bytes]:
    """The document, and worse ones."""
    chance = random.Random(f"{SEED} {label}")
    yield data
    for _ in range(ROUNDS):
        mutator = chance.choice(target.mutators)
        try:
            yield mutator(data, chance)
        except (ValueError, RecursionError):
            yield mutate.raw(data, chance)  # the document in the corpus is no JSON itself


@pytest.mark.parametrize(
    ("target", "path"),
    [pytest.param(t, p, id=f"{t.name}/{p.name}") for t in TARGETS for p in t.corpus],
)
def test_a_reader_reads_or_refuses(target: Target, path: Path) -> None:
    for number, data in enumerate(mutants(path.read_bytes(), target, path.name)):
        try:
            target.read(data)
        except target.errors:
            continue
        except Exception as e:
            raise AssertionError(
                f"{type(e).__name__} in round {number} of seed {SEED} from {path.name}; "
                f"add it to the corpus: {data!r}"
            ) from e


def test_the_corpus_is_what_its_script_writes() -> None:
    there = {t.name: {p.name: p.read_bytes() for p in t.corpus} for t in TARGETS}
    assert there == corpus(), "python -m tests.fuzz.make_corpus"


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
def test_the_corpus_has_documents_of_both_kinds(target: Target) -> None:
    read: list[Path] = []
    for path in target.corpus:
        try:
            target.read(path.read_bytes())
        except target.errors:
            continue
        read.append(path)
    assert 0 < len(read) < len(target.corpus)


FORMS: Final[dict[str, Any]] = {
    "envelope, Rekor v2": lambda: instance().attest(PAYLOAD),
    "envelope, Rekor v1": lambda: instance().attest(PAYLOAD, log="v1", version="0.2"),
    "message, Rekor v2": lambda: instance().sign_bytes(CONTENT),
    "message, Rekor v1": lambda: instance().sign_bytes(CONTENT, log="v1"),
    "message, Rekor v1, bundle v0.1": lambda: instance().sign_bytes(
        CONTENT, log="v1", version="0.1"
    ),
}


def is_unchanged(bundle: Bundle, original: Bundle) -> bool:
    """Whether what counts is what was signed, in the words of the bundle that was made."""
    found, made = bundle.content, original.content
    same = isinstance(found, Envelope) and isinstance(made, Envelope)
    if same:
        return found == made and bundle.certificate == original.certificate
    return found.signature == made.signature and bundle.certificate == original.certificate


@pytest.mark.parametrize("form", FORMS)
def test_no_mutant_of_a_signed_bundle_is_valid_and_says_something_else(form: str) -> None:
    made = FORMS[form]()
    data = json.dumps(made).encode()
    original = decode(data)
    judged = survived = 0
    for mutant in mutants(data, TARGETS[0], form):
        try:
            bundle = decode(mutant)
        except BundleError:
            continue
        judged += 1
        if judging.judge(bundle, trust(), SHA256).verdict is Verdict.VALID:
            survived += 1
            assert is_unchanged(bundle, original), mutant
    assert judged > survived > 0, "some have to reach the judgement, and some have to fail there"


def test_no_mutant_of_a_key_bundle_is_valid_and_says_something_else(key: KeyPair) -> None:
    data = json.dumps(dsse_bundle(PAYLOAD, key)).encode()
    original = decode(data)
    who = Trust("tests", (TrustedKey.of_pem(key.public.read_bytes(), "release.pub"),))
    for mutant in mutants(data, TARGETS[0], "key"):
        try:
            bundle = decode(mutant)
            found = judging.judge(bundle, replace(who, root=trust().root), SHA256)
        except (BundleError, UnavailableError):
            continue
        if found.verdict is Verdict.VALID:
            assert bundle.content == original.content, mutant


def test_every_bit_of_a_certificate_counts() -> None:
    made = instance().attest(PAYLOAD)
    holder = made["verificationMaterial"]["certificate"]
    good = base64.b64decode(holder["rawBytes"])
    chance = random.Random(SEED)
    for at in chance.sample(range(len(good) * 8), min(len(good) * 8, ROUNDS)):
        bad = bytearray(good)
        bad[at // 8] ^= 1 << at % 8
        holder["rawBytes"] = base64.b64encode(bad).decode()
        found = judging.judge(decode(json.dumps(made).encode()), trust(), SHA256)
        assert found.verdict is Verdict.INVALID, at
