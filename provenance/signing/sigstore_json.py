# SPDX-License-Identifier: Apache-2.0
"""Bundles as JSON v0.3, for writing them and for passing them to `sigstore`.

Every field is present, because the parser of `sigstore` refuses some valid bundles
(docs/adr/0005-reading-bundles.md).
"""

from __future__ import annotations

import base64
from typing import Any

from provenance.attestations.bundle import MEDIA_TYPE, Bundle, Envelope, MessageSignature
from provenance.attestations.log_entry import LogEntry


def bundle_json(bundle: Bundle) -> dict[str, Any]:
    """Return the bundle as JSON v0.3, with every field present."""
    material: dict[str, Any] = {"tlogEntries": [_entry_json(bundle.entry)] if bundle.entry else []}
    if bundle.certificate is not None:
        material["certificate"] = {"rawBytes": base64_of(bundle.certificate)}
    else:
        material["publicKey"] = {"hint": bundle.hint}
    if bundle.timestamps:
        stamps = [{"signedTimestamp": base64_of(t)} for t in bundle.timestamps]
        material["timestampVerificationData"] = {"rfc3161Timestamps": stamps}
    content = bundle.content
    result: dict[str, Any] = {"mediaType": MEDIA_TYPE, "verificationMaterial": material}
    if isinstance(content, MessageSignature):
        message: dict[str, Any] = {"signature": base64_of(content.signature)}
        if content.sha256 is not None:
            digest = base64_of(bytes.fromhex(content.sha256))
            message["messageDigest"] = {"algorithm": "SHA2_256", "digest": digest}
        return result | {"messageSignature": message}
    return result | {"dsseEnvelope": envelope_json(content)}


def envelope_json(envelope: Envelope) -> dict[str, Any]:
    """Return the envelope as JSON for bundles and logs."""
    return {
        "payload": base64_of(envelope.payload),
        "payloadType": envelope.payload_type,
        "signatures": [{"sig": base64_of(envelope.signature)}],
    }


def _entry_json(entry: LogEntry) -> dict[str, Any]:
    """Return an entry with its proof as JSON, with every field present."""
    assert entry.proof is not None
    result: dict[str, Any] = {
        "logIndex": str(entry.log_index),
        "logId": {"keyId": base64_of(entry.log_id)},
        "kindVersion": {"kind": entry.kind, "version": entry.version},
        "inclusionProof": {
            "logIndex": str(entry.proof.log_index),
            "rootHash": base64_of(entry.proof.root_hash),
            "treeSize": str(entry.proof.tree_size),
            "hashes": [base64_of(h) for h in entry.proof.hashes],
            "checkpoint": {"envelope": entry.proof.checkpoint.envelope},
        },
        "canonicalizedBody": base64_of(entry.body),
    }
    if entry.promise is not None:
        result["integratedTime"] = str(entry.integrated_time)
        result["inclusionPromise"] = {"signedEntryTimestamp": base64_of(entry.promise)}
    return result


def base64_of(data: bytes) -> str:
    """Return bytes in base64, as in proto3 JSON."""
    return base64.b64encode(data).decode()
