# SPDX-License-Identifier: Apache-2.0
"""Advice about key files that hold something other than the expected key.

The commands work as pasted: they contain the user's path, quoted for a shell, and write only to
files that do not exist yet.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from pathlib import Path
from typing import Final

PUBLIC: Final = "a public key"
PRIVATE: Final = "a private key"
CERTIFICATE: Final = "a certificate"
REQUEST: Final = "a certificate signing request"
SSH: Final = "an SSH public key"
DER: Final = "a public key in DER"

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

ONLY_P256: Final = (
    "Only ECDSA P-256 keys are supported. Ask the signer for such a key, or verify with the tool "
    "that made the signature."
)


def kind(label: str) -> str:
    """Return the name of the content of a PEM block with this label, for messages."""
    if "PRIVATE KEY" in label:  # PKCS#8, SEC 1, PKCS#1, OpenSSH, OpenPGP, cosign
        return PRIVATE
    return _KINDS.get(label, f"a PEM block of another kind ({label})")


def not_pem(data: bytes) -> list[str]:
    """Return the kind of key in `data`, which has no PEM block; empty if it is not recognized."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import (
        load_der_private_key,
        load_der_public_key,
    )

    if re.match(rb"(ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+ ", data):
        return [SSH]
    with contextlib.suppress(ValueError, UnsupportedAlgorithm):
        load_der_public_key(data)
        return [DER]
    with contextlib.suppress(ValueError, UnsupportedAlgorithm):
        with contextlib.suppress(TypeError):  # it is encrypted
            load_der_private_key(data, password=None)
        return [PRIVATE]
    return []


def public_half(path: str, labels: tuple[str, ...]) -> str:
    """Return the help for a private key given as a public one: the command that extracts it."""
    beside = str(Path(path).with_suffix(".pub"))
    if beside != path and os.path.lexists(beside):
        return f"Give its public key. Is it {beside}?"
    quoted, target = shlex.quote(path), new_name(path, ".pub")
    named = next((label for label in labels if "PRIVATE KEY" in label), "")
    if "SIGSTORE" in named or "COSIGN" in named:
        command = f"cosign public-key --key {quoted} > {shlex.quote(target)}"
    elif "OPENSSH" in named:
        command = f"ssh-keygen -e -m PKCS8 -f {quoted} > {shlex.quote(target)}"
    elif "PGP" in named:
        return ONLY_P256
    else:
        form = () if labels else ("-inform", "DER")
        command = openssl("pkey", *form, "-in", path, "-pubout", "-out", target)
    return f"Give its public key. To write it: {command}"


def converted(kind: str, path: str) -> str:
    """Return the help for a file other than a public key in PEM: the command that converts it."""
    target = new_name(path, ".pub")
    words: tuple[str, ...]
    if kind == CERTIFICATE:
        words = ("x509", "-in", path, "-pubkey", "-noout", "-out", target)
    elif kind == REQUEST:
        words = ("req", "-in", path, "-pubkey", "-noout", "-out", target)
    elif kind == DER:
        words = ("pkey", "-pubin", "-inform", "DER", "-in", path, "-out", target)
    elif kind == SSH:
        command = f"ssh-keygen -e -m PKCS8 -f {shlex.quote(path)} > {shlex.quote(target)}"
        return f"Convert it: {command}"
    else:
        return ONLY_P256
    verb = "Convert it" if kind == DER else "Extract its key"
    return f"{verb}: {openssl(*words)}"


def openssl(*words: str) -> str:
    """Return a command of openssl, quoted for a shell."""
    return shlex.join(("openssl", *words))


def new_name(path: str, suffix: str) -> str:
    """Return an unused name beside `path` that ends in `suffix`, for a command in a help."""
    given = Path(path)
    for stem in (given.stem, f"{given.stem}-new"):
        candidate = given.with_name(f"{stem}{suffix}")
        if not os.path.lexists(candidate):
            return str(candidate)
    return str(given.with_name(f"{given.name}.new{suffix}"))


def free_pair(stem: str) -> str:
    """Return a name for a new key pair, `stem` or a similar one, for which no file exists."""
    for name in (stem, f"{stem}-p256", *(f"{stem}-{n}" for n in range(2, 10))):
        if not any(os.path.lexists(f"{name}{suffix}") for suffix in (".key", ".pub")):
            return name
    return f"{stem}-new"


def make_one(path: str, option: str = "--signer") -> str:
    """Return the help for a missing or unusable key at `path`: the command that makes one."""
    private = Path(path)
    named = private.name not in ("", "..")
    name = free_pair(str(private.with_name(private.stem) if named else private / "release"))
    name = f"./{name}" if name.startswith("-") else name  # otherwise it would be an option
    made = shlex.quote(f"file:{name}.key")
    return f"Make a key pair: provenance keygen {shlex.quote(name)}, then {option} {made}"
