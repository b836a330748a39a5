# SPDX-License-Identifier: Apache-2.0
"""Entries of a transparency log, as bundles contain them.

This module checks what needs no key: that an entry is complete, and that its inclusion proof and
its checkpoint are about the same tree. `provenance.signing` checks which log it is, and its
signatures.
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
"""The kind of entry that Rekor v2 wrote for envelopes before it used `hashedrekord` for all."""
INTOTO: Final = ("intoto", "0.0.1")
INTOTO_2: Final = ("intoto", "0.0.2")
"""The kinds of entries that Rekor v1 wrote for envelopes before it had `dsse`."""
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
    """A checkpoint of a log: its name, and the size and root hash of its tree.

    `envelope` is the signed note (https://c2sp.org/tlog-checkpoint) that contains them.
    """

    envelope: str
    origin: str
    tree_size: int
    root_hash: bytes


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """The hashes that lead from an entry to the root hash of a checkpoint."""

    log_index: int
    root_hash: bytes
    tree_size: int
    hashes: tuple[bytes, ...]
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An entry of a transparency log.

    Attributes:
        log_id: The id of the log in trusted roots.
        kind, version: The format of the body: `hashedrekord`, `dsse` or `intoto`, and its version.
        integrated_time: Seconds since 1970, or None if the log gave no time. Only the promise signs
            this time.
        promise: The signed entry timestamp of Rekor v1.
        body: What was logged, in the log's canonical form.
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
        """The kind and its version."""
        return self.kind, self.version

    @property
    def of_rekor_v2(self) -> bool:
        """Whether Rekor v2 wrote the entry."""
        return _of_rekor_v2(self.named)


def _of_rekor_v2(named: tuple[str, str]) -> bool:
    return named[1] == REKOR_V2 and named != INTOTO_2


def read(entry: Message, *, proof_required: bool) -> LogEntry:
    """Return the entry in a message.

    In bundles v0.1 a promise was enough, and a proof could lack the checkpoint that it needs. Such
    a proof is ignored.

    Raises:
        ProtoJsonError: If the entry is not complete, or contradicts itself.
    """
    kind = entry.message("kindVersion", ("kind", "version"))
    named = (kind.text("kind"), kind.text("version"))
    if named not in KINDS:
        known = ", ".join(f"{k} {v}" for k, v in KINDS)
        raise ProtoJsonError(
            f"{entry.where} is unsupported: expected one of the kinds {known}, "
            f"found {' '.join(named)[:60]!r}"
        )
    promise = None
    if entry.has("inclusionPromise"):
        holder = entry.message("inclusionPromise", ("signedEntryTimestamp",))
        promise = holder.octets("signedEntryTimestamp")
    time = entry.number("integratedTime") or None
    if time is not None and time > _MAX_TIME:
        raise ProtoJsonError(f"{entry.at('integratedTime')} is after the year 9999")
    if promise is not None and time is None:
        raise ProtoJsonError(f"{entry.where} has a promise but no integratedTime")
    if promise is not None and _of_rekor_v2(named):
        raise ProtoJsonError(f"{entry.where} has a promise, which Rekor v2 never makes")
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
    # In Rekor v1 the two may differ: a log has several trees and numbers entries across all.
    if found.of_rekor_v2 and proof and proof.log_index != found.log_index:
        raise ProtoJsonError(
            f"{entry.where} is entry {found.log_index}, but its proof is for entry "
            f"{proof.log_index}"
        )
    return found


def _body(entry: Message, named: tuple[str, str]) -> bytes:
    """Return the body, which must be strict JSON of the kind that the entry states."""
    body = entry.octets("canonicalizedBody")
    try:
        value = parse_object(body)
    except JsonError as e:
        raise ProtoJsonError(f"{entry.at('canonicalizedBody')} {e}") from e
    if (value.get("kind"), value.get("apiVersion")) != named:
        raise ProtoJsonError(f"{entry.where} is not of the same kind as what was logged")
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
        raise ProtoJsonError(f"{proof.where} has a hash that is not {_HASH_SIZE} bytes long")
    if found.log_index >= found.tree_size:
        raise ProtoJsonError(
            f"{proof.where} is for entry {found.log_index} of a tree with {found.tree_size} entries"
        )
    if found.tree_size != checkpoint.tree_size:
        raise ProtoJsonError(
            f"{proof.where} is for a tree with {found.tree_size} entries, "
            f"but its checkpoint is for one with {checkpoint.tree_size}"
        )
    if found.root_hash != checkpoint.root_hash:
        raise ProtoJsonError(f"{proof.where} has another root hash than its checkpoint")
    return found


def read_checkpoint(envelope: str, where: str) -> Checkpoint:
    """Return the checkpoint in a signed note. Raises ProtoJsonError."""
    text, blank, signatures = envelope.partition("\n\n")
    lines = text.split("\n")
    signed = signatures.removesuffix("\n").split("\n")
    is_complete = blank and signatures.endswith("\n") and len(lines) >= 3 and lines[0]
    if not is_complete or not all(_SIGNATURE_LINE.fullmatch(s) for s in signed):
        raise ProtoJsonError(f"{where} is not a signed checkpoint")
    if _SIZE.fullmatch(lines[1]) is None:
        raise ProtoJsonError(f"{where} has no valid tree size")
    try:
        root = base64.b64decode(lines[2], validate=True)
    except (binascii.Error, ValueError) as e:
        raise ProtoJsonError(f"{where} has no valid root hash") from e
    return Checkpoint(envelope, lines[0], int(lines[1]), root)
