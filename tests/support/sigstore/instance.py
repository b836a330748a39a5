# SPDX-License-Identifier: Apache-2.0
"""The instance: it makes bundles of every form, and the trusted root that they verify by."""

from __future__ import annotations

import datetime
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.sigstore.ca import AnyKey, Fulcio, Request, algorithm_of, der, new_key, sign, uri
from tests.support.sigstore.rekor import Rekor, RekorV1, RekorV2, b64
from tests.support.sigstore.tsa import TimestampAuthority

MEDIA_TYPES: Final = {
    "0.1": "application/vnd.dev.sigstore.bundle+json;version=0.1",
    "0.2": "application/vnd.dev.sigstore.bundle+json;version=0.2",
    "0.3": "application/vnd.dev.sigstore.bundle.v0.3+json",
}
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
SUBJECT: Final = "https://ci.example.org/release"
ISSUER: Final = "https://issuer.example.org"
NOW: Final = datetime.datetime(2026, 6, 1, 12, 0, 0, tzinfo=datetime.UTC)
START: Final = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
END: Final = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)

Bundle = dict[str, Any]
LogVersion = Literal["v1", "v2", "v2 dsse", "intoto 0.0.1", "intoto 0.0.2"] | None
"""Rekor v1 or v2. The older kinds of entries about envelopes are by their name."""


def pae(payload: bytes) -> bytes:
    """What a DSSE signature is over."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def intoto(payload: bytes, signature: bytes, pem: bytes, version: str) -> dict[str, Any]:
    """The body of an entry `intoto` of Rekor v1, which keeps the base64 of envelopes in base64."""
    content: dict[str, Any] = {
        "hash": {"algorithm": "sha256", "value": hashlib.sha256(b"?").hexdigest()},
        "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
    }
    if version == "0.0.1":
        spec = {"content": content, "publicKey": b64(pem)}
    else:
        signed = {"sig": b64(b64(signature).encode()), "publicKey": b64(pem)}
        content["envelope"] = {"payloadType": PAYLOAD_TYPE, "signatures": [signed]}
        spec = {"content": content}
    return {"apiVersion": version, "kind": "intoto", "spec": spec}


def rfc3339(moment: datetime.datetime) -> str:
    """A moment as proto3 JSON writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Instance:
    """A Sigstore instance. Its parts may be replaced by those of another."""

    fulcio: Fulcio = field(default_factory=lambda: Fulcio(START, END))
    v1: RekorV1 = field(default_factory=RekorV1)
    v2: RekorV2 = field(default_factory=RekorV2)
    tsa: TimestampAuthority = field(default_factory=lambda: TimestampAuthority(START, END))

    @classmethod
    def today(cls) -> Instance:
        """An instance that signs now, and not in the summer of 2026."""
        now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        day = datetime.timedelta(days=1)
        return cls(
            fulcio=Fulcio(now - day, now + day), tsa=TimestampAuthority(now - day, now + day)
        )

    def attest(
        self,
        payload: bytes,
        request: Request | None = None,
        *,
        log: LogVersion = "v2",
        timestamps: int | None = None,
        at: datetime.datetime = NOW,
        signed_at: datetime.datetime | None = None,
        key: AnyKey | None = None,
        function: hashes.HashAlgorithm | None = None,
        version: str = "0.3",
    ) -> Bundle:
        """A bundle with `payload` in a DSSE envelope.

        Without `timestamps` there is one where the log states no time. The certificate is issued
        at `at`, and log and timestamp authority see the signature at `signed_at`.
        """
        key = key or new_key()
        signature = sign(key, pae(payload), function)
        envelope = {
            "payload": b64(payload),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": b64(signature)}],
        }
        certificate = self.fulcio.issue(request or uri(SUBJECT, ISSUER), key.public_key(), at)
        v1 = {
            "envelopeHash": {"algorithm": "sha256", "value": hashlib.sha256(b"?").hexdigest()},
            "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
            "signatures": [{"signature": b64(signature), "verifier": b64(_pem(certificate))}],
        }
        if log in ("intoto 0.0.1", "intoto 0.0.2"):
            body = intoto(payload, signature, _pem(certificate), log.removeprefix("intoto "))
            entry: Any = self.v1.add("intoto", body, int((signed_at or at).timestamp()))
        else:
            details, over = algorithm_of(key)
            digest = hashlib.new(over.name, pae(payload)).digest()
            if log == "v2 dsse":
                digest = hashlib.sha256(payload).digest()
            entry = self._log(
                log, "dsse", v1, digest, signature, certificate, signed_at or at, details
            )
        stamps = self._stamps(signature, signed_at or at, log, timestamps)
        return _bundle(version, certificate, entry, stamps) | {"dsseEnvelope": envelope}

    def sign_bytes(
        self,
        content: bytes,
        request: Request | None = None,
        *,
        log: LogVersion = "v2",
        timestamps: int | None = None,
        at: datetime.datetime = NOW,
        key: AnyKey | None = None,
        version: str = "0.3",
    ) -> Bundle:
        key = key or new_key()
        signature = sign(key, content)
        details, over = algorithm_of(key)
        digest = hashlib.new(over.name, content).digest()
        certificate = self.fulcio.issue(request or uri(SUBJECT, ISSUER), key.public_key(), at)
        v1 = {
            "data": {"hash": {"algorithm": over.name, "value": digest.hex()}},
            "signature": {
                "content": b64(signature),
                "publicKey": {"content": b64(_pem(certificate))},
            },
        }
        entry = self._log(log, "hashedrekord", v1, digest, signature, certificate, at, details)
        stamps = self._stamps(signature, at, log, timestamps)
        message = {
            "messageDigest": {"algorithm": f"SHA2_{len(digest) * 8}", "digest": b64(digest)},
            "signature": b64(signature),
        }
        return _bundle(version, certificate, entry, stamps) | {"messageSignature": message}

    def trusted_root(self) -> dict[str, Any]:
        period = {"start": rfc3339(self.fulcio.start), "end": rfc3339(self.fulcio.end)}
        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [
                _log_json(self.v1, der(self.v1.key), "PKIX_ECDSA_P256_SHA_256", period),
                _log_json(self.v2, der(self.v2.key), "PKIX_ED25519", period),
            ],
            "certificateAuthorities": [_authority_json(self.fulcio.authority.chain, period)],
            "ctlogs": [
                {
                    "baseUrl": "https://ct.simulated.test",
                    "hashAlgorithm": "SHA2_256",
                    "publicKey": {
                        "rawBytes": b64(der(self.fulcio.ct.key)),
                        "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                        "validFor": dict(period),
                    },
                    "logId": {"keyId": b64(self.fulcio.ct.log_id)},
                }
            ],
            "timestampAuthorities": [_authority_json(self.tsa.authority.chain, period)],
        }

    def write_root(self, path: Path) -> Path:
        path.write_text(json.dumps(self.trusted_root()), "utf-8")
        return path

    def _log(
        self,
        log: LogVersion,
        kind: str,
        v1: dict[str, Any],
        digest: bytes,
        signature: bytes,
        certificate: x509.Certificate,
        at: datetime.datetime,
        details: str = "PKIX_ECDSA_P256_SHA_256",
    ) -> dict[str, Any] | None:
        if log == "v1":
            body = {"apiVersion": "0.0.1", "kind": kind, "spec": v1}
            return self.v1.add(kind, body, int(at.timestamp()))
        if log is None:
            return None
        verifier = {
            "x509Certificate": {"rawBytes": b64(certificate.public_bytes(Encoding.DER))},
            "keyDetails": details,
        }
        algorithm = f"SHA2_{len(digest) * 8}"
        data, by = {"algorithm": algorithm, "digest": b64(digest)}, b64(signature)
        signed = {"content": by, "verifier": verifier}
        if log == "v2 dsse":  # of the envelope, as older versions of Rekor v2 wrote it
            spec: dict[str, Any] = {"dsseV002": {"payloadHash": data, "signatures": [signed]}}
            return self.v2.add("dsse", {"apiVersion": "0.0.2", "kind": "dsse", "spec": spec})
        spec = {"hashedRekordV002": {"data": data, "signature": signed}}
        body = {"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": spec}
        return self.v2.add("hashedrekord", body)

    def _stamps(
        self, signature: bytes, at: datetime.datetime, log: LogVersion, wanted: int | None
    ) -> list[str]:
        states_time = log is not None and not log.startswith("v2")
        count = (0 if states_time else 1) if wanted is None else wanted
        return [b64(self.tsa.stamp(signature, at)) for _ in range(count)]


