# SPDX-License-Identifier: Apache-2.0
"""Signature algorithms of other signers, logs and authorities: those of Sigstore's registry
(https://github.com/sigstore/architecture-docs/blob/main/algorithm-registry.md).

The algorithm follows from the key: no signature chooses how it is verified.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from provenance.frozen import dataclass

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

HASHES: Final = {"sha256": "SHA2_256", "sha384": "SHA2_384", "sha512": "SHA2_512"}
"""The hash functions that count, and how Sigstore's messages name them."""

_CURVES: Final = {
    "secp256r1": ("P-256", "sha256"),
    "secp384r1": ("P-384", "sha384"),
    "secp521r1": ("P-521", "sha512"),
}
_RSA_SIZES: Final = (2048, 3072, 4096)
_ED25519: Final = "PKIX_ED25519"


class UnsupportedError(ValueError):
    """A signature or key of a kind that is not verified here. The message names the kind."""


@dataclass(frozen=True, slots=True)
class Algorithm:
    """How the signatures of a key are verified.

    Attributes:
        name: The algorithm, for messages.
        details: The names that Sigstore's `PublicKeyDetails` has for it.
        hash: The hash function over which it signs; None if it signs the message itself.
    """

    name: str
    details: tuple[str, ...]
    hash: str | None


def of_key(key: PublicKeyTypes) -> Algorithm:
    """Return the algorithm of a public key. Raises UnsupportedError if the registry has none."""
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
    """Whether the key made the signature over `data`.

    Raises:
        UnsupportedError: The key is of another kind, or made it by an algorithm that does not
            count: ECDSA P-384 or P-521 with SHA-256, which Sigstore has deprecated.
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
    """Return which known digest of a file the signatures of a key are over, and its hash function.

    Raises:
        UnsupportedError: If the key is of another kind, or signs over something else.
    """
    algorithm = of_key(key)
    if algorithm.hash is None or algorithm.hash not in digests:
        raise UnsupportedError(
            f"unsupported signature over the bytes of a file by {algorithm.name}: only signatures "
            "over their SHA-256, or a stated SHA-384 of a file that is given, and in-toto "
            "statements are supported"
        )
    return algorithm.hash, bytes.fromhex(digests[algorithm.hash])


def is_valid_over_digest(key: PublicKeyTypes, signature: bytes, digests: Mapping[str, str]) -> bool:
    """Whether the key signed a file of which only digests are known. Raises as `digest_for`."""
    name, digest = digest_for(key, digests)
    return _verifies(key, signature, digest, name)


def is_valid_over(key: PublicKeyTypes, signature: bytes, data: bytes, hash_name: str) -> bool:
    """Whether the key made the signature over `data` with a hash function that is stated beside it.

    Only for CMS, where the signed structure names the function. Raises UnsupportedError.
    """
    name = hash_name if of_key(key).hash else None
    return _verifies(key, signature, _hashed(data, name), name)


def is_valid_by(details: str, spki: bytes, signature: bytes, data: bytes) -> bool:
    """Whether a key of a trusted root (DER SubjectPublicKeyInfo) made the signature over `data`.

    `details` is the algorithm that the trusted root states for it; RSA has two. Raises
    UnsupportedError if it is not supported.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    if details not in _known():
        raise UnsupportedError(f"unsupported key of a log: {details[:60]!r}")
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
    """`data` is the digest by `hash_name`, or the message if that is None."""
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
    for form in (padding.PKCS1v15(), pss):  # the registry lists both, and the key names neither
        try:
            key.verify(signature, data, form, utils.Prehashed(function))
        except (InvalidSignature, ValueError):
            continue
        return True
    return False
