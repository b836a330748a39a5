# SPDX-License-Identifier: Apache-2.0
"""`init` writes a configuration that is read again, and records today's findings where asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import pytest

from provenance.operations.adoption.template import Recorded, record
from provenance.operations.adoption.workflows import FOLDER
from tests.support.command import Result, run_cli
from tests.support.models import model
from tests.support.repository import Repository, sha256

WORKFLOW = """
on: {push: {tags: ["v*"]}, release: {types: [published]}}
jobs:
  sign:
    permissions: {id-token: write}
    steps: [{run: cosign sign-blob m.onnx}]
"""


@pytest.fixture
def bare(repository: Repository) -> Repository:
    """A repository without a configuration: stale sidecars, an odd license, a missing file."""
    for i in range(4):
        repository.add_sidecar(repository.add(f"seed{i}"), sha256="0" * 64)
    repository.add("odd", license="My-Own")
    repository.add("opset", opset=18)
    repository.add("gone")
    return save(repository)


def save(repository: Repository) -> Repository:
    repository.save()
    for name in ("provenance.toml", "release.pub"):
        (repository.root / name).unlink(missing_ok=True)
    repository.path("gone.onnx").unlink(missing_ok=True)
    return repository


def written(repository: Repository, name: str = "provenance.toml") -> Any:
    return tomllib.loads((repository.root / name).read_text())


def init(repository: Repository, *args: str) -> Result:
    return run_cli("init", *args, cwd=repository.root)


def clone(root: Path, origin: str, *more: tuple[str, str]) -> None:
    """Make a folder a clone of `origin`, with more remotes."""
    remotes = [("remote", "add", name, url) for name, url in (("origin", origin), *more)]
    for arguments in (("init", "-b", "trunk"), *remotes):
        subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True)


def workflow(root: Path, text: str = WORKFLOW, name: str = "release.yml") -> None:
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    (root / FOLDER / name).write_text(text)


def test_a_configuration_trusts_the_workflows_that_sign_and_explains_each_key(
    bare: Repository,
) -> None:
    workflow(bare.root)
    workflow(bare.root, "[", "broken.yml")
    clone(bare.root, "git@github.com:o/r")

    result = init(bare)

    assert result.code == 0
    signer = {"repository": "o/r", "workflow": f"{FOLDER}/release.yml"}
    assert written(bare) == {
        "registry": "model/registry.json",
        "repository": "o/r",
        "trust": {"github": [signer | {"ref": ref} for ref in ("refs/tags/v*", "refs/tags/*")]},
    }
    text = (bare.root / "provenance.toml").read_text()
    assert '# baseline = "git:origin/trunk"\n' in text
    assert f'workflow = "{FOLDER}/release.yml"  # cosign sign-blob\n' in text
    assert f"trusts the workflow {FOLDER}/release.yml of o/r for refs/tags/v*\n" in result.out
    assert "make sure that each of them makes releases" in result.err
    assert f"note: {FOLDER}/broken.yml was skipped: it is not YAML" in result.out
    assert bare.check().exit_code == 1  # the configuration is read again


CALLED = "on: {workflow_call: }\njobs: {a: {steps: [{run: cosign sign x}]}}"
CALLER = f"on: push\njobs: {{a: {{uses: ./{FOLDER}/release.yml}}}}"


@pytest.mark.parametrize(
    ("text", "name", "remotes", "reason"),
    [
        (WORKFLOW, "w.yml", ["https://example.org/o/r"], "the clone does not say"),
        (WORKFLOW, "w.yml", ["git@github.com:me/r", "git@github.com:o/r"], "a fork of o/r"),
        (WORKFLOW.replace("tags: ", "branches: ").replace("v*", "**").replace(", release", ", x"),
         "w.yml", ["git@github.com:o/r"], "for every branch"),
        (WORKFLOW.replace("on: {push", "on: {pull").replace(", release", ", x"),
         "w.yml", ["git@github.com:o/r"], "the ref is a guess"),
        (WORKFLOW, "my release.yml", ["git@github.com:o/r"], "its name has characters"),
        (CALLED, "release.yml", ["git@github.com:o/r"], f"{FOLDER}/caller.yml calls it"),
    ],
)  # fmt: skip
def test_trust_that_is_not_certain_is_noted_with_the_reason_and_not_in_force(
    bare: Repository, text: str, name: str, remotes: list[str], reason: str
) -> None:
    workflow(bare.root, text, name)
    workflow(bare.root, CALLER, "caller.yml")
    clone(bare.root, remotes[0], *(("upstream", url) for url in remotes[1:]))
    result = run_cli("init", "--format", "json", cwd=bare.root)
    assert result.json["trusted"] == []
    assert "trust" not in written(bare)
    lines = (bare.root / "provenance.toml").read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("# Not in force: "))
    assert reason in lines[first]
    assert [line.split(" = ")[0] for line in lines[first + 1 : first + 5]] == [
        "# [[trust.github]]", "# repository", "# workflow", "# ref",
    ]  # fmt: skip


def test_workflows_below_the_top_of_a_clone_do_not_run(tmp_path: Path) -> None:
    below = save(Repository(tmp_path / "models"))
    below.add("m")
    save(below)
    workflow(below.root)
    clone(tmp_path, "git@github.com:o/r")
    result = init(below)
    assert f"not trusted yet: {FOLDER}/release.yml for refs/tags/v*: GitHub only runs" in result.out
    assert "trust" not in written(below)


def test_what_is_commented_can_be_put_in_force(bare: Repository) -> None:
    assert init(bare).code == 0
    path = bare.root / "provenance.toml"
    lines = path.read_text().splitlines()
    keys = ("# [[", "# rule", "# rows", "# reason", "# reference", "# expires", "# baseline")
    uncommented = [line[2:] if line.startswith(keys) else line for line in lines]
    path.write_text("\n".join(line for line in uncommented if "[[trust" not in line))
    value = written(bare)
    assert value["deferral"][0].keys() == {"rule", "rows", "reason", "reference", "expires"}
    assert value["baseline"] == "git:origin/main"


def test_todays_findings_are_recorded_and_what_cannot_be_is_said(bare: Repository) -> None:
    before = run_cli("check", "--config", "-", cwd=bare.root)
    assert before.code == 2
    result = init(bare, "--defer")

    assert result.code == 0
    assert [(d["rule"], d["rows"]) for d in written(bare)["deferral"]] == [
        ("LIC204", ["odd"]),
        ("SID402", ["seed*"]),
    ]
    assert "deferral SID402 sidecar-stale: 4 findings" in result.out
    assert "Explain each deferral in provenance.toml: 4 TODOs to replace." in result.err
    assert "2 findings, ART301 model-missing (1), ART310 opset-mismatch (1)." in result.err
    assert "Of these, 1 finding can be fixed with: provenance check --fix" in result.err
    report = run_cli("check", "--format", "json", cwd=bare.root).json
    failing = [f["code"] for f in report["findings"] if not f["deferred"]]
    assert sorted(failing) == ["ART301", "ART310", *["DEF906"] * 4]
    text = (bare.root / "provenance.toml").read_text().splitlines()
    todos = [f for f in report["findings"] if f["code"] == "DEF906"]
    assert all("TODO" in text[f["line"] - 1] for f in todos)


def test_a_release_is_refused_until_the_reasons_are_written(
    bare: Repository, key: Any, tmp_path: Path
) -> None:
    bare.rows = bare.rows[:4]
    for name in ("odd", "opset"):
        bare.path(f"{name}.onnx").unlink()
    save(bare)
    assert init(bare, "--defer").code == 0
    refused = run_cli("release", "--signer", key.signer, cwd=bare.root)
    assert refused.code == 1
    assert "DEF906" in refused.out
    path = bare.root / "provenance.toml"
    explained = path.read_text().replace("TODO: why is this shipped all the same?", "a test")
    path.write_text(explained.replace('"TODO"', '"ADR-1105"'))
    assert run_cli("release", "--signer", key.signer, cwd=bare.root).code == 0


def test_the_json_says_what_was_recorded_and_what_is_left(bare: Repository) -> None:
    value = init(bare, "--defer", "--format", "json").json
    assert value["deferrals"] == [
        {"rule": "LIC204", "rows": ["odd"], "findings": 1},
        {"rule": "SID402", "rows": ["seed*"], "findings": 4},
    ]
    assert (value["todo"], value["left"]) == (4, {"ART301": 1, "ART310": 1})


def test_without_being_asked_nothing_is_recorded_and_no_model_is_read(bare: Repository) -> None:
    value = init(bare, "--format", "json").json
    assert (value["deferrals"], value["left"]) == ([], None)
    assert "deferral" not in written(bare)


@pytest.mark.parametrize(("answer", "recorded"), [(True, 2), (False, 0)])
def test_on_a_terminal_it_asks(
    bare: Repository, monkeypatch: pytest.MonkeyPatch, answer: bool, recorded: int
) -> None:
    asked: list[str] = []

    def confirm(text: str, **options: Any) -> bool:
        assert options == {"default": False, "err": True}
        asked.append(text)
        return answer

    monkeypatch.setattr(click, "confirm", confirm)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    result = run_cli("init", cwd=bare.root, terminal=True, env={"NO_COLOR": "1"})
    assert result.code == 0
    expected = "5 findings can be recorded as deferrals: LIC204 license-not-spdx (1), SID402"
    assert asked[0].startswith(expected)
    assert len(written(bare).get("deferral", [])) == recorded
    assert "Still to fix: " in result.err


@pytest.mark.parametrize("option", ["--defer", "--no-defer"])
def test_with_the_option_it_does_not_ask(
    bare: Repository, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.delattr(click, "confirm")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    assert run_cli("init", option, cwd=bare.root, terminal=True).code == 0


def test_where_nothing_is_found_nothing_is_recorded(repository: Repository) -> None:
    repository.add()
    result = init(save(repository), "--defer")
    assert result.code == 0
    assert "deferral" not in written(repository)
    assert result.err == "Next: provenance check\n"
    assert run_cli("check", cwd=repository.root).code == 0


def test_a_field_under_another_name_is_mapped(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(model())
    row = {"id": "m", "onnx": "m.onnx", "sha256": sha256(model()), "licence": "MIT"}
    (tmp_path / "zoo.json").write_text(json.dumps({"models": [row]}))
    result = run_cli("init", cwd=tmp_path)
    assert result.code == 0
    assert 'license = "licence"' in (tmp_path / "provenance.toml").read_text()


def test_a_registry_of_our_shape_goes_before_what_looks_like_one(bare: Repository) -> None:
    rows = [{"name": "m", "file": "m.onnx", "digest": "0" * 64}]
    (bare.root / "a.json").write_text(json.dumps(rows))
    assert init(bare, "--format", "json").json["registry"] == "model/registry.json"


def test_a_named_file_need_not_have_digests(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text('{"models": [{"id": "m", "onnx": "m.onnx"}]}')
    assert run_cli("init", "--registry", "r.json", cwd=tmp_path).code == 0


def test_line_ends_of_another_system_stay(bare: Repository) -> None:
    path = bare.root / "pyproject.toml"
    path.write_bytes(b"[project]\r\nname = 'x'\r\n")
    assert init(bare, "--defer").code == 0
    content = path.read_bytes()
    assert content.startswith(b"[project]\r\nname = 'x'\r\n\r\n[tool.provenance]\r\n")
    assert content.count(b"\n") == content.count(b"\r\n")
    report = run_cli("check", "--format", "json", cwd=bare.root).json
    lines = content.decode().split("\r\n")
    todos = [f for f in report["findings"] if f["code"] == "DEF906"]
    assert len(todos) == 4
    assert all("TODO" in lines[f["line"] - 1] for f in todos)


def test_hostile_names_stay_inside_their_strings(bare: Repository) -> None:
    (bare.root / FOLDER).mkdir(parents=True)
    (bare.root / FOLDER / "w\nregistry = 5 #.yml").write_text(WORKFLOW.replace('"v*"', '"v\\n*"'))
    result = init(bare)
    assert result.code == 0
    assert result.out.count("\n") == len(result.out.splitlines())
    assert written(bare)["registry"] == "model/registry.json"


def finding(code: str, row: str, **fields: Any) -> Any:
    from provenance.gate.rules import BY_CODE

    return BY_CODE[code].finding("message", "help", path="r.json", row=row, **fields)


def rows(findings: Sequence[Any], labels: Sequence[str]) -> list[Recorded]:
    return list(record(findings, labels))


@pytest.mark.parametrize(
    ("subjects", "others", "patterns"),
    [
        (["s0", "s1", "s2"], ["t0"], ["s*"]),
        (["s0", "s1", "s2"], ["s3"], ["s0", "s1", "s2"]),
        (["s0", "s1", "s2"], ["sidecar"], ["s0", "s1", "s2"]),
        (["s0", "s1"], [], ["s0", "s1"]),
        (["0", "1", "2"], [], ["0", "1", "2"]),
        (["a[1]", "b*", "c?"], [], ["a[[]1]", "b[*]", "c[?]"]),
        (["x[0]_1", "x[0]_2", "x[0]_3"], [], ["x[[]0]_*"]),
    ],
)
def test_patterns_match_what_was_found_and_nothing_else(
    subjects: list[str], others: list[str], patterns: list[str]
) -> None:
    found = [finding("SID402", s) for s in subjects]
    (recorded,) = rows(found, [*subjects, *others])
    assert recorded == Recorded("SID402", tuple(patterns), len(subjects))


def test_what_can_be_fixed_or_not_be_deferred_is_not_recorded() -> None:
    from provenance.artifacts.documents.json_edit import Remove
    from provenance.gate.finding import Fix

    fix = Fix("r.json", Remove(("a",)))
    found = [finding("ART302", "m"), finding("SID402", "m", fixes=(fix,)), finding("SID406", "m")]
    assert rows(found, ["m"]) == []


def test_a_long_list_of_rows_has_a_line_for_each(repository: Repository) -> None:
    names = [f"model_of_{city}" for city in ("oslo", "bergen", "tromso", "bodo", "molde", "narvik")]
    for name in names:
        repository.add(name, license="My-Own")
    assert init(save(repository), "--defer").code == 0
    lines = (repository.root / "provenance.toml").read_text().splitlines()
    at = lines.index("rows = [")
    assert lines[at + 1 : at + 8] == [*(f'    "{name}",' for name in names), "]"]
    assert written(repository)["deferral"][0]["rows"] == names


def test_a_path_that_is_no_text_cannot_be_named(tmp_path: Path) -> None:
    rows = [{"id": "m", "onnx": "m.onnx", "sha256": "0" * 64}]
    (tmp_path / os.fsdecode(b"r\xff.json")).write_text(json.dumps({"models": rows}))
    result = run_cli("init", cwd=tmp_path)
    assert result.code == 2
    assert "not UTF-8, so no configuration can name this file" in result.err
    assert os.listdir(tmp_path) == [os.fsdecode(b"r\xff.json")]


def test_a_registry_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    result = run_cli("init", "--registry", "c/registry.json", cwd=tmp_path)
    assert result.code == 2
    assert "the registry 'c/registry.json' does not exist" in result.err


@pytest.mark.parametrize("name", ["provenance.toml", "pyproject.toml"])
def test_a_configuration_that_is_there_is_named(tmp_path: Path, name: str) -> None:
    table = "" if name == "provenance.toml" else "[tool.provenance]\n"
    (tmp_path / name).write_text(f'{table}registry = "r.json"\n')
    result = run_cli("init", cwd=tmp_path)
    assert result.code == 2
    assert f"Edit {tmp_path / name} instead." in " ".join(result.err.split())
