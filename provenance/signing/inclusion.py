# SPDX-License-Identifier: Apache-2.0
"""Whether a log holds an entry: the checkpoint that it signed, and the proof that leads there.

`sigstore` judges this for the kinds of entries that it knows. This is for one that it does not:
`dsse 0.0.2`, which sigstore-js writes and older versions of Rekor v2 took.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence

from provenance.attestations.log_entry import Checkpoint, LogEntry
from provenance.signing.trusted_root import Log


def holds(log: Log, entry: LogEntry) -> bool:
    """Whether the log has signed a tree that has the entry at its place."""
    proof = entry.proof
    if proof is None or not _is_signed(proof.checkpoint, log):
        return False
    leaf = hashlib.sha256(b"\0" + entry.body).digest()
    return root_of(leaf, proof.log_index, proof.tree_size, proof.hashes) == proof.root_hash


def root_of(leaf: bytes, index: int, size: int, hashes: Sequence[bytes]) -> bytes | None:
    """The root of a tree of `size` entries that the hashes lead to (RFC 9162, section 2.1.3.2).

    None where they are too many or too few.
    """
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


def _is_signed(checkpoint: Checkpoint, log: Log) -> bool:
    text, _, signatures = checkpoint.envelope.partition("\n\n")
    return any(_verifies(log, s, f"{text}\n".encode()) for s in _by(signatures, log))


def _by(signatures: str, log: Log) -> Iterator[bytes]:
    """The signatures of a signed note that are said to be by the log's key."""
    for line in signatures.removesuffix("\n").split("\n"):
        _, name, encoded = line.split(" ")  # the note was read as one whose lines have three parts
        try:
            raw = base64.b64decode(encoded)
        except ValueError:
            continue
        if name == log.host and raw[:4] == log.log_id[:4]:
            yield raw[4:]


def _verifies(log: Log, signature: bytes, data: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        key = load_der_public_key(log.public_key)
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, data)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
        else:
            return False
    except (ValueError, UnsupportedAlgorithm, InvalidSignature):
        return False
    return True
