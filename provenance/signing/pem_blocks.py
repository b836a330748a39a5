# SPDX-License-Identifier: Apache-2.0
"""The blocks of a PEM file, and what a file that is not the expected one is called in messages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

PUBLIC: Final = "a public key"
PRIVATE: Final = "a private key"
CERTIFICATE: Final = "a certificate"
REQUEST: Final = "a certificate signing request"
SSH: Final = "an SSH public key"
DER: Final = "a public key in DER"

_BEGIN: Final = re.compile(rb"-----BEGIN ([A-Z0-9][A-Z0-9 ]{0,62})-----")
_PUBLIC: Final = re.compile(
    rb"-----BEGIN PUBLIC KEY-----(?:(?!-----).)*+-----END PUBLIC KEY-----", re.DOTALL
)
_KINDS: Final = {
    "PUBLIC KEY": PUBLIC,
    "CERTIFICATE": CERTIFICATE,
    "X509 CERTIFICATE": CERTIFICATE,
    "TRUSTED CERTIFICATE": CERTIFICATE,
    "CERTIFICATE REQUEST": REQUEST,
    "NEW CERTIFICATE REQUEST": REQUEST,
    "X509 CRL": "a certificate revocation list",
    "RSA PUBLIC KEY": "an RSA key",
    "SSH2 PUBLIC KEY": SSH,
    "PGP PUBLIC KEY BLOCK": "an OpenPGP key",
    "PKCS7": "a PKCS #7 message",
    "CMS": "a PKCS #7 message",
}


@dataclass(frozen=True)
class Blocks:
    """What a PEM file holds: the labels of all its blocks, and its public keys."""

    labels: tuple[str, ...]
    bodies: tuple[bytes, ...]


def of(data: bytes) -> Blocks:
    """Return the blocks of `data`; a label without its end counts, as of a private key."""
    labels = tuple(m[1].decode("ascii") for m in _BEGIN.finditer(data))
    # openssl writes the parameters of a curve in front of a key; they say nothing more.
    labels = tuple(label for label in labels if label != "EC PARAMETERS")
    return Blocks(labels, tuple(_PUBLIC.findall(data)))


def kind(label: str) -> str:
    """What a block with this label is, as messages call it."""
    if "PRIVATE KEY" in label:  # PKCS#8, SEC 1, PKCS#1, OpenSSH, OpenPGP, cosign
        return PRIVATE
    return _KINDS.get(label, f"a PEM block of another kind ({label})")


def not_pem(data: bytes) -> list[str]:
    """What `data` without a PEM block is, if that can be seen; it is empty for anything else."""
    if re.match(rb"(ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+ ", data):
        return [SSH]
    return [found for found, is_it in ((DER, _is_public), (PRIVATE, _is_private)) if is_it(data)]


def _is_public(der: bytes) -> bool:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        return False
    return True


def _is_private(der: bytes) -> bool:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    try:
        load_der_private_key(der, password=None)
    except TypeError:  # it is encrypted
        return True
    except (ValueError, UnsupportedAlgorithm):
        return False
    return True
