# SPDX-License-Identifier: Apache-2.0
"""SHA256SUMS, checked with `sha256sum` itself."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from provenance.gate.finding import ModelFile, Report, Verdict
from provenance.output import sha256sums
from tests.support.command import run_cli
from tests.support.keys import KeyPair
from tests.support.releases import SUMMARY
from tests.support.reports import failed_row
from tests.support.repository import Repository, full_repository, sha256

CHECKED = [
    *("ens_seed0.onnx", "ens_seed1.onnx", "ext.onnx", "ext.onnx.data"),
    *("plain.onnx", "q.int8.onnx", "q.onnx"),
]


@pytest.fixture
def released(tmp_path: Path, key: KeyPair) -> Repository:
    return full_repository(tmp_path / "tree", key).released()


def checked(folder: Path, sums: str | Path) -> subprocess.CompletedProcess[str]:
    command = ["sha256sum", "--check", "--strict", str(sums)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def write(repository: Repository, *command: str) -> Path:
    run_cli(*command, "-C", repository.root, "--output", "sha256sums=SHA256SUMS")
    return repository.root / "SHA256SUMS"


@pytest.mark.parametrize("command", ["check", "verify", "release"])
def test_all_files_are_checked_from_the_root_of_the_repository(
    released: Repository, command: str, key: KeyPair
) -> None:
    signed = ("--signer", key.signer, "--release-version", "v2") if command == "release" else ()
    done = checked(released.root, write(released, command, *signed))
    assert done.returncode == 0, done.stderr
    named = [line.removesuffix(": OK") for line in done.stdout.splitlines()]
    if command == "check":  # without a summary, only the models
        assert named == [f"model/{name}" for name in CHECKED]
        return
    on_disk = {p for folder in ("model", "bundles") for p in (released.root / folder).iterdir()}
    assert set(named) == {p.relative_to(released.root).as_posix() for p in on_disk}
    assert f"bundles/{SUMMARY}" in named


@pytest.mark.parametrize("name", ["registry.json", "ext.onnx.data", "plain.json", "ens.json"])
def test_a_changed_file_fails(released: Repository, name: str) -> None:
    sums = write(released, "verify")
    with released.path(name).open("ab") as stream:
        stream.write(b" ")
    done = checked(released.root, sums)
    assert done.returncode == 1
    assert f"model/{name}: FAILED" in done.stdout


def test_a_report_that_failed_has_no_digests(released: Repository) -> None:
    with released.path("plain.onnx").open("ab") as stream:
        stream.write(b" ")
    sums = write(released, "verify")
    assert sums.read_text().startswith("# FAILED: ")
    done = checked(released.root, sums)
    assert done.returncode == 1
    assert "no properly formatted" in done.stderr


def report_on(*files: ModelFile) -> Report:
    row = replace(failed_row("m"), verdict=Verdict.VERIFIED, model_files=files)
    return Report("registry.json", (row,), ())


@pytest.mark.parametrize("name", ["a b", "a\\b", "a\nb", "a\rb", "*a", " a", "ä"])
def test_any_file_name_can_be_checked(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"content")
    sums = tmp_path / "SHA256SUMS"
    report = report_on(ModelFile(name, sha256(b"content"), 7))
    sums.write_bytes(sha256sums.render(report).encode())
    assert checked(tmp_path, sums).returncode == 0


def test_a_file_without_a_digest_is_left_out() -> None:
    report = report_on(ModelFile("m", None, None))
    assert sha256sums.render(report) == ""
    assert sha256sums.render(replace(report, rows=())).startswith("# NOTHING TO VERIFY")
