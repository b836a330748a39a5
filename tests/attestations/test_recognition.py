# SPDX-License-Identifier: Apache-2.0
"""A file that was given in place of another is named for what it is."""

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
NAMES: dict[str, tuple[Any, str]] = {
    "bundle": ({"mediaType": f"{SIGSTORE}.bundle.v9+json"}, "a Sigstore bundle"),
    "root": ({"mediaType": f"{SIGSTORE}.trustedroot+json;version=0.1"}, "a trusted root"),
    "root without media type": ({"tlogs": [], "certificateAuthorities": []}, "a trusted root"),
    "config": (
        {"mediaType": f"{SIGSTORE}.clienttrustconfig.v0.1+json"},
        "a client trust configuration",
    ),
    "signing": ({"mediaType": f"{SIGSTORE}.signingconfig.v0.2+json"}, "a signing configuration"),
    "older signing": ({"caUrl": "", "rekorTlogUrls": []}, "a signing configuration"),
    "targets": ({"signed": {"_type": "targets"}, "signatures": []}, "TUF metadata (targets)"),
    "layout": ({"signed": {"_type": "layout"}, "signatures": []}, "an in-toto layout"),
    "envelope": (
        {"payload": "", "payloadType": "", "signatures": []},
        "a DSSE envelope without a bundle around it",
    ),
    "statement": (
        {"_type": "https://in-toto.io/Statement/v1"},
        "an in-toto statement that is not signed",
    ),
    "cosign": (
        {"base64Signature": "", "cert": "", "rekorBundle": {}},
        "a signature in the former format of cosign",
    ),
    "GitHub": ({"attestations": []}, "an answer of GitHub's attestation API"),
    "Rekor": (
        {"24296fb2": {"body": "", "integratedTime": 1, "logIndex": 1}},
        "an entry of a Rekor log",
    ),
    "OCI": ({"mediaType": "application/vnd.oci.image.manifest.v1+json"}, "an OCI manifest"),
}
FILES = {
    "public key": (b"-----BEGIN PUBLIC KEY-----\n", "a public key"),
    "private key": (b"\n-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n", "a private key"),
    "certificate": (b"-----BEGIN CERTIFICATE-----\n", "a certificate"),
    "other": (b"-----BEGIN SSH SIGNATURE-----\n", "a file in PEM"),
} | {name: (json.dumps(value).encode(), found) for name, (value, found) in NAMES.items()}


ROOTS = {"root", "root without media type", "config"}


@pytest.mark.parametrize("name", FILES)
def test_a_document_is_named(name: str) -> None:
    data, found = FILES[name]
    assert recognition.name_of(data) == found


@pytest.mark.parametrize(
    "value",
    [{}, [], "text", {"mediaType": 7}, {"signed": {"_type": []}, "signatures": 1}, {"a": {}}],
)
def test_another_document_is_not_named(value: object) -> None:
    assert recognition.name_of(json.dumps(value).encode()) is None


@pytest.mark.parametrize("name", sorted(FILES.keys() - {"bundle"}))
def test_a_bundle_that_is_something_else_says_what(name: str) -> None:
    data, found = FILES[name]
    with pytest.raises(BundleError) as raised:
        decode(data)
    assert f"it is {found}, expected" in str(raised.value)


@pytest.mark.parametrize("name", sorted(FILES.keys() - ROOTS))
def test_a_trusted_root_that_is_something_else_says_what(name: str) -> None:
    data, found = FILES[name]
    with pytest.raises(ProtoJsonError) as raised:
        trusted_root.decode(data, "root.json")
    assert f"it is {found}, expected a trusted root" in str(raised.value)


def in_lines(*values: object, end: str = "\n") -> bytes:
    return "".join(json.dumps(v) + end for v in values).encode()


BUNDLE, ROOT = instance().attest(PAYLOAD), instance().trusted_root()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_lines_are_documents_of_their_own(end: str) -> None:
    data = in_lines(BUNDLE, ROOT, end=end)
    assert [json.loads(line) for line in recognition.lines(data)] == [BUNDLE, ROOT]
    assert recognition.name_of(data) == "2 lines of JSON"
    assert recognition.is_lines_of(recognition.BUNDLE, in_lines(BUNDLE, BUNDLE, end=end))
    assert not recognition.is_lines_of(recognition.BUNDLE, data)


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


def test_one_bundle_is_expected_where_the_document_is_ours() -> None:
    with pytest.raises(BundleError, match=r"2 lines of JSON, each a Sigstore bundle, expected one"):
        decode(in_lines(BUNDLE, BUNDLE))
