# SPDX-License-Identifier: Apache-2.0
"""Only ECDSA P-256 keys in PEM are accepted, and every other kind is named in the message."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from provenance.errors import InputError, UnavailableError
from provenance.signing import pem
from tests.support.keys import PUBLIC, KeyPair, make_pair, private_pem, public_der

PASSPHRASE: Final = "correct horse battery staple"
OPEN: Final = serialization.NoEncryption()
LOCKED: Final = serialization.BestAvailableEncryption(b"passphrase")
EXPECTED: Final = "expected an ECDSA P-256 key in PEM"
RSA: Final = f"{EXPECTED}, found an RSA key"
PRIVATE_KEY: Final = "expected a public key, found a private key"
NOT_PEM: Final = "not an ECDSA P-256 key in PEM"


def no_passphrase() -> str:
    """Fail if a passphrase is asked for."""
    raise AssertionError("a passphrase was asked for")


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What users may give as a public key, in forms that `PUBLIC` does not have."""
    key = make_pair(tmp_path_factory.mktemp("keys")).key
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    spki, p521 = PublicFormat.SubjectPublicKeyInfo, ec.generate_private_key(ec.SECP521R1())
    return {
        "request": request.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM),
        "openssh": key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, OPEN),
        "ssh": key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        "der": public_der(key),
        "private der": key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, OPEN),
        "encrypted der": key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, LOCKED),
        "cosign": b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nc2VjcmV0\n",
        "other block": b"-----BEGIN X9 DATA-----\nc2VjcmV0\n-----END X9 DATA-----\n",
        "without an end": b"-----BEGIN PUBLIC KEY-----\nc2VjcmV0\n",
        "p521": p521.public_key().public_bytes(Encoding.PEM, spki),
        "x25519": x25519.X25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, spki),
    } | {kind: make() for kind, make in PUBLIC.items()}


# The kinds that `trusted-keys.toml` of tests/cases does not have.
PUBLIC_KINDS = {
    "p521": f"{EXPECTED}, found an ECDSA key on secp521r1",
    "x25519": f"{EXPECTED}, found a key of another kind",
    "private der": PRIVATE_KEY,
    "encrypted der": PRIVATE_KEY,
    "ssh": f"{EXPECTED}, found an SSH public key",
    "der": f"{EXPECTED}, found a public key in DER",
}


@pytest.mark.parametrize(("kind", "message"), PUBLIC_KINDS.items(), ids=PUBLIC_KINDS)
def test_other_public_key_is_named(kind: str, message: str, blocks: dict[str, bytes]) -> None:
    with pytest.raises(InputError, match=f"k.pub: {message}") as raised:
        pem.load_public_key(blocks[kind], "k.pub")
    assert raised.value.help


def test_generated_pair_is_read(key: KeyPair) -> None:
    private, public = pem.generate()
    loaded = pem.load_private_key(private, "k", no_passphrase)
    assert pem.public_pem(loaded.public_key()) == public
    assert pem.public_pem(pem.load_public_key(public, "k")) == public
    older = key.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, OPEN)
    assert b"BEGIN EC PRIVATE KEY" in older
    loaded = pem.load_private_key(older, "k", no_passphrase)
    assert loaded.private_numbers() == key.key.private_numbers()


def test_encrypted_key_needs_its_passphrase() -> None:
    private, public = pem.generate(PASSPHRASE)
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in private
    key = pem.load_private_key(private, "k", lambda: PASSPHRASE)
    assert pem.public_pem(key.public_key()) == public
    for ask in (lambda: "another", lambda: ""):
        with pytest.raises(UnavailableError, match="wrong passphrase") as raised:
            pem.load_private_key(private, "k.key", ask)
        assert PASSPHRASE not in str(raised.value)
    p384 = private_pem(ec.generate_private_key(ec.SECP384R1()), b"p")
    with pytest.raises(InputError, match="found an ECDSA key on secp384r1"):
        pem.load_private_key(p384, "k.key", lambda: "p")


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_not_a_key(content: bytes) -> None:
    body = b"-----BEGIN PUBLIC KEY-----\n" + content + b"\n-----END PUBLIC KEY-----\n"
    for hostile in (content, body):
        with pytest.raises(InputError):
            pem.load_public_key(hostile, "k")
        with pytest.raises(InputError):
            pem.load_private_key(hostile, "k", no_passphrase)


