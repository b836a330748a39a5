# SPDX-License-Identifier: Apache-2.0
"""The keys and certificates of a new Sigstore instance."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_PASSWORD: Final = "loopback"
_DAY: Final = datetime.timedelta(days=1)


def write_ca(folder: Path) -> tuple[Path, Path]:
    """Write a code-signing CA for Fulcio; its key is encrypted with `CA_PASSWORD`."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate("loopback CA", key, key, "loopback CA", ca=True)
    encryption = BestAvailableEncryption(CA_PASSWORD.encode())
    return (
        _write(folder / "ca.pem", certificate.public_bytes(Encoding.PEM)),
        _write(folder / "ca.key", _pkcs8(key, encryption)),
    )


def write_timestamp_authority(folder: Path) -> tuple[Path, Path]:
    """Write the chain of a timestamp authority, leaf first, and the key of the leaf."""
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = _certificate("loopback TSA root", root_key, root_key, "loopback TSA root", ca=True)
    stamping = [ExtendedKeyUsageOID.TIME_STAMPING]
    leaf = _certificate("loopback TSA", key, root_key, "loopback TSA root", usages=stamping)
    chain = leaf.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM)
    return _write(folder / "tsa.pem", chain), _write(folder / "tsa.key", _pkcs8(key))


def write_log_key(folder: Path) -> tuple[Path, Path]:
    """Write the Ed25519 key pair of a Rekor v2 log."""
    key = ed25519.Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return _write(folder / "rekor.pub", public), _write(folder / "rekor.key", private)


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    issuer: str,
    *,
    ca: bool = False,
    usages: Sequence[x509.ObjectIdentifier] = (),
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + 365 * _DAY)
        .add_extension(x509.BasicConstraints(ca, 1 if ca else None), critical=True)
        .add_extension(_usage(ca=ca), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=True)
    return builder.sign(signer, hashes.SHA256())


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _named(name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "loopback"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def _pkcs8(
    key: ec.EllipticCurvePrivateKey, encryption: KeySerializationEncryption | None = None
) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o600)
    return path
