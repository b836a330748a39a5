# SPDX-License-Identifier: Apache-2.0
"""SHA256SUMS, checked with `sha256sum` itself."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from provenance.artifacts.registry import Classification
from provenance.gate.finding import ModelFile, Report, RowResult, Verdict
from provenance.output import sha256sums
from tests.support.command import run_cli
from tests.support.keys import KeyPair
from tests.support.releases import SUMMARY
from tests.support.repository import Repository, full_repository, sha256


@pytest.fixture
def released(tmp_path: Path, key: KeyPair) -> Repository:
    return full_repository(tmp_path / "tree", key).released()


def checked(folder: Path, sums: str | Path) -> subprocess.CompletedProcess[str]:
    command = ["sha256sum", "--check", "--strict", str(sums)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def write(repository: Repository, command: str = "verify") -> Path:
    sums = repository.root / "SHA256SUMS"
    arguments = ["-C", str(repository.root), "--output", "sha256sums=SHA256SUMS"]
    if command == "release":
        assert repository.key is not None
        arguments += ["--signer", repository.key.signer, "--release-version", "v2"]
    run_cli(command, *arguments)
    return sums


@pytest.mark.parametrize("command", ["verify", "release"])
def test_all_files_of_a_release_are_checked_from_the_root_of_the_repository(
    released: Repository, command: str
) -> None:
    done = checked(released.root, write(released, command))
    assert done.returncode == 0, done.stderr
    named = {line.removesuffix(": OK") for line in done.stdout.splitlines()}
    on_disk = {p for folder in ("model", "bundles") for p in (released.root / folder).iterdir()}
    assert named == {p.relative_to(released.root).as_posix() for p in on_disk}
    assert f"bundles/{SUMMARY}" in named


@pytest.mark.parametrize("name", ["registry.json", "ext.onnx.data", "plain.json", "ens.json"])
def test_a_file_that_changed_is_found(released: Repository, name: str) -> None:
    sums = write(released)
    with released.path(name).open("ab") as stream:
        stream.write(b" ")
    done = checked(released.root, sums)
    assert done.returncode == 1
    assert f"model/{name}: FAILED" in done.stdout


def test_what_failed_has_no_digests(released: Repository) -> None:
    with released.path("plain.onnx").open("ab") as stream:
        stream.write(b" ")
    sums = write(released)
    assert sums.read_text().startswith("# FAILED: ")
    done = checked(released.root, sums)
    assert done.returncode == 1
    assert "no properly formatted" in done.stderr


def test_without_a_summary_the_digests_are_those_of_the_models(released: Repository) -> None:
    done = checked(released.root, write(released, "check"))
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "model/ens_seed0.onnx: OK",
        "model/ens_seed1.onnx: OK",
        "model/ext.onnx: OK",
        "model/ext.onnx.data: OK",
        "model/plain.onnx: OK",
        "model/q.int8.onnx: OK",
        "model/q.onnx: OK",
    ]


@pytest.mark.parametrize("name", ["a b", "a\\b", "a\nb", "a\rb", "*a", " a", "ä"])
def test_any_name_of_a_file_can_be_checked(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"content")
    file = ModelFile(name, sha256(b"content"), 7)
    row = RowResult("m", name, 1, Classification.PRODUCTION, "MIT", Verdict.VERIFIED, (file,))
    report = Report("registry.json", (row,), ())
    sums = tmp_path / "SHA256SUMS"
    sums.write_bytes(sha256sums.render(report).encode())
    assert checked(tmp_path, sums).returncode == 0


def test_a_file_without_a_digest_is_left_out() -> None:
    row = RowResult(
        "m",
        "m",
        1,
        Classification.PRODUCTION,
        "MIT",
        Verdict.VERIFIED,
        (ModelFile("m", None, None),),
    )
    report = Report("registry.json", (row,), ())
    assert sha256sums.render(report) == ""
    assert sha256sums.render(replace(report, rows=())).startswith("# NOTHING TO VERIFY")
