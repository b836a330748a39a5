# SPDX-License-Identifier: Apache-2.0
"""Keys: only one kind is accepted, and every other kind is named in the message."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from hypothesis import given
from hypothesis import strategies as st

from provenance.errors import InputError, UnavailableError
from provenance.operations.setup import keygen
from provenance.signing import pem
from tests.support.keys import PRIVATE, PUBLIC, KeyPair, private_pem, public_der

PASSPHRASE = "correct horse battery staple"


def no_passphrase() -> str:
    """Fail if a passphrase is asked for."""
    raise AssertionError("a passphrase was asked for")


PUBLIC_WORDS = {
    "rsa": "expected an ECDSA P-256 key in PEM, found an RSA key",
    "ed25519": "expected an ECDSA P-256 key in PEM, found an Ed25519 key",
    "p384": "expected an ECDSA P-256 key in PEM, found an ECDSA key on secp384r1",
    "certificate": "expected an ECDSA P-256 key in PEM, found a certificate",
    "private": "expected a public key, found a private key",
    "encrypted": "expected a public key, found a private key",
    "garbage": "not an ECDSA P-256 key in PEM",
    "broken": "not an ECDSA P-256 key in PEM",
}
PRIVATE_WORDS = {
    "rsa": "expected an ECDSA P-256 key in PEM, found an RSA key",
    "ed25519": "expected an ECDSA P-256 key in PEM, found an Ed25519 key",
    "p384": "expected an ECDSA P-256 key in PEM, found an ECDSA key on secp384r1",
    "certificate": "expected an ECDSA P-256 key in PEM, found a certificate",
    "public": "expected a private key, found a public key",
    "garbage": "not an ECDSA P-256 key in PEM",
    "broken": "not an ECDSA P-256 key in PEM",
}


@pytest.mark.parametrize("kind", PUBLIC_WORDS)
def test_what_is_no_p256_public_key_is_named(kind: str) -> None:
    with pytest.raises(InputError, match=f"k.pub: {PUBLIC_WORDS[kind]}") as raised:
        pem.load_public_key(PUBLIC[kind](), "k.pub")
    assert raised.value.help


@pytest.mark.parametrize("kind", PRIVATE_WORDS)
def test_what_is_no_p256_private_key_is_named(kind: str) -> None:
    with pytest.raises(InputError, match=f"k.key: {PRIVATE_WORDS[kind]}") as raised:
        pem.load_private_key(PRIVATE[kind](), "k.key", no_passphrase)
    assert raised.value.help


def test_a_key_pair_that_was_made_here_is_read_here() -> None:
    private, public = pem.generate()
    key = pem.load_private_key(private, "k", no_passphrase)
    assert pem.public_pem(key.public_key()) == public
    assert pem.public_pem(pem.load_public_key(public, "k")) == public


def test_an_encrypted_key_is_read_with_its_passphrase() -> None:
    private, public = pem.generate(PASSPHRASE)
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in private
    key = pem.load_private_key(private, "k", lambda: PASSPHRASE)
    assert pem.public_pem(key.public_key()) == public


@pytest.mark.parametrize("passphrase", ["another", ""])
def test_an_encrypted_key_is_not_read_with_another_passphrase(passphrase: str) -> None:
    private, _ = pem.generate(PASSPHRASE)
    with pytest.raises(UnavailableError, match="wrong passphrase") as raised:
        pem.load_private_key(private, "k.key", lambda: passphrase)
    assert PASSPHRASE not in str(raised.value)


def test_an_encrypted_key_of_another_kind_is_named_once_it_is_open() -> None:
    with pytest.raises(InputError, match="found an RSA key"):
        pem.load_private_key(
            private_pem(rsa.generate_private_key(65537, 2048), b"p"), "k.key", lambda: "p"
        )


def test_a_private_key_in_the_older_form_is_read(key: KeyPair) -> None:
    older = key.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    assert b"BEGIN EC PRIVATE KEY" in older
    assert (
        pem.load_private_key(older, "k", no_passphrase).private_numbers()
        == key.key.private_numbers()
    )


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (x25519.X25519PrivateKey.generate().public_key(), "a key of another kind"),
        (ec.generate_private_key(ec.SECP521R1()).public_key(), "an ECDSA key on secp521r1"),
    ],
)
def test_rarer_kinds_have_names_too(
    made: x25519.X25519PublicKey | ec.EllipticCurvePublicKey, name: str
) -> None:
    encoded = made.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    with pytest.raises(InputError, match=name):
        pem.load_public_key(encoded, "k")


@given(st.binary(max_size=200))
def test_no_bytes_whatever_are_a_key_by_accident(content: bytes) -> None:
    body = b"-----BEGIN PUBLIC KEY-----\n" + content + b"\n-----END PUBLIC KEY-----\n"
    for hostile in (content, body):
        with pytest.raises(InputError):
            pem.load_public_key(hostile, "k")
        with pytest.raises(InputError):
            pem.load_private_key(hostile, "k", no_passphrase)


def test_every_key_of_a_file_is_read_once(key: KeyPair, other_key: KeyPair) -> None:
    one, two = key.public.read_bytes(), other_key.public.read_bytes()
    found = pem.load_public_keys(b"# ours\n" + one + b"\n# theirs\r\n" + two + one, "k.pub")
    assert [pem.public_pem(k) for k in found] == [one, two]
    with pytest.raises(InputError, match="expected one public key, found 2"):
        pem.load_public_key(one + two, "k.pub")


def test_a_file_has_a_bounded_number_of_keys(key: KeyPair) -> None:
    public = key.public.read_bytes()
    assert len(pem.load_public_keys(public * pem.MAX_KEYS, "k.pub")) == 1
    with pytest.raises(InputError, match="65 public keys; at most 64 are read"):
        pem.load_public_keys(public * (pem.MAX_KEYS + 1), "k.pub")


BESIDE = {
    "private": "expected a public key, found a private key",
    "encrypted": "expected a public key, found a private key",
    "certificate": "found a certificate",
    "request": "found a certificate signing request",
    "openssh": "expected a public key, found a private key",
    "cosign": "expected a public key, found a private key",
    "other block": r"a PEM block of another kind \(X9 DATA\)",
    "rsa": r"k.pub \(key 2\): expected an ECDSA P-256 key in PEM, found an RSA key",
    "broken": r"k.pub \(key 2\): not an ECDSA P-256 key",
    "without an end": "a public key is cut off",
}


def _openssh() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )


def _request() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


_BLOCKS: dict[str, Callable[[], bytes]] = {
    "request": _request,
    "openssh": _openssh,
    "cosign": lambda: b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nc2VjcmV0\n",
    "other block": lambda: b"-----BEGIN X9 DATA-----\nc2VjcmV0\n-----END X9 DATA-----\n",
    "without an end": lambda: b"-----BEGIN PUBLIC KEY-----\nc2VjcmV0\n",
}


@pytest.mark.parametrize("kind", BESIDE)
@pytest.mark.parametrize("first", [False, True])
def test_what_lies_beside_a_public_key_is_named_and_never_shown(
    kind: str, first: bool, key: KeyPair
) -> None:
    public = key.public.read_bytes()
    other = (_BLOCKS.get(kind) or PUBLIC[kind])()
    content = other + public if first else public + other
    words = BESIDE[kind].replace("key 2", "key 1" if first else "key 2")
    if first and kind == "without an end":
        words = "not an ECDSA P-256 key|is cut off"
    with pytest.raises(InputError, match=words) as raised:
        pem.load_public_keys(content, "k.pub")
    said = f"{raised.value} {raised.value.help}"
    secrets = [line for line in other.decode().splitlines() if not line.startswith("-----")]
    assert [line for line in secrets if line and line in said] == []


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("ssh", "found an SSH public key"),
        ("der", "found a public key in DER"),
        ("private der", "expected a public key, found a private key"),
        ("encrypted der", "expected a public key, found a private key"),
    ],
)
def test_a_key_that_is_not_in_pem_is_named(kind: str, name: str, key: KeyPair) -> None:
    made: dict[str, Callable[[], bytes]] = {
        "ssh": lambda: key.key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        ),
        "der": lambda: public_der(key.key),
        "private der": lambda: _private_der(key, serialization.NoEncryption()),
        "encrypted der": lambda: _private_der(key, serialization.BestAvailableEncryption(b"p")),
    }
    content = made[kind]()
    with pytest.raises(InputError, match=name):
        pem.load_public_keys(content, "k.pub")


def _private_der(key: KeyPair, encryption: serialization.KeySerializationEncryption) -> bytes:
    return key.key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, encryption
    )


@pytest.mark.parametrize(
    "kind", ["private", "certificate", "request", "der", "ssh", "openssh", "private der"]
)
@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_the_command_in_the_help_makes_a_public_key(
    kind: str, tmp_path: Path, key: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: dict[str, Callable[[], bytes]] = {
        "private": lambda: private_pem(key.key),
        "private der": lambda: _private_der(key, serialization.NoEncryption()),
        "openssh": _openssh,
        "certificate": PUBLIC["certificate"],
        "request": _request,
        "der": lambda: public_der(key.key),
        "ssh": lambda: key.key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        ),
    }
    content = made[kind]()
    if "ssh" in kind and not shutil.which("ssh-keygen"):
        pytest.skip("ssh-keygen is not installed")
    monkeypatch.chdir(tmp_path)
    Path("a key.pem").write_bytes(content)
    Path("a key.pem").chmod(0o600)
    with pytest.raises(InputError) as raised:
        pem.load_public_keys(content, "a key.pem")
    command = str(raised.value.help).rpartition(": ")[2]
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    assert pem.load_public_keys(Path("a key.pub").read_bytes(), "a key.pub")


@pytest.mark.parametrize(
    ("content", "help"),
    [
        (
            b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----",
            "cosign public-key --key k > k-new.pub",
        ),
        (b"-----BEGIN PGP PRIVATE KEY BLOCK-----", "Only ECDSA P-256 keys are supported"),
        (b"-----BEGIN EC PRIVATE KEY-----", "openssl pkey -in k -pubout -out k-new.pub"),
    ],
)
def test_the_public_half_of_a_private_key_is_made_by_the_tool_that_can(
    content: bytes, help: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="expected a public key, found a private key") as raised:
        pem.load_public_keys(content, "k")
    assert help.replace("k-new.pub", "k.pub") in str(raised.value.help)
    Path("k.pub").symlink_to("nowhere")
    with pytest.raises(InputError) as raised:
        pem.load_public_keys(content, "k")
    assert raised.value.help == "Give its public key. Is it k.pub?"


def test_the_help_for_a_signer_names_a_key_pair_that_can_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("release.key").write_bytes(PRIVATE["rsa"]())
    with pytest.raises(InputError) as raised:
        pem.load_private_key(Path("release.key").read_bytes(), "release.key", no_passphrase)
    command = str(raised.value.help).removeprefix("Make a key pair: ").partition(", then")[0]
    words = shlex.split(command)
    assert words[:2] == ["provenance", "keygen"]
    private, _ = keygen(Path(words[2]))
    assert str(raised.value.help).endswith(f"file:{private}")
