# SPDX-License-Identifier: Apache-2.0
"""Workflow commands, parsed as a runner parses them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.gate.finding import Report
from provenance.output import github
from tests.output.test_sarif import finding
from tests.support.command import run_cli
from tests.support.models import model
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


def test_a_finding_is_an_annotation_of_its_line(repository: Repository) -> None:
    repository.add(opset=18)
    (command,) = commands(github.render(repository.save().check()))
    assert command == Command(
        "error",
        {
            "file": "model/registry.json",
            "line": "8",
            "col": "16",
            "title": "ART310 opset-mismatch",
        },
        "m: `opset` is 18; m.onnx imports opset 17\n"
        'next: Write "opset": 17: provenance check --fix',
    )


def test_a_warning_is_a_warning_and_a_deferral_a_notice_with_its_reason(
    repository: Repository,
) -> None:
    repository.add_sidecar(repository.add_unclaimed("a"), sha256=None)
    repository.add_sidecar(repository.add("b"), sha256="0" * 64)
    repository.defer("SID402", ["b"], reason="until the retrain")
    warning, notice = commands(github.render(repository.save().check()))
    assert (warning.level, warning.properties["title"]) == ("warning", "SID406 sidecar-unlinked")
    assert (notice.level, notice.properties["file"]) == ("notice", "model/b.json")
    assert notice.data.endswith("\ndeferred: until the retrain (ADR-1105)")


def test_a_file_that_is_no_text_has_no_line(repository: Repository) -> None:
    repository.add()
    repository.write("left.onnx", model(salt=9))
    (command,) = commands(github.render(repository.save().check()))
    assert command.properties.keys() == {"file", "title"}


def test_what_is_alike_comes_once_before_it_comes_everywhere(repository: Repository) -> None:
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
    *_, open_question, last = github.render(full.check()).splitlines()
    assert open_question.startswith("not judged: signatures")
    assert last == "OK: 5 rows passed, 4 of them smoke"


def test_paths_start_at_the_root_of_the_repository(repository: Repository) -> None:
    repository.add(opset=18)
    (repository.root.parent / ".git").mkdir()
    root = repository.save().root
    (command,) = commands(run_cli("check", "--format", "github", cwd=root).out)
    assert command.properties["file"] == f"{root.name}/model/registry.json"


hostile = st.text("a:%,=#[]\r\n\x1b::", min_size=1, max_size=12)


@given(hostile, hostile, hostile, hostile)
def test_no_text_whatever_is_a_command_of_its_own(
    row: str, message: str, path: str, help: str
) -> None:
    report = Report(path, (), (finding(row=row, message=message, path=path, help=help),))
    text = github.render(report)
    (command,) = commands(text)
    assert command.level == "error"
    assert command.properties.keys() == {"file", "line", "col", "title"}
    assert text.count("\n") == 2


# the step summary


def test_the_summary_is_added_to_the_page_of_the_step(full: Repository, tmp_path: Path) -> None:
    page = tmp_path / "summary.md"
    page.write_text("# Before\n\n")
    env = {"GITHUB_STEP_SUMMARY": str(page)}
    assert run_cli("check", "--format", "github", cwd=full.root, env=env).code == 0
    assert page.read_text().startswith("# Before\n\n### ✅ onnx-provenance: OK\n")


@pytest.mark.parametrize("format", ["human", "json", "sarif", "junit", "markdown"])
def test_other_formats_leave_the_page_of_the_step_alone(
    full: Repository, tmp_path: Path, format: str
) -> None:
    env = {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    assert run_cli("check", "--format", format, cwd=full.root, env=env).code == 0
    assert not (tmp_path / "summary.md").exists()


def test_a_page_that_cannot_be_written_is_an_error(full: Repository, tmp_path: Path) -> None:
    env = {"GITHUB_STEP_SUMMARY": str(tmp_path)}
    result = run_cli("check", "--format", "github", cwd=full.root, env=env)
    assert result.code == 2
    assert "(GITHUB_STEP_SUMMARY): Is a directory" in result.err
