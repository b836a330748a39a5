# SPDX-License-Identifier: Apache-2.0
"""Keys of every kind that a user might give. All are made when they are asked for."""

from __future__ import annotations

import base64
import datetime
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True)
class KeyPair:
    """An ECDSA P-256 key pair in two files outside every repository."""

    private: Path
    public: Path
    key: ec.EllipticCurvePrivateKey

    @property
    def signer(self) -> str:
        """The signer's URI."""
        return f"file:{self.private}"

    @property
    def hint(self) -> str:
        """How a bundle names the key, computed here on its own from the specification."""
        return base64.b64encode(hashlib.sha256(public_der(self.key)).digest()).decode()

    def sign(self, data: bytes) -> bytes:
        """An ECDSA signature with SHA-256 over `data`, DER-encoded."""
        return self.key.sign(data, ec.ECDSA(hashes.SHA256()))


def make_pair(folder: Path, name: str = "release") -> KeyPair:
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    pair = KeyPair(folder / f"{name}.key", folder / f"{name}.pub", key)
    pair.private.write_bytes(private_pem(key))
    pair.public.write_bytes(public_pem(key))
    return pair


def private_pem(key: Private, passphrase: bytes | None = None) -> bytes:
    encryption = (
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption()
    )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


def public_pem(key: Private) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def public_der(key: Private) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@cache
def _ecdsa() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def _rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def _certificate() -> bytes:
    key = _ecdsa()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


PUBLIC: Final[dict[str, Callable[[], bytes]]] = {
    "rsa": lambda: public_pem(_rsa()),
    "ed25519": lambda: public_pem(ed25519.Ed25519PrivateKey.generate()),
    "p384": lambda: public_pem(ec.generate_private_key(ec.SECP384R1())),
    "other": lambda: public_pem(_ecdsa()),
    "certificate": _certificate,
    "private": lambda: private_pem(_ecdsa()),
    "encrypted": lambda: private_pem(_ecdsa(), b"passphrase"),
    "garbage": lambda: b"this is not a key\n",
    "broken": lambda: public_pem(_ecdsa())[:-60] + b"\n-----END PUBLIC KEY-----\n",
}
"""What can lie where a public key is expected, by name."""

PRIVATE: Final[dict[str, Callable[[], bytes]]] = {
    "rsa": lambda: private_pem(_rsa()),
    "ed25519": lambda: private_pem(ed25519.Ed25519PrivateKey.generate()),
    "p384": lambda: private_pem(ec.generate_private_key(ec.SECP384R1())),
    "other": lambda: private_pem(_ecdsa()),
    "certificate": _certificate,
    "public": lambda: public_pem(_ecdsa()),
    "encrypted": lambda: private_pem(_ecdsa(), b"passphrase"),
    "garbage": lambda: b"this is not a key\n",
    "broken": lambda: private_pem(_ecdsa())[:-60] + b"\n-----END PRIVATE KEY-----\n",
}
"""What can lie where a private key is expected, by name."""
