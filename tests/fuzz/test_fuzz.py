# SPDX-License-Identifier: Apache-2.0
"""Every document is read, or refused with an error of the reader.

FUZZ_ROUNDS is the number of mutants of each document (`make fuzz`), FUZZ_SEED the seed.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
from collections.abc import Iterator
from dataclasses import replace
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

# `cryptography` warns about what we refuse.
pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number")

ROUNDS: Final = int(os.environ.get("FUZZ_ROUNDS", "150"))
SEED: Final = int(os.environ.get("FUZZ_SEED", "1"))
CORPUS: Final = corpus()


def mutants(data: bytes, target: Target, label: str) -> Iterator[bytes]:
    """Yield the document, and worse ones."""
    chance = random.Random(f"{SEED} {label}")
    yield data
    for _ in range(ROUNDS):
        mutator = chance.choice(target.mutators)
        try:
            yield mutator(data, chance)
        except (ValueError, RecursionError):
            yield mutate.raw(data, chance)  # the document in the corpus is not JSON itself


@pytest.mark.parametrize(
    ("target", "name"),
    [pytest.param(t, n, id=f"{t.name}/{n}") for t in TARGETS for n in CORPUS[t.name]],
)
def test_reader_reads_or_refuses(target: Target, name: str) -> None:
    for number, data in enumerate(mutants(CORPUS[target.name][name], target, name)):
        try:
            target.read(data)
        except target.errors:
            continue
        except Exception as e:
            raise AssertionError(
                f"{type(e).__name__} in round {number} of seed {SEED} from {name}; "
                f"add it to the corpus: {data!r}"
            ) from e


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
def test_corpus_has_valid_and_invalid_documents(target: Target) -> None:
    read = 0
    for data in CORPUS[target.name].values():
        with contextlib.suppress(*target.errors):
            target.read(data)
            read += 1
    assert 0 < read < len(CORPUS[target.name])


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
    """Return whether two bundles have the same signature and, in an envelope, the same content."""
    found, made = bundle.content, original.content
    envelopes = isinstance(found, Envelope) and isinstance(made, Envelope)
    same = found == made if envelopes else found.signature == made.signature
    return same and bundle.certificate == original.certificate


@pytest.mark.parametrize("form", FORMS)
def test_valid_mutants_of_a_signed_bundle_have_its_content(form: str) -> None:
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
    assert judged > survived > 0, "some must reach the judgement, and some must fail there"


def test_valid_mutants_of_a_key_bundle_have_its_content(key: KeyPair) -> None:
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


def test_every_changed_bit_of_a_certificate_is_refused() -> None:
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
