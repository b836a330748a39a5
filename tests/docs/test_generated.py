# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scripts import story, write_docs
from tests.docs.pages import ROOT, require_none


def test_what_is_generated_is_what_the_script_writes() -> None:
    """The story of ADR-1105 is played here; each scene also says what it has to show."""
    out_of_date = write_docs.stale(write_docs.generate())
    assert out_of_date == [], "run `make docs`, look at the difference, and commit it"


def test_the_pages_of_rules_say_what_the_rules_are() -> None:
    """Severity, what can be deferred, which command judges: a change of these shows in a diff."""
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


def test_only_text_between_the_markers_is_replaced() -> None:
    text = "a\n<!-- generated: x -->\nold\n<!-- end -->\nb\n"
    filled = write_docs.fill(text, {"x": lambda: "new\n"}, "page")
    assert filled == "a\n<!-- generated: x -->\nnew\n<!-- end -->\nb\n"


def test_a_page_that_asks_for_an_unknown_block_is_an_error() -> None:
    with pytest.raises(write_docs.DocsError, match="unknown block 'y'; the known ones are x"):
        write_docs.fill("<!-- generated: y -->\n<!-- end -->", {"x": lambda: ""}, "page")


def test_every_marker_is_closed() -> None:
    unclosed: list[str] = []
    for path in write_docs.marked_files(ROOT):
        text = path.read_text("utf-8")
        marked = len(write_docs.MARKED.findall(text))
        if not marked == text.count("<!-- generated: ") == text.count("<!-- end -->"):
            unclosed.append(path.relative_to(ROOT).as_posix())
    require_none(unclosed)


def test_a_scene_that_no_longer_tells_its_part_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = story.Scene(None, ("provenance --version",), ("provenance 0.0.0",))
    monkeypatch.setattr(story, "STORY", {"version": scene})
    with pytest.raises(story.StoryError, match="output of scene 'version' does not contain"):
        story.Stage(tmp_path).play("version")


def test_what_differs_from_run_to_run_is_left_out(tmp_path: Path) -> None:
    stage = story.Stage(tmp_path)
    digest = "0" * 64
    lines = f"  key a.pub (sha256 {digest})\n  signed with a key; key hint: sha256 {digest}; x\n"
    (tmp_path / "text").write_text(lines + f"{tmp_path}/file\n{digest}  file\n", "utf-8")
    assert stage.run("cat text", tmp_path) == (
        "  key a.pub (sha256 <fingerprint>)\n"
        "  signed with a key; key hint: sha256 <fingerprint>; x\n"
        f"file\n{digest}  file\n"
    )


def test_long_lists_are_shortened_and_say_so() -> None:
    assert write_docs.shorten({"a": [1, 2, [3, 4, 5]], "b": [1]}) == {
        "a": [1, 2, "… 1 more"],
        "b": [1],
    }


def test_the_script_runs_from_any_folder(tmp_path: Path) -> None:
    script = ROOT / "scripts" / "write_docs.py"
    done = subprocess.run(
        [sys.executable, str(script), "--help"], cwd=tmp_path, capture_output=True, check=True
    )
    assert b"--check" in done.stdout