def _bundle(
    version: str, certificate: x509.Certificate, entry: dict[str, Any] | None, stamps: list[str]
) -> Bundle:
    raw = {"rawBytes": b64(certificate.public_bytes(Encoding.DER))}
    holder = (
        {"certificate": raw}
        if version == "0.3"
        else {"x509CertificateChain": {"certificates": [raw]}}
    )
    return {
        "mediaType": MEDIA_TYPES[version],
        "verificationMaterial": {
            **holder,
            "tlogEntries": [entry] if entry else [],
            "timestampVerificationData": {
                "rfc3161Timestamps": [{"signedTimestamp": s} for s in stamps]
            },
        },
    }


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def _log_json(log: Rekor, key: bytes, details: str, period: dict[str, str]) -> dict[str, Any]:
    return {
        "baseUrl": log.url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {"rawBytes": b64(key), "keyDetails": details, "validFor": dict(period)},
        "logId": {"keyId": b64(log.log_id)},
    }


def _authority_json(chain: tuple[x509.Certificate, ...], period: dict[str, str]) -> dict[str, Any]:
    certificates = [{"rawBytes": b64(c.public_bytes(Encoding.DER))} for c in chain]
    return {
        "subject": {"organization": "simulated", "commonName": "simulated"},
        "certChain": {"certificates": certificates},
        "validFor": dict(period),
    }