# --- files with several keys -------------------------------------------------------------------


def test_each_key_of_a_file_is_read_once(key: KeyPair, other_key: KeyPair) -> None:
    one, two = key.public.read_bytes(), other_key.public.read_bytes()
    found = pem.load_public_keys(b"# ours\n" + one + b"\n# theirs\r\n" + two + one, "k.pub")
    assert [pem.public_pem(k) for k in found] == [one, two]
    with pytest.raises(InputError, match="expected one public key, found 2"):
        pem.load_public_key(one + two, "k.pub")
    assert len(pem.load_public_keys(one * pem.MAX_KEYS, "k.pub")) == 1
    with pytest.raises(InputError, match="65 public keys; at most 64 are read"):
        pem.load_public_keys(one * (pem.MAX_KEYS + 1), "k.pub")


BESIDE = {
    "private": PRIVATE_KEY,
    "encrypted": PRIVATE_KEY,
    "certificate": "found a certificate",
    "request": "found a certificate signing request",
    "openssh": PRIVATE_KEY,
    "cosign": PRIVATE_KEY,
    "other block": r"a PEM block of another kind \(X9 DATA\)",
    "rsa": rf"k.pub \(key N\): {RSA}",
    "broken": r"k.pub \(key N\): not an ECDSA P-256 key",
    "without an end": "a public key is cut off",
}


@pytest.mark.parametrize(("kind", "message"), BESIDE.items(), ids=BESIDE)
@pytest.mark.parametrize("first", [False, True])
def test_other_block_beside_a_public_key_is_named_and_not_shown(
    kind: str, message: str, first: bool, key: KeyPair, blocks: dict[str, bytes]
) -> None:
    public, other = key.public.read_bytes(), blocks[kind]
    if first and kind == "without an end":
        message = "not an ECDSA P-256 key|is cut off"
    with pytest.raises(InputError, match=message.replace("N", "1" if first else "2")) as raised:
        pem.load_public_keys(other + public if first else public + other, "k.pub")
    said = f"{raised.value} {raised.value.help}"
    secrets = [line for line in other.decode().splitlines() if not line.startswith("-----")]
    assert [line for line in secrets if line and line in said] == []


# --- the advice --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["private", "certificate", "request", "der", "ssh", "openssh", "private der"]
)
@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_command_in_the_help_makes_a_public_key(
    kind: str, tmp_path: Path, blocks: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    if "ssh" in kind and not shutil.which("ssh-keygen"):
        pytest.skip("ssh-keygen is not installed")
    monkeypatch.chdir(tmp_path)
    Path("a key.pem").write_bytes(blocks[kind])
    Path("a key.pem").chmod(0o600)
    with pytest.raises(InputError) as raised:
        pem.load_public_keys(blocks[kind], "a key.pem")
    command = str(raised.value.help).rpartition(": ")[2]
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    assert pem.load_public_keys(Path("a key.pub").read_bytes(), "a key.pub")


@pytest.mark.parametrize(
    ("label", "help"),
    [
        ("ENCRYPTED SIGSTORE PRIVATE KEY", "cosign public-key --key k > k.pub"),
        ("PGP PRIVATE KEY BLOCK", "Only ECDSA P-256 keys are supported"),
        ("EC PRIVATE KEY", "openssl pkey -in k -pubout -out k.pub"),
    ],
)
def test_help_names_the_tool_that_extracts_the_public_key(
    label: str, help: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def advice() -> Any:
        with pytest.raises(InputError, match=PRIVATE_KEY) as raised:
            pem.load_public_keys(f"-----BEGIN {label}-----".encode(), "k")
        return raised.value.help

    monkeypatch.chdir(tmp_path)
    assert help in advice()
    Path("k.pub").symlink_to("nowhere")
    assert advice() == "Give its public key. Is it k.pub?"
