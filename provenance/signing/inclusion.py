# SPDX-License-Identifier: Apache-2.0
"""Verifying that a log of the trusted root includes an entry: promise, checkpoint and proof.

This is used for signatures with a key, so that they do not need all of `sigstore`, and for kinds of
entries that `sigstore` does not support, such as `dsse 0.0.2`. The consistency of an entry was
checked when it was read.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from typing import Final

from provenance.attestations.log_entry import Checkpoint, LogEntry
from provenance.signing import algorithms
from provenance.signing.judgement import Moment, RefusedError
from provenance.signing.sigstore_json import base64_of
from provenance.signing.trusted_root import Log, TrustedRoot

_V1_ORIGIN: Final = re.compile(r"(?P<host>\S+) - [0-9]+")
_HINT: Final = 4
"""The number of bytes of a note's signature that name its key (https://c2sp.org/signed-note)."""


def log_of(entry: LogEntry, root: TrustedRoot) -> Log:
    """Return the log of the trusted root that an entry names.

    Raises:
        RefusedError: If the root has no such log, or the checkpoint is of another log.
    """
    log = root.log(entry.log_id)
    if log is None:
        raise RefusedError(f"its log ({entry.log_id.hex()}) is not in the trusted root")
    if entry.proof is not None:
        origin = entry.proof.checkpoint.origin
        old = None if entry.of_rekor_v2 else _V1_ORIGIN.fullmatch(origin)
        if not (old["host"] in log.hosts if old else origin == log.host):
            raise RefusedError(
                f"its checkpoint is from the log {origin[:120]!r}, expected {log.host!r}"
            )
    return log


def in_service(log: Log, moments: Iterable[Moment]) -> None:
    """Check that the log was in service at all the given times.

    Raises:
        RefusedError: If it was not.
    """
    for moment in moments:
        if not log.period.contains(moment.time):
            raise RefusedError(
                f"it was signed at {moment.time.isoformat()}, but its log {log.url} was in service "
                f"{log.period}"
            )


def prove(entry: LogEntry, log: Log) -> None:
    """Verify all evidence that the log includes the entry.

    Raises:
        RefusedError: If the promise, the signature of the checkpoint, or the proof is not valid, or
            there is no evidence.
        UnsupportedError: If the kind of the log's key is not supported.
    """
    if entry.promise is not None and not is_promised(entry, log):
        raise RefusedError(f"the promise of its log {log.url} is not valid")
    if entry.proof is None:
        if entry.promise is None:
            raise RefusedError(f"nothing proves that its log {log.url} includes it")
        return
    if not _is_signed(entry.proof.checkpoint, log):
        raise RefusedError(f"its checkpoint is not signed by the log {log.url}")
    proof, leaf = entry.proof, hashlib.sha256(b"\0" + entry.body).digest()
    if root_of(leaf, proof.log_index, proof.tree_size, proof.hashes) != proof.root_hash:
        raise RefusedError(f"its inclusion proof does not match the tree of the log {log.url}")


def is_promised(entry: LogEntry, log: Log) -> bool:
    """Return whether the log signed a promise to include the entry, with its time.

    Raises:
        UnsupportedError: If the kind of the log's key is not supported.
    """
    return algorithms.is_valid_by(
        log.key_details, log.public_key, entry.promise or b"", promise_of(entry)
    )


def promise_of(entry: LogEntry) -> bytes:
    """Return the bytes that a signed entry timestamp signs: canonical JSON (RFC 8785)."""
    value = {
        "body": base64_of(entry.body),
        "integratedTime": entry.integrated_time,
        "logID": entry.log_id.hex(),
        "logIndex": entry.log_index,
    }
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _is_signed(checkpoint: Checkpoint, log: Log) -> bool:
    """Return whether the log signed the checkpoint. Signatures of witnesses are ignored."""
    text, _, lines = checkpoint.envelope.partition("\n\n")
    note = f"{text}\n".encode()
    for line in lines.removesuffix("\n").split("\n"):
        _, name, encoded = line.split(" ")  # the form was checked when the entry was read
        try:
            signature = base64.b64decode(encoded, validate=True)
        except ValueError:
            continue
        if name not in log.hosts or signature[:_HINT] != log.log_id[:_HINT]:
            continue
        if algorithms.is_valid_by(log.key_details, log.public_key, signature[_HINT:], note):
            return True
    return False


def root_of(leaf: bytes, index: int, size: int, hashes: Sequence[bytes]) -> bytes | None:
    """Compute the root hash of a tree of `size` from a leaf and its inclusion proof.

    Implements RFC 9162, section 2.1.3.2. Returns None if the proof does not fit the tree.
    """
    if not 0 <= index < size:
        return None
    place, last, node = index, size - 1, leaf
    for sibling in hashes:
        if last == 0:
            return None
        if place & 1 or place == last:
            node = hashlib.sha256(b"\1" + sibling + node).digest()
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            node = hashlib.sha256(b"\1" + node + sibling).digest()
        place, last = place >> 1, last >> 1
    return node if last == 0 else None
