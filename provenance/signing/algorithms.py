# SPDX-License-Identifier: Apache-2.0
"""The signature algorithms of other signers, logs and authorities.

They are those of Sigstore's registry
(https://github.com/sigstore/architecture-docs/blob/main/algorithm-registry.md). The key determines
the algorithm: a signature cannot choose how it is verified.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from provenance.frozen import dataclass

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

HASHES: Final = {"sha256": "SHA2_256", "sha384": "SHA2_384", "sha512": "SHA2_512"}
"""The supported hash functions, with their names in Sigstore's messages."""

_CURVES: Final = {
    "secp256r1": ("P-256", "sha256"),
    "secp384r1": ("P-384", "sha384"),
    "secp521r1": ("P-521", "sha512"),
}
_RSA_SIZES: Final = (2048, 3072, 4096)
_ED25519: Final = "PKIX_ED25519"


class UnsupportedError(ValueError):
    """A kind of signature or key that is not supported. The message names the kind."""


@dataclass(frozen=True, slots=True)
class Algorithm:
    """The algorithm of a key's signatures.

    Attributes:
        name: Its name in messages.
        details: Its names in Sigstore's `PublicKeyDetails`.
        hash: The hash function that it uses, or None if it signs the message itself.
    """

    name: str
    details: tuple[str, ...]
    hash: str | None


def of_key(key: PublicKeyTypes) -> Algorithm:
    """Return the algorithm of a public key.

    Raises:
        UnsupportedError: If the registry has no algorithm for the key.
    """
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name not in _CURVES:
            raise UnsupportedError(f"unsupported elliptic curve {key.curve.name}")
        curve, hash_name = _CURVES[key.curve.name]
        size = hash_name.removeprefix("sha")
        details = f"PKIX_ECDSA_{curve.replace('-', '')}_SHA_{size}"
        return Algorithm(f"ECDSA {curve} with SHA-{size}", (details,), hash_name)
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size not in _RSA_SIZES:
            raise UnsupportedError(f"unsupported RSA key of {key.key_size} bits")
        forms = tuple(f"PKIX_RSA_{p}_{key.key_size}_SHA256" for p in ("PKCS1V15", "PSS"))
        return Algorithm(f"RSA {key.key_size} with SHA-256", forms, "sha256")
    if isinstance(key, ed25519.Ed25519PublicKey):
        return Algorithm("Ed25519", (_ED25519,), None)
    kind = type(key).__name__.removesuffix("PublicKey").strip("_")
    raise UnsupportedError(f"unsupported kind of key ({kind[:40]})")


def is_valid(key: PublicKeyTypes, signature: bytes, data: bytes) -> bool:
    """Return whether the key made the signature over `data`.

    Raises:
        UnsupportedError: If the kind of the key is not supported, or the signature was made with
            ECDSA P-384 or P-521 and SHA-256, which Sigstore has deprecated.
    """
    algorithm = of_key(key)
    if _verifies(key, signature, _hashed(data, algorithm.hash), algorithm.hash):
        return True
    weaker = algorithm.hash not in (None, "sha256")
    if weaker and _verifies(key, signature, _hashed(data, "sha256"), "sha256"):
        curve = algorithm.name.partition(" with")[0]
        raise UnsupportedError(
            f"unsupported signature algorithm {curve} with SHA-256, expected {algorithm.name}"
        )
    return False


def digest_for(key: PublicKeyTypes, digests: Mapping[str, str]) -> tuple[str, bytes]:
    """Return the hash function and the known digest of a file that a key's signatures are over.

    Raises:
        UnsupportedError: If the kind of the key is not supported, or it needs another digest.
    """
    algorithm = of_key(key)
    if algorithm.hash is None or algorithm.hash not in digests:
        raise UnsupportedError(
            f"unsupported signature over a file with {algorithm.name}: expected a signature over "
            "the SHA-256 of the file, over a stated SHA-384 of a file that is given, or over an "
            "in-toto statement"
        )
    return algorithm.hash, bytes.fromhex(digests[algorithm.hash])


def is_valid_over_digest(key: PublicKeyTypes, signature: bytes, digests: Mapping[str, str]) -> bool:
    """Return whether the key signed a file of which only digests are known.

    Raises:
        UnsupportedError: As `digest_for`.
    """
    name, digest = digest_for(key, digests)
    return _verifies(key, signature, digest, name)


def is_valid_over(key: PublicKeyTypes, signature: bytes, data: bytes, hash_name: str) -> bool:
    """Return whether the key made the signature over `data` with the given hash function.

    This is only for CMS, where the signed structure names the hash function.

    Raises:
        UnsupportedError: If the kind of the key is not supported.
    """
    name = hash_name if of_key(key).hash else None
    return _verifies(key, signature, _hashed(data, name), name)


def is_valid_by(details: str, spki: bytes, signature: bytes, data: bytes) -> bool:
    """Return whether a key of a trusted root made the signature over `data`.

    Args:
        details: The algorithm that the trusted root states for the key; RSA keys have two.
        spki: The key, as DER SubjectPublicKeyInfo.
        signature: The signature.
        data: The signed data.

    Raises:
        UnsupportedError: If the algorithm is not supported.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    if details not in _known():
        raise UnsupportedError(f"unsupported algorithm of a log's key: {details[:60]!r}")
    try:
        key = load_der_public_key(spki)
        algorithm = of_key(key)
    except (ValueError, UnsupportedAlgorithm):
        return False
    if details not in algorithm.details:
        return False
    return _verifies(key, signature, _hashed(data, algorithm.hash), algorithm.hash)


def _known() -> frozenset[str]:
    curves = {f"PKIX_ECDSA_{c.replace('-', '')}_SHA_{h[3:]}" for c, h in _CURVES.values()}
    rsa = {f"PKIX_RSA_{p}_{s}_SHA256" for p in ("PKCS1V15", "PSS") for s in _RSA_SIZES}
    return frozenset({_ED25519, *curves, *rsa})


def _hashed(data: bytes, hash_name: str | None) -> bytes:
    return hashlib.new(hash_name, data).digest() if hash_name else data


def _verifies(key: PublicKeyTypes, signature: bytes, data: bytes, hash_name: str | None) -> bool:
    """Verify a signature over a digest of the function `hash_name`, or over a message if None."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

    functions = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, data)
            return True
        function = functions[hash_name or ""]
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, data, ec.ECDSA(utils.Prehashed(function)))
            return True
    except (InvalidSignature, ValueError):
        return False
    assert isinstance(key, rsa.RSAPublicKey)
    pss = padding.PSS(padding.MGF1(function), padding.PSS.AUTO)
    for form in (padding.PKCS1v15(), pss):  # the registry lists both, and the key fits both
        try:
            key.verify(signature, data, form, utils.Prehashed(function))
        except (InvalidSignature, ValueError):
            continue
        return True
    return False
