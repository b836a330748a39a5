# SPDX-License-Identifier: Apache-2.0
"""The models of sigstore-python and in-toto-attestation parse all our documents strictly."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.predicates.vsa.v1 import vsa_pb2
from in_toto_attestation.v1 import statement as reference_statement
from in_toto_attestation.v1 import statement_pb2
from sigstore.dsse import Statement
from sigstore.errors import Error
from sigstore_models.bundle.v1 import Bundle

from tests.interop.release import (
    REGISTRY_ROW,
    SLSA_PROVENANCE,
    SLSA_SUMMARY,
    Release,
    hint_of,
    payload_of,
    statement_of,
)

pytestmark = pytest.mark.interop

DEFERRALS_FIELD = "https://onnx-provenance.dev/fields/deferrals"
OWN_FIELDS = (DEFERRALS_FIELD, "https://onnx-provenance.dev/fields/registry")
"""Our fields that SLSA does not know; the specification asks for URIs as their names."""


def test_sigstore_models_reads_every_bundle_and_writes_the_same(release: Release) -> None:
    for bundle in release.bundles:
        text = bundle.read_text("utf-8")
        model = Bundle.from_json(text)
        assert json.loads(model.to_json()) == json.loads(text), bundle.name
        key = model.verification_material.public_key
        assert key is not None
        assert key.hint == hint_of(release.public_key), bundle.name
    assert len(release.bundles) >= 8


def test_sigstore_models_refuses_a_bundle_without_its_content(production: Release) -> None:
    for bundle in production.bundles:
        value = json.loads(bundle.read_bytes())
        del value["dsseEnvelope"]
        with pytest.raises(ValueError, match="messageSignature or dsseEnvelope"):
            Bundle.from_json(json.dumps(value))


def test_sigstore_python_accepts_every_statement(release: Release) -> None:
    for bundle in release.bundles:
        Statement(payload_of(bundle))


@pytest.mark.parametrize("field", ["_type", "subject", "predicateType"])
def test_sigstore_python_refuses_a_statement_with_a_field_missing(
    production: Release, field: str
) -> None:
    for bundle in production.bundles:
        statement = statement_of(bundle)
        del statement[field]
        with pytest.raises(Error, match="malformed in-toto statement"):
            Statement(json.dumps(statement).encode())


def test_in_toto_attestation_validates_every_statement(release: Release) -> None:
    for bundle in release.bundles:
        message = json_format.Parse(payload_of(bundle), statement_pb2.Statement())
        reference_statement.Statement.copy_from_pb(message).validate()


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"subject": []}, id="no-subjects"),
        pytest.param({"_type": "https://in-toto.io/Statement/v0.1"}, id="another-version"),
        pytest.param({"subject": [{"name": "m.onnx", "digest": {}}]}, id="no-digest"),
    ],
)
def test_in_toto_attestation_refuses_an_invalid_statement(
    production: Release, changes: dict[str, Any]
) -> None:
    for bundle in production.bundles:
        statement = statement_of(bundle) | changes
        message = json_format.ParseDict(statement, statement_pb2.Statement())
        with pytest.raises(ValueError):
            reference_statement.Statement.copy_from_pb(message).validate()


def test_every_seed_attestation_is_slsa_provenance_without_unknown_fields(
    production: Release,
) -> None:
    found = _predicates(production, SLSA_PROVENANCE)
    assert len(found) == 5
    seeds = set()
    for predicate in found:
        message = json_format.ParseDict(predicate, provenance_pb2.Provenance())
        seeds.add(message.build_definition.external_parameters["seed"])
        assert message.build_definition.build_type
        assert len(message.build_definition.resolved_dependencies) == 2
        assert message.run_details.builder.id
        assert len(message.run_details.byproducts) == 2
        with pytest.raises(json_format.ParseError, match="no field named"):
            json_format.ParseDict(predicate | {"more": 1}, provenance_pb2.Provenance())
    assert seeds == {0, 1, 2, 3, 4}


def test_the_summary_is_a_slsa_summary(release: Release) -> None:
    """All fields except three that the models do not know or have wrong."""
    (predicate,) = _predicates(release, SLSA_SUMMARY)
    message = json_format.ParseDict(_as_modelled(predicate), vsa_pb2.VerificationSummary())
    assert message.verification_result == "PASSED"
    assert message.verifier.id
    assert message.policy.digest["sha256"]
    assert len(message.input_attestations) == len(release.bundles) - 1
    deferred = [p for p in _predicates(release, REGISTRY_ROW) if p["deferrals"]]
    assert predicate[DEFERRALS_FIELD] == {"count": len(deferred)}
    more = _as_modelled(predicate) | {"more": 1}
    with pytest.raises(json_format.ParseError, match="no field named"):
        json_format.ParseDict(more, vsa_pb2.VerificationSummary())


def _as_modelled(predicate: dict[str, Any]) -> dict[str, Any]:
    known = {k: v for k, v in predicate.items() if k not in OWN_FIELDS}
    # `verifier.version` came with SLSA 1.1; the models of in-toto-attestation 0.9.3 are older.
    known["verifier"] = {"id": predicate["verifier"]["id"]}
    # An array in the specification, one string in these models: in-toto/attestation#425.
    (known["verifiedLevels"],) = predicate["verifiedLevels"]
    return known


def _predicates(release: Release, predicate_type: str) -> list[dict[str, Any]]:
    statements = [statement_of(bundle) for bundle in release.bundles]
    return [s["predicate"] for s in statements if s["predicateType"] == predicate_type]
