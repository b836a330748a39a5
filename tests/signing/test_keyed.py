# SPDX-License-Identifier: Apache-2.0
"""Signing with a key, and verifying signatures."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provenance.attestations.bundle import Bundle, Envelope, decode
from provenance.attestations.statement import pre_authentication_encoding
from provenance.errors import InputError, UnavailableError
from provenance.signing import judging
from provenance.signing.judgement import Judgement, Verdict
from provenance.signing.keyed import judge
from provenance.signing.pem import MAX_KEYS
from provenance.signing.signers import open_signer
from provenance.signing.trust import Trust, TrustedKey
from tests.support.cases import dsse_bundle, message_bundle
from tests.support.keys import KeyPair, public_der


def trust(*pairs: KeyPair) -> Trust:
    return Trust("tests", tuple(TrustedKey.of_pem(p.public.read_bytes(), "k") for p in pairs))


def signed(key: KeyPair, **changes: Any) -> Bundle:
    """Return a bundle made by the specifications alone, with changes."""
    return dataclasses.replace(decode(json.dumps(dsse_bundle(b"x", key)).encode()), **changes)


def untrusted(bundle: Bundle, who: Trust) -> str:
    found = judge(bundle, who, None)
    assert found.verdict is Verdict.UNTRUSTED, found
    return found.reason


def count(*judgements: Judgement) -> list[str]:
    """Return the trusted entries under which the signers count."""
    signers = [found.signer for found in judgements if found.signer is not None]
    return [str(entry) for _, entry in judging.counted(signers)]


@pytest.mark.parametrize(
    ("kind", "payload", "encoded"),
    [
        # The example of https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
        (
            "http://example.com/HelloWorld",
            "hello world",
            "DSSEv1 29 http://example.com/HelloWorld 11 hello world",
        ),
        ("é", "ü", "DSSEv1 2 é 2 ü"),  # lengths are in bytes
    ],
)
def test_signature_is_over_the_encoding_of_dsse(kind: str, payload: str, encoded: str) -> None:
    assert pre_authentication_encoding(kind, payload.encode()) == encoded.encode()


def test_hint_is_base64_of_the_digest_of_the_key(key: KeyPair) -> None:
    (trusted,) = trust(key).keys
    assert trusted.hint == key.hint
    assert base64.b64decode(trusted.hint).hex() == trusted.fingerprint
    assert trusted.fingerprint == hashlib.sha256(public_der(key.key)).hexdigest()


def test_signature_of_a_signer_is_valid(key: KeyPair) -> None:
    (data,) = open_signer(key.signer).sign([b'{"a": 1}'], lambda: None)
    made = decode(data)
    assert isinstance(made.content, Envelope)
    assert made.content.payload == b'{"a": 1}'
    found = judge(made, trust(key), None)
    assert found.verdict is Verdict.VALID
    assert found.signer is not None
    assert found.signer.entries[0] == trust(key).keys[0]


def test_signature_of_another_key_is_refused(key: KeyPair, other_key: KeyPair) -> None:
    assert trust(other_key).keys[0].fingerprint in untrusted(signed(other_key), trust(key))
    assert other_key.hint not in untrusted(signed(other_key), trust(key))
    reason = untrusted(signed(other_key, hint="alice"), trust(key))
    assert "by an untrusted key, or changed after it was signed" in reason
    assert "'alice'" in reason
    for hint in (key.hint, ""):
        untrusted(signed(key, hint=hint), trust())
    certified = signed(key, hint=None, certificate=b"c")
    found = judging.judge(certified, trust(key), None)
    assert found.verdict is Verdict.UNTRUSTED
    assert "with a certificate" in found.reason


def test_hint_of_a_trusted_key_proves_nothing(key: KeyPair, other_key: KeyPair) -> None:
    found = judge(signed(other_key, hint=key.hint), trust(key), None)
    assert found.verdict is Verdict.INVALID
    assert "its key hint names k, but no trusted key made it" in found.reason
    assert "by another key" in found.reason


KNOWN_HINTS: dict[str, Callable[[KeyPair], str]] = {
    "cosign": lambda key: key.hint,
    "the digest in hex": lambda key: hashlib.sha256(public_der(key.key)).hexdigest(),
    "model_signing": lambda key: hashlib.sha256(key.public.read_bytes()).hexdigest(),
}
HINTS: dict[str, Callable[[KeyPair], str]] = KNOWN_HINTS | {
    "nothing": lambda key: "",
    "any text": lambda key: "alice",
    "a digest of no key": lambda key: base64.b64encode(b"x" * 32).decode(),
}


@pytest.mark.parametrize("form", HINTS)
def test_signature_decides_and_not_the_hint(form: str, key: KeyPair, other_key: KeyPair) -> None:
    for named in (key, other_key):
        bundle = signed(key, hint=HINTS[form](named))
        for keys in ((key,), (key, other_key), (other_key, key)):
            found = judge(bundle, trust(*keys), None)
            assert found.signer is not None, found
            assert found.signer.unique == f"key {trust(key).keys[0].fingerprint}"
        found = judge(bundle, trust(other_key), None)
        assert found.verdict is not Verdict.VALID
        assert "by an untrusted key" in found.reason or "no trusted key made it" in found.reason


@pytest.mark.parametrize("form", KNOWN_HINTS)
def test_key_that_a_hint_names_is_tried_first(form: str, key: KeyPair, other_key: KeyPair) -> None:
    first, _ = trust(other_key, key).candidates(HINTS[form](key))
    assert first == trust(key).keys


def test_each_key_is_one_signer(key: KeyPair, other_key: KeyPair) -> None:
    both = trust(key, other_key)
    hints = ("alice", "bob", other_key.hint)
    assert len(count(*[judge(signed(key, hint=hint), both, None) for hint in hints])) == 1
    pem = key.public.read_bytes() + other_key.public.read_bytes()
    team = Trust("tests", TrustedKey.all_of_pem(pem, "team.pub"))
    found = count(judge(signed(key), team, None), judge(signed(other_key), team, None))
    assert found == ["key team.pub (key 1)", "key team.pub (key 2)"]


def test_number_of_trusted_keys_is_bounded(key: KeyPair) -> None:
    (one,) = trust(key).keys
    Trust("tests", (one,) * MAX_KEYS)
    with pytest.raises(InputError, match="65 trusted keys; at most 64 are supported"):
        Trust("tests", (one,) * (MAX_KEYS + 1))


@pytest.mark.parametrize(
    "change",
    [{"payload": b"y"}, {"payload_type": "application/x"}, {"signature": b"0"}],
    ids=["payload", "type", "signature"],
)
def test_changed_envelope_is_invalid(key: KeyPair, change: dict[str, Any]) -> None:
    content: Any = signed(key).content
    forged = signed(key, content=dataclasses.replace(content, **change))
    assert judge(forged, trust(key), None).verdict is Verdict.INVALID


def test_plain_signature_is_over_the_digest_of_a_file(key: KeyPair) -> None:
    bundle = decode(json.dumps(message_bundle(b"content", key)).encode())
    right, wrong = (hashlib.sha256(c).hexdigest() for c in (b"content", b"other"))
    assert judge(bundle, trust(key), right).verdict is Verdict.VALID
    content: Any = bundle.content
    silent = dataclasses.replace(bundle, content=dataclasses.replace(content, sha256=None))
    for made, sha256, reason in (
        (bundle, wrong, f"for the sha256 {right}, but the file has {wrong}"),
        (bundle, None, "it signs a file"),
        (silent, wrong, "over the bytes of another file"),
    ):
        found = judge(made, trust(key), sha256)
        assert found.verdict is Verdict.INVALID
        assert reason in found.reason


def test_missing_and_unknown_signers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="no signer"):
        open_signer(None)
    with pytest.raises(InputError, match="--signer kms: unknown kind of signer") as raised:
        open_signer("kms:projects/x")
    assert "file, hsm, awskms, gcpkms, azurekms, hv" in (raised.value.help or "")
    with pytest.raises(InputError, match="--signer file: unknown kind of signer"):
        open_signer("file")
    with pytest.raises(InputError, match="does not exist"):
        open_signer(f"file:{tmp_path / 'none' / 'release.key'}")
