# SPDX-License-Identifier: Apache-2.0
"""Comparing a log entry with the bundle that contains it.

An entry of another signature would make a signature look logged that never was. All kinds of
entries contain the payload or its digest, and the key or certificate. All except `intoto 0.0.1`
also contain the signature; that kind has only a hash of the uploaded envelope, which cannot be
recomputed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding

from provenance.artifacts.documents.strict_json import parse_object
from provenance.attestations.bundle import Bundle, Envelope
from provenance.attestations.log_entry import INTOTO, INTOTO_2, LogEntry
from provenance.attestations.statement import pre_authentication_encoding
from provenance.frozen import dataclass
from provenance.signing import algorithms, pem
from provenance.signing.sigstore_json import base64_of

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_PEM: Final = re.compile(
    rb"-----BEGIN (?P<label>[A-Z ]{1,40})-----\s(?P<body>[A-Za-z0-9+/=\s]+)"
    rb"-----END (?P=label)-----\s*"
)


@dataclass(frozen=True)
class _Maker:
    """The key or certificate that made the signature, in the form of log entries."""

    label: str
    der: bytes

    def is_v2(self, value: Any) -> bool:
        """Return whether `value` is this key or certificate, as Rekor v2 writes it.

        The algorithm is not compared, because the key determines it.
        """
        name = "publicKey" if self.label == "PUBLIC KEY" else "x509Certificate"
        if not isinstance(value, dict) or not value.keys() <= {name, "keyDetails"}:
            return False
        return value.get(name) == {"rawBytes": base64_of(self.der)}

    def is_pem(self, value: Any) -> bool:
        """Return whether `value` is this key or certificate, as base64 of PEM.

        Lines may be wrapped anywhere, because clients differ.
        """
        try:
            block = _PEM.fullmatch(base64.b64decode(value, validate=True))
            if block is None or block["label"].decode() != self.label:
                return False
            return base64.b64decode(b"".join(block["body"].split()), validate=True) == self.der
        except (binascii.Error, TypeError, ValueError):
            return False


def contradicts(
    bundle: Bundle, made_by: EllipticCurvePublicKey | Certificate, artifact_sha256: str | None
) -> str | None:
    """Return the reason why the log entry in `bundle` is not of its signature, or None.

    `made_by` is the key or certificate that made the signature.
    """
    entry = bundle.entry
    if entry is None:
        return None
    if isinstance(made_by, EllipticCurvePublicKey):
        maker = _Maker("PUBLIC KEY", pem.public_der(made_by))
    else:
        maker = _Maker("CERTIFICATE", made_by.public_bytes(Encoding.DER))
    if entry.kind in ("dsse", "intoto") and not isinstance(bundle.content, Envelope):
        return (
            "its log entry is of another signature: it is of an envelope, but the bundle has none"
        )
    body = parse_object(entry.body)  # the bundle was read, so this is strict JSON
    for path, expected in _expected(bundle, entry, maker, artifact_sha256).items():
        value: Any = body
        for step in path.split("."):
            value = value.get(step) if isinstance(value, dict) else None
        if not (expected(value) if callable(expected) else value == expected):
            return f"its log entry is of another signature: {path} differs"
    return None


def _expected(
    bundle: Bundle, entry: LogEntry, maker: _Maker, artifact_sha256: str | None
) -> Mapping[str, Any]:
    """Return the expected values of the body's members, or functions that test them.

    These members name the artifact, the key and the signature.
    """
    content = bundle.content
    if isinstance(content, Envelope):
        if entry.kind == "dsse":
            return _of_dsse(content, entry, maker)
        if entry.kind == "intoto":
            return _of_intoto(content, entry, maker)
        signed = pre_authentication_encoding(content.payload_type, content.payload)
        digests = {n: hashlib.new(n, signed).hexdigest() for n in algorithms.HASHES}
    else:
        digests = content.digests(artifact_sha256)
    if not entry.of_rekor_v2:
        return {
            "spec.data.hash": lambda v: (
                v in [{"algorithm": n, "value": d} for n, d in digests.items()]
            ),
            "spec.signature.content": base64_of(content.signature),
            "spec.signature.publicKey.content": maker.is_pem,
        }
    return {
        "spec.hashedRekordV002.data": lambda v: v in [_v2_hash(n, d) for n, d in digests.items()],
        "spec.hashedRekordV002.signature.content": base64_of(content.signature),
        "spec.hashedRekordV002.signature.verifier": maker.is_v2,
    }


def _of_dsse(content: Envelope, entry: LogEntry, maker: _Maker) -> Mapping[str, Any]:
    """Return the members of an entry `dsse 0.0.1` of Rekor v1, or `dsse 0.0.2` of Rekor v2."""
    name, is_maker = ("content", maker.is_v2) if entry.of_rekor_v2 else ("signature", maker.is_pem)

    def signatures(value: Any) -> bool:
        signed = _only(value, {name, "verifier"})
        return signed.get(name) == base64_of(content.signature) and is_maker(signed.get("verifier"))

    if not entry.of_rekor_v2:
        return {"spec.payloadHash": v1_hash(content.payload), "spec.signatures": signatures}
    payload_hash = _v2_hash("sha256", hashlib.sha256(content.payload).hexdigest())
    return {"spec.dsseV002.payloadHash": payload_hash, "spec.dsseV002.signatures": signatures}


def _of_intoto(content: Envelope, entry: LogEntry, maker: _Maker) -> Mapping[str, Any]:
    """Return the members of an `intoto` entry of Rekor v1."""
    expected: dict[str, Any] = {"spec.content.payloadHash": v1_hash(content.payload)}
    if entry.named == INTOTO:
        return expected | {"spec.publicKey": maker.is_pem}
    assert entry.named == INTOTO_2

    def envelope(value: Any) -> bool:
        """Compare an envelope, whose base64 fields the log has encoded once more."""
        if not isinstance(value, dict):
            return False
        signed = _only(value.get("signatures"), {"keyid", "sig", "publicKey"})
        return (
            value.get("payloadType") == content.payload_type
            and value.get("payload") in (None, "", _twice(content.payload))
            and signed.get("sig") == _twice(content.signature)
            and maker.is_pem(signed.get("publicKey"))
        )

    return expected | {"spec.content.envelope": envelope}


def _only(value: Any, known: set[str]) -> Mapping[str, Any]:
    """Return the object in a list of one, or {} for anything else or unknown members."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        item: Mapping[str, Any] = value[0]
        return item if item.keys() <= known else {}
    return {}


def v1_hash(data: bytes) -> Mapping[str, str]:
    """Return the SHA-256 of bytes, in the form of Rekor v1."""
    return {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()}


def _v2_hash(name: str, digest: str) -> Mapping[str, str]:
    return {"algorithm": algorithms.HASHES[name], "digest": base64_of(bytes.fromhex(digest))}


def _twice(data: bytes) -> str:
    return base64_of(base64.b64encode(data))
