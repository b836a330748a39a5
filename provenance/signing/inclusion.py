# SPDX-License-Identifier: Apache-2.0
"""Whether a log of the trusted root holds an entry: its promise, its checkpoint, its proof.

For signatures with a key, which should not need all of `sigstore`, and for `dsse 0.0.2`, a kind of
entry that it does not know. That an entry agrees with itself was judged when it was read.
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
"""Bytes of a note's signature that name its key (https://c2sp.org/signed-note)."""


def log_of(entry: LogEntry, root: TrustedRoot) -> Log:
    """Return the log of the trusted root that an entry names.

    Raises:
        RefusedError: If the root has no such log, or the entry's checkpoint is of another one.
    """
    log = root.log(entry.log_id)
    if log is None:
        raise RefusedError(f"its log ({entry.log_id.hex()}) is not one of the trusted root's")
    if entry.proof is not None:
        origin = entry.proof.checkpoint.origin
        old = None if entry.of_rekor_v2 else _V1_ORIGIN.fullmatch(origin)
        if not (old["host"] in log.hosts if old else origin == log.host):
            raise RefusedError(
                f"its checkpoint is of the log {origin[:120]!r}, expected {log.host!r}"
            )
    return log


def in_service(log: Log, moments: Iterable[Moment]) -> None:
    """Raises RefusedError where the log was not in service at one of the moments."""
    for moment in moments:
        if not log.period.contains(moment.time):
            raise RefusedError(
                f"its log {log.url} was in service {log.period}, and it was signed at "
                f"{moment.time.isoformat()}"
            )


def prove(entry: LogEntry, log: Log) -> None:
    """Verify everything that the entry says of being in the log.

    Raises:
        RefusedError: If its promise, the signature of its checkpoint, or its proof is not valid.
        UnsupportedError: If the log signs with a key of a kind that is not supported.
    """
    if entry.promise is not None and not is_promised(entry, log):
        raise RefusedError(f"the promise of its log {log.url} is not valid")
    if entry.proof is None:
        if entry.promise is None:
            raise RefusedError(f"nothing shows that its log {log.url} holds it")
        return
    if not _is_signed(entry.proof.checkpoint, log):
        raise RefusedError(f"its checkpoint is not signed by the log {log.url}")
    proof, leaf = entry.proof, hashlib.sha256(b"\0" + entry.body).digest()
    if root_of(leaf, proof.log_index, proof.tree_size, proof.hashes) != proof.root_hash:
        raise RefusedError(f"its inclusion proof does not lead to the tree of the log {log.url}")


def is_promised(entry: LogEntry, log: Log) -> bool:
    """Whether the log promised to include the entry at its time. Raises UnsupportedError."""
    return algorithms.is_valid_by(
        log.key_details, log.public_key, entry.promise or b"", promise_of(entry)
    )


def promise_of(entry: LogEntry) -> bytes:
    """What a signed entry timestamp is over: RFC 8785 JSON, which for these values is this."""
    value = {
        "body": base64_of(entry.body),
        "integratedTime": entry.integrated_time,
        "logID": entry.log_id.hex(),
        "logIndex": entry.log_index,
    }
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _is_signed(checkpoint: Checkpoint, log: Log) -> bool:
    """Whether the log signed the checkpoint. Signatures of others, its witnesses, are passed by."""
    text, _, lines = checkpoint.envelope.partition("\n\n")
    note = f"{text}\n".encode()
    for line in lines.removesuffix("\n").split("\n"):
        _, name, encoded = line.split(" ")  # as every line was read
        try:
            named = base64.b64decode(encoded, validate=True)
        except ValueError:
            continue
        if name not in log.hosts or named[:_HINT] != log.log_id[:_HINT]:
            continue
        if algorithms.is_valid_by(log.key_details, log.public_key, named[_HINT:], note):
            return True
    return False


def root_of(leaf: bytes, index: int, size: int, hashes: Sequence[bytes]) -> bytes | None:
    """Return the root that `hashes` lead to in a tree of `size`, or None (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return None
    place, last, found = index, size - 1, leaf
    for beside in hashes:
        if last == 0:
            return None
        if place & 1 or place == last:
            found = hashlib.sha256(b"\1" + beside + found).digest()
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\1" + found + beside).digest()
        place, last = place >> 1, last >> 1
    return found if last == 0 else None
