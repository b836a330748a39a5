# SPDX-License-Identifier: Apache-2.0
"""Inspecting bundles of this project and of other clients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provenance.attestations import predicates
from provenance.errors import InputError
from provenance.operations.inspect import inspect
from provenance.output import inspection
from provenance.output.text import Style
from tests.signing.workshop import instance
from tests.support.cases import dsse_bundle, message_bundle
from tests.support.json_values import values
from tests.support.keys import KeyPair
from tests.support.repository import Repository, sha256
from tests.support.sigstore.ca import claim, email, github
from tests.support.sigstore.instance import ISSUER


def shown(path: Path, bundle: dict[str, Any] | None = None) -> str:
    """Return the page of a bundle, which is written first if it is given."""
    if bundle is not None:
        path.write_text(json.dumps(bundle))
    return inspection.render(inspect(path), Style())


def of_statement(key: KeyPair, **members: Any) -> dict[str, Any]:
    subject = {"name": "a.tar.gz", "digest": {"sha256": sha256(b"a")}}
    known = {"_type": "https://in-toto.io/Statement/v1", "subject": [subject]}
    return dsse_bundle(json.dumps(known | members).encode(), key)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "m.sigstore.json"


def test_bundles_of_a_release_are_shown_with_their_contents(repository: Repository) -> None:
    repository.add_ensemble()
    repository.add_sidecar(repository.add("stale"), sha256="0" * 64)
    repository.defer("SID402", ["stale"])
    repository.released()
    expected = {
        "stale.onnx": [
            "signed with a key; key hint: sha256 ",
            "the signature is not verified",
            "a registry row, with all its model files",
            "about: 1 file",
            "  license: MIT",
            "sidecar: stale.json",
            f"describes: {'0' * 64}",
            "deferred SID402: a test (ADR-1105)",
        ],
        "ens_seed1.onnx.provenance": [
            "seed: 1",
            "  num_codecs: 6",
            "made from: corpus/clips.jsonl",
            "made from: ens.json",
            "with: ens_seed1.json",
            "with: ens_seed_flip_PROMOTE.json",
        ],
        "registry.json.vsa": ["result: PASSED", "deferred findings: 1", "from: 5 bundles"],
    }
    for name, parts in expected.items():
        page = shown(repository.root / "bundles" / f"{name}.sigstore.json")
        assert [part for part in parts if part not in page] == []


def test_provenance_of_another_build_is_not_that_of_a_seed(path: Path, key: KeyPair) -> None:
    predicate = {
        "buildDefinition": {
            "buildType": "https://example.org/build",
            "resolvedDependencies": [{"uri": "git+https://example.org/source"}],
        },
        "runDetails": {"builder": {"id": "https://example.org/builder"}},
    }
    kind = predicates.SLSA_PROVENANCE
    page = shown(path, of_statement(key, predicateType=kind, predicate=predicate))
    for part in (
        "statement: how a file was built (SLSA provenance)",
        "build type: https://example.org/build",
        "builder: https://example.org/builder",
        "made from: git+https://example.org/source",
    ):
        assert part in page
    assert "seed" not in page


def test_a_summary_of_another_project_counts_no_deferrals(path: Path, key: KeyPair) -> None:
    predicate = {"verificationResult": "PASSED"}
    bundle = of_statement(key, predicateType=predicates.SLSA_SUMMARY, predicate=predicate)
    page = shown(path, bundle)
    assert "result: PASSED" in page
    assert "deferred" not in page


def test_a_plain_signature_binds_only_the_bytes(path: Path, key: KeyPair) -> None:
    page = shown(path, message_bundle(b"content", key))
    assert f"signs the bytes of a file (sha256 {sha256(b'content')})" in page
    assert "binds no name, license, external data or sidecar" in page
    assert "not stated" in shown(path, message_bundle(b"content", key, digest=False))


def test_a_certificate_is_shown_with_its_log_entry_and_timestamps(path: Path) -> None:
    with pytest.raises(InputError, match="_type"):
        shown(path, instance().attest(b"{}", github(), log="v1", timestamps=1))
    made = instance().sign_bytes(b"content", github(), log="v1", timestamps=1)
    page = shown(path, made)
    for part in (
        "signed with a certificate; the signature is not verified",
        "certificate: for https://github.com/lusoris/vmaf/.github/workflows/supply-chain.yml@refs/",
        "valid: 2026-06-01 12:00:00 UTC to 2026-06-01 12:10:00 UTC",
        "by: CN=simulated issuer",
        "  issuer: https://token.actions.githubusercontent.com",
        "  source repository identifier: 1234",
        "  build trigger: push",
        "hashedrekord 0.0.1",
        "time: 2026-06-01 12:00:00 UTC, promised by the log",
        "checkpoint: rekor.simulated.test - ",
        "timestamp: 2026-06-01 12:00:00 UTC",
        "  policy: 1.3.6.1.4.1.57264.2",
    ):
        assert part in page
    assert "not a valid signing certificate" not in page
    value = inspection.as_json(inspect(path))
    extensions = {e["name"]: e["value"] for e in value["certificate"]["extensions"]}
    assert extensions["source repository ref"] == "refs/tags/v3.0.0"
    entry = value["logEntry"]
    assert (entry["integratedTime"], entry["promised"]) == ("2026-06-01T12:00:00Z", True)
    assert entry["inclusionProof"]["origin"].startswith("rekor.simulated.test - ")
    assert value["timestamps"][0]["time"] == "2026-06-01T12:00:00Z"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(b"\x0c\x03foo", "certificate: for foo\n"), (b"\x02\x01\x05", "its subject cannot be read")],
)
def test_a_user_name_is_shown_as_a_name(path: Path, value: bytes, expected: str) -> None:
    request = email("replaced", ISSUER)
    request.names = [x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.7"), value)]
    page = shown(path, instance().sign_bytes(b"content", request))
    assert expected in page
    assert ("its subject cannot be read" in page) == (b"foo" not in value)


def test_a_certificate_that_is_not_valid_for_signing_is_shown_with_the_reason(path: Path) -> None:
    request = email("a\x1b[2J@example.org", ISSUER)
    request.claims[8] = "https://evil.test"
    made = instance().sign_bytes(b"content", request, log="v1", version="0.1")
    del made["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]
    page = shown(path, made)
    assert "not a valid signing certificate: its issuer is" in page
    assert "without an inclusion proof" in page
    assert "\x1b" not in page
    request.names, request.extensions = [], [(claim(9, "x", raw=True), False)]
    made = instance().sign_bytes(b"content", request, log="v1")
    material = made["verificationMaterial"]
    del material["tlogEntries"][0]["inclusionPromise"]
    material["timestampVerificationData"]["rfc3161Timestamps"] = [{"signedTimestamp": "AAAA"}]
    page = shown(path, made)
    assert "certificate: for no subject" in page
    assert "not signed by the log" in page
    assert "timestamp: it cannot be read" in page
    material["certificate"]["rawBytes"] = "AAAA"
    with pytest.raises(InputError, match="its certificate: it is not"):
        shown(path, made)


def test_a_statement_of_another_type_is_shown_as_it_was_signed(path: Path, key: KeyPair) -> None:
    value = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"name": "src\x1b[2J", "digest": {"gitCommit": "0" * 40}},
            {"digest": {"sha256": "a" * 64}},
        ],
        "predicateType": "https://example.org/scan/v1",
        "extension": True,
    }
    page = shown(path, of_statement(key, **value))
    assert f"about: 2 files\n  {'a' * 64}  (no name)\n  (not supported: gitCommit)  src" in page
    assert "\x1b" not in page
    assert inspection.as_json(inspect(path))["statement"] == value


@pytest.mark.parametrize("hint", ["mine\x1b[2J", "AAAA", "%"])
def test_a_hint_that_is_no_digest_is_quoted(path: Path, key: KeyPair, hint: str) -> None:
    value = message_bundle(b"content", key)
    value["verificationMaterial"] = {"publicKey": {"hint": hint}}
    page = shown(path, value)
    assert "signed with a key; key hint: '" in page
    assert "\x1b" not in page


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("{}", "mediaType is null"),
        ("[1]", "contains an array"),
        (None, "does not exist"),
    ],
)
def test_a_malformed_bundle_is_an_error(path: Path, content: str | None, message: str) -> None:
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=message):
        inspect(path)


MEMBERS = [
    *("row", "sidecars", "deferrals", "name", "policy", "inputAttestations"),
    *("buildDefinition", "externalParameters", "trainingRecipe", "resolvedDependencies"),
    *("runDetails", "byproducts"),
]
hostile_values = st.recursive(
    st.none() | st.integers() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from([*predicates.SCHEMAS, "https://example.org/\x1b[2J"]),
    predicate=st.dictionaries(st.text(max_size=4), values, max_size=2)
    | hostile_values.filter(lambda v: isinstance(v, dict)),
)
def test_no_predicate_breaks_the_page_or_the_terminal(
    path: Path, key: KeyPair, kind: str, predicate: Any
) -> None:
    subject = [{"name": "m\n\x1b.onnx", "digest": {"sha256": "a" * 64}}]
    bundle = of_statement(key, subject=subject, predicateType=kind, predicate=predicate)
    assert all(c.isprintable() for c in shown(path, bundle).replace("\n", ""))
    assert json.dumps(inspection.as_json(inspect(path)))
