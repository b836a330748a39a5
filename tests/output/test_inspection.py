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
from provenance.operations.inspect import Inspection, inspect
from provenance.output import inspection
from provenance.output.text import Style
from tests.signing.workshop import instance
from tests.support.cases import dsse_bundle, message_bundle
from tests.support.json_values import values
from tests.support.keys import KeyPair
from tests.support.repository import Repository, sha256
from tests.support.sigstore.ca import claim, email, github
from tests.support.sigstore.instance import ISSUER


def text(result: Inspection) -> str:
    return inspection.render(result, Style())


@pytest.fixture
def released(repository: Repository) -> Path:
    """The bundles of a released ensemble with a deferral."""
    repository.add_ensemble()
    repository.add_sidecar(repository.add("stale"), sha256="0" * 64)
    repository.defer("SID402", ["stale"])
    repository.released()
    return repository.root / "bundles"


def test_a_row_bundle_says_the_row_its_sidecar_and_its_deferrals(released: Path) -> None:
    shown = text(inspect(released / "stale.onnx.sigstore.json"))
    for part in (
        "signed with a key; key hint: sha256 ",
        "the signature is not verified",
        "a registry row, with all its model files",
        "about: 1 file",
        "  license: MIT",
        "sidecar: stale.json",
        f"describes: {'0' * 64}",
        "deferred SID402: a test (ADR-1105)",
    ):
        assert part in shown


def test_a_seed_attestation_says_what_the_seed_was_made_from(released: Path) -> None:
    shown = text(inspect(released / "ens_seed1.onnx.provenance.sigstore.json"))
    for part in (
        "seed: 1",
        "  num_codecs: 6",
        "made from: corpus/clips.jsonl",
        "made from: ens.json",
        "with: ens_seed1.json",
        "with: ens_seed_flip_PROMOTE.json",
    ):
        assert part in shown


def test_the_provenance_of_somebody_elses_build_is_not_that_of_a_seed(
    tmp_path: Path, key: KeyPair
) -> None:
    predicate = {
        "buildDefinition": {
            "buildType": "https://example.org/build",
            "resolvedDependencies": [{"uri": "git+https://example.org/source"}],
        },
        "runDetails": {"builder": {"id": "https://example.org/builder"}},
    }
    subject = {"name": "a.tar.gz", "digest": {"sha256": sha256(b"a")}}
    claim_of = {"_type": "https://in-toto.io/Statement/v1", "subject": [subject]}
    kind = {"predicateType": predicates.SLSA_PROVENANCE, "predicate": predicate}
    path = tmp_path / "a.sigstore.json"
    path.write_text(json.dumps(dsse_bundle(json.dumps(claim_of | kind).encode(), key)))
    shown = text(inspect(path))
    for part in (
        "statement: how a file was built (SLSA provenance)",
        "build type: https://example.org/build",
        "builder: https://example.org/builder",
        "made from: git+https://example.org/source",
    ):
        assert part in shown
    assert "seed" not in shown


def test_a_summary_by_others_counts_no_deferrals(tmp_path: Path, key: KeyPair) -> None:
    subject = {"name": "a.tar.gz", "digest": {"sha256": sha256(b"a")}}
    claim_of = {"_type": "https://in-toto.io/Statement/v1", "subject": [subject]}
    kind = {
        "predicateType": predicates.SLSA_SUMMARY,
        "predicate": {"verificationResult": "PASSED"},
    }
    path = tmp_path / "a.sigstore.json"
    path.write_text(json.dumps(dsse_bundle(json.dumps(claim_of | kind).encode(), key)))
    shown = text(inspect(path))
    assert "result: PASSED" in shown
    assert "deferred" not in shown


def test_a_summary_says_what_passed_and_what_was_deferred(released: Path) -> None:
    shown = text(inspect(released / "registry.json.vsa.sigstore.json"))
    assert "result: PASSED" in shown
    assert "deferred findings: 1" in shown
    assert "from: 5 bundles" in shown


def test_a_plain_signature_says_what_it_does_not_bind(tmp_path: Path, key: KeyPair) -> None:
    path = tmp_path / "m.sigstore.json"
    path.write_text(json.dumps(message_bundle(b"content", key)))
    shown = text(inspect(path))
    assert f"signs the bytes of a file (sha256 {sha256(b'content')})" in shown
    assert "binds no name, license, external data or sidecar" in shown
    path.write_text(json.dumps(message_bundle(b"content", key, digest=False)))
    assert "not stated" in text(inspect(path))


def test_a_certificate_its_log_entry_and_its_timestamps_are_said(tmp_path: Path) -> None:
    path = tmp_path / "m.sigstore.json"
    path.write_text(json.dumps(instance().attest(b"{}", github(), log="v1", timestamps=1)))
    with pytest.raises(InputError, match="_type"):
        inspect(path)
    made = instance().sign_bytes(b"content", github(), log="v1", timestamps=1)
    path.write_text(json.dumps(made))
    shown = text(inspect(path))
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
        assert part in shown
    assert "not a valid signing certificate" not in shown
    value = inspection.as_json(inspect(path))
    extensions = {e["name"]: e["value"] for e in value["certificate"]["extensions"]}
    assert extensions["source repository ref"] == "refs/tags/v3.0.0"
    assert value["logEntry"]["integratedTime"] == "2026-06-01T12:00:00Z"
    assert value["logEntry"]["promised"] is True
    assert value["logEntry"]["inclusionProof"]["origin"].startswith("rekor.simulated.test - ")
    assert value["timestamps"][0]["time"] == "2026-06-01T12:00:00Z"


