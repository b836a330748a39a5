# SPDX-License-Identifier: Apache-2.0
"""The committed registry and its bundles are what the exporter and the release key made."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from gate import judge_gate

import provenance
from provenance.artifacts.digest import of_bytes
from provenance.artifacts.onnx_model import OnnxFacts, read_onnx
from tests.operations.workspace import MODEL, REPOSITORY, SEEDS

EXPORTER = MODEL / "export_ensemble_v2_seeds.py"
GENERATED = (".onnx", ".data", ".json")


def export(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXPORTER), "--out", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def generated(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name.endswith(GENERATED)}


def facts(path: Path) -> OnnxFacts:
    with path.open("rb", buffering=0) as stream:
        return read_onnx(stream, path.stat().st_size)[1]


def test_the_committed_release_verifies_with_the_committed_key() -> None:
    report = provenance.verify(provenance.load_config(REPOSITORY))
    assert report.exit_code == 0, report.failing
    assert {row.signer for row in report.rows} == {"bundles/release.pub"}
    assert len(report.deferred) == 5


def test_the_private_key_is_in_no_file_of_the_repository() -> None:
    begin = "-----BEGIN " + "PRIVATE KEY-----"
    listed = subprocess.run(
        ["git", "grep", "--cached", "-l", "-e", begin],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert (listed.returncode, listed.stdout) == (1, ""), listed.stdout


def test_smoke_mode_gives_the_committed_bytes(tmp_path: Path) -> None:
    for name, data in generated(MODEL).items():
        (tmp_path / name).write_bytes(data)
    for seed in SEEDS:
        (tmp_path / f"{seed}.onnx").unlink()
    export(tmp_path, "--smoke")
    assert generated(tmp_path) == generated(MODEL)


def test_the_whole_reference_state_is_made_by_the_exporter(tmp_path: Path) -> None:
    export(tmp_path, "--reference")
    assert generated(tmp_path) == generated(MODEL)


def test_the_seeds_take_six_features_and_six_codecs() -> None:
    for seed in SEEDS:
        shapes = {t.name: t.shape for t in facts(MODEL / f"{seed}.onnx").inputs}
        assert shapes == {"features": ("batch", 6), "codec_onehot": ("batch", 6)}


def test_the_seed_rows_are_honest_smoke_with_all_of_their_metadata() -> None:
    rows = json.loads((MODEL / "registry.json").read_text())["models"]
    seeds = {r["id"]: r for r in rows if r["id"] in SEEDS}
    assert list(seeds) == list(SEEDS)
    for seed, row in seeds.items():
        assert row["smoke"] is True
        assert row["license"] == "Apache-2.0"
        assert row["license_url"]
        assert row["sigstore_bundle"] == f"../bundles/{seed}.onnx.sigstore.json"


def test_the_kept_sidecars_describe_the_former_production_weights() -> None:
    for seed in SEEDS:
        sidecar = json.loads((MODEL / f"{seed}.json").read_text())
        assert sidecar["sha256"] != of_bytes((MODEL / f"{seed}.onnx").read_bytes()).sha256
        assert len(sidecar["codec_block_layout"]) == 14
        assert sidecar["gate"]["verdict"] == "PROMOTE"


def test_the_manifest_has_a_vocabulary_of_six_and_fresh_digests() -> None:
    manifest = json.loads((MODEL / "fr_regressor_v2_ensemble_v1.json").read_text())
    assert len(manifest["codec_vocab"]) == 6
    for member in manifest["members"]:
        assert member["sha256"] == of_bytes((MODEL / member["onnx"]).read_bytes()).sha256


def test_one_model_has_external_data_and_one_an_int8_variant() -> None:
    external = facts(MODEL / "quality_regressor_ext_v1.onnx").external
    assert [r.location for r in external] == ["quality_regressor_ext_v1.onnx.data"]
    assert facts(MODEL / "quality_regressor_q_v1.int8.onnx").opsets[""] == 17


def test_a_production_run_describes_its_own_bytes_and_promotes_nothing(
    retrained_model: Path,
) -> None:
    rows = json.loads((retrained_model / "registry.json").read_text())["models"]
    for row in rows[:5]:
        sha256 = of_bytes((retrained_model / row["onnx"]).read_bytes()).sha256
        sidecar = json.loads((retrained_model / f"{row['id']}.json").read_text())
        assert row["sha256"] == sidecar["sha256"] == sha256
        assert row["smoke"] is True
    changed = [
        (old, new)
        for old, new in zip(
            (MODEL / "registry.json").read_text().splitlines(),
            (retrained_model / "registry.json").read_text().splitlines(),
            strict=True,
        )
        if old != new
    ]
    assert len(changed) == 5
    assert all('"sha256"' in old and '"sha256"' in new for old, new in changed)


GOOD = {0: 0.997, 1: 0.998, 2: 0.996}
BAD = {
    "one seed below its threshold": {**GOOD, 1: 0.9499},
    "a spread above its limit": {0: 0.99, 1: 0.996},
    "a seed without a number": {**GOOD, 2: float("nan")},
    "all too low": {0: 0.5, 1: 0.5},
}


def test_good_numbers_promote() -> None:
    assert judge_gate(GOOD).verdict == "PROMOTE"


def test_numbers_at_their_thresholds_promote() -> None:
    assert judge_gate({0: 0.95, 1: 0.95}).verdict == "PROMOTE"


@pytest.mark.parametrize("numbers", BAD.values(), ids=list(BAD))
def test_bad_numbers_hold(numbers: dict[int, float]) -> None:
    assert judge_gate(numbers).verdict == "HOLD"


def test_no_numbers_are_no_verdict() -> None:
    with pytest.raises(ValueError, match="at least one seed"):
        judge_gate({})


def test_the_exporter_refuses_a_registry_without_its_rows_before_it_trains(tmp_path: Path) -> None:
    (tmp_path / "registry.json").write_text('{"models": []}')
    command = [sys.executable, str(EXPORTER), "--out", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 1
    assert "found 0 rows" in run.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["registry.json"]
