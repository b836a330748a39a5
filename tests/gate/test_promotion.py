# SPDX-License-Identifier: Apache-2.0
"""The conditions for production (ADR-1105), one at a time."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from provenance.gate.finding import by_subject
from provenance.gate.rules.promotion import Obstacle, about, obstacles
from tests.support.models import model
from tests.support.repository import Repository, seed_gate, verdict_gate
from tests.support.whole import read_whole

Change = Callable[[Repository], object]

GATE = {"verdict": "PROMOTE", "mean_plcc": 0.99, "mean_plcc_threshold": 0.95}


@pytest.fixture
def lone(repository: Repository) -> Repository:
    """One smoke model whose sidecar records the gate that it passed."""
    repository.add_sidecar(repository.add("m"), gate=GATE)
    return repository


@pytest.fixture
def seeds(repository: Repository) -> Repository:
    """An ensemble of two smoke seeds with its verdict."""
    repository.add_ensemble("ens", 2)
    return repository


def found(repository: Repository, row: str) -> list[Obstacle]:
    repository.save()
    report = repository.check()
    evidence = read_whole(repository.config)
    of = next(r for r in evidence.rows if r.label == row)
    return list(obstacles(evidence, about(by_subject(report.findings), of), of))


def edit(name: str, *at: str, to: object = None) -> Change:
    """Set a value of a JSON file, or remove it."""

    def change(repository: Repository) -> None:
        path = repository.path(name)
        value = json.loads(path.read_text("utf-8"))
        here = value
        for step in at[:-1]:
            here = here[step]
        if to is None:
            del here[at[-1]]
        else:
            here[at[-1]] = to
        path.write_text(json.dumps(value), "utf-8")

    return change


def row_without(field: str) -> Change:
    return lambda repository: repository.rows[0].pop(field)


def test_a_model_with_complete_evidence_has_no_obstacles(lone: Repository) -> None:
    assert found(lone, "m") == []


def test_a_seed_with_complete_evidence_has_no_obstacles(seeds: Repository) -> None:
    assert found(seeds, "ens_seed0") == []
    assert found(seeds, "ens_seed1") == []


def test_the_verdict_of_an_ensemble_may_be_in_its_manifest(seeds: Repository) -> None:
    verdict = seeds.path("ens_seed_flip_PROMOTE.json")
    manifest = seeds.path("ens.json")
    both = json.loads(verdict.read_text()) | json.loads(manifest.read_text())
    manifest.write_text(json.dumps(both))
    verdict.unlink()
    assert found(seeds, "ens_seed0") == []


LONE: dict[str, tuple[Change, str]] = {
    "no sidecar": (lambda r: r.path("m.json").unlink(), "no sidecar: model/m.json"),
    "sidecar that is not JSON": (lambda r: r.write("m.json", "{"), "cannot be read"),
    "sidecar without digest": (edit("m.json", "sha256"), "does not name the digest of its model"),
    "sidecar of other bytes": (edit("m.json", "sha256", to="0" * 64), "000000000000…, not"),
    "no gate": (edit("m.json", "gate"), "records no gate that was passed"),
    "gate without verdict": (edit("m.json", "gate", "verdict"), "records no gate"),
    "gate on hold": (edit("m.json", "gate", "verdict", to="HOLD"), "`gate.verdict` of its sidecar"),
    "gate without numbers": (
        edit("m.json", "gate", to={"verdict": "PROMOTE"}),
        "not record a number",
    ),
    "gate without threshold": (
        edit("m.json", "gate", "mean_plcc_threshold"),
        "not record a number",
    ),
    "number below": (edit("m.json", "gate", "mean_plcc", to=0.5), "0.5 fails"),
    "width": (edit("m.json", "feature_order", to=["f0", "f1"]), "width of 2"),
    "seed of an ensemble without manifest": (
        edit("m.json", "ensemble_id", to="ens"),
        "no ensemble manifest lists it",
    ),
    "no license": (row_without("license"), "no `license`"),
    "no license URL": (row_without("license_url"), "no `license_url`"),
    "no bundle": (row_without("sigstore_bundle"), "no `sigstore_bundle`"),
    "other bytes": (lambda r: r.write("m.onnx", model(salt=77)), "`sha256` is not the digest"),
    "no model": (lambda r: r.path("m.onnx").unlink(), "not a readable ONNX model"),
    "not a model": (lambda r: r.write("m.onnx", "<html>"), "not a readable ONNX model"),
    "no name of a model": (row_without("onnx"), "no `onnx`"),
}


@pytest.mark.parametrize("name", LONE)
def test_each_unmet_condition_is_an_obstacle_for_a_model(lone: Repository, name: str) -> None:
    change, message = LONE[name]
    change(lone)
    assert any(message in o.message for o in found(lone, "m"))


def without_verdict(plcc: float) -> dict[str, Any]:
    return {k: v for k, v in seed_gate(plcc).items() if k != "verdict"}


PASSED: dict[str, Change] = {
    "passed, without a word": edit("m.json", "gate", to=without_verdict(0.99)),
    "all numbers": edit("m.json", "gate", to=verdict_gate({"0": 0.99, "1": 0.992})),
}


@pytest.mark.parametrize("name", PASSED)
def test_a_gate_may_be_recorded_in_another_form(lone: Repository, name: str) -> None:
    PASSED[name](lone)
    assert found(lone, "m") == []


@pytest.mark.parametrize("below", [False, True])
@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"ship_gate_mean_plcc": 0.95, "loso_mean_plcc": 0.99}, None),
        ({"ship_gate_mean_plcc": 0.95, "loso_folds": [{"plcc": 0.98}, {"plcc": 0.99}]}, None),
        ({"ship_gate_mean_plcc": 0.95}, "fails"),
        ({"loso_mean_plcc": 0.99}, "does not record a number with its threshold"),
        ({"ship_gate_mean_plcc": 0.95, "loso_mean_plcc": 0.9}, "0.9 fails"),
        ({"gate_passed": False}, "gate_passed` of its sidecar model/m.json is False"),
    ],
)
def test_a_flat_record_is_a_gate_too(
    lone: Repository, record: dict[str, Any], expected: str | None, below: bool
) -> None:
    record = {"gate_passed": True} | record
    lone.add_sidecar(lone.rows[0], **({"training": record} if below else record))
    messages = [o.message for o in found(lone, "m")]
    if expected is None:
        assert messages == []
    elif expected == "fails":
        assert messages
    else:
        assert any(expected in message for message in messages)


VERDICT = "ens_seed_flip_PROMOTE.json"
SEEDS: dict[str, tuple[Change, str]] = {
    "no verdict": (lambda r: r.path(VERDICT).unlink(), "no gate verdict"),
    "verdict on hold": (edit(VERDICT, "verdict", to="HOLD"), "'HOLD', not PROMOTE"),
    "verdict by hand": (
        edit(VERDICT, "gate", "per_seed_plccs", "1", to=0.5),
        "its numbers give HOLD",
    ),
    "vocabulary of another width": (
        edit("ens.json", "codec_vocab", to=["x264", "x265"]),
        "`codec_vocab` has 2 entries",
    ),
}


@pytest.mark.parametrize("name", SEEDS)
def test_each_unmet_condition_is_an_obstacle_for_a_seed(seeds: Repository, name: str) -> None:
    change, message = SEEDS[name]
    change(seeds)
    assert any(message in o.message for o in found(seeds, "ens_seed0"))


def test_a_deferred_width_is_still_an_obstacle(seeds: Repository) -> None:
    edit("ens.json", "codec_vocab", to=["x264", "x265"])(seeds)
    seeds.defer("ENS507", ["ens"])
    obstacle = found(seeds, "ens_seed1")[0]
    assert obstacle.finding is not None
    assert obstacle.finding.deferred is not None
    assert not obstacle.stated([obstacle.finding])


@pytest.mark.parametrize("at", [("smoke",), ("training",)])
def test_a_sidecar_of_a_placeholder_is_an_obstacle_before_the_row_is_flipped(
    lone: Repository, at: tuple[str, ...]
) -> None:
    edit("m.json", *at, to=True if at == ("smoke",) else {"smoke": True})(lone)
    (obstacle,) = found(lone, "m")
    assert lone.check().findings == ()
    assert "is true: it describes a placeholder" in obstacle.message
    assert obstacle.codes == ("SID408",)


def test_an_obstacle_is_stated_by_a_failing_finding_about_it(lone: Repository) -> None:
    lone.rows[0]["smoke"] = False
    lone.path("m.json").unlink()
    lone.rows[0].pop("license")
    obstacles_of_m: list[Any] = found(lone, "m")
    findings = lone.check().findings
    assert [o.codes for o in obstacles_of_m] == [("SID401", "ART301"), ("LIC201",)]
    assert all(o.stated(findings) for o in obstacles_of_m)
    assert not any(o.stated([]) for o in obstacles_of_m)
