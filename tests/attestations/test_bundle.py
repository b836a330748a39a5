# SPDX-License-Identifier: Apache-2.0
"""Bundles are read strictly: what two readers could read in two ways is refused."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.attestations import bundle as bundles
from provenance.attestations import statement
from provenance.attestations.bundle import Bundle, BundleError, Envelope, MessageSignature, decode
from tests.support.cases import dsse_bundle, message_bundle
from tests.support.json_values import values
from tests.support.keys import KeyPair


@pytest.fixture
def envelope(key: KeyPair) -> dict[str, Any]:
    """A bundle as JSON, to be changed."""
    return dsse_bundle(b"payload", key)


@pytest.fixture
def message(key: KeyPair) -> dict[str, Any]:
    """A bundle with a plain signature."""
    return message_bundle(b"content", key)


def read(value: object) -> Bundle:
    return decode(json.dumps(value).encode())


def test_an_envelope_is_read(envelope: dict[str, Any], key: KeyPair) -> None:
    found = read(envelope)
    assert isinstance(found.content, Envelope)
    assert found.content.payload == b"payload"
    assert (found.hint, found.certificate) == (key.hint, None)


def test_a_plain_signature_is_read(message: dict[str, Any]) -> None:
    found = read(message)
    assert isinstance(found.content, MessageSignature)
    assert found.content.sha256 is not None
    del message["messageSignature"]["messageDigest"]
    plain = read(message).content
    assert isinstance(plain, MessageSignature)
    assert plain.sha256 is None


def test_the_older_spelling_of_the_same_version_is_read(envelope: dict[str, Any]) -> None:
    envelope["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.3"
    assert read(envelope)


def test_what_proto3_json_may_leave_out_is_not_missed(envelope: dict[str, Any]) -> None:
    envelope["verificationMaterial"] = {"publicKey": {}}
    envelope["messageSignature"] = None
    assert read(envelope).hint == ""


def test_a_certificate_is_kept_for_who_can_judge_it(envelope: dict[str, Any]) -> None:
    envelope["verificationMaterial"] = {
        "certificate": {"rawBytes": "AAAA"},
        "timestampVerificationData": {"rfc3161Timestamps": [{"signedTimestamp": "AQID"}]},
    }
    found = read(envelope)
    assert (found.hint, found.certificate) == (None, b"\0\0\0")
    assert found.timestamps == (b"\1\2\3",)


def test_a_certificate_without_a_word_on_when_is_refused(envelope: dict[str, Any]) -> None:
    envelope["verificationMaterial"] = {"certificate": {"rawBytes": "AAAA"}}
    with pytest.raises(BundleError, match="no evidence of the signing time"):
        read(envelope)


Change = tuple[list[str | int], Any]


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (["mediaType"], None, "mediaType is null"),
        (["mediaType"], 5, "mediaType is a number"),
        (["mediaType"], "x/v0.4", "'x/v0.4', expected"),
        (["extra"], 1, "unknown field extra"),
        (["verificationMaterial"], None, "verificationMaterial is null"),
        (["verificationMaterial"], {}, "exactly one of publicKey, certificate"),
        (["verificationMaterial", "extra"], 1, "unknown field verificationMaterial.extra"),
        (["verificationMaterial", "certificate"], {"rawBytes": "AA=="}, "exactly one of"),
        (
            ["verificationMaterial"],
            {"x509CertificateChain": {}},
            "expected one certificate in a bundle v0.3",
        ),
        (["verificationMaterial"], {"certificate": {}}, "rawBytes is missing"),
        (["verificationMaterial", "publicKey"], "x", "publicKey is a string"),
        (["verificationMaterial", "publicKey", "x"], 1, "unknown field"),
        (["verificationMaterial", "publicKey", "hint"], 5, "hint is not a string"),
        (["dsseEnvelope"], None, "exactly one of messageSignature and dsseEnvelope"),
        (["dsseEnvelope"], [], "dsseEnvelope is an array"),
        (["messageSignature"], {}, "exactly one of messageSignature and dsseEnvelope"),
        (["dsseEnvelope", "payloadType"], "", "no payloadType"),
        (["dsseEnvelope", "payloadType"], "text/plain", "'text/plain'"),
        (["dsseEnvelope", "payload"], "", "payload is missing"),
        (["dsseEnvelope", "payload"], "A", "not base64"),
        (["dsseEnvelope", "payload"], "AB==", "not canonical base64"),
        (["dsseEnvelope", "payload"], "AA==\n", "not base64"),
        (["dsseEnvelope", "signatures"], None, "exactly one signature, found 0"),
        (["dsseEnvelope", "signatures"], [1], r"signatures\[0\] is a number"),
        (["dsseEnvelope", "signatures"], [{}, {}], "found 2"),
        (["dsseEnvelope", "signatures"], [{"keyid": "k"}], "sig is missing"),
        (
            ["dsseEnvelope", "signatures", 0, "x"],
            1,
            r"unknown field dsseEnvelope.signatures\[0\].x",
        ),
    ],
)
def test_an_envelope_with_one_thing_wrong_is_refused(
    envelope: dict[str, Any], at: list[str | int], value: object, message: str
) -> None:
    place: Any = envelope
    for step in at[:-1]:
        place = place[step]
    place[at[-1]] = value
    with pytest.raises(BundleError, match=message):
        read(envelope)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("messageDigest", {"algorithm": "SHA2_512", "digest": "AA=="}, "expected SHA2_256"),
        ("messageDigest", {"algorithm": "SHA2_256"}, "digest is missing"),
        ("messageDigest", 5, "messageDigest is a number"),
        ("signature", None, "signature is missing"),
        ("extra", 1, "unknown field messageSignature.extra"),
    ],
)
def test_a_plain_signature_with_one_thing_wrong_is_refused(
    message: dict[str, Any], field: str, value: object, reason: str
) -> None:
    message["messageSignature"][field] = value
    with pytest.raises(BundleError, match=reason):
        read(message)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"mediaType": 1, "mediaType": 2}'])
def test_bytes_that_are_no_strict_json_object_are_no_bundle(content: bytes) -> None:
    with pytest.raises(BundleError, match="the bundle "):
        decode(content)


@settings(max_examples=150)
@given(data=st.data(), replacement=values)
def test_any_part_replaced_by_anything_is_a_bundle_or_a_bundle_error(
    data: st.DataObject, replacement: Any
) -> None:
    value: Any = {
        "mediaType": bundles.MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": "h"}},
        "dsseEnvelope": {
            "payload": "AAAA",
            "payloadType": "application/vnd.in-toto+json",
            "signatures": [{"sig": "AAAA"}],
        },
    }
    place = value
    while True:
        steps = list(place) if isinstance(place, dict) else list(range(len(place)))
        step = data.draw(st.sampled_from(steps))
        if not isinstance(place[step], dict | list) or data.draw(st.booleans()):
            place[step] = replacement
            break
        place = place[step]
    with contextlib.suppress(BundleError):
        assert isinstance(read(value), Bundle)


@pytest.mark.parametrize(
    ("registry", "row_bundles", "expected"),
    [
        ("registry.json", [], "registry.json.vsa.sigstore.json"),
        ("model/registry.json", [], "model/registry.json.vsa.sigstore.json"),
        (
            "model/registry.json",
            ["bundles/a", "bundles/b"],
            "bundles/registry.json.vsa.sigstore.json",
        ),
        ("model/r.json", ["b/x/a", "b/y/b"], "b/r.json.vsa.sigstore.json"),
        ("model/r.json", ["a", "b/c"], "r.json.vsa.sigstore.json"),
        ("model/r.json", ["ab/x", "ac/x"], "r.json.vsa.sigstore.json"),
    ],
)
def test_the_summary_lies_in_the_folder_that_all_row_bundles_share(
    registry: str, row_bundles: list[str], expected: str
) -> None:
    assert bundles.summary_path(registry, row_bundles) == expected


def test_a_seed_attestation_lies_beside_the_row_bundle() -> None:
    found = bundles.seed_attestation_path("model", "s.onnx", "../bundles/s.onnx.sigstore.json")
    assert found == "bundles/s.onnx.provenance.sigstore.json"


def outcome(data: bytes) -> Bundle | str:
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
def test_a_large_bundle_is_read_as_a_small_one(
    first: str, second: str, where: str, cut: int
) -> None:
    """Wherever else a payload is written, and whatever is wrong with the bundle."""
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
        small = outcome(data)
        patch.setattr(bundles, "LARGE", 0)
        assert outcome(data) == small
