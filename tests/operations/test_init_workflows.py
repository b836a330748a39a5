# SPDX-License-Identifier: Apache-2.0
"""Which workflows sign with an identity of their own, and where a clone comes from."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from provenance.artifacts import git_command, limits
from provenance.artifacts.paths import Tree
from provenance.operations.adoption.workflows import (
    FOLDER,
    Found,
    Remote,
    Workflow,
    github_name,
    remote_of,
    signing_workflows,
)

JOB = """
jobs:
  sign:
    permissions: {permissions}
    steps:
      - uses: actions/checkout@v4
      - {step}
"""
SIGNS = JOB.format(permissions="{id-token: write}", step="run: cosign sign-blob --yes m.onnx")


def found(root: Path, **workflows: str) -> Found:
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in workflows.items():
        (folder / f"{name}.yml").write_text(text)
    return signing_workflows(Tree.at(root), "trunk")


def tools(root: Path, text: str) -> list[str]:
    return [tool for workflow in found(root, w=text).workflows for tool in workflow.tools]


def refs(root: Path, on: str) -> tuple[str, ...]:
    (workflow,) = found(root, w=f"on: {on}\n{SIGNS}").workflows
    return workflow.refs


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("run: cosign sign-blob --yes m.onnx", ["cosign sign-blob"]),
        ('run: "cosign   sign x"', ["cosign sign"]),
        ("run: cosign attest-blob x", ["cosign attest-blob"]),
        ("run: python -m sigstore sign m.onnx", ["sigstore sign"]),
        ("run: provenance release", ["provenance release"]),
        ("run: provenance -C models sign", ["provenance sign"]),
        ("run: |\n          make\n          cosign sign-blob x && cosign sign-blob y\n"
         "          provenance attest", ["cosign sign-blob", "provenance attest"]),
        ("uses: sigstore/gh-action-sigstore-python@v3", ["sigstore/gh-action-sigstore-python"]),
        ("uses: actions/attest-build-provenance@v2", ["actions/attest-build-provenance"]),
        ("uses: actions/attest@0123", ["actions/attest"]),
        ("run: cosign verify-blob x", []),
        ("run: |\n          # cosign sign-blob x", []),
        ("run: echo mycosign sign", []),
        ("uses: sigstore/cosign-installer@v3", []),
        ("uses: actions/attest/../evil@v1", []),
        ("run: 5", []),
        ("[no, step]", []),
    ],
)  # fmt: skip
def test_a_tool_that_signs_is_known(tmp_path: Path, step: str, expected: list[str]) -> None:
    assert tools(tmp_path, JOB.format(permissions="{id-token: write}", step=step)) == expected


@pytest.mark.parametrize(
    ("permissions", "may"),
    [
        ("{id-token: write}", True),
        ("write-all", True),
        ("{contents: write}", False),
        ("{id-token: read}", False),
        ("read-all", False),
        ("{}", False),
    ],
)
def test_only_a_job_that_may_have_an_identity_signs(
    tmp_path: Path, permissions: str, may: bool
) -> None:
    text = JOB.format(permissions=permissions, step="run: cosign sign x")
    assert bool(tools(tmp_path, text)) is may


def test_a_job_has_the_permissions_of_its_workflow_unless_it_has_its_own(tmp_path: Path) -> None:
    steps = "{steps: [{run: cosign sign x}]}"
    own = "{permissions: {contents: read}, steps: [{run: cosign sign x}]}"
    assert tools(tmp_path, f"permissions: {{id-token: write}}\njobs: {{a: {steps}}}")
    assert not tools(tmp_path, f"permissions: {{id-token: write}}\njobs: {{a: {own}}}")
    assert not tools(tmp_path, f"jobs: {{a: {steps}}}")


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        ("{push: {tags: ['v*']}}", ("refs/tags/v*",)),
        ("{push: {tags: v1}}", ("refs/tags/v1",)),
        ("{push: {tags: ['v[0-9]+.[0-9]+*', '!v0*', '**']}}", ("refs/tags/v*.*", "refs/tags/**")),
        ("{push: {tags: ['v[12].x']}}", ("refs/tags/v?.x",)),
        ("{push: {branches: [main, 'release/**']}}", ("refs/heads/main", "refs/heads/release/**")),
        ("{push: {tags: ['v*'], branches: [main]}}", ("refs/tags/v*", "refs/heads/main")),
        ("push", ("refs/heads/trunk",)),
        ("[push, pull_request]", ("refs/heads/trunk",)),
        ("{release: {types: [published]}}", ("refs/tags/*",)),
        ("{workflow_dispatch: , push: {tags: ['v*']}}", ("refs/tags/v*",)),
        ("workflow_dispatch", ("refs/heads/trunk",)),
        ("{schedule: [{cron: x}]}", ("refs/heads/trunk",)),
        ("pull_request", ()),
        ("5", ()),
    ],
)  # fmt: skip
def test_refs_are_those_that_it_runs_for(
    tmp_path: Path, on: str, expected: tuple[str, ...]
) -> None:
    assert refs(tmp_path, on) == expected


def test_a_workflow_that_others_call_has_their_permissions_and_no_refs_of_its_own(
    tmp_path: Path,
) -> None:
    called = "on: {workflow_call: }\njobs: {a: {steps: [{run: cosign sign x}]}}"
    caller = (
        "on: {push: {tags: ['v*']}}\n"
        f"jobs: {{a: {{uses: ./{FOLDER}/called.yml, permissions: {{id-token: write}}}}}}"
    )
    result = found(tmp_path, called=called, caller=caller, other="on: push\njobs: {a: 5, b: {}}")
    assert result.workflows == (
        Workflow(f"{FOLDER}/called.yml", ("cosign sign",), (), (f"{FOLDER}/caller.yml",)),
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a:\n  [", "it is not YAML (line 2)"),
        (b"\xff", "it is not UTF-8 (byte 0)"),
        (b"[" * 3_000, "it is nested too deeply"),
        (b"", "it has no `jobs`"),
        (b"jobs: []", "it has no `jobs`"),
        (b"a: &a [*a]", "it is not YAML"),
        (b"a: !!python/object:os.system x\njobs: []", "it has no `jobs`"),
        (b"a: \x07", "it is not YAML"),
        (b"#" * (limits.WORKFLOW + 1), "it cannot be read: "),
    ],
)  # fmt: skip
def test_an_unreadable_workflow_is_named_and_the_rest_is_read(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    found(tmp_path, good=SIGNS)
    (tmp_path / FOLDER / "bad.yaml").write_bytes(content)
    result = found(tmp_path)
    assert [w.path for w in result.workflows] == [f"{FOLDER}/good.yml"]
    (note,) = result.notes
    assert f"{FOLDER}/bad.yaml was skipped: {reason}" in note


def test_aliases_and_merge_keys_do_not_grow(tmp_path: Path) -> None:
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}" for i in range(1, 24)]
    lines += ["b0: &b0 [x]", *(f"b{i}: &b{i} [*b{i - 1}, *b{i - 1}]" for i in range(1, 24))]
    assert tools(tmp_path, "\n".join(lines) + SIGNS) == ["cosign sign-blob"]


def test_how_much_is_looked_into_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WORKFLOWS", len(SIGNS) + 5)
    result = found(tmp_path, a=SIGNS, b=SIGNS)
    assert [w.path for w in result.workflows] == [f"{FOLDER}/a.yml"]
    assert "b.yml was skipped: it cannot be read" in result.notes[0]


def test_so_many_workflows_are_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WORKFLOW_FILES", 1)
    result = found(tmp_path, a=SIGNS, b=SIGNS, c=SIGNS)
    assert [w.path for w in result.workflows] == [f"{FOLDER}/a.yml"]
    assert result.notes == ("2 workflows were skipped: at most 1 are read",)


def test_no_workflows_are_nothing_to_speak_of(tmp_path: Path) -> None:
    assert signing_workflows(Tree.at(tmp_path), "main") == Found()
    (tmp_path / ".github").write_text("a file")
    assert signing_workflows(Tree.at(tmp_path), "main") == Found()


def test_workflows_outside_the_repository_are_not_looked_into(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    found(outside, w=SIGNS)
    root.mkdir()
    (root / ".github").symlink_to(outside / ".github")
    result = signing_workflows(Tree.at(root), "main")
    assert result.workflows == ()
    assert "leaves the repository" in result.notes[0]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://github.com/lusoris/vmaf.git", "lusoris/vmaf"),
        ("https://github.com/lusoris/vmaf/", "lusoris/vmaf"),
        ("https://user:ghp_secret@github.com/a-b/c.d_e.git", "a-b/c.d_e"),
        ("git@github.com:lusoris/vmaf.git", "lusoris/vmaf"),
        ("ssh://git@github.com/lusoris/vmaf", "lusoris/vmaf"),
        ("ssh://git@github.com:22/lusoris/vmaf", "lusoris/vmaf"),
        ("https://GitHub.com/lusoris/vmaf", "lusoris/vmaf"),
        ("https://gitlab.com/lusoris/vmaf", None),
        ("https://github.com.evil.example/lusoris/vmaf", None),
        ("https://evil.example/github.com/lusoris/vmaf", None),
        ("https://evil.example/?@github.com/lusoris/vmaf", None),
        ("https://github.com/lusoris", None),
        ('https://github.com/lusoris/vm"af', None),
        ("/srv/git/vmaf", None),
        ("", None),
    ],
)
def test_of_a_remotes_url_only_the_repositorys_name_is_taken(url: str, name: str | None) -> None:
    assert github_name(url) == name


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True)


def test_a_clone_knows_its_origin_and_its_default_branch(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "topic")
    assert remote_of(tmp_path) == Remote(None, "topic")
    git(tmp_path, "remote", "add", "origin", "git@github.com:lusoris/vmaf.git")
    git(tmp_path, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk")
    assert remote_of(tmp_path) == Remote("lusoris/vmaf", "trunk")


def test_without_a_clone_or_without_git_nothing_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert remote_of(tmp_path) == Remote()
    git(tmp_path, "init", "-q", "-b", "topic")
    monkeypatch.setattr(git_command, "SECONDS", 0)
    assert remote_of(tmp_path) == Remote()
    monkeypatch.setenv("PATH", "")
    assert remote_of(tmp_path) == Remote()
