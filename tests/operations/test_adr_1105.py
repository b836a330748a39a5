# SPDX-License-Identifier: Apache-2.0
"""The incident of ADR-1105, replayed on the reference registry, step by step."""

from __future__ import annotations

import json
from pathlib import Path

from provenance import Verdict
from tests.operations.workspace import SEEDS, Workspace, codes

SEED0, SEED1 = SEEDS[:2]


def test_the_release_candidate_passes_with_five_deferred_findings(candidate: Workspace) -> None:
    report = candidate.verify()
    assert report.exit_code == 0
    assert [(f.row, f.code) for f in report.deferred] == [(seed, "SID402") for seed in SEEDS]
    assert {f.deferred.reference for f in report.deferred if f.deferred} == {"ADR-1105"}


def test_every_row_of_the_candidate_says_what_it_is(candidate: Workspace) -> None:
    rows = {r.id: r for r in candidate.verify().rows}
    assert all(
        rows[seed].classification == "smoke" and rows[seed].license == "Apache-2.0"
        for seed in SEEDS
    )
    assert all(row.signer == "bundles/release.pub" for row in rows.values())


def test_a_dropped_license_stops_the_release(candidate: Workspace) -> None:
    candidate.edit_row(SEED0, lambda row: row.pop("license"))
    assert codes(candidate.check()) == {(SEED0, "LIC201")}
    assert {(SEED0, "LIC201"), (SEED0, "LIC205")} <= codes(candidate.verify())


def test_all_three_lost_fields_are_named_for_each_seed(candidate: Workspace) -> None:
    for seed in SEEDS:
        for field in ("license", "license_url", "sigstore_bundle"):
            candidate.edit_row(seed, lambda row, field=field: row.pop(field))  # type: ignore[misc]
    lost = {(seed, code) for seed in SEEDS for code in ("LIC201", "LIC202", "LIC203")}
    assert codes(candidate.check()) == lost


def test_a_replaced_seed_is_not_the_declared_one(candidate: Workspace) -> None:
    model = candidate.root / "model"
    (model / f"{SEED0}.onnx").write_bytes((model / f"{SEED1}.onnx").read_bytes())
    assert codes(candidate.check()) == {(SEED0, "ART302")}


def test_a_replaced_seed_with_its_new_digest_in_the_row_is_not_the_signed_one(
    candidate: Workspace,
) -> None:
    model = candidate.root / "model"
    (model / f"{SEED0}.onnx").write_bytes((model / f"{SEED1}.onnx").read_bytes())
    other = json.loads(candidate.registry.read_text())["models"][1]["sha256"]
    candidate.edit_row(SEED0, lambda row: row.update(sha256=other))
    assert codes(candidate.check()) == {(SEED0, "ENS504")}
    manifest = model / f"{SEED0.removesuffix('_seed0')}.json"
    value = json.loads(manifest.read_text())
    value["members"][0]["sha256"] = other
    manifest.write_text(json.dumps(value, indent=2) + "\n")
    assert candidate.check().exit_code == 0  # nothing but the signature can tell
    assert codes(candidate.verify()) >= {(SEED0, "SIG605")}


def test_swapped_bundles_verify_for_neither_row(candidate: Workspace) -> None:
    one, two = (candidate.bundles / f"{seed}.onnx.sigstore.json" for seed in (SEED0, SEED1))
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    report = candidate.verify()
    assert {(SEED0, "ATT701"), (SEED1, "ATT701")} <= codes(report)
    assert f"the bundle of row '{SEED1}'" in report.failing[0].message


def test_the_retrain_makes_the_deferral_ring(candidate: Workspace, retrained_model: Path) -> None:
    candidate.retrain(retrained_model)
    report = candidate.check()
    assert codes(report) == {(None, "DEF901")}
    assert report.failing[0].path == "provenance.toml"
    assert all(seed in report.failing[0].message for seed in SEEDS)


def test_without_the_deferral_the_retrained_seeds_pass_and_are_to_be_promoted(
    candidate: Workspace, retrained_model: Path
) -> None:
    candidate.retrain(retrained_model)
    candidate.remove_deferrals()
    report = candidate.check()
    assert report.exit_code == 0
    assert [(f.code, f.row) for f in report.findings] == [("SID418", seed) for seed in SEEDS]
    assert {f.help.partition(": ")[2] for f in report.findings} == {
        "provenance promote --ensemble fr_regressor_v2_ensemble_v1"
    }
    assert all(row.classification == "smoke" for row in report.rows if row.id in SEEDS)


def test_a_hand_flip_with_a_stale_sidecar_is_refused_though_the_stale_sidecar_is_deferred(
    candidate: Workspace,
) -> None:
    candidate.edit_row(SEED0, lambda row: row.update(smoke=False))
    report = candidate.check()
    assert codes(report) == {(SEED0, "SID404"), (None, "ENS509")}


def test_a_stale_sidecar_without_a_deferral_stops_the_release(candidate: Workspace) -> None:
    candidate.remove_deferrals()
    assert codes(candidate.check()) == {(seed, "SID402") for seed in SEEDS}


def test_a_stale_sidecar_is_never_attested(candidate: Workspace) -> None:
    report = candidate.release()
    assert not [p for p in candidate.bundles.iterdir() if ".provenance." in p.name]
    assert "not attested" in report.notes[0]


def test_a_fresh_seed_is_attested_with_its_sidecar_corpus_manifest_and_verdict(
    retrained: Workspace,
) -> None:
    from provenance.operations.inspect import inspect

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


def test_nothing_is_verified_where_there_is_nothing(candidate: Workspace) -> None:
    candidate.edit_registry(lambda rows: rows.clear())
    assert candidate.check().verdict is Verdict.NOTHING or candidate.check().failing
