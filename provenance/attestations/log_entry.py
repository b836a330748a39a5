# SPDX-License-Identifier: Apache-2.0
"""Entries of a transparency log, as a bundle carries them.

What can be seen without any key is judged here: that the entry is whole, and that the inclusion
proof and the checkpoint speak of one tree. Whose log it is, and whether its signatures are valid,
is for `provenance.signing`.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from provenance.artifacts.documents.strict_json import JsonError, parse_object
from provenance.attestations.proto_json import Message, ProtoJsonError
from provenance.frozen import dataclass

FIELDS: Final = (
    "logIndex",
    "logId",
    "kindVersion",
    "integratedTime",
    "inclusionPromise",
    "inclusionProof",
    "canonicalizedBody",
)
REKOR_V2: Final = "0.0.2"
DSSE_V2: Final = ("dsse", REKOR_V2)
"""What Rekor v2 wrote of an envelope before it took to writing `hashedrekord` of each."""
INTOTO: Final = ("intoto", "0.0.1")
INTOTO_2: Final = ("intoto", "0.0.2")
"""What Rekor v1 wrote of an envelope before it had `dsse`. The version is that of the kind."""
KINDS: Final = (
    ("hashedrekord", "0.0.1"),
    ("dsse", "0.0.1"),
    INTOTO,
    INTOTO_2,
    ("hashedrekord", REKOR_V2),
    DSSE_V2,
)

_PROOF = ("logIndex", "rootHash", "treeSize", "hashes", "checkpoint")
_HASH_SIZE = 32
_MAX_HASHES = 64
_MAX_TIME = 253_402_300_799  # 9999-12-31T23:59:59Z
_SIZE = re.compile(r"[1-9][0-9]{0,18}")
_SIGNATURE_LINE = re.compile(r"\u2014 \S+ [A-Za-z0-9+/]+={0,2}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself: its name, and the size and root of its tree.

    `envelope` is the signed note (https://c2sp.org/tlog-checkpoint) that holds them.
    """

    envelope: str
    origin: str
    tree_size: int
    root_hash: bytes


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """The hashes that lead from an entry to the root of a checkpoint."""

    log_index: int
    root_hash: bytes
    tree_size: int
    hashes: tuple[bytes, ...]
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An entry of a transparency log.

    Attributes:
        log_id: How the log is named in trusted roots.
        kind, version: What the body is: `hashedrekord`, `dsse` or `intoto`, and the version of it.
        integrated_time: Seconds since 1970, None where the log gave none. Only a promise signs it.
        promise: The signed entry timestamp of Rekor v1.
        body: What was logged, as the log keeps it.
    """

    log_index: int
    log_id: bytes
    kind: str
    version: str
    integrated_time: int | None
    promise: bytes | None
    proof: InclusionProof | None
    body: bytes

    @property
    def named(self) -> tuple[str, str]:
        """Its kind and the version of that."""
        return self.kind, self.version

    @property
    def of_rekor_v2(self) -> bool:
        """Whether Rekor v2 wrote it."""
        return _of_rekor_v2(self.named)


def _of_rekor_v2(named: tuple[str, str]) -> bool:
    return named[1] == REKOR_V2 and named != INTOTO_2


def read(entry: Message, *, proof_required: bool) -> LogEntry:
    """Return the entry in a message. Raises ProtoJsonError.

    In bundles v0.1 a promise was enough, and a proof could come without the checkpoint that makes
    it one; such a proof is passed over.
    """
    kind = entry.message("kindVersion", ("kind", "version"))
    named = (kind.text("kind"), kind.text("version"))
    if named not in KINDS:
        known = ", ".join(f"{k} {v}" for k, v in KINDS)
        raise ProtoJsonError(
            f"{entry.where} is unsupported: it is of kind {' '.join(named)[:60]!r}, "
            f"supported are {known}"
        )
    promise = None
    if entry.has("inclusionPromise"):
        holder = entry.message("inclusionPromise", ("signedEntryTimestamp",))
        promise = holder.octets("signedEntryTimestamp")
    time = entry.number("integratedTime") or None
    if time is not None and time > _MAX_TIME:
        raise ProtoJsonError(f"{entry.at('integratedTime')} is after the year 9999")
    if promise is not None and time is None:
        raise ProtoJsonError(f"{entry.where} has a promise without the time that it promises")
    if promise is not None and _of_rekor_v2(named):
        raise ProtoJsonError(f"{entry.where} has a promise, and Rekor v2 makes none")
    proof = _proof(entry, required=proof_required)
    if proof is None and promise is None:
        raise ProtoJsonError(f"{entry.where} has neither an inclusion proof nor a promise")
    found = LogEntry(
        log_index=entry.number("logIndex"),
        log_id=entry.message("logId", ("keyId",)).octets("keyId"),
        kind=named[0],
        version=named[1],
        integrated_time=time,
        promise=promise,
        proof=proof,
        body=_body(entry, named),
    )
    # In Rekor v1 the two differ: a log has several trees, and numbers entries over all of them.
    if found.of_rekor_v2 and proof and proof.log_index != found.log_index:
        raise ProtoJsonError(
            f"{entry.where} is entry {found.log_index} and its proof is for {proof.log_index}"
        )
    return found


def _body(entry: Message, named: tuple[str, str]) -> bytes:
    """What was logged is strict JSON, and of the kind that the entry states."""
    body = entry.octets("canonicalizedBody")
    try:
        value = parse_object(body)
    except JsonError as e:
        raise ProtoJsonError(f"{entry.at('canonicalizedBody')} {e}") from e
    if (value.get("kind"), value.get("apiVersion")) != named:
        raise ProtoJsonError(f"{entry.where} is of another kind than what was logged")
    return body


def _proof(entry: Message, *, required: bool) -> InclusionProof | None:
    if not entry.has("inclusionProof"):
        if required:
            raise ProtoJsonError(f"{entry.where} has no inclusion proof")
        return None
    proof = entry.message("inclusionProof", _PROOF)
    if not proof.has("checkpoint"):
        if required:
            raise ProtoJsonError(f"{proof.where} has no checkpoint")
        return None
    envelope = proof.message("checkpoint", ("envelope",)).text("envelope")
    checkpoint = read_checkpoint(envelope, proof.at("checkpoint"))
    found = InclusionProof(
        log_index=proof.number("logIndex"),
        root_hash=proof.octets("rootHash"),
        tree_size=proof.number("treeSize"),
        hashes=proof.octets_list("hashes", _MAX_HASHES),
        checkpoint=checkpoint,
    )
    if any(len(h) != _HASH_SIZE for h in (found.root_hash, *found.hashes)):
        raise ProtoJsonError(f"{proof.where} holds a hash that is not of {_HASH_SIZE} bytes")
    if found.log_index >= found.tree_size:
        raise ProtoJsonError(
            f"{proof.where} is for entry {found.log_index} of a tree of {found.tree_size}"
        )
    if found.tree_size != checkpoint.tree_size:
        raise ProtoJsonError(
            f"{proof.where} is for a tree of {found.tree_size}, "
            f"and its checkpoint is of one of {checkpoint.tree_size}"
        )
    if found.root_hash != checkpoint.root_hash:
        raise ProtoJsonError(f"{proof.where} leads to another root than its checkpoint's")
    return found


def read_checkpoint(envelope: str, where: str) -> Checkpoint:
    """The checkpoint in a signed note. Raises ProtoJsonError."""
    text, blank, signatures = envelope.partition("\n\n")
    lines = text.split("\n")
    signed = signatures.removesuffix("\n").split("\n")
    whole = blank and signatures.endswith("\n") and len(lines) >= 3 and lines[0]
    if not whole or not all(_SIGNATURE_LINE.fullmatch(s) for s in signed):
        raise ProtoJsonError(f"{where} is not a signed checkpoint")
    if _SIZE.fullmatch(lines[1]) is None:
        raise ProtoJsonError(f"{where} states no tree size")
    try:
        root = base64.b64decode(lines[2], validate=True)
    except (binascii.Error, ValueError) as e:
        raise ProtoJsonError(f"{where} states no root hash") from e
    return Checkpoint(envelope, lines[0], int(lines[1]), root)
