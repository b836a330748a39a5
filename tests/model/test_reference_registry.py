# SPDX-License-Identifier: Apache-2.0
"""The committed registry and its bundles are what the exporter and the release key made."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import export_ensemble_v2_seeds as exporter
import pytest
from gate import judge_gate

import provenance
from provenance.artifacts.digest import of_bytes
from provenance.artifacts.onnx_model import OnnxFacts, read_onnx
from tests.operations.workspace import MODEL, REPOSITORY, SEEDS


def generated(folder: Path) -> dict[str, bytes]:
    suffixes = (".onnx", ".data", ".json")
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name.endswith(suffixes)}


def facts(name: str) -> OnnxFacts:
    with (MODEL / name).open("rb", buffering=0) as stream:
        return read_onnx(stream, (MODEL / name).stat().st_size)[1]


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())


def sha256(path: Path) -> str:
    return of_bytes(path.read_bytes()).sha256


def test_the_committed_release_verifies_with_the_committed_key() -> None:
    report = provenance.verify(provenance.load_config(REPOSITORY))
    assert report.exit_code == 0, report.failing
    assert {row.signer for row in report.rows} == {"bundles/release.pub"}
    assert len(report.deferred) == 5


def test_no_file_of_the_repository_holds_a_private_key() -> None:
    command = ["git", "grep", "--cached", "-l", "-e", "-----BEGIN " + "PRIVATE KEY-----"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert (listed.returncode, listed.stdout) == (1, ""), listed.stdout


@pytest.mark.parametrize("mode", ["--smoke", "--reference"])
def test_the_exporter_makes_the_committed_files(tmp_path: Path, mode: str) -> None:
    if mode == "--smoke":
        for name, data in generated(MODEL).items():
            (tmp_path / name).write_bytes(data)
        for seed in SEEDS:
            (tmp_path / f"{seed}.onnx").unlink()
    assert exporter.main(["--out", str(tmp_path), mode]) == 0
    assert generated(tmp_path) == generated(MODEL)


def test_the_seeds_are_smoke_models_beside_former_sidecars() -> None:
    rows = {row["id"]: row for row in read_json(MODEL / "registry.json")["models"]}
    assert [id for id in rows if id in SEEDS] == list(SEEDS)
    for seed in SEEDS:
        shapes = {t.name: t.shape for t in facts(f"{seed}.onnx").inputs}
        assert shapes == {"features": ("batch", 6), "codec_onehot": ("batch", 6)}
        row, sidecar = rows[seed], read_json(MODEL / f"{seed}.json")
        assert (row["smoke"], row["license"]) == (True, "Apache-2.0")
        assert row["license_url"]
        assert row["sigstore_bundle"] == f"../bundles/{seed}.onnx.sigstore.json"
        assert sidecar["sha256"] != sha256(MODEL / f"{seed}.onnx")
        assert len(sidecar["codec_block_layout"]) == 14
        assert sidecar["gate"]["verdict"] == "PROMOTE"


def test_the_other_documents_describe_the_committed_files() -> None:
    manifest = read_json(MODEL / "fr_regressor_v2_ensemble_v1.json")
    assert len(manifest["codec_vocab"]) == 6
    for member in manifest["members"]:
        assert member["sha256"] == sha256(MODEL / member["onnx"])
    external = facts("quality_regressor_ext_v1.onnx").external
    assert [r.location for r in external] == ["quality_regressor_ext_v1.onnx.data"]
    assert facts("quality_regressor_q_v1.int8.onnx").opsets[""] == 17


def test_a_production_run_describes_its_own_bytes(retrained_model: Path) -> None:
    for row in read_json(retrained_model / "registry.json")["models"][:5]:
        sidecar = read_json(retrained_model / f"{row['id']}.json")
        assert row["sha256"] == sidecar["sha256"] == sha256(retrained_model / row["onnx"])
        assert row["smoke"] is True
    old, new = ((f / "registry.json").read_text().splitlines() for f in (MODEL, retrained_model))
    changed = [line for pair in zip(old, new, strict=True) if len(set(pair)) == 2 for line in pair]
    assert len(changed) == 10
    assert all('"sha256"' in line for line in changed)


@pytest.mark.parametrize(
    ("numbers", "verdict"),
    [
        ({0: 0.997, 1: 0.998, 2: 0.996}, "PROMOTE"),
        ({0: 0.95, 1: 0.95}, "PROMOTE"),  # at the thresholds
        ({0: 0.997, 1: 0.9499, 2: 0.996}, "HOLD"),
        ({0: 0.99, 1: 0.996}, "HOLD"),  # a spread above its limit
        ({0: 0.997, 1: 0.998, 2: float("nan")}, "HOLD"),
        ({0: 0.5, 1: 0.5}, "HOLD"),
    ],
)
def test_the_verdict_of_the_gate(numbers: dict[int, float], verdict: str) -> None:
    assert judge_gate(numbers).verdict == verdict


def test_the_gate_needs_a_number() -> None:
    with pytest.raises(ValueError, match="at least one seed"):
        judge_gate({})


def test_a_registry_without_the_rows_is_refused_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "registry.json").write_text('{"models": []}')
    assert exporter.main(["--out", str(tmp_path)]) == 1
    assert "found 0 rows" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["registry.json"]
