# SPDX-License-Identifier: Apache-2.0
"""A log of one entry, for bundles that carry none that `sigstore` reads.

`sigstore` judges certificates only together with an inclusion proof. Bundles of v0.1 have a promise
instead, those of instances without a log a timestamp, and some have a kind of entry that it does
not know. What takes the place of the proof was judged elsewhere; then the entry is put into a log
with a key that is thrown away, which proves nothing, and `sigstore` judges the rest.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from provenance.attestations.bundle import Bundle, Envelope
from provenance.attestations.log_entry import Checkpoint, InclusionProof, LogEntry
from provenance.signing import algorithms
from provenance.signing.log_body import v1_hash
from provenance.signing.sigstore_json import base64_of
from provenance.signing.trusted_root import Log

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate

_HOST: Final = "this-verification.invalid"
_P256: Final = "PKIX_ECDSA_P256_SHA_256"


def is_promised(entry: LogEntry, log: Log) -> bool:
    """Whether the log has promised to include the entry, at the time that it states.

    Raises:
        UnsupportedError: The log signs with a key of a kind that is not supported.
    """
    return algorithms.is_valid_by(
        log.key_details, log.public_key, entry.promise or b"", _promise(entry)
    )


def entry_of(bundle: Bundle, certificate: Certificate, artifact_sha256: str | None) -> LogEntry:
    """The entry that a log would hold of the bundle, as Rekor v1 writes it."""
    from cryptography.hazmat.primitives.serialization import Encoding

    content = bundle.content
    signature = base64_of(content.signature)
    verifier = base64_of(certificate.public_bytes(Encoding.PEM))
    if isinstance(content, Envelope):
        kind = "dsse"
        spec: dict[str, object] = {
            # No reader can compare the hash of an envelope: its JSON has no canonical form.
            "envelopeHash": v1_hash(b""),
            "payloadHash": v1_hash(content.payload),
            "signatures": [{"signature": signature, "verifier": verifier}],
        }
    else:
        kind = "hashedrekord"
        spec = {
            "data": {"hash": {"algorithm": "sha256", "value": artifact_sha256}},
            "signature": {"content": signature, "publicKey": {"content": verifier}},
        }
    body = json.dumps({"apiVersion": "0.0.1", "kind": kind, "spec": spec}).encode()
    return LogEntry(0, b"", kind, "0.0.1", None, None, None, body)


def log(entry: LogEntry) -> tuple[LogEntry, Log]:
    """The same entry in a log of its own, and that log."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    own = Log(f"https://{_HOST}", hashlib.sha256(public).digest(), public, _P256)
    root = hashlib.sha256(b"\0" + entry.body).digest()
    note = f"{_HOST}\n1\n{base64_of(root)}\n"
    signed = base64_of(own.log_id[:4] + _sign(key, note.encode()))
    checkpoint = Checkpoint(f"{note}\n\u2014 {_HOST} {signed}\n", _HOST, 1, root)
    logged = replace(
        entry, log_index=0, log_id=own.log_id, proof=InclusionProof(0, root, 1, (), checkpoint)
    )
    if entry.promise is not None:
        logged = replace(logged, promise=_sign(key, _promise(logged)))
    return logged, own


def _promise(entry: LogEntry) -> bytes:
    """What a signed entry timestamp is over: RFC 8785 JSON, which for these values is this."""
    value = {
        "body": base64_of(entry.body),
        "integratedTime": entry.integrated_time,
        "logID": entry.log_id.hex(),
        "logIndex": entry.log_index,
    }
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _sign(key: EllipticCurvePrivateKey, data: bytes) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    return key.sign(data, ec.ECDSA(hashes.SHA256()))