@pytest.mark.parametrize(("value", "shown_as"), [(b"\x0c\x03foo", "foo"), (b"\x02\x01\x05", None)])
def test_a_user_name_is_shown_as_a_name(tmp_path: Path, value: bytes, shown_as: str | None) -> None:
    path = tmp_path / "m.sigstore.json"
    request = email("replaced", ISSUER)
    request.names = [x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.7"), value)]
    path.write_text(json.dumps(instance().sign_bytes(b"content", request)))
    shown = text(inspect(path))
    assert (f"certificate: for {shown_as}\n" in shown) == (shown_as is not None)
    assert ("its subject cannot be read" in shown) == (shown_as is None)


def test_a_certificate_that_cannot_count_is_shown_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "m.sigstore.json"
    request = email("a\x1b[2J@example.org", ISSUER)
    request.claims[8] = "https://evil.test"
    made = instance().sign_bytes(b"content", request, log="v1", version="0.1")
    del made["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]
    path.write_text(json.dumps(made))
    shown = text(inspect(path))
    assert "not a valid signing certificate: its issuer is" in shown
    assert "without an inclusion proof" in shown
    assert "\x1b" not in shown
    request.names, request.extensions = [], [(claim(9, "x", raw=True), False)]
    made = instance().sign_bytes(b"content", request, log="v1")
    material = made["verificationMaterial"]
    del material["tlogEntries"][0]["inclusionPromise"]
    material["timestampVerificationData"]["rfc3161Timestamps"] = [{"signedTimestamp": "AAAA"}]
    path.write_text(json.dumps(made))
    shown = text(inspect(path))
    assert "certificate: for no subject" in shown
    assert "not signed by the log" in shown
    assert "timestamp: it cannot be read" in shown
    material["certificate"]["rawBytes"] = "AAAA"
    path.write_text(json.dumps(made))
    with pytest.raises(InputError, match="its certificate: it is not"):
        inspect(path)


def test_a_statement_by_others_is_shown_as_it_was_signed(tmp_path: Path, key: KeyPair) -> None:
    value = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"name": "src\x1b[2J", "digest": {"gitCommit": "0" * 40}},
            {"digest": {"sha256": "a" * 64}},
        ],
        "predicateType": "https://example.org/scan/v1",
        "extension": True,
    }
    path = tmp_path / "m.sigstore.json"
    path.write_text(json.dumps(dsse_bundle(json.dumps(value).encode(), key)))
    shown = text(inspect(path))
    assert f"about: 2 files\n  {'a' * 64}  (no name)\n  (not supported: gitCommit)  src" in shown
    assert "\x1b" not in shown
    assert inspection.as_json(inspect(path))["statement"] == value


def test_an_odd_hint_is_said(tmp_path: Path, key: KeyPair) -> None:
    path = tmp_path / "m.sigstore.json"
    value = message_bundle(b"content", key)
    for hint in ("mine\x1b[2J", "AAAA", "%"):
        value["verificationMaterial"] = {"publicKey": {"hint": hint}}
        path.write_text(json.dumps(value))
        shown = text(inspect(path))
        assert "signed with a key; key hint: '" in shown
        assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "is empty"), ("{}", "mediaType is null"), ("[1]", "contains an array")],
)
def test_what_is_no_bundle_is_an_error(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "m.sigstore.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        inspect(path)


def test_a_bundle_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        inspect(tmp_path / "none.sigstore.json")


MEMBERS = [
    *("row", "sidecars", "deferrals", "name", "policy", "inputAttestations"),
    *("buildDefinition", "externalParameters", "trainingRecipe", "resolvedDependencies"),
    *("runDetails", "byproducts"),
]
hostile_values = st.recursive(
    st.none() | st.integers() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(MEMBERS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    predicate_type=st.sampled_from([*predicates.SCHEMAS, "https://example.org/\x1b[2J"]),
    predicate=st.dictionaries(st.text(max_size=4), values, max_size=2)
    | hostile_values.filter(lambda v: isinstance(v, dict)),
)
def test_no_predicate_whatever_breaks_the_page_or_the_terminal(
    tmp_path: Path, key: KeyPair, predicate_type: str, predicate: Any
) -> None:
    payload = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "m\n\x1b.onnx", "digest": {"sha256": "a" * 64}}],
        "predicateType": predicate_type,
        "predicate": predicate,
    }
    path = tmp_path / "m.sigstore.json"
    path.write_text(json.dumps(dsse_bundle(json.dumps(payload).encode(), key)))
    result = inspect(path)
    assert all(c.isprintable() for c in text(result).replace("\n", ""))
    assert json.dumps(inspection.as_json(result))
