# SPDX-License-Identifier: Apache-2.0
"""Log entries for signatures with a key: proved with the trusted root, or refused."""

from __future__ import annotations

import base64
import datetime
import json
from dataclasses import replace
from typing import Any, Final, Literal

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from provenance.attestations.bundle import decode
from provenance.attestations.log_entry import LogEntry
from provenance.signing import inclusion
from provenance.signing.judgement import Clock, Moment, RefusedError
from provenance.signing.trusted_root import Log, Period
from tests.signing.workshop import PAYLOAD, instance, stranger
from tests.signing.workshop import trust as keyless_trust
from tests.support.sigstore.ca import der
from tests.support.sigstore.instance import NOW, START
from tests.support.sigstore.rekor import b64, leaf_hash, path, root_hash

Version = Literal["v1", "v2"]
VERSIONS: Final[tuple[Version, ...]] = ("v1", "v2")
EM_DASH: Final = "\u2014"


def entry(version: Version = "v2", **changes: Any) -> LogEntry:
    """Return an entry of the instance with changes."""
    bundle = instance().attest(PAYLOAD, log=version)
    made = bundle["verificationMaterial"]["tlogEntries"][0]
    read = decode(json.dumps(bundle).encode()).entry
    assert read is not None
    assert made["canonicalizedBody"] == b64(read.body)
    return replace(read, **changes)


def log(made: LogEntry) -> Log:
    root = keyless_trust().root
    assert root is not None
    return inclusion.log_of(made, root)


def refusal(made: LogEntry, by: Log | None = None) -> str:
    with pytest.raises(RefusedError) as raised:
        inclusion.prove(made, by or log(made))
    return str(raised.value)


def with_envelope(made: LogEntry, envelope: str) -> LogEntry:
    assert made.proof is not None
    checkpoint = replace(made.proof.checkpoint, envelope=envelope)
    return replace(made, proof=replace(made.proof, checkpoint=checkpoint))


@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_log_says_of_its_own_entry_holds(version: Version) -> None:
    made = entry(version)
    inclusion.prove(made, log(made))


@given(before=st.integers(0, 70), after=st.integers(0, 70))
def test_a_proof_leads_to_the_root_of_a_tree_of_any_size_from_anywhere_in_it(
    before: int, after: int
) -> None:
    leaves = [leaf_hash(b"%d" % n) for n in range(before + 1 + after)]
    leaf, size, root, way = leaves[before], len(leaves), root_hash(leaves), path(before, leaves)
    assert inclusion.root_of(leaf, before, size, way) == root
    assert inclusion.root_of(leaf_hash(b"other"), before, size, way) != root
    assert inclusion.root_of(leaf, size, size, way) is None
    assert inclusion.root_of(leaf, before, size, [*way, leaf]) is None
    assert all(inclusion.root_of(leaf, n, size, way) != root for n in range(size) if n != before)
    for n, _ in enumerate(way):
        assert inclusion.root_of(leaf, before, size, way[:n] + way[n + 1 :]) is None
        other = [*way[:n], leaf_hash(b"?"), *way[n + 1 :]]
        assert inclusion.root_of(leaf, before, size, other) != root


@pytest.mark.parametrize("version", VERSIONS)
def test_another_body_is_not_in_the_tree(version: Version) -> None:
    made = entry(version, promise=None)
    other = replace(made, body=entry(version).body)
    assert "its inclusion proof does not match the tree" in refusal(other, log(made))


