# SPDX-License-Identifier: Apache-2.0
"""The picture in the docs: what is shown in it still goes wrong in that way."""

from __future__ import annotations

from pathlib import Path

import pytest

from provenance import check, load_config
from scripts import screenshot
from scripts.story import Stage
from tests.docs.pages import ROOT


def test_what_the_picture_shows_is_what_the_gate_finds(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.play("key")
    screenshot.spoil(stage.end_of("key"))
    report = check(load_config(stage.end_of("key")))
    assert {f.code for f in report.failing} == {
        *("ART302", "ART311", "ENS509", "LIC201", "LIC202", "SID404"),
    }
    assert report.warnings == ()
    assert {f.code for f in report.deferred} == {"SID402"}


def test_the_picture_is_small() -> None:
    picture = (ROOT / "docs/images/check.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 150_000


def test_what_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert screenshot.main([str(tmp_path / "x.png")]) == 1
    assert "xterm, Xvfb, import, mogrify: not installed" in capsys.readouterr().err
