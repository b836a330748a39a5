# SPDX-License-Identifier: Apache-2.0
"""Reading key files: ECDSA P-256 in PEM, and for everything else an error that says what it is.

One algorithm: the one that `cosign generate-key-pair` makes, that every Sigstore client verifies,
and that cloud KMS and PKCS#11 tokens all offer (docs/adr/0006-one-key-algorithm.md).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from provenance.artifacts import limits, paths
from provenance.errors import InputError, UnavailableError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import (
        EllipticCurvePrivateKey,
        EllipticCurvePublicKey,
    )
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_NEED = "an ECDSA P-256 key in PEM"


def load_public_key(data: bytes, path: str) -> EllipticCurvePublicKey:
    """The public key in PEM `data`; `path` is for messages.

    Raises:
        InputError: It is no public key, or not ECDSA P-256.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if b"PRIVATE KEY-----" in data:
        raise InputError(
            f"{path}: a private key where the public key is needed",
            help="Give the file that `provenance keygen` wrote beside it, ending in .pub.",
        )
    if b"-----BEGIN CERTIFICATE-----" in data:
        raise InputError(
            f"{path}: a certificate, not {_NEED}",
            help="Extract its key: openssl x509 -pubkey -noout -in CERT > KEY.pub",
        )
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as e:
        raise InputError(
            f"{path}: not {_NEED}",
            help="A public key starts with -----BEGIN PUBLIC KEY-----.",
        ) from e
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InputError(f"{path}: {_describe(key)}, expected {_NEED}", help=_MAKE_ONE)
    return key


def load_private_key(
    data: bytes, path: str, passphrase: Callable[[], str]
) -> EllipticCurvePrivateKey:
    """The private key in PEM (PKCS#8 or SEC 1) `data`; `path` is for messages.

    `passphrase` is asked only where the key is encrypted.

    Raises:
        InputError: It is no private key, or not ECDSA P-256.
        UnavailableError: It is encrypted, and the passphrase is another one.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if b"-----BEGIN CERTIFICATE-----" in data:
        raise InputError(f"{path}: a certificate, expected {_NEED}", help=_MAKE_ONE)
    if b"-----BEGIN PUBLIC KEY-----" in data:
        raise InputError(f"{path}: a public key; signing needs the private one", help=_MAKE_ONE)
    try:
        key = load_pem_private_key(data, password=None)
    except TypeError:  # what cryptography raises where a password is needed
        key = _decrypted(data, path, passphrase())
    except (ValueError, UnsupportedAlgorithm) as e:
        encrypted = b"ENCRYPTED" in data
        what = "an encrypted key that is not PKCS#8" if encrypted else f"not {_NEED}"
        raise InputError(f"{path}: {what}", help=_MAKE_ONE) from e
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InputError(f"{path}: {_describe(key)}, expected {_NEED}", help=_MAKE_ONE)
    return key


def _decrypted(data: bytes, path: str, passphrase: str) -> PrivateKeyTypes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(data, passphrase.encode("utf-8"))
    except (ValueError, TypeError, UnsupportedAlgorithm) as e:
        raise UnavailableError(
            f"{path}: the passphrase does not open it",
            help="Is it that of this very key? One that is encrypted in an old way: "
            "openssl pkcs8 -topk8 -v2 aes-256-cbc -in KEY -out NEW",
        ) from e


_MAKE_ONE = "Make a key pair: provenance keygen release"


def generate(passphrase: str | None = None) -> tuple[bytes, bytes]:
    """A fresh key pair: the private key (PKCS#8 PEM) and the public key (PEM).

    The private key is encrypted with `passphrase`, where there is one.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase.encode("utf-8"))
        if passphrase
        else serialization.NoEncryption(),
    )
    return private, public_pem(key.public_key())


def public_pem(key: EllipticCurvePublicKey) -> bytes:
    """The key as PEM SubjectPublicKeyInfo."""
    from cryptography.hazmat.primitives import serialization

    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def fingerprint(key: EllipticCurvePublicKey) -> str:
    """The SHA-256 of the key's DER SubjectPublicKeyInfo, lower-case hex."""
    return _spki_sha256(key).hex()


def hint(key: EllipticCurvePublicKey) -> str:
    """The bundle hint that names the key: base64 of the same SHA-256, as cosign writes it."""
    return base64.b64encode(_spki_sha256(key)).decode()


def public_der(key: EllipticCurvePublicKey) -> bytes:
    """The key as DER SubjectPublicKeyInfo."""
    from cryptography.hazmat.primitives import serialization

    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _spki_sha256(key: EllipticCurvePublicKey) -> bytes:
    return hashlib.sha256(public_der(key)).digest()


def _describe(key: object) -> str:
    name = type(key).__name__.lower()
    for word, label in (("rsa", "an RSA key"), ("ed25519", "an Ed25519 key"), ("dsa", "a DSA key")):
        if name.startswith(word):
            return label
    curve = getattr(key, "curve", None)
    return f"an ECDSA key on {curve.name}" if curve is not None else "a key of another kind"


def read_file(path: Path) -> bytes:
    """The bytes of a key file that the user named.

    Raises:
        InputError: It cannot be read as a regular, small file.
    """
    try:
        return paths.read_named_file(path, limits.KEY)
    except paths.FileError as e:
        raise InputError(f"key {path}: {e.message}", help=e.help) from e