@pytest.mark.parametrize("version", VERSIONS)
def test_another_place_in_the_tree_is_not_that_of_the_entry(version: Version) -> None:
    made = entry(version, promise=None)
    assert made.proof is not None
    moved = replace(made, proof=replace(made.proof, log_index=made.proof.log_index - 1))
    assert "does not match the tree" in refusal(moved)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_checkpoint_with_one_bit_changed_is_signed_by_nobody(version: Version) -> None:
    made = entry(version, promise=None)
    assert made.proof is not None
    text, blank, line = made.proof.checkpoint.envelope.partition("\n\n")
    *start, signature = line.rstrip("\n").split(" ")
    raw = bytearray(base64.b64decode(signature))
    raw[-1] ^= 1
    forged = " ".join([*start, b64(bytes(raw))])
    assert "its checkpoint is not signed by the log" in refusal(
        with_envelope(made, f"{text}{blank}{forged}\n")
    )
    assert "its checkpoint is not signed" in refusal(
        with_envelope(made, f"{text}\nmore{blank}{line}")
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_a_stranger_signs_no_checkpoint_in_the_name_of_the_log(version: Version) -> None:
    made = entry(version, promise=None)
    assert made.proof is not None
    other = stranger().v1 if version == "v1" else stranger().v2
    text, blank, _ = made.proof.checkpoint.envelope.partition("\n\n")
    signed = b64(made.log_id[:4] + other.sign(f"{text}\n".encode()))
    forged = f"{text}{blank}{EM_DASH} {log(made).host} {signed}\n"
    assert "its checkpoint is not signed by the log" in refusal(with_envelope(made, forged))


def test_a_log_signs_in_its_own_name_only() -> None:
    made = entry()
    assert made.proof is not None
    renamed = made.proof.checkpoint.envelope.replace(f"{EM_DASH} log", f"{EM_DASH} mog")
    assert "its checkpoint is not signed by the log" in refusal(with_envelope(made, renamed))


def test_cosignatures_of_witnesses_are_passed_by() -> None:
    made = entry()
    assert made.proof is not None
    text, blank, line = made.proof.checkpoint.envelope.partition("\n\n")
    witnessed = f"{text}{blank}{EM_DASH} witness.example AAAAAAAA\n{EM_DASH} w A\n{line}"
    inclusion.prove(with_envelope(made, witnessed), log(made))


@pytest.mark.parametrize(
    "changes",
    [
        {"key_details": "PKIX_ECDSA_P384_SHA_384"},
        {"key_details": "PKIX_ECDSA_P256_SHA_256"},
        {"public_key": b"no key"},
        {"public_key": der(rsa.generate_private_key(65537, 2048))},
        {"public_key": der(ec.generate_private_key(ec.SECP256R1()))},
        {"public_key": der(ed25519.Ed25519PrivateKey.generate())},
    ],
)
def test_a_log_with_another_key_signs_nothing(changes: dict[str, Any]) -> None:
    made = entry("v2")
    assert "its checkpoint is not signed" in refusal(made, replace(log(made), **changes))


@pytest.mark.parametrize("proof", ["with a proof", "without one"])
def test_a_promise_has_to_be_that_of_the_log(proof: str) -> None:
    made = entry("v1")
    bare = made if proof == "with a proof" else replace(made, proof=None)
    inclusion.prove(bare, log(made))
    assert made.integrated_time is not None
    later = replace(bare, integrated_time=made.integrated_time + 1)
    assert "the promise of its log" in refusal(later, log(made))


def test_an_entry_without_proof_and_promise_is_in_no_log() -> None:
    made = entry("v1", promise=None, proof=None)
    assert "nothing proves that its log" in refusal(made)


def test_an_entry_of_a_log_that_nobody_knows_is_refused() -> None:
    with pytest.raises(RefusedError, match="is not in the trusted root"):
        log(entry(log_id=b"?" * 32))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("origin", ["other.simulated.test", "rekor.simulated.test - x", ""])
def test_a_checkpoint_of_another_log_is_refused(version: Version, origin: str) -> None:
    made = entry(version)
    assert made.proof is not None
    checkpoint = replace(made.proof.checkpoint, origin=origin)
    with pytest.raises(RefusedError, match="its checkpoint is from the log"):
        log(replace(made, proof=replace(made.proof, checkpoint=checkpoint)))


def test_the_name_of_an_older_log_has_the_number_of_its_tree_and_that_of_a_newer_has_none() -> None:
    for version, numbered in (("v1", True), ("v2", False)):
        made = entry(version)  # type: ignore[arg-type]
        assert made.proof is not None
        assert (" - " in made.proof.checkpoint.origin) is numbered
        assert log(made).host == made.proof.checkpoint.origin.partition(" ")[0]


def test_both_ends_of_the_time_of_a_log_count() -> None:
    made = log(entry())
    second = datetime.timedelta(seconds=1)
    held = replace(made, period=Period(START, NOW))
    inclusion.in_service(held, [Moment(START, Clock.LOG), Moment(NOW, Clock.TIMESTAMP)])
    inclusion.in_service(held, [])
    for outside in (START - second, NOW + second):
        with pytest.raises(RefusedError, match="was in service from"):
            inclusion.in_service(held, [Moment(NOW, Clock.TIMESTAMP), Moment(outside, Clock.LOG)])
