# SPDX-License-Identifier: Apache-2.0
"""The exporter as the step `export` of a release. docs/pipeline.md shows it if it succeeds."""

from __future__ import annotations

from pathlib import Path

import export_ensemble_v2_seeds as exporter
import pytest
from ensemble import Export
from gate import judge_gate

from tests.operations.workspace import Workspace, make_workspace


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A repository, which is the current folder."""
    monkeypatch.delenv("PROVENANCE_LINK_KEY", raising=False)
    made = make_workspace(tmp_path)
    monkeypatch.chdir(made.root)
    return made


def export(*arguments: str) -> int:
    return exporter.main(["--out", "model", "--link-dir", "links", *arguments])


def test_a_link_is_signed_and_written(workspace: Workspace) -> None:
    assert export("--smoke", "--link-key", f"file:{workspace.key}") == 0
    (link,) = (workspace.root / "links").iterdir()
    assert link.name.startswith("export.")


def test_an_export_that_cannot_be_recorded_writes_nothing(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    before = workspace.snapshot()
    assert export("--smoke", "--link-key", "file:nowhere.key") == 1
    assert capsys.readouterr().err.startswith("error: key nowhere.key: ")
    assert workspace.snapshot() == before


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "no key to sign the link with"),
        (["--link-key", "file:k", "--corpus", "c"], "has no meaning with --corpus"),
    ],
)
def test_conflicting_options_are_refused(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], arguments: list[str], why: str
) -> None:
    before = workspace.snapshot()
    with pytest.raises(SystemExit) as stopped:
        export(*arguments)
    assert (stopped.value.code, why in capsys.readouterr().err) == (2, True)
    assert workspace.snapshot() == before


def test_a_held_export_writes_no_link(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Export({}, {}, (), judge_gate(dict.fromkeys(range(5), 0.5)))
    monkeypatch.setattr(exporter, "export_members", lambda *_, **__: held)
    assert export("--link-key", f"file:{workspace.key}") == 1
    assert not (workspace.root / "links").exists()
