# SPDX-License-Identifier: Apache-2.0
"""Bundles are read strictly: a bundle that two readers may read in two ways is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.attestations import bundle as bundles
from provenance.attestations import statement
from provenance.attestations.bundle import Bundle, BundleError, Envelope, MessageSignature, decode
from tests.support.cases import dsse_bundle, message_bundle
from tests.support.keys import KeyPair

MATERIAL, ENVELOPE, MESSAGE = "verificationMaterial", "dsseEnvelope", "messageSignature"
CERTIFICATE = {"certificate": {"rawBytes": "AAAA"}}
TIMESTAMPS = {"timestampVerificationData": {"rfc3161Timestamps": [{"signedTimestamp": "AQID"}]}}


def read(value: object) -> Bundle:
    return decode(json.dumps(value).encode())


def changed(value: Any, at: str, new: object) -> Any:
    """Set the member at a path, for example `dsseEnvelope.signatures.0.sig`."""
    *steps, last = at.split(".")
    place = value
    for step in steps:
        place = place[int(step) if step.isdigit() else step]
    place[last] = new
    return value


def test_an_envelope_and_a_message_signature_are_read(key: KeyPair) -> None:
    found = read(dsse_bundle(b"payload", key))
    assert isinstance(found.content, Envelope)
    assert (found.content.payload, found.hint, found.certificate) == (b"payload", key.hint, None)
    message = message_bundle(b"content", key)
    for digest in (True, False):
        content = read(message).content
        assert isinstance(content, MessageSignature)
        assert (content.sha256 is not None) is digest
        message[MESSAGE].pop("messageDigest", None)


@pytest.mark.parametrize(
    ("at", "value", "found"),
    [
        ("mediaType", "application/vnd.dev.sigstore.bundle+json;version=0.3", ("key", None, ())),
        (MATERIAL, {"publicKey": {}}, ("", None, ())),
        (MESSAGE, None, ("key", None, ())),
        (MATERIAL, CERTIFICATE | TIMESTAMPS, (None, b"\0\0\0", (b"\1\2\3",))),
    ],
)
def test_another_form_of_the_same_version_is_read(
    key: KeyPair, at: str, value: object, found: tuple[object, ...]
) -> None:
    bundle = read(changed(dsse_bundle(b"payload", key), at, value))
    hint = "key" if bundle.hint == key.hint else bundle.hint
    assert (hint, bundle.certificate, bundle.timestamps) == found


ONE_OF = "exactly one of messageSignature and dsseEnvelope"
SIGNATURES = f"{ENVELOPE}.signatures"
IN_ENVELOPE: list[tuple[str, object, str]] = [
    ("mediaType", None, "mediaType is null"),
    ("mediaType", 5, "mediaType is a number"),
    ("mediaType", "x/v0.4", "'x/v0.4', expected"),
    ("extra", 1, "unknown field extra"),
    (MATERIAL, None, "verificationMaterial is null"),
    (MATERIAL, {}, "exactly one of publicKey, certificate"),
    (MATERIAL, {"x509CertificateChain": {}}, "expected one certificate in a bundle v0.3"),
    (MATERIAL, {"certificate": {}}, "rawBytes is missing"),
    (MATERIAL, CERTIFICATE, "no evidence of the signing time"),
    (f"{MATERIAL}.extra", 1, "unknown field verificationMaterial.extra"),
    (f"{MATERIAL}.certificate", {"rawBytes": "AA=="}, "exactly one of"),
    (f"{MATERIAL}.publicKey", "x", "publicKey is a string"),
    (f"{MATERIAL}.publicKey.x", 1, "unknown field"),
    (f"{MATERIAL}.publicKey.hint", 5, "hint is not a string"),
    (ENVELOPE, None, ONE_OF),
    (ENVELOPE, [], "dsseEnvelope is an array"),
    (MESSAGE, {}, ONE_OF),
    (f"{ENVELOPE}.payloadType", "", "no payloadType"),
    (f"{ENVELOPE}.payloadType", "text/plain", "'text/plain'"),
    (f"{ENVELOPE}.payload", "", "payload is missing"),
    (f"{ENVELOPE}.payload", "A", "not base64"),
    (f"{ENVELOPE}.payload", "AB==", "not canonical base64"),
    (f"{ENVELOPE}.payload", "AA==\n", "not base64"),
    (SIGNATURES, None, "exactly one signature, found 0"),
    (SIGNATURES, {}, "signatures is an object, not a list"),
    (SIGNATURES, [1], r"signatures\[0\] is a number"),
    (SIGNATURES, [{}, {}], "found 2"),
    (SIGNATURES, [{"keyid": "k"}], "sig is missing"),
    (f"{SIGNATURES}.0.x", 1, r"unknown field dsseEnvelope.signatures\[0\].x"),
]
DIGEST = f"{MESSAGE}.messageDigest"
IN_MESSAGE: list[tuple[str, object, str]] = [
    (DIGEST, {"algorithm": "SHA2_512", "digest": "AA=="}, "expected SHA2_256"),
    (DIGEST, {"algorithm": "SHA2_256"}, "digest is missing"),
    (DIGEST, 5, "messageDigest is a number"),
    (f"{MESSAGE}.signature", None, "signature is missing"),
    (f"{MESSAGE}.extra", 1, "unknown field messageSignature.extra"),
]


@pytest.mark.parametrize(
    ("at", "value", "message", "make"),
    [
        *((*case, dsse_bundle) for case in IN_ENVELOPE),
        *((*case, message_bundle) for case in IN_MESSAGE),
    ],
)
def test_one_fault_is_refused(
    key: KeyPair, at: str, value: object, message: str, make: Any
) -> None:
    with pytest.raises(BundleError, match=message):
        read(changed(make(b"payload", key), at, value))


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"mediaType": 1, "mediaType": 2}'])
def test_a_bundle_is_a_strict_json_object(content: bytes) -> None:
    with pytest.raises(BundleError, match="the bundle "):
        decode(content)


def result(data: bytes) -> Bundle | str:
    try:
        return decode(data)
    except BundleError as e:
        return str(e)


@given(
    first=st.sampled_from(
        ["cGF5bG9hZA==", "cGF5bG9hZB==", "cGF5", "c", "c\\u0047F5", "", "=", " "]
    ),
    second=st.sampled_from(["cGF5", "x", "\\u0063GF5"]),
    where=st.sampled_from(["before", "after", "inside", "in a string", "twice", "nowhere"]),
    cut=st.integers(0, 3),
)
def test_large_bundles_are_read_as_small(first: str, second: str, where: str, cut: int) -> None:
    """Also with another payload elsewhere, and with any fault."""
    other = f'"payload":"{second}"'
    plain = f'"payload": "{first}"'
    payload = {"inside": f'"more":{{{other}}},{plain}', "twice": f"{other},{plain}"}
    text = (
        f'{{"mediaType":"{bundles.MEDIA_TYPE}",'
        + {"before": f'"more":{{{other}}},', "in a string": f'"a\\{other},'}.get(where, "")
        + '"verificationMaterial":{"publicKey":{"hint":"h"}},'
        + f'"dsseEnvelope":{{{payload.get(where, plain)},"payloadType":"{statement.PAYLOAD_TYPE}",'
        + '"signatures":[{"sig":"AAAA"}]}'
        + (f",{other}" if where == "after" else "")
        + "}"
    )
    data = text[: len(text) - cut].encode()
    with pytest.MonkeyPatch.context() as patch:
        small = result(data)
        patch.setattr(bundles, "LARGE", 0)
        assert result(data) == small


@pytest.mark.parametrize(
    ("registry", "row_bundles", "folder"),
    [
        ("registry.json", [], ""),
        ("model/registry.json", [], "model/"),
        ("model/registry.json", ["bundles/a", "bundles/b"], "bundles/"),
        ("model/registry.json", ["b/x/a", "b/y/b"], "b/"),
        ("model/registry.json", ["a", "b/c"], ""),
        ("model/registry.json", ["ab/x", "ac/x"], ""),
    ],
)
def test_the_folder_of_the_summary(registry: str, row_bundles: list[str], folder: str) -> None:
    expected = f"{folder}registry.json.vsa.sigstore.json"
    assert bundles.summary_path(registry, row_bundles) == expected


def test_a_seed_attestation_is_beside_the_row_bundle() -> None:
    found = bundles.seed_attestation_path("model", "s.onnx", "../bundles/s.onnx.sigstore.json")
    assert found == "bundles/s.onnx.provenance.sigstore.json"
