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

from provenance.attestations.bundle import Bundle, Envelope, MessageSignature, decode
from provenance.attestations.statement import pre_authentication_encoding
from provenance.errors import InputError, UnavailableError
from provenance.signing import judging
from provenance.signing.judgement import Verdict
from provenance.signing.keyed import judge
from provenance.signing.pem import MAX_KEYS
from provenance.signing.signers import open_signer
from provenance.signing.trust import Trust, TrustedKey
from tests.support.cases import dsse_bundle, message_bundle
from tests.support.keys import KeyPair, public_der


def trust(*pairs: KeyPair) -> Trust:
    return Trust("tests", tuple(TrustedKey.of_pem(p.public.read_bytes(), "k") for p in pairs))


def bundle(value: dict[str, Any]) -> Bundle:
    return decode(json.dumps(value).encode())


def test_what_is_signed_is_the_encoding_of_the_dsse_specification() -> None:
    # The example of https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
    encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_lengths_are_in_bytes() -> None:
    assert pre_authentication_encoding("é", "ü".encode()) == "DSSEv1 2 é 2 ü".encode()


def test_the_hint_is_base64_of_the_digest_of_the_der_key(key: KeyPair) -> None:
    (trusted,) = trust(key).keys
    assert trusted.hint == key.hint
    assert base64.b64decode(trusted.hint).hex() == trusted.fingerprint
    der = base64.b64decode("".join(key.public.read_text().splitlines()[1:-1]))
    assert trusted.fingerprint == hashlib.sha256(der).hexdigest()


def test_what_a_signer_signs_is_valid(key: KeyPair) -> None:
    (data,) = open_signer(key.signer).sign([b'{"a": 1}'], lambda: None)
    signed = decode(data)
    assert isinstance(signed.content, Envelope)
    assert signed.content.payload == b'{"a": 1}'
    judgement = judge(signed, trust(key), None)
    assert judgement.verdict is Verdict.VALID
    assert judgement.signer is not None
    assert judgement.signer.entries[0] == trust(key).keys[0]


def test_a_bundle_made_by_the_specifications_alone_is_valid(key: KeyPair) -> None:
    assert judge(bundle(dsse_bundle(b"x", key)), trust(key), None).verdict is Verdict.VALID


def test_a_signature_by_a_key_that_is_not_trusted_does_not_count(
    key: KeyPair, other_key: KeyPair
) -> None:
    signed = bundle(dsse_bundle(b"x", other_key))
    assert judge(signed, trust(key), None).verdict is Verdict.UNTRUSTED


def test_a_hint_proves_nothing(key: KeyPair, other_key: KeyPair) -> None:
    signed = bundle(dsse_bundle(b"x", other_key))
    forged = dataclasses.replace(signed, hint=key.hint)
    found = judge(forged, trust(key), None)
    assert found.verdict is Verdict.INVALID
    assert "its key hint names k, but no trusted key made it" in found.reason
    assert "by another key" in found.reason


HINTS: dict[str, Callable[[KeyPair], str]] = {
    "nothing": lambda key: "",
    "any text": lambda key: "alice",
    "cosign": lambda key: key.hint,
    "the digest in hex": lambda key: hashlib.sha256(public_der(key.key)).hexdigest(),
    "model_signing": lambda key: hashlib.sha256(key.public.read_bytes()).hexdigest(),
    "a digest of no key": lambda key: base64.b64encode(b"x" * 32).decode(),
}


@pytest.mark.parametrize("form", HINTS)
@pytest.mark.parametrize("of_another", [False, True])
def test_the_signature_decides_and_not_the_hint(
    form: str, of_another: bool, key: KeyPair, other_key: KeyPair
) -> None:
    hint = HINTS[form](other_key if of_another else key)
    signed = dataclasses.replace(bundle(dsse_bundle(b"x", key)), hint=hint)
    for keys in ((key,), (key, other_key), (other_key, key)):
        judgement = judge(signed, trust(*keys), None)
        assert judgement.signer is not None, judgement
        assert judgement.signer.unique == f"key {trust(key).keys[0].fingerprint}"
    found = judge(signed, trust(other_key), None)
    assert found.verdict is not Verdict.VALID
    assert "by an untrusted key" in found.reason or "no trusted key made it" in found.reason


@pytest.mark.parametrize("form", ["cosign", "the digest in hex", "model_signing"])
def test_the_key_that_a_known_hint_names_is_tried_first(
    form: str, key: KeyPair, other_key: KeyPair
) -> None:
    first, _ = trust(other_key, key).candidates(HINTS[form](key))
    assert first == trust(key).keys


