# SPDX-License-Identifier: Apache-2.0
"""Keys: one kind is read, and every other is named as what it is."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from hypothesis import given
from hypothesis import strategies as st

from provenance.errors import InputError, UnavailableError
from provenance.signing import pem
from tests.support.keys import PRIVATE, PUBLIC, KeyPair, private_pem

PASSPHRASE = "correct horse battery staple"


def nobody() -> str:
    """Where no passphrase is needed, none is asked for."""
    raise AssertionError("a passphrase was asked for")


PUBLIC_WORDS = {
    "rsa": "an RSA key, expected an ECDSA P-256 key",
    "ed25519": "an Ed25519 key, expected",
    "p384": "an ECDSA key on secp384r1",
    "certificate": "a certificate, not an ECDSA P-256 key",
    "private": "a private key where the public key is needed",
    "encrypted": "a private key where the public key is needed",
    "garbage": "not an ECDSA P-256 key in PEM",
    "broken": "not an ECDSA P-256 key in PEM",
}
PRIVATE_WORDS = {
    "rsa": "an RSA key, expected",
    "ed25519": "an Ed25519 key, expected",
    "p384": "an ECDSA key on secp384r1",
    "certificate": "a certificate, expected",
    "public": "a public key; signing needs the private one",
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
        pem.load_private_key(PRIVATE[kind](), "k.key", nobody)
    assert raised.value.help


def test_a_key_pair_that_was_made_here_is_read_here() -> None:
    private, public = pem.generate()
    key = pem.load_private_key(private, "k", nobody)
    assert pem.public_pem(key.public_key()) == public
    assert pem.hint(pem.load_public_key(public, "k")) == pem.hint(key.public_key())


def test_an_encrypted_key_is_read_with_its_passphrase() -> None:
    private, public = pem.generate(PASSPHRASE)
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in private
    key = pem.load_private_key(private, "k", lambda: PASSPHRASE)
    assert pem.public_pem(key.public_key()) == public


@pytest.mark.parametrize("passphrase", ["another", ""])
def test_an_encrypted_key_is_not_read_with_another_passphrase(passphrase: str) -> None:
    private, _ = pem.generate(PASSPHRASE)
    with pytest.raises(UnavailableError, match="the passphrase does not open it") as raised:
        pem.load_private_key(private, "k.key", lambda: passphrase)
    assert PASSPHRASE not in str(raised.value)


def test_an_encrypted_key_of_another_kind_is_named_once_it_is_open() -> None:
    with pytest.raises(InputError, match="an RSA key, expected"):
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
    assert pem.load_private_key(older, "k", nobody).private_numbers() == key.key.private_numbers()


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
            pem.load_private_key(hostile, "k", nobody)
