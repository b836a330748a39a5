# SPDX-License-Identifier: Apache-2.0
"""Signing with a key, and judging signatures."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from provenance.attestations.bundle import Bundle, Envelope, decode
from provenance.attestations.dsse import pre_authentication_encoding
from provenance.errors import InputError, UnavailableError
from provenance.signing import judging
from provenance.signing.judgement import Verdict
from provenance.signing.keyed import judge
from provenance.signing.signers import open_signer
from provenance.signing.trust import Trust, TrustedKey
from tests.support.cases import dsse_bundle, message_bundle
from tests.support.keys import KeyPair


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
    assert judge(forged, trust(key), None).verdict is Verdict.INVALID


def test_without_a_hint_any_trusted_key_may_be_the_one(key: KeyPair, other_key: KeyPair) -> None:
    signed = dataclasses.replace(bundle(dsse_bundle(b"x", key)), hint="")
    assert judge(signed, trust(other_key, key), None).verdict is Verdict.VALID
    assert judge(signed, trust(other_key), None).verdict is Verdict.INVALID


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
    assert judge(signed, trust(key), wrong).verdict is Verdict.INVALID
    assert judge(signed, trust(key), None).verdict is Verdict.INVALID


def test_no_signer_is_told_from_a_wrong_one() -> None:
    with pytest.raises(UnavailableError, match="no signer"):
        open_signer(None)
    with pytest.raises(InputError, match="--signer kms: no such signer") as raised:
        open_signer("kms:projects/x")
    assert "file, hsm, awskms, gcpkms, azurekms, hv" in (raised.value.help or "")
    with pytest.raises(InputError, match="--signer file: no such signer"):
        open_signer("file")


def test_a_key_below_no_folder_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        open_signer(f"file:{tmp_path / 'none' / 'release.key'}")
