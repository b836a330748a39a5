# SPDX-License-Identifier: Apache-2.0
"""The release candidate of ADR-1105 on the reference registry, signed, attacked and retrained.

`test_incident.py` tells what went before: how the registry lost its fields.
"""

from __future__ import annotations

import json
from pathlib import Path

from provenance.operations.inspect import inspect
from tests.operations.workspace import SEEDS, Workspace, codes
from tests.support.repository import replace_once

SEED0, SEED1 = SEEDS[:2]


def test_the_release_candidate_passes_with_five_deferred_findings(candidate: Workspace) -> None:
    report = candidate.verify()
    assert report.exit_code == 0
    assert [(f.row, f.code) for f in report.deferred] == [(seed, "SID402") for seed in SEEDS]
    assert {f.deferred.reference for f in report.deferred if f.deferred} == {"ADR-1105"}
    seeds = {(r.classification, r.license) for r in report.rows if r.id in SEEDS}
    assert seeds == {("smoke", "Apache-2.0")}
    assert {r.signer for r in report.rows} == {"bundles/release.pub"}


def test_a_dropped_license_is_also_another_statement(candidate: Workspace) -> None:
    candidate.edit_row(SEED0, lambda row: row.pop("license"))
    assert codes(candidate.check()) == {(SEED0, "LIC201")}
    assert {(SEED0, "LIC201"), (SEED0, "LIC205")} <= codes(candidate.verify())


def test_only_the_signature_shows_a_replaced_seed_whose_digests_were_updated(
    candidate: Workspace,
) -> None:
    model = candidate.root / "model"
    (model / f"{SEED0}.onnx").write_bytes((model / f"{SEED1}.onnx").read_bytes())
    assert codes(candidate.check()) == {(SEED0, "ART302")}
    former, other = (
        row["sha256"] for row in json.loads(candidate.registry.read_text())["models"][:2]
    )
    candidate.edit_row(SEED0, lambda row: row.update(sha256=other))
    assert codes(candidate.check()) == {(SEED0, "ENS504")}
    replace_once(model / f"{SEED0.removesuffix('_seed0')}.json", former, other)
    assert candidate.check().exit_code == 0
    assert codes(candidate.verify()) >= {(SEED0, "SIG605")}


def test_swapped_bundles_verify_for_neither_row(candidate: Workspace) -> None:
    one, two = (candidate.bundles / f"{seed}.onnx.sigstore.json" for seed in (SEED0, SEED1))
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    report = candidate.verify()
    assert {(SEED0, "ATT701"), (SEED1, "ATT701")} <= codes(report)
    assert f"the bundle of row '{SEED1}'" in report.failing[0].message


def test_after_the_retrain_the_deferral_must_go_and_the_seeds_can_be_promoted(
    candidate: Workspace, retrained_model: Path
) -> None:
    candidate.retrain(retrained_model)
    report = candidate.check()
    assert codes(report) == {(None, "DEF901")}
    assert report.failing[0].path == "provenance.toml"
    assert all(seed in report.failing[0].message for seed in SEEDS)
    candidate.remove_deferrals()
    report = candidate.check()
    assert report.exit_code == 0
    assert [(f.code, f.row) for f in report.findings] == [("SID418", seed) for seed in SEEDS]
    assert {f.help.partition(": ")[2] for f in report.findings} == {
        "provenance promote --ensemble fr_regressor_v2_ensemble_v1"
    }


def test_a_deferral_of_a_stale_sidecar_allows_no_flip_by_hand(candidate: Workspace) -> None:
    candidate.edit_row(SEED0, lambda row: row.update(smoke=False))
    assert codes(candidate.check()) == {(SEED0, "SID404"), (None, "ENS509")}


def test_a_stale_sidecar_is_never_attested(candidate: Workspace) -> None:
    report = candidate.release()
    assert not [p for p in candidate.bundles.iterdir() if ".provenance." in p.name]
    assert "not attested" in report.notes[0]
    candidate.remove_deferrals()
    assert codes(candidate.check()) == {(seed, "SID402") for seed in SEEDS}


def test_a_fresh_seed_is_attested_with_its_sidecar_corpus_manifest_and_verdict(
    retrained: Workspace,
) -> None:
    statement = inspect(retrained.bundles / f"{SEED0}.onnx.provenance.sigstore.json").statement
    assert statement is not None
    sidecar = json.loads((retrained.root / "model" / f"{SEED0}.json").read_text())
    definition = statement.predicate["buildDefinition"]
    assert [s.name for s in statement.subjects] == [f"{SEED0}.onnx"]
    assert definition["externalParameters"]["seed"] == 0
    corpus, manifest = definition["resolvedDependencies"]
    assert corpus["digest"]["sha256"] == sidecar["corpus"]["sha256"]
    assert manifest["name"] == "fr_regressor_v2_ensemble_v1.json"
    described, verdict = statement.predicate["runDetails"]["byproducts"]
    assert described["name"] == f"{SEED0}.json"
    assert verdict["annotations"] == {"verdict": "PROMOTE"}
