# SPDX-License-Identifier: Apache-2.0
"""A file that was given in place of another is named by its kind."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provenance.attestations import recognition
from provenance.attestations.bundle import BundleError, decode
from provenance.attestations.proto_json import ProtoJsonError
from provenance.signing import trusted_root
from tests.signing.workshop import PAYLOAD, instance

SIGSTORE = "application/vnd.dev.sigstore"
ENVELOPE = "a DSSE envelope without a bundle around it"
COSIGN = "a signature in the former format of cosign"
OCI = {"mediaType": "application/vnd.oci.image.manifest.v1+json"}
DOCUMENTS: list[tuple[dict[str, Any], str]] = [
    ({"mediaType": f"{SIGSTORE}.bundle.v9+json"}, "a Sigstore bundle"),
    ({"mediaType": f"{SIGSTORE}.trustedroot+json;version=0.1"}, "a trusted root"),
    ({"tlogs": [], "certificateAuthorities": []}, "a trusted root"),
    ({"mediaType": f"{SIGSTORE}.clienttrustconfig.v0.1+json"}, "a client trust configuration"),
    ({"mediaType": f"{SIGSTORE}.signingconfig.v0.2+json"}, "a signing configuration"),
    ({"caUrl": "", "rekorTlogUrls": []}, "a signing configuration"),
    ({"signed": {"_type": "targets"}, "signatures": []}, "TUF metadata (targets)"),
    ({"signed": {"_type": "layout"}, "signatures": []}, "an in-toto layout"),
    ({"_type": "https://in-toto.io/Statement/v1"}, "an in-toto statement that is not signed"),
    ({"attestations": []}, "an answer of GitHub's attestation API"),
    (OCI, "an OCI manifest"),
    ({"payload": "", "payloadType": "", "signatures": []}, ENVELOPE),
    ({"base64Signature": "", "cert": "", "rekorBundle": {}}, COSIGN),
    ({"24296fb2": {"body": "", "integratedTime": 1, "logIndex": 1}}, "an entry of a Rekor log"),
]
FILES: list[tuple[bytes, str]] = [
    (b"-----BEGIN PUBLIC KEY-----\n", "a public key"),
    (b"\n-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n", "a private key"),
    (b"-----BEGIN CERTIFICATE-----\n", "a certificate"),
    (b"-----BEGIN SSH SIGNATURE-----\n", "a file in PEM"),
    *((json.dumps(value).encode(), name) for value, name in DOCUMENTS),
]
ROOTS = ("a trusted root", "a client trust configuration")


@pytest.mark.parametrize(("data", "name"), FILES)
def test_a_file_of_another_kind_is_named(data: bytes, name: str) -> None:
    assert recognition.name_of(data) == name
    if name != "a Sigstore bundle":
        with pytest.raises(BundleError) as not_a_bundle:
            decode(data)
        assert f"it is {name}, expected" in str(not_a_bundle.value)
    if name not in ROOTS:
        with pytest.raises(ProtoJsonError) as not_a_root:
            trusted_root.decode(data, "root.json")
        assert f"it is {name}, expected a trusted root" in str(not_a_root.value)


@pytest.mark.parametrize(
    "value",
    [{}, [], "text", {"mediaType": 7}, {"signed": {"_type": []}, "signatures": 1}, {"a": {}}],
)
def test_an_unknown_document_has_no_name(value: object) -> None:
    assert recognition.name_of(json.dumps(value).encode()) is None


def in_lines(*values: object, end: str = "\n") -> bytes:
    return "".join(json.dumps(v) + end for v in values).encode()


BUNDLE, ROOT = instance().attest(PAYLOAD), instance().trusted_root()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_each_line_of_json_is_a_document(end: str) -> None:
    data = in_lines(BUNDLE, ROOT, end=end)
    assert [json.loads(line) for line in recognition.lines(data)] == [BUNDLE, ROOT]
    assert recognition.name_of(data) == "2 lines of JSON"
    assert recognition.is_lines_of(recognition.BUNDLE, in_lines(BUNDLE, BUNDLE, end=end))
    assert not recognition.is_lines_of(recognition.BUNDLE, data)
    with pytest.raises(BundleError, match=r"2 lines of JSON, each a Sigstore bundle, expected one"):
        decode(in_lines(BUNDLE, BUNDLE, end=end))


@pytest.mark.parametrize(
    "data",
    [
        in_lines(BUNDLE),
        json.dumps(BUNDLE, indent=1).encode(),
        in_lines(BUNDLE, [BUNDLE]),
        in_lines(BUNDLE) + b'{"a": 1, "a": 2}\n',
        in_lines(*({"n": n} for n in range(recognition.MAX_LINES + 1))),
        b"",
    ],
)
def test_another_file_is_one_document(data: bytes) -> None:
    assert recognition.lines(data) == (data,)
