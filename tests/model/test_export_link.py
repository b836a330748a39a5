# SPDX-License-Identifier: Apache-2.0
"""The exporter as the step `export` of a release. docs/pipeline.md shows it where it succeeds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import export_ensemble_v2_seeds as exporter
import pytest
from ensemble import Export
from gate import judge_gate

from tests.operations.workspace import Workspace, make_workspace
from tests.support.command import clean_environment

LINKS = ("--link-dir", "links", "--link-key")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path)


def export(workspace: Workspace, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-B", "model/export_ensemble_v2_seeds.py", "--smoke", *arguments]
    with clean_environment():
        return subprocess.run(
            command, cwd=workspace.root, capture_output=True, text=True, check=False
        )


def test_a_link_is_signed_and_written(workspace: Workspace) -> None:
    done = export(workspace, *LINKS, f"file:{workspace.key}")
    assert done.returncode == 0, done.stderr
    (link,) = (workspace.root / "links").iterdir()
    assert link.name.startswith("export.")


def test_what_cannot_be_recorded_is_not_exported(workspace: Workspace) -> None:
    before = workspace.snapshot()
    done = export(workspace, *LINKS, "file:nowhere.key")
    assert done.returncode == 1
    assert done.stderr.startswith("error: key nowhere.key: ")
    assert workspace.snapshot() == before


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--link-dir", "links"], "no key to sign the link with"),
        ([*LINKS, "file:k", "--corpus", "c"], "has no meaning with --corpus"),
    ],
)
def test_options_that_do_not_go_together(
    workspace: Workspace, arguments: list[str], why: str
) -> None:
    options = [a for a in arguments if a != "--smoke"]
    command = [sys.executable, "-B", "model/export_ensemble_v2_seeds.py", *options]
    with clean_environment():
        done = subprocess.run(
            command, cwd=workspace.root, capture_output=True, text=True, check=False
        )
    assert (done.returncode, why in done.stderr) == (2, True), done.stderr


def test_an_export_that_the_gate_holds_writes_no_link(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def held(*_arguments: object, **_options: object) -> Export:
        gate = judge_gate(dict.fromkeys(range(5), 0.5))
        assert not gate.passed
        return Export({}, {}, (), gate)

    monkeypatch.setattr(exporter, "export_members", held)
    out = ["--out", str(workspace.root / "model")]
    links = workspace.root / "links"
    code = exporter.main([*out, "--link-dir", str(links), "--link-key", f"file:{workspace.key}"])
    assert (code, links.exists()) == (1, False)
