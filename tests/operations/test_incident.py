# SPDX-License-Identifier: Apache-2.0
"""The incident of ADR-1105, built from nothing: before it, in it, and out of it again.

Five production seeds with a codec one-hot of 14 are the baseline. A load fix regenerates them as
placeholders of 6, renews their digests and the manifest, and drops three fields of each row.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from provenance import Report, Restoration, check, fix, load_config, restore
from tests.support.command import run_cli
from tests.support.git import GitRepository
from tests.support.models import model
from tests.support.repository import Repository, seed_gate, sha256, verdict_gate

BASELINE = "git:v1.0"
SEEDS = [f"ens_seed{i}" for i in range(5)]
LOST = ("license", "license_url", "sigstore_bundle")
FORMER = [f"codec{i}" for i in range(14)]
PRESENT = FORMER[:6]
CORPUS = {"path": "corpus/clips.jsonl", "sha256": sha256(b"corpus")}


def weights(repository: Repository, codecs: list[str], *, salt: int, smoke: bool) -> None:
    """Weights of five seeds, and their digests in rows and manifest."""
    members = []
    for seed, row in enumerate(repository.rows):
        content = model(inputs=[("features", 6), ("codec_onehot", len(codecs))], salt=salt + seed)
        repository.write(row["onnx"], content)
        row.update(sha256=sha256(content), smoke=smoke)
        members.append(
            {"id": row["id"], "onnx": row["onnx"], "seed": seed, "sha256": row["sha256"]}
        )
    manifest = {"id": "ens", "codec_vocab": codecs, "ensemble_size": 5, "smoke": smoke}
    repository.write("ens.json", manifest | {"members": members})


def records(repository: Repository, codecs: list[str]) -> None:
    """Sidecars and verdict of the weights that are there: the gate has promoted them."""
    for seed, row in enumerate(repository.rows):
        repository.add_sidecar(
            row,
            input_names=["features", "codec_onehot"],
            ensemble_id="ens",
            seed=seed,
            encoder_vocab=codecs,
            codec_block_layout=[f"encoder_onehot[{codec}]" for codec in codecs],
            training_recipe={"num_codecs": len(codecs), "epochs": 200},
            corpus=CORPUS,
            gate=seed_gate(0.997),
        )
    verdict = {
        "corpus": CORPUS,
        "ensemble_id": "ens",
        "gate": verdict_gate({str(seed): 0.997 for seed in range(5)}),
        "seeds": list(range(5)),
        "verdict": "PROMOTE",
    }
    repository.write("ens_seed_flip_PROMOTE.json", verdict)


def findings(repository: Repository, baseline: str = BASELINE) -> Report:
    return check(load_config(repository.root), baseline=baseline)


def put_back(repository: Repository) -> Restoration:
    return restore(load_config(repository.root), BASELINE)


def codes(report: Report) -> Counter[str]:
    return Counter(f.code for f in report.failing)


@pytest.fixture
def git(tmp_path: Path) -> GitRepository:
    return GitRepository.init(tmp_path / "repository")


@pytest.fixture
def production(git: GitRepository) -> Repository:
    """The baseline: a clean production ensemble, and a note on each row."""
    repository = Repository(git.root)
    for id in SEEDS:
        repository.add(id, notes=f"{id}: production, see ADR-0321 \u2014 mean PLCC \u2248 0.997")
    weights(repository, FORMER, salt=100, smoke=False)
    records(repository, FORMER)
    repository.save()
    git.commit("production")
    git.run("tag", "v1.0")
    return repository


@pytest.fixture
def incident(production: Repository) -> Repository:
    """After the load fix, not committed: the state that a pull request is checked in."""
    weights(production, PRESENT, salt=200, smoke=True)
    for row in production.rows:
        for field in LOST:
            del row[field]
    return production.save()


def deferred(repository: Repository) -> None:
    """The decision of ADR-1105, beside a registry that is left as it is."""
    text = repository.registry.read_bytes()
    reason = "sidecars describe the former production weights until the one-shot retrain"
    repository.defer("SID402", ["ens_seed*"], reason=reason)
    repository.save()
    repository.registry.write_bytes(text)


def retrain(repository: Repository, *, smoke: bool) -> None:
    """The one-shot retrain at the present width: weights and records from one run."""
    repository.rows = json.loads(repository.registry.read_text("utf-8"))["models"]
    weights(repository, PRESENT, salt=300, smoke=smoke)
    records(repository, PRESENT)
    repository.save()


def test_the_baseline_is_clean(production: Repository) -> None:
    report = findings(production)
    assert (report.exit_code, report.findings) == (0, ())


def test_the_gate_names_five_times_three_lost_fields_and_five_stale_sidecars(
    incident: Repository,
) -> None:
    report = findings(incident)
    expected = {(seed, code) for seed in SEEDS for code in ("LIC201", "LIC202", "LIC203", "SID402")}
    assert Counter((f.row, f.code) for f in report.findings) == Counter(expected)
    lost = [f for f in report.failing if f.code.startswith("LIC")]
    assert all(f"{BASELINE} has '" in f.message for f in lost)
    assert {f.help for f in lost} == {
        f"Put it back: provenance restore {seed} --baseline {BASELINE}" for seed in SEEDS
    }
    stale = next(f for f in report.failing if f.code == "SID402")
    assert "codec_onehot [14], not [6]" in stale.message
    assert "verdict PROMOTE" in stale.message


def test_without_the_baseline_the_same_is_found_and_not_what_was_there(
    incident: Repository,
) -> None:
    report = findings(incident, "none")
    assert codes(report) == {"LIC201": 5, "LIC202": 5, "LIC203": 5, "SID402": 5}
    assert not any("has '" in f.message for f in report.failing)


def test_restore_brings_the_fields_back_and_changes_nothing_else(
    incident: Repository, git: GitRepository
) -> None:
    before = incident.registry.read_text("utf-8").splitlines()
    result = put_back(incident)
    assert [(r.row, r.field, r.refused) for r in result.lost] == [
        (seed, field, None) for seed in SEEDS for field in LOST
    ]
    changed = [x for x in result.diff.splitlines() if x[0] in "+-" and x[:3] not in ("+++", "---")]
    assert len(changed) == 15
    assert all(line.startswith(('+      "license', '+      "sigstore_bundle')) for line in changed)

    after = incident.registry.read_text("utf-8").splitlines()
    assert [line for line in after if line not in {c[1:] for c in changed}] == before
    # Of the production registry only digests and flags are different now.
    git.run("add", "--all")
    numbers = git.run("diff", "--cached", "--numstat", "v1.0", "--", "model/registry.json")
    assert numbers.split()[:2] == ["10", "10"]


def test_check_fix_puts_the_same_fields_back(incident: Repository) -> None:
    report = fix(load_config(incident.root), baseline=BASELINE)
    assert Counter(f.code for f in report.fixed) == {"LIC201": 5, "LIC202": 5, "LIC203": 5}
    assert codes(report) == {"SID402": 5}
    restored = incident.registry.read_bytes()
    incident.save()
    assert put_back(incident).diff == report.diff
    assert incident.registry.read_bytes() == restored


def test_after_restore_only_the_stale_sidecars_are_left(incident: Repository) -> None:
    put_back(incident)
    report = findings(incident)
    assert codes(report) == {"SID402": 5}
    assert put_back(incident).lost == ()


def test_the_deferral_silences_the_rest(incident: Repository) -> None:
    put_back(incident)
    deferred(incident)
    report = findings(incident)
    assert report.exit_code == 0
    assert [(f.row, f.code) for f in report.deferred] == [(seed, "SID402") for seed in SEEDS]


def test_the_deferral_alone_does_not_hide_what_was_lost(incident: Repository) -> None:
    deferred(incident)
    assert codes(findings(incident)) == {"LIC201": 5, "LIC202": 5, "LIC203": 5}


def test_the_retrain_makes_the_deferral_ring(incident: Repository) -> None:
    put_back(incident)
    deferred(incident)
    retrain(incident, smoke=True)
    report = findings(incident)
    assert codes(report) == {"DEF901": 1}
    assert all(seed in report.failing[0].message for seed in SEEDS)


def test_the_flip_after_the_retrain_is_no_flip_by_hand(incident: Repository) -> None:
    """Against the placeholders as the baseline: the evidence is complete, so nothing is said."""
    git = GitRepository(incident.root)
    put_back(incident)
    git.commit("placeholders")
    git.run("tag", "v2.0")
    retrain(incident, smoke=False)
    report = findings(incident, "git:v2.0")
    assert (report.exit_code, report.findings) == (0, ())


def test_a_flip_without_the_retrain_is_refused(incident: Repository) -> None:
    put_back(incident)
    GitRepository(incident.root).commit("placeholders")
    text = incident.registry.read_text("utf-8")
    incident.registry.write_text(text.replace('"smoke": true', '"smoke": false'), "utf-8")
    report = findings(incident, "git:HEAD")
    assert codes(report)["SID404"] == 5


def test_the_command_line_tells_the_same_story(incident: Repository) -> None:
    checked = run_cli("check", "--baseline", BASELINE, cwd=incident.root)
    assert checked.code == 1
    assert checked.out.splitlines()[0].startswith(
        f"model/registry.json: 5 rows, 5 model files, compared with {BASELINE} ("
    )
    assert checked.out.splitlines()[-1] == "FAILED: 20 errors in 5 of 5 rows"
    restored = run_cli("restore", "--baseline", BASELINE, cwd=incident.root)
    assert restored.code == 0
    assert restored.out.splitlines()[-1] == "RESTORED: 15 fields in model/registry.json"
