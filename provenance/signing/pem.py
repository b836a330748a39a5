# SPDX-License-Identifier: Apache-2.0
"""Reading key files: ECDSA P-256 keys in PEM, with helpful errors for anything else.

Only this algorithm is supported. `cosign generate-key-pair` makes such keys, every Sigstore client
verifies them, and all cloud KMS and PKCS#11 tokens offer them
(docs/adr/0006-one-key-algorithm.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provenance.artifacts import limits, paths
from provenance.errors import InputError, UnavailableError
from provenance.signing import key_advice

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import (
        EllipticCurvePrivateKey,
        EllipticCurvePublicKey,
    )
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

MAX_KEYS: Final = 64
"""The maximum number of public keys in a PEM file or a trust: all may be tried on a signature."""

_BEGIN: Final = re.compile(rb"-----BEGIN ([A-Z0-9][A-Z0-9 ]{0,62})-----")
_PUBLIC: Final = re.compile(
    rb"-----BEGIN PUBLIC KEY-----(?:(?!-----).)*+-----END PUBLIC KEY-----", re.DOTALL
)
_NEED: Final = "an ECDSA P-256 key in PEM"
_DAMAGED: Final = "The file is damaged. Get it from its owner again."


def load_public_keys(data: bytes, path: str) -> tuple[EllipticCurvePublicKey, ...]:
    """Return the distinct public keys in PEM `data`, in their order; `path` is for messages.

    Text outside the PEM blocks is ignored.

    Raises:
        InputError: If a block is not an ECDSA P-256 public key, or there are more than `MAX_KEYS`.
    """
    labels, bodies = _labels(data), _PUBLIC.findall(data)
    _refuse_others(data, labels, path, wanted=key_advice.PUBLIC)
    if not labels:
        raise InputError(
            f"{path}: not {_NEED}", help="A public key starts with -----BEGIN PUBLIC KEY-----."
        )
    if len(bodies) != len(labels):
        raise InputError(f"{path}: a public key is cut off", help=_DAMAGED)
    if len(bodies) > MAX_KEYS:
        raise InputError(
            f"{path}: {len(bodies):,} public keys; at most {MAX_KEYS} are read",
            help="Keep only the keys of the actual signers.",
        )
    many = len(bodies) > 1
    keys: dict[bytes, EllipticCurvePublicKey] = {}
    for number, body in enumerate(bodies, 1):
        key = _public_key(body, f"{path} (key {number})" if many else path)
        keys.setdefault(public_der(key), key)
    return tuple(keys.values())


def load_public_key(data: bytes, path: str) -> EllipticCurvePublicKey:
    """Return the only public key in PEM `data`; `path` is for messages.

    Raises:
        InputError: Unless there is exactly one ECDSA P-256 public key.
    """
    keys = load_public_keys(data, path)
    if len(keys) > 1:
        raise InputError(
            f"{path}: expected one public key, found {len(keys)}",
            help="Give a file that contains only the key of the signer.",
        )
    return keys[0]


def _public_key(body: bytes, where: str) -> EllipticCurvePublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(body)
    except (ValueError, UnsupportedAlgorithm) as e:
        raise InputError(f"{where}: not {_NEED}", help=_DAMAGED) from e
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InputError(
            f"{where}: expected {_NEED}, found {_describe(key)}", help=key_advice.ONLY_P256
        )
    return key


def load_private_key(
    data: bytes, path: str, passphrase: Callable[[], str]
) -> EllipticCurvePrivateKey:
    """Return the private key in PEM (PKCS#8 or SEC 1) `data`; `path` is for messages.

    `passphrase` is called only if the key is encrypted.

    Raises:
        InputError: If it is not an ECDSA P-256 private key.
        UnavailableError: If the passphrase is wrong.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    _refuse_others(data, _labels(data), path, wanted=key_advice.PRIVATE)
    try:
        key = load_pem_private_key(data, password=None)
    except TypeError:  # raised by cryptography if a password is needed
        key = _decrypted(data, path, passphrase())
    except (ValueError, UnsupportedAlgorithm) as e:
        encrypted = b"ENCRYPTED" in data
        what = "an encrypted key that is not PKCS#8" if encrypted else f"not {_NEED}"
        raise InputError(f"{path}: {what}", help=key_advice.make_one(path)) from e
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InputError(
            f"{path}: expected {_NEED}, found {_describe(key)}", help=key_advice.make_one(path)
        )
    return key


def _labels(data: bytes) -> tuple[str, ...]:
    """Return the labels of all PEM blocks, including blocks that are cut off."""
    labels = (m[1].decode("ascii") for m in _BEGIN.finditer(data))
    # openssl writes the parameters of the curve before a key; the key contains them too.
    return tuple(label for label in labels if label != "EC PARAMETERS")


def _refuse_others(data: bytes, labels: tuple[str, ...], path: str, *, wanted: str) -> None:
    """Refuse data that holds anything but `wanted`. Private keys are reported first.

    Raises:
        InputError: If it does.
    """
    kinds = [key_advice.kind(label) for label in labels] or key_advice.not_pem(data)
    private = wanted == key_advice.PRIVATE
    for kind in sorted(set(kinds), key=lambda k: k != key_advice.PRIVATE):
        if kind == wanted:
            continue
        if kind == key_advice.PRIVATE:
            raise InputError(
                f"{path}: expected a public key, found a private key",
                help=key_advice.public_half(path, labels),
            )
        if private:
            if kind == key_advice.PUBLIC:
                what = "expected a private key, found a public key"
            else:
                what = f"expected {_NEED}, found {kind}"
            raise InputError(f"{path}: {what}", help=key_advice.make_one(path))
        raise InputError(
            f"{path}: expected {_NEED}, found {kind}", help=key_advice.converted(kind, path)
        )


def _decrypted(data: bytes, path: str, passphrase: str) -> PrivateKeyTypes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(data, passphrase.encode("utf-8"))
    except (ValueError, TypeError, UnsupportedAlgorithm) as e:
        raise UnavailableError(
            f"{path}: wrong passphrase",
            help="Give the passphrase of this key. If the key has an old encryption, convert it: "
            + key_advice.openssl(
                *("pkcs8", "-topk8", "-v2", "aes-256-cbc", "-in", path),
                *("-out", key_advice.new_name(path, ".key")),
            ),
        ) from e


def generate(passphrase: str | None = None) -> tuple[bytes, bytes]:
    """Return a key pair in PEM: private (PKCS#8, encrypted if there is a passphrase) and public."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase.encode("utf-8"))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )
    return private, public_pem(key.public_key())


def public_pem(key: EllipticCurvePublicKey) -> bytes:
    """Return the key as PEM SubjectPublicKeyInfo."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def public_der(key: EllipticCurvePublicKey) -> bytes:
    """Return the key as DER SubjectPublicKeyInfo."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _describe(key: object) -> str:
    name = type(key).__name__.lower()
    for word, label in (("rsa", "an RSA key"), ("ed25519", "an Ed25519 key"), ("dsa", "a DSA key")):
        if name.startswith(word):
            return label
    curve = getattr(key, "curve", None)
    return f"an ECDSA key on {curve.name}" if curve is not None else "a key of another kind"


def read_file(path: Path, missing: str | None = None) -> bytes:
    """Return the bytes of a key file; `missing` is the help for a missing file.

    Raises:
        InputError: If it cannot be read.
    """
    try:
        return paths.read_named_file(path, limits.KEY)
    except paths.FileError as e:
        gone = e.problem is paths.FileProblem.MISSING
        help = missing if gone and missing else e.help
        raise InputError(f"key {path}: {e.message}", help=help) from e
