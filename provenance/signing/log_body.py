# SPDX-License-Identifier: Apache-2.0
"""What a log says was logged, compared with the bundle that carries the entry.

For signatures with a key. `sigstore` does the same for certificates, and knows no keys. An entry of
something else that is put into a bundle would make a signature look logged that never was.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from provenance.artifacts.strict_json import parse_object
from provenance.attestations.bundle import Bundle, Envelope
from provenance.attestations.dsse import pre_authentication_encoding
from provenance.attestations.log_entry import LogEntry
from provenance.signing import pem

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey


def contradicts(
    bundle: Bundle, key: EllipticCurvePublicKey, artifact_sha256: str | None
) -> str | None:
    """What the log entry in `bundle` is of, where it is not of this very signature."""
    entry = bundle.entry
    if entry is None:
        return None
    body = parse_object(entry.body)  # strict JSON, or the bundle would not have been read
    expected = _expected(bundle, entry, key, artifact_sha256)
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
    if isinstance(content, Envelope):
        encoded = pre_authentication_encoding(content.payload_type, content.payload)
        signed = hashlib.sha256(encoded).digest()
    else:
        signed = bytes.fromhex(artifact_sha256 or "")
    return {
        "spec.hashedRekordV002.data.algorithm": "SHA2_256",
        "spec.hashedRekordV002.data.digest": base64.b64encode(signed).decode(),
        "spec.hashedRekordV002.signature.content": signature,
        "spec.hashedRekordV002.signature.verifier.publicKey.rawBytes": base64.b64encode(
            pem.public_der(key)
        ).decode(),
    }


def _at(value: Any, path: str) -> Any:
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value
