# SPDX-License-Identifier: Apache-2.0
"""The conditions for production (ADR-1105), one at a time."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provenance.gate.finding import by_subject
from provenance.gate.rules.promotion import Obstacle, about, obstacles
from tests.support.models import model
from tests.support.mutations import Change, content, drop, put, remove
from tests.support.repository import Repository, seed_gate, verdict_gate
from tests.support.whole import read_whole

GATE = {"verdict": "PROMOTE", "mean_plcc": 0.99, "mean_plcc_threshold": 0.95}
VERDICT = "ens_seed_flip_PROMOTE.json"


@pytest.fixture
def lone(repository: Repository) -> Repository:
    """One smoke model whose sidecar records the gate that it passed."""
    repository.add_sidecar(repository.add("m"), gate=GATE)
    return repository.save()


@pytest.fixture
def seeds(repository: Repository) -> Repository:
    """An ensemble of two smoke seeds with its verdict."""
    repository.add_ensemble("ens", 2)
    return repository.save()


def found(repository: Repository, row: str = "m") -> list[Obstacle]:
    report = repository.check()
    evidence = read_whole(repository.config)
    of = next(r for r in evidence.rows if r.label == row)
    return list(obstacles(evidence, about(by_subject(report.findings), of), of))


def test_complete_evidence_has_no_obstacles(lone: Repository) -> None:
    assert found(lone) == []


@pytest.mark.parametrize("in_manifest", [False, True])
def test_a_verdict_may_be_in_the_manifest(seeds: Repository, in_manifest: bool) -> None:
    verdict, manifest = seeds.path(VERDICT), seeds.path("ens.json")
    if in_manifest:
        both = json.loads(verdict.read_text()) | json.loads(manifest.read_text())
        manifest.write_text(json.dumps(both))
        verdict.unlink()
    assert found(seeds, "ens_seed0") == found(seeds, "ens_seed1") == []


def without(field: str) -> Change:
    return drop("models", 0, field)


CONDITIONS: list[tuple[str, Change, str]] = [
    ("m.json", remove(), "no sidecar: model/m.json"),
    ("m.json", content(b"{"), "cannot be read"),
    ("m.json", drop("sha256"), "does not name the digest of its model"),
    ("m.json", put("sha256", to="0" * 64), "000000000000…, not"),
    ("m.json", drop("gate"), "records no gate that was passed"),
    ("m.json", drop("gate", "verdict"), "records no gate"),
    ("m.json", put("gate", "verdict", to="HOLD"), "`gate.verdict` of its sidecar"),
    ("m.json", put("gate", to={"verdict": "PROMOTE"}), "not record a number"),
    ("m.json", drop("gate", "mean_plcc_threshold"), "not record a number"),
    ("m.json", put("gate", "mean_plcc", to=0.5), "0.5 fails"),
    ("m.json", put("feature_order", to=["f0", "f1"]), "width of 2"),
    ("m.json", put("ensemble_id", to="x"), "no ensemble manifest lists it"),
    ("registry.json", without("license"), "no `license`"),
    ("registry.json", without("license_url"), "no `license_url`"),
    ("registry.json", without("sigstore_bundle"), "no `sigstore_bundle`"),
    ("registry.json", without("onnx"), "no `onnx`"),
    ("m.onnx", content(model(salt=77)), "`sha256` is not the digest"),
    ("m.onnx", remove(), "not a readable ONNX model"),
    ("m.onnx", content(b"<html>"), "not a readable ONNX model"),
    (VERDICT, remove(), "no gate verdict"),
    (VERDICT, put("verdict", to="HOLD"), "'HOLD', not PROMOTE"),
    (VERDICT, put("gate", "per_seed_plccs", "1", to=0.5), "its numbers give HOLD"),
    ("ens.json", put("codec_vocab", to=["x264", "x265"]), "`codec_vocab` has 2 entries"),
]


@pytest.mark.parametrize(("name", "change", "message"), CONDITIONS)
def test_each_unmet_condition_is_an_obstacle_for_a_model_or_a_seed(
    lone: Repository, name: str, change: Change, message: str
) -> None:
    lone.add_ensemble("ens", 2)
    change(lone.save().path(name))
    row = "ens_seed0" if name.startswith("ens") else "m"
    assert any(message in o.message for o in found(lone, row))


BARE = {k: v for k, v in seed_gate(0.99).items() if k != "verdict"}
LIMIT = {"gate_passed": True, "ship_gate_mean_plcc": 0.95}
FOLDS = [{"plcc": 0.98}, {"plcc": 0.99}]


@pytest.mark.parametrize("gate", [BARE, verdict_gate({"0": 0.99, "1": 0.992})])
def test_a_gate_may_have_no_word_or_a_number_of_each_seed(lone: Repository, gate: Any) -> None:
    lone.add_sidecar(lone.rows[0], gate=gate)
    assert found(lone) == []


@pytest.mark.parametrize("below", [False, True])
@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (LIMIT | {"loso_mean_plcc": 0.99}, None),
        (LIMIT | {"loso_folds": FOLDS}, None),
        (LIMIT, ""),
        ({"gate_passed": True, "loso_mean_plcc": 0.99}, "does not record a number with its thres"),
        (LIMIT | {"loso_mean_plcc": 0.9}, "0.9 fails"),
        ({"gate_passed": False}, "gate_passed` of its sidecar model/m.json is False"),
    ],
)
def test_a_flat_record_is_a_gate_too(
    lone: Repository, record: dict[str, Any], expected: str | None, below: bool
) -> None:
    lone.add_sidecar(lone.rows[0], **({"training": record} if below else record))
    messages = [o.message for o in found(lone)]
    if expected is None:
        assert messages == []
    else:
        assert any(expected in message for message in messages)


def test_a_deferred_width_is_still_an_obstacle(seeds: Repository) -> None:
    seeds.defer("ENS507", ["ens"])
    put("codec_vocab", to=["x264", "x265"])(seeds.save().path("ens.json"))
    obstacle = found(seeds, "ens_seed1")[0]
    assert obstacle.finding is not None
    assert obstacle.finding.deferred is not None
    assert not obstacle.stated([obstacle.finding])


@pytest.mark.parametrize("field", [{"smoke": True}, {"training": {"smoke": True}}])
def test_a_sidecar_of_a_placeholder_is_an_obstacle_before_the_row_is_changed(
    lone: Repository, field: dict[str, Any]
) -> None:
    lone.add_sidecar(lone.rows[0], gate=GATE, **field)
    (obstacle,) = found(lone)
    assert lone.check().findings == ()
    assert "is true: it describes a placeholder" in obstacle.message
    assert obstacle.codes == ("SID408",)


def test_an_obstacle_is_stated_by_a_failing_finding_about_it(lone: Repository) -> None:
    lone.rows[0]["smoke"] = False
    lone.path("m.json").unlink()
    del lone.rows[0]["license"]
    of_m = found(lone.save())
    findings = lone.check().findings
    assert [o.codes for o in of_m] == [("SID401", "ART301"), ("LIC201",)]
    assert all(o.stated(findings) for o in of_m)
    assert not any(o.stated([]) for o in of_m)
