# SPDX-License-Identifier: Apache-2.0
"""What a log says was logged, compared with the bundle that carries the entry.

For signatures with a key, and for the one kind of entry that `sigstore` does not know: it does the
same for certificates. An entry of something else that is put into a bundle would make a signature
look logged that never was.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from provenance.artifacts.strict_json import parse_object
from provenance.attestations.bundle import Bundle, Envelope, MessageSignature
from provenance.attestations.dsse import pre_authentication_encoding
from provenance.attestations.log_entry import DSSE_V2, LogEntry
from provenance.signing import pem

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

_P256: Final = {"keyDetails": "PKIX_ECDSA_P256_SHA_256"}


def contradicts(
    bundle: Bundle, key: EllipticCurvePublicKey, artifact_sha256: str | None
) -> str | None:
    """What the log entry in `bundle` is of, where it is not of this very signature."""
    entry = bundle.entry
    return (
        None if entry is None else _differing(entry, _expected(bundle, entry, key, artifact_sha256))
    )


def contradicts_envelope(content: Envelope, entry: LogEntry, certificate: bytes) -> str | None:
    """What an entry `dsse 0.0.2` is of, where it is not of this envelope and certificate (DER)."""
    verifier = {"x509Certificate": {"rawBytes": base64.b64encode(certificate).decode()}}
    return _differing(entry, _of_envelope(content, verifier | _P256))


def _differing(entry: LogEntry, expected: Mapping[str, Any]) -> str | None:
    body = parse_object(entry.body)  # strict JSON, or the bundle would not have been read
    for path, value in expected.items():
        if _at(body, path) != value:
            return f"its log entry is of another signature: {path} differs"
    return None


def _expected(
    bundle: Bundle, entry: LogEntry, key: EllipticCurvePublicKey, artifact_sha256: str | None
) -> Mapping[str, Any]:
    """The members of the body that name artifact, key and signature."""
    content = bundle.content
    signature = base64.b64encode(content.signature).decode()
    in_pem = base64.b64encode(pem.public_pem(key)).decode()
    payload = None
    if isinstance(content, Envelope):
        payload, artifact_sha256 = hashlib.sha256(content.payload).hexdigest(), None
    if (entry.kind, entry.version) == ("dsse", "0.0.1"):
        return {
            "spec.payloadHash.algorithm": "sha256",
            "spec.payloadHash.value": payload,
            "spec.signatures": [{"signature": signature, "verifier": in_pem}],
        }
    if entry.version == "0.0.1":
        return {
            "spec.data.hash.algorithm": "sha256",
            "spec.data.hash.value": artifact_sha256,
            "spec.signature.content": signature,
            "spec.signature.publicKey.content": in_pem,
        }
    raw = {"rawBytes": base64.b64encode(pem.public_der(key)).decode()}
    if (entry.kind, entry.version) == DSSE_V2:
        return _of_envelope(content, {"publicKey": raw} | _P256)
    if isinstance(content, Envelope):
        encoded = pre_authentication_encoding(content.payload_type, content.payload)
        signed = hashlib.sha256(encoded).digest()
    else:
        signed = bytes.fromhex(artifact_sha256 or "")
    return {
        "spec.hashedRekordV002.data.algorithm": "SHA2_256",
        "spec.hashedRekordV002.data.digest": base64.b64encode(signed).decode(),
        "spec.hashedRekordV002.signature.content": signature,
        "spec.hashedRekordV002.signature.verifier.publicKey": raw,
    }


def _of_envelope(
    content: Envelope | MessageSignature, verifier: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The members of an entry `dsse 0.0.2`. No bare file has one."""
    payload = content.payload if isinstance(content, Envelope) else b""
    signature = base64.b64encode(content.signature).decode()
    return {
        "spec.dsseV002.payloadHash": {
            "algorithm": "SHA2_256",
            "digest": base64.b64encode(hashlib.sha256(payload).digest()).decode(),
        },
        "spec.dsseV002.signatures": [{"content": signature, "verifier": verifier}],
    }


def _at(value: Any, path: str) -> Any:
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value
