# SPDX-License-Identifier: Apache-2.0
"""A repository with a registry, a configuration and a key, and what its owner does with it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import provenance
from provenance import Report
from provenance.operations.setup import keygen

REPOSITORY = Path(__file__).resolve().parents[2]
MODEL = REPOSITORY / "model"
SEEDS = tuple(f"fr_regressor_v2_ensemble_v1_seed{i}" for i in range(5))

CONFIG = """
registry = "model/registry.json"

[[trust.key]]
path = "bundles/release.pub"
"""
DEFERRAL = """
[[deferral]]
rule = "SID402"
rows = ["fr_regressor_v2_ensemble_v1_seed*"]
reason = "sidecars describe the former production weights until the one-shot retrain"
reference = "ADR-1105"
"""


@dataclass(frozen=True)
class Workspace:
    """A repository on disk and the private key of its releases, which lies outside it."""

    root: Path
    key: Path

    @property
    def registry(self) -> Path:
        return self.root / "model" / "registry.json"

    @property
    def bundles(self) -> Path:
        return self.root / "bundles"

    def check(self, *rows: str) -> Report:
        return provenance.check(provenance.load_config(self.root), rows=rows)

    def verify(self, *rows: str) -> Report:
        return provenance.verify(provenance.load_config(self.root), rows=rows)

    def release(self) -> Report:
        signer = provenance.open_signer(f"file:{self.key}")
        report = provenance.release(provenance.load_config(self.root), signer)
        assert report.exit_code == 0, report.failing
        return report

    def edit_registry(self, change: Callable[[list[dict[str, Any]]], object]) -> None:
        """Change the rows as a person with an editor would."""
        value = json.loads(self.registry.read_text())
        change(value["models"])
        self.registry.write_text(json.dumps(value, indent=2) + "\n")

    def edit_row(self, row_id: str, change: Callable[[dict[str, Any]], object]) -> None:
        self.edit_registry(lambda rows: [change(r) for r in rows if r["id"] == row_id])

    def retrain(self, retrained_model: Path) -> None:
        """Copy what the one-shot retrain writes: the fixture `retrained_model`."""
        shutil.copytree(retrained_model, self.root / "model", dirs_exist_ok=True)

    def remove_deferrals(self) -> None:
        (self.root / "provenance.toml").write_text(CONFIG)

    def snapshot(self) -> dict[str, bytes]:
        """Every file of the tree, hidden ones included, by its path."""
        return {
            p.relative_to(self.root).as_posix(): p.read_bytes()
            for p in sorted(self.root.rglob("*"))
            if p.is_file()
        }


def export_production(model: Path) -> None:
    """The one-shot retrain: new weights, sidecars, manifest and verdict, digests renewed."""
    script = MODEL / "export_ensemble_v2_seeds.py"
    subprocess.run(
        [sys.executable, str(script), "--out", str(model)], check=True, capture_output=True
    )


def make_workspace(folder: Path) -> Workspace:
    """The reference registry in a repository of its own, with a fresh key, not yet released."""
    root = folder / "tree"
    root.mkdir()
    shutil.copytree(MODEL, root / "model", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "bundles").mkdir()
    private, public = keygen(folder / "release")
    shutil.copy(public, root / "bundles" / "release.pub")
    (root / "provenance.toml").write_text(CONFIG + DEFERRAL)
    return Workspace(root, private)


def codes(report: Report) -> set[tuple[str | None, str]]:
    """What fails: the row and the rule of each finding that counts."""
    return {(f.row, f.code) for f in report.failing}
