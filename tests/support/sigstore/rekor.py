# SPDX-License-Identifier: Apache-2.0
"""Transparency logs as Rekor v1 and v2 are: a Merkle tree (RFC 6962) with signed checkpoints."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.sigstore.ca import Key, der, new_key


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def leaf_hash(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\0" + leaf).digest()


def root_hash(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + root_hash(leaves[:split]) + root_hash(leaves[split:])).digest()


def path(index: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*path(index, leaves[:split]), root_hash(leaves[split:])]
    return [*path(index - split, leaves[split:]), root_hash(leaves[:split])]


@dataclass
class Rekor:
    """A log. `before` entries by others come first, so that proofs are not empty."""

    host: str
    before: int = 5
    leaves: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.leaves += [leaf_hash(b"of others %d" % n) for n in range(self.before)]

    @property
    def url(self) -> str:
        return f"https://{self.host}"

    @property
    def log_id(self) -> bytes:
        raise NotImplementedError

    @property
    def origin(self) -> str:
        raise NotImplementedError

    def sign(self, data: bytes) -> bytes:
        raise NotImplementedError

    def checkpoint(self, size: int, root: bytes, origin: str | None = None) -> str:
        note = f"{origin or self.origin}\n{size}\n{b64(root)}\n"
        signed = b64(self.log_id[:4] + self.sign(note.encode()))
        return f"{note}\n\u2014 {self.host} {signed}\n"

    def include(self, body: bytes) -> dict[str, Any]:
        """Adds an entry; its inclusion proof as bundles carry it."""
        self.leaves.append(leaf_hash(body))
        index, size = len(self.leaves) - 1, len(self.leaves)
        root = root_hash(self.leaves)
        return {
            "logIndex": str(index),
            "rootHash": b64(root),
            "treeSize": str(size),
            "hashes": [b64(h) for h in path(index, self.leaves)],
            "checkpoint": {"envelope": self.checkpoint(size, root)},
        }


@dataclass
class RekorV1(Rekor):
    """Rekor v1: it promises inclusion at a time, and has numbers over several trees."""

    host: str = "rekor.simulated.test"
    key: Key = field(default_factory=new_key)
    earlier_trees: int = 1000

    @property
    def log_id(self) -> bytes:
        return hashlib.sha256(der(self.key)).digest()

    @property
    def origin(self) -> str:
        return f"{self.host} - 1193050959916656506"

    def sign(self, data: bytes) -> bytes:
        return self.key.sign(data, ec.ECDSA(hashes.SHA256()))

    def promise(self, body: bytes, time: int, index: int) -> bytes:
        value = {
            "body": b64(body),
            "integratedTime": time,
            "logID": self.log_id.hex(),
            "logIndex": index,
        }
        return self.sign(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())

    def add(self, kind: str, body: dict[str, Any], time: int) -> dict[str, Any]:
        data = json.dumps(body).encode()
        proof = self.include(data)
        index = int(proof["logIndex"]) + self.earlier_trees
        return {
            "logIndex": str(index),
            "logId": {"keyId": b64(self.log_id)},
            "kindVersion": {"kind": kind, "version": body["apiVersion"]},
            "integratedTime": str(time),
            "inclusionPromise": {"signedEntryTimestamp": b64(self.promise(data, time, index))},
            "inclusionProof": proof,
            "canonicalizedBody": b64(data),
        }


@dataclass
class RekorV2(Rekor):
    """Rekor v2: it states no time, and is named by its origin and key."""

    host: str = "log2026-1.rekor.simulated.test"
    key: ed25519.Ed25519PrivateKey = field(default_factory=ed25519.Ed25519PrivateKey.generate)

    @property
    def log_id(self) -> bytes:
        raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return hashlib.sha256(self.host.encode() + b"\n\x01" + raw).digest()

    @property
    def origin(self) -> str:
        return self.host

    def sign(self, data: bytes) -> bytes:
        return self.key.sign(data)

    def add(self, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        data = json.dumps(body).encode()
        proof = self.include(data)
        return {
            "logIndex": proof["logIndex"],
            "logId": {"keyId": b64(self.log_id)},
            "kindVersion": {"kind": kind, "version": "0.0.2"},
            "inclusionProof": proof,
            "canonicalizedBody": b64(data),
        }
