# SPDX-License-Identifier: Apache-2.0
"""Log entries are proved with the trusted root, or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.attestations.bundle import decode
from provenance.attestations.log_entry import LogEntry
from provenance.signing import inclusion
from provenance.signing.judgement import RefusedError
from provenance.signing.trusted_root import Log
from tests.signing.workshop import PAYLOAD, flipped, instance, stranger
from tests.signing.workshop import trust as keyless_trust
from tests.support.sigstore.rekor import Rekor, b64, leaf_hash, path, root_hash

EM_DASH: Final = "\u2014"
NOT_SIGNED: Final = "its checkpoint is not signed by the log"


def entry(version: Any = "v2", **changes: Any) -> LogEntry:
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


def with_checkpoint(made: LogEntry, **changes: Any) -> LogEntry:
    assert made.proof is not None
    checkpoint = replace(made.proof.checkpoint, **changes)
    return replace(made, proof=replace(made.proof, checkpoint=checkpoint))


def envelope(made: LogEntry) -> str:
    assert made.proof is not None
    return made.proof.checkpoint.envelope


@given(before=st.integers(0, 70), after=st.integers(0, 70))
def test_only_the_proof_of_a_leaf_leads_to_the_root(before: int, after: int) -> None:
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


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_entry_must_have_its_own_proof(version: str) -> None:
    made = entry(version, promise=None)
    inclusion.prove(made, log(made))
    other = replace(made, body=entry(version).body)
    assert "its inclusion proof does not match the tree" in refusal(other)
    assert made.proof is not None
    moved = replace(made, proof=replace(made.proof, log_index=made.proof.log_index - 1))
    assert "does not match the tree" in refusal(moved)


def forged(made: LogEntry, by: Rekor) -> str:
    """Return the checkpoint with a signature of another log in the name of the right one."""
    text, blank, _ = envelope(made).partition("\n\n")
    signed = b64(made.log_id[:4] + by.sign(f"{text}\n".encode()))
    return f"{text}{blank}{EM_DASH} {log(made).host} {signed}\n"


def flip_bit(made: LogEntry, at: int = -1) -> str:
    """Return the checkpoint with another signature, or at byte 2 with another key id before it."""
    start, _, signature = envelope(made).rstrip("\n").rpartition(" ")
    return f"{start} {flipped(signature, at)}\n"


CHECKPOINTS: dict[str, tuple[str, Callable[[LogEntry], str]]] = {
    "another signature in v1": ("v1", flip_bit),
    "another signature in v2": ("v2", flip_bit),
    "another text in v1": ("v1", lambda made: envelope(made).replace("\n\n", "\nmore\n\n")),
    "another text in v2": ("v2", lambda made: envelope(made).replace("\n\n", "\nmore\n\n")),
    "a stranger in v1": ("v1", lambda made: forged(made, stranger().v1)),
    "a stranger in v2": ("v2", lambda made: forged(made, stranger().v2)),
    "another name": ("v2", lambda made: envelope(made).replace(f"{EM_DASH} log", f"{EM_DASH} mog")),
    "another key id in v1": ("v1", lambda made: flip_bit(made, 2)),
    "another key id in v2": ("v2", lambda made: flip_bit(made, 2)),
    "signature not in base64": ("v2", lambda made: envelope(made).rpartition(" ")[0] + " A\n"),
}


@pytest.mark.parametrize(("version", "change"), CHECKPOINTS.values(), ids=CHECKPOINTS)
def test_checkpoint_must_be_signed_by_the_log(
    version: str, change: Callable[[LogEntry], str]
) -> None:
    made = entry(version, promise=None)
    assert NOT_SIGNED in refusal(with_checkpoint(made, envelope=change(made)))


def test_cosignatures_of_witnesses_are_ignored() -> None:
    made = entry()
    text, blank, line = envelope(made).partition("\n\n")
    witnessed = f"{text}{blank}{EM_DASH} witness.example AAAAAAAA\n{EM_DASH} w A\n{line}"
    inclusion.prove(with_checkpoint(made, envelope=witnessed), log(made))


def test_promise_must_be_that_of_the_log() -> None:
    made = entry("v1")
    assert made.integrated_time is not None
    for bare in (made, replace(made, proof=None)):
        inclusion.prove(bare, log(made))
        later = replace(bare, integrated_time=made.integrated_time + 1)
        assert "the promise of its log" in refusal(later)
    assert "nothing proves that its log" in refusal(replace(made, promise=None, proof=None))
