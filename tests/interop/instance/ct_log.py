# SPDX-License-Identifier: Apache-2.0
"""A minimal CT log for Fulcio: it answers `add-pre-chain` with an SCT (RFC 6962)."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.interop.instance.der import without_poison
from tests.interop.instance.servers import Answer, answering

PREFIX: Final = "/test"
_SHA256_ECDSA: Final = b"\x04\x03"  # TLS 1.2 HashAlgorithm, SignatureAlgorithm


@dataclass(frozen=True)
class CtLog:
    """A log that stores nothing. Nothing checks that its SCTs are kept."""

    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Run the log until the end of the block, and yield its URL with the prefix."""
        with answering(self._answer) as port:
            yield f"http://localhost:{port}{PREFIX}"

    @property
    def public_key_pem(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def _answer(self, method: str, path: str, body: bytes) -> Answer:
        if (method, path) != ("POST", f"{PREFIX}/ct/v1/add-pre-chain"):
            return 404, {"error": f"{method} {path}"}
        chain = [base64.b64decode(c) for c in json.loads(body)["chain"]]
        return 200, self._sct(*(x509.load_der_x509_certificate(c) for c in chain[:2]))

    def _sct(self, certificate: x509.Certificate, issuer: x509.Certificate) -> dict[str, object]:
        spki = PublicFormat.SubjectPublicKeyInfo
        issuer_key = issuer.public_key().public_bytes(Encoding.DER, spki)
        tbs = without_poison(certificate.tbs_certificate_bytes)
        now = time.time_ns() // 1_000_000
        # struct of RFC 6962, section 3.2: v1, certificate_timestamp, time, precert_entry, …
        signed = struct.pack(">BBQH", 0, 0, now, 1) + hashlib.sha256(issuer_key).digest()
        signed += len(tbs).to_bytes(3, "big") + tbs + b"\x00\x00"
        signature = self.key.sign(signed, ec.ECDSA(hashes.SHA256()))
        own_key = self.key.public_key().public_bytes(Encoding.DER, spki)
        return {
            "sct_version": 0,
            "id": _base64(hashlib.sha256(own_key).digest()),
            "timestamp": now,
            "extensions": "",
            "signature": _base64(_SHA256_ECDSA + struct.pack(">H", len(signature)) + signature),
        }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
