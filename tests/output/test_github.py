# SPDX-License-Identifier: Apache-2.0
"""Workflow commands, parsed as a runner parses them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.output import github
from tests.support import reports
from tests.support.command import run_cli
from tests.support.reports import finding, report_of
from tests.support.repository import Repository


@dataclass(frozen=True)
class Command:
    level: str
    properties: dict[str, str]
    data: str


def unescaped(text: str, *characters: str) -> str:
    for character in (*characters, "\r", "\n", "%"):
        text = text.replace(f"%{ord(character):02X}", character)
    return text


def read(line: str) -> Command | None:
    """Parse a line of the log as a runner does; None if it is not a command."""
    assert "##[" not in line, "the older form of a command, which counts anywhere in a line"
    match = re.fullmatch(r"\s*::(.*?)::(.*)", line)
    if match is None:
        assert not line.lstrip().startswith("::")
        return None
    level, _, given = match[1].partition(" ")
    pairs = (pair.split("=", 1) for pair in given.split(",") if pair)
    return Command(level, {name: unescaped(v, ":", ",") for name, v in pairs}, unescaped(match[2]))


def commands(text: str) -> list[Command]:
    return [c for line in text.splitlines() if (c := read(line)) is not None]


def test_an_error_is_an_annotation_of_its_line(repository: Repository) -> None:
    (command,) = commands(github.render(reports.with_error(repository)))
    assert command == Command(
        "error",
        {"file": "model/registry.json", "line": "8", "col": "16", "title": "ART310 opset-mismatch"},
        "m: `opset` is 18; m.onnx imports opset 17\n"
        'next: Write "opset": 17: provenance check --fix',
    )


def test_a_warning_is_a_warning(repository: Repository) -> None:
    (warning,) = commands(github.render(reports.with_warning(repository)))
    assert (warning.level, warning.properties["title"]) == ("warning", "SID406 sidecar-unlinked")


def test_a_deferral_is_a_notice_with_its_reason(repository: Repository) -> None:
    (notice,) = commands(github.render(reports.with_deferral(repository)))
    assert (notice.level, notice.properties["file"]) == ("notice", "model/m.json")
    assert notice.data.endswith(f"\ndeferred: {reports.REASON} (ADR-1105)")


def test_a_binary_file_has_no_line(repository: Repository) -> None:
    (command,) = commands(github.render(reports.with_stray(repository)))
    assert command.properties.keys() == {"file", "title"}


def test_one_of_several_similar_findings_comes_before_the_others(repository: Repository) -> None:
    for number in range(12):
        repository.add(f"m{number}", license="")
    repository.add("last", opset=18)
    text = github.render(repository.save().check())
    found = commands(text)
    assert len(found) == 13
    assert "(and 11 more like it)" in found[0].data
    assert found[1].data.startswith("last: ")
    lines = [int(c.properties["line"]) for c in found]
    assert lines[2:] == sorted(lines[2:])
    assert len(set(lines)) == 13
    assert "GitHub shows 10 annotations of each level for a step; 3 more are in this log." in text


def test_the_verdict_comes_last_and_is_no_command(full: Repository) -> None:
    *_, not_judged, last = github.render(full.check()).splitlines()
    assert not_judged.startswith("not judged: signatures")
    assert last == "OK: 5 rows passed, 4 of them smoke"


def test_paths_start_at_the_root_of_the_repository(repository: Repository) -> None:
    repository.add(opset=18)
    (repository.root.parent / ".git").mkdir()
    root = repository.save().root
    (command,) = commands(run_cli("check", "--format", "github", cwd=root).out)
    assert command.properties["file"] == f"{root.name}/model/registry.json"


hostile = st.text("a:%,=#[]\r\n\x1b::", min_size=1, max_size=12)


@given(hostile, hostile, hostile, hostile)
def test_no_text_is_a_command_of_its_own(row: str, message: str, path: str, help: str) -> None:
    text = github.render(report_of(finding(row=row, message=message, path=path, help=help)))
    (command,) = commands(text)
    assert command.level == "error"
    assert command.properties.keys() == {"file", "line", "col", "title"}
    assert text.count("\n") == 2


# --- the step summary ---------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["github", "human", "json", "sarif", "junit", "markdown"])
def test_only_this_format_appends_to_the_step_summary(
    full: Repository, tmp_path: Path, format: str
) -> None:
    page = tmp_path / "summary.md"
    page.write_text("# Before\n\n")
    env = {"GITHUB_STEP_SUMMARY": str(page)}
    assert run_cli("check", "--format", format, cwd=full.root, env=env).code == 0
    added = "### ✅ onnx-provenance: OK\n" if format == "github" else ""
    assert page.read_text().startswith(f"# Before\n\n{added}")
    assert (page.read_text() == "# Before\n\n") is (format != "github")


def test_a_step_summary_that_cannot_be_written_is_an_error(
    full: Repository, tmp_path: Path
) -> None:
    env = {"GITHUB_STEP_SUMMARY": str(tmp_path)}
    result = run_cli("check", "--format", "github", cwd=full.root, env=env)
    assert result.code == 2
    assert "(GITHUB_STEP_SUMMARY): Is a directory" in result.err
