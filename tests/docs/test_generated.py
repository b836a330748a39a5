# SPDX-License-Identifier: Apache-2.0
"""What scripts/ write into the docs is up to date."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from provenance import check, load_config
from scripts import screenshot, story, write_docs
from tests.docs.pages import ROOT


def test_the_generated_pages_are_up_to_date() -> None:
    """The story of ADR-1105 is played here; each scene also checks what it has to show."""
    out_of_date = write_docs.stale(write_docs.generate())
    assert out_of_date == [], "run `make docs`, look at the difference, and commit it"


def test_the_pages_of_rules_say_what_the_rules_are() -> None:
    assert write_docs.stale(write_docs.rule_pages()) == [], "run `make docs`"


def test_a_changed_page_and_a_page_of_no_rule_are_out_of_date(tmp_path: Path) -> None:
    files = write_docs.rule_pages() | write_docs.schema_copies()
    assert write_docs.write(files, tmp_path) == sorted(files)
    assert write_docs.stale(files, tmp_path) == []
    (tmp_path / "docs/rules/LIC201.md").write_text("# LIC201\n", "utf-8")
    (tmp_path / "docs/rules/LIC999.md").write_text("# LIC999\n", "utf-8")
    (tmp_path / "docs/report.schema.json").unlink()
    changed = ["docs/report.schema.json", "docs/rules/LIC201.md", "docs/rules/LIC999.md"]
    assert write_docs.stale(files, tmp_path) == changed
    assert write_docs.write(files, tmp_path) == changed
    assert write_docs.stale(files, tmp_path) == []
    assert not (tmp_path / "docs/rules/LIC999.md").exists()


def test_a_generated_block_is_filled_between_its_markers() -> None:
    text = "a\n<!-- generated: {} -->\n{}<!-- end -->\nb\n"
    blocks = {"x": lambda: "new\n"}
    assert write_docs.fill(text.format("x", "old\n"), blocks, "page") == text.format("x", "new\n")
    with pytest.raises(write_docs.DocsError, match="unknown block 'y'; the known ones are x"):
        write_docs.fill(text.format("y", ""), blocks, "page")


def test_every_marker_is_closed() -> None:
    for path in write_docs.marked_files(ROOT):
        text = path.read_text("utf-8")
        marked = len(write_docs.MARKED.findall(text))
        counts = [text.count("<!-- generated: "), text.count("<!-- end -->")]
        assert counts == [marked, marked], path


def test_a_scene_with_other_output_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = story.Scene(None, ("provenance --version",), ("provenance 0.0.0",))
    monkeypatch.setattr(story, "STORY", {"version": scene})
    with pytest.raises(story.StoryError, match="output of scene 'version' does not contain"):
        story.Stage(tmp_path).play("version")


def test_output_that_changes_from_run_to_run_is_left_out(tmp_path: Path) -> None:
    stage = story.Stage(tmp_path)
    digest = "0" * 64
    lines = f"  key a.pub (sha256 {digest})\n  signed with a key; key hint: sha256 {digest}; x\n"
    (tmp_path / "text").write_text(lines + f"{tmp_path}/file\n{digest}  file\n", "utf-8")
    assert stage.run("cat text", tmp_path) == (
        "  key a.pub (sha256 <fingerprint>)\n"
        "  signed with a key; key hint: sha256 <fingerprint>; x\n"
        f"file\n{digest}  file\n"
    )


def test_a_long_list_is_shortened() -> None:
    shown = write_docs.shorten({"a": [1, 2, [3, 4, 5]], "b": [1]})
    assert shown == {"a": [1, 2, "… 1 more"], "b": [1]}


def test_the_script_runs_from_any_folder(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "write_docs.py"), "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert b"--check" in done.stdout


def test_the_gate_finds_what_the_picture_shows(tmp_path: Path) -> None:
    stage = story.Stage(tmp_path)
    stage.play("key")
    screenshot.spoil(stage.end_of("key"))
    report = check(load_config(stage.end_of("key")))
    found = {f.code for f in report.failing}
    assert found == {"ART302", "ART311", "ENS509", "LIC201", "LIC202", "SID404"}
    assert report.warnings == ()
    assert {f.code for f in report.deferred} == {"SID402"}
    picture = (ROOT / "docs/images/check.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 150_000


def test_the_tools_that_the_screenshot_lacks_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert screenshot.main([str(tmp_path / "x.png")]) == 1
    assert "xterm, Xvfb, import, mogrify: not installed" in capsys.readouterr().err