def test_one_key_is_one_signer_whatever_the_hints(key: KeyPair, other_key: KeyPair) -> None:
    twice = [
        dataclasses.replace(bundle(dsse_bundle(b"x", key)), hint=hint)
        for hint in ("alice", "bob", other_key.hint)
    ]
    found = [judge(b, trust(key, other_key), None).signer for b in twice]
    assert len(judging.counted([s for s in found if s is not None])) == 1


def test_two_keys_of_one_file_are_two_signers(key: KeyPair, other_key: KeyPair) -> None:
    both = key.public.read_bytes() + other_key.public.read_bytes()
    team = Trust("tests", TrustedKey.all_of_pem(both, "team.pub"))
    found = [judge(bundle(dsse_bundle(b"x", k)), team, None).signer for k in (key, other_key)]
    counted = judging.counted([s for s in found if s is not None])
    assert [str(entry) for _, entry in counted] == ["key team.pub (key 1)", "key team.pub (key 2)"]


def test_an_opaque_hint_is_shown_as_the_claim_that_it_is(key: KeyPair, other_key: KeyPair) -> None:
    signed = dataclasses.replace(bundle(dsse_bundle(b"x", other_key)), hint="alice")
    found = judge(signed, trust(key), None)
    assert found.verdict is Verdict.UNTRUSTED
    assert "by an untrusted key, or changed after it was signed" in found.reason
    assert "'alice'" in found.reason
    in_hex = judge(bundle(dsse_bundle(b"x", other_key)), trust(key), None).reason
    assert trust(other_key).keys[0].fingerprint in in_hex
    assert other_key.hint not in in_hex


def test_a_trust_has_a_bounded_number_of_keys(key: KeyPair) -> None:
    (one,) = trust(key).keys
    Trust("tests", (one,) * MAX_KEYS)
    with pytest.raises(InputError, match="65 trusted keys; at most 64 are supported"):
        Trust("tests", (one,) * (MAX_KEYS + 1))


def test_nobody_trusted_makes_no_signature_valid(key: KeyPair) -> None:
    signed = bundle(dsse_bundle(b"x", key))
    assert judge(signed, trust(), None).verdict is Verdict.UNTRUSTED
    no_hint = dataclasses.replace(signed, hint="")
    assert judge(no_hint, trust(), None).verdict is Verdict.UNTRUSTED


def test_a_certificate_is_not_a_key(key: KeyPair) -> None:
    signed = dataclasses.replace(bundle(dsse_bundle(b"x", key)), hint=None, certificate=b"c")
    found = judging.judge(signed, trust(key), None)
    assert found.verdict is Verdict.UNTRUSTED
    assert "with a certificate" in found.reason


@pytest.mark.parametrize("field", ["payload", "payload_type", "signature"])
def test_an_envelope_with_anything_changed_is_invalid(key: KeyPair, field: str) -> None:
    signed = bundle(dsse_bundle(b"x", key))
    assert isinstance(signed.content, Envelope)
    value = getattr(signed.content, field)
    changed = value + (b"\0" if isinstance(value, bytes) else "x")
    content = dataclasses.replace(signed.content, **{field: changed})
    forged = dataclasses.replace(signed, content=content)
    assert judge(forged, trust(key), None).verdict is Verdict.INVALID


def test_a_plain_signature_is_over_the_bytes_that_were_hashed(key: KeyPair) -> None:
    signed = bundle(message_bundle(b"content", key))
    right, wrong = (hashlib.sha256(c).hexdigest() for c in (b"content", b"other"))
    assert judge(signed, trust(key), right).verdict is Verdict.VALID
    for digest, why in (
        (wrong, f"for the sha256 {right}, but the file has {wrong}"),
        (None, "it signs a file"),
    ):
        found = judge(signed, trust(key), digest)
        assert (found.verdict, why in found.reason) == (Verdict.INVALID, True)
    assert isinstance(signed.content, MessageSignature)
    content = dataclasses.replace(signed.content, sha256=None)
    silent = dataclasses.replace(signed, content=content)
    assert "over the bytes of another file" in judge(silent, trust(key), wrong).reason


def test_no_signer_is_told_from_a_wrong_one() -> None:
    with pytest.raises(UnavailableError, match="no signer"):
        open_signer(None)
    with pytest.raises(InputError, match="--signer kms: unknown kind of signer") as raised:
        open_signer("kms:projects/x")
    assert "file, hsm, awskms, gcpkms, azurekms, hv" in (raised.value.help or "")
    with pytest.raises(InputError, match="--signer file: unknown kind of signer"):
        open_signer("file")


def test_a_key_below_no_folder_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        open_signer(f"file:{tmp_path / 'none' / 'release.key'}")
