# SPDX-License-Identifier: Apache-2.0
"""The outputs of results: `--format`, `--output FILE`, `--output FORMAT=FILE`."""

from __future__ import annotations

import json
import logging
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from provenance.cli import exits
from provenance.cli.streams import repository_folder
from tests.support.command import run_cli
from tests.support.keys import KeyPair
from tests.support.models import External, data, model
from tests.support.repository import Repository


def test_several_formats_are_written_in_one_run(full: Repository) -> None:
    result = run_cli("check", "--output", "json=a.json", "--output", "human=b.txt", cwd=full.root)
    assert result.code == 0
    assert "OK: 5 rows" in result.out
    assert json.loads((full.root / "a.json").read_text())["verdict"] == "verified"
    assert (full.root / "b.txt").read_text() == result.out


def test_a_plain_file_takes_the_place_of_standard_output(full: Repository) -> None:
    args = ("--format", "json", "--output", "a.json", "--output", "human=b.txt")
    result = run_cli("check", *args, cwd=full.root)
    assert (result.code, result.out) == (0, "")
    assert json.loads((full.root / "a.json").read_text())["verdict"] == "verified"
    assert "OK: 5 rows" in (full.root / "b.txt").read_text()


@pytest.mark.parametrize(
    ("given", "name"),
    [("./a=b.txt", "a=b.txt"), ("human=a=b.txt", "a=b.txt"), ("human=json=c", "json=c")],
)
def test_a_file_name_may_hold_an_equals_sign(full: Repository, given: str, name: str) -> None:
    assert run_cli("check", "--output", given, cwd=full.root).code == 0
    assert "OK: 5 rows" in (full.root / name).read_text()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            ["jsno=a.json"],
            "did you mean json=a.json? To write to a file of that name, give ./jsno=a.json",
        ),
        (["x=a"], "unknown format 'x'; formats are human, json"),
        (["json="], "no file; expected --output json=FILE"),
        (["a.txt", "json=./a.txt"], "a.txt is given twice"),
        (["none/a.txt"], "cannot write none/a.txt: the folder none does not exist"),
        (["json=model"], "cannot write model: it is a folder"),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_anything_is_done(
    full: Repository, given: list[str], message: str
) -> None:
    before = sorted(os.listdir(full.root))
    options = [part for value in given for part in ("--output", value)]
    result = run_cli("release", "--signer", "file:none", *options, cwd=full.root)
    assert result.code == 2
    assert message in " ".join(result.err.split())
    assert sorted(os.listdir(full.root)) == before


def test_files_are_relative_to_the_folder_that_is_worked_in(
    full: Repository, tmp_path: Path
) -> None:
    assert run_cli("check", "-C", full.root, "--output", "a.txt", cwd=tmp_path).code == 0
    assert (full.root / "a.txt").exists()
    assert not (tmp_path / "a.txt").exists()


@pytest.mark.parametrize("command", ["hash", "rules", "init", "keygen", "inspect x"])
def test_a_command_without_a_report_says_which_formats_it_has(command: str) -> None:
    for option in (["--format", "sarif"], ["--output", "sarif=a"]):
        result = run_cli(*command.split(), *option)
        assert result.code == 2
        said = " ".join(result.err.split())
        assert "human and json" in said or "formats are human, json" in said


def test_a_command_without_a_report_writes_both_formats(full: Repository) -> None:
    result = run_cli("hash", "--output", "json=a.json", cwd=full.root)
    assert "OK: every digest" in result.out
    assert len(json.loads((full.root / "a.json").read_text())["files"]) == 7


def test_a_file_is_replaced_as_a_whole_and_keeps_its_mode(full: Repository) -> None:
    target, link = full.root / "a.txt", full.root / "link.txt"
    target.write_text("old")
    target.chmod(0o600)
    link.symlink_to("a.txt")
    with target.open() as reader:
        assert run_cli("check", "--output", "link.txt", cwd=full.root).code == 0
        assert reader.read() == "old"
    assert link.is_symlink()
    assert "OK: 5 rows" in target.read_text()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert not [name for name in os.listdir(full.root) if "provenance-new" in name]


def test_a_pipe_is_written_to_and_not_replaced(full: Repository) -> None:
    pipe = full.root / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    assert run_cli("check", "--output", "human=pipe", cwd=full.root).code == 0
    reader.join(20)
    assert "OK: 5 rows" in read[0]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_device_is_never_replaced(full: Repository) -> None:
    before = os.stat(os.devnull)
    assert run_cli("check", "--output", os.devnull, cwd=full.root).code == 0
    assert os.stat(os.devnull).st_rdev == before.st_rdev
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_what_cannot_be_written_leaves_the_old_file(
    full: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    (full.root / "a.txt").write_text("old")

    def fail(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    result = run_cli("check", "--output", "a.txt", cwd=full.root)
    assert result.code == 2
    assert "cannot write a.txt: No space left on device" in result.err
    assert (full.root / "a.txt").read_text() == "old"


def test_the_folder_of_a_tree_in_its_repository_is_found(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert repository_folder(None) == ""
    assert repository_folder(below) == ""
    (tmp_path / ".git").write_text("gitdir: elsewhere\n")
    assert repository_folder(below) == "a/b"
    assert repository_folder(tmp_path) == ""


CHECK = ("check",)
RELEASE = ("release", "--signer", "file:none.key")


@pytest.mark.parametrize(
    "name",
    [
        "model/registry.json",
        "provenance.toml",
        "release.pub",
        "model/plain.onnx",
        "model/plain.json",
        "model/ext.onnx.data",
        "model/q.int8.onnx",
        "model/ens.json",
        "model/ens_seed_flip_PROMOTE.json",
        "model/stray.json",
        "model/ext.json",  # a sidecar that the row could have
        "bundles/plain.onnx.sigstore.json",
        "bundles/plain.onnx.2.sigstore.json",
        "bundles/ens_seed0.onnx.provenance.sigstore.json",
        "bundles/registry.json.vsa.sigstore.json",
    ],
)
def test_a_result_is_never_written_over_what_the_run_reads(
    full: Repository, key: KeyPair, name: str
) -> None:
    full.key = key
    full.save()
    full.write("stray.json", {"id": "plain", "kind": "fr", "onnx": "old.onnx", "sha256": "0" * 64})
    before = contents(full.root)
    for command in (CHECK, ("hash", "--write"), ("promote", "plain"), RELEASE, ("verify",)):
        for given in (name, f"json=./{name}", f"json={full.root / name}"):
            result = run_cli(*command, "--output", given, cwd=full.root)
            assert (result.code, result.out) == (2, ""), (command, given)
            assert "this run also reads or writes that file" in " ".join(result.err.split())
    assert contents(full.root) == before


@pytest.mark.parametrize("make", [os.symlink, os.link])
def test_a_link_to_what_the_run_reads_is_no_file_of_its_own(
    full: Repository, tmp_path: Path, make: Callable[[Path, Path], None]
) -> None:
    for name in ("registry.json", "ext.onnx.data", "ens.json"):
        make(full.path(name), tmp_path / f"link-{name}")
        before = contents(full.root)
        result = run_cli("check", "--output", tmp_path / f"link-{name}", cwd=full.root)
        assert (result.code, contents(full.root)) == (2, before)


def test_external_data_that_no_row_names_is_spared_too(full: Repository) -> None:
    full.write("weights.bin", data(24, salt=90))
    full.add("loose", model(salt=90, external=External("weights.bin")))
    full.save()
    result = run_cli("check", "--output", "model/weights.bin", cwd=full.root)
    assert result.code == 2
    assert full.path("weights.bin").read_bytes() == data(24, salt=90)


def test_a_file_that_the_user_names_is_spared_too(full: Repository, key: KeyPair) -> None:
    (full.root / "trust.toml").write_text(f'[[trust.key]]\npath = "{key.public}"\n')
    (full.root / "signed.sigstore.json").write_text("{}")
    (full.root / "links").mkdir()
    (full.root / "links" / "check.01234567.link").write_text("{}")
    model = "model/ext.onnx"
    for output, *args in (
        (key.public, "verify-model", model, "--key", key.public),
        (key.public, "verify-model", model, "--trust", "trust.toml"),
        ("trust.toml", "verify-model", model, "--trust", "trust.toml"),
        (model, "verify-model", model, "--key", key.public),
        ("model/ext.onnx.data", "verify-model", model, "--key", key.public),
        ("signed.sigstore.json", "inspect", "signed.sigstore.json"),
        ("new.key", "keygen", "new"),
        ("new.pub", "keygen", "new"),
        ("model/registry.json", "check", "--baseline", "model/registry.json"),
        ("model/registry.json", "restore", "--baseline", "."),
        ("links/check.01234567.link", "check", "--link-dir", "links", "--link-key", "file:x"),
    ):
        before = contents(full.root), contents(key.public.parent)
        result = run_cli(*args, "--output", output, cwd=full.root)
        assert (result.code, result.out) == (2, ""), args
        assert "this run also reads or writes that file" in " ".join(result.err.split()), (
            args,
            result.err,
        )
        assert (contents(full.root), contents(key.public.parent)) == before


def test_a_baseline_elsewhere_is_spared_too(full: Repository, tmp_path: Path) -> None:
    former = tmp_path / "former"
    shutil.copytree(full.root, former)
    before = contents(former)
    for name in ("registry.json", "plain.json", "ens.json"):
        args = ("--baseline", former, "--output", former / "model" / name)
        for command in ("check", "restore"):
            assert run_cli(command, *args, cwd=full.root).code == 2
    (full.root / "provenance.toml").write_text(
        f'registry = "model/registry.json"\nbaseline = "{former}"\n'
    )
    target = former / "model" / "registry.json"
    assert run_cli("check", "--output", target, cwd=full.root).code == 2
    assert contents(former) == before


def test_init_writes_its_result_over_nothing_that_it_looks_at(full: Repository) -> None:
    (full.root / "provenance.toml").unlink()
    before = contents(full.root)
    for name in ("model/registry.json", "provenance.toml"):
        assert run_cli("init", "--output", name, cwd=full.root).code == 2
    assert contents(full.root) == before


def test_a_former_result_is_replaced_wherever_it_lies(full: Repository) -> None:
    for name in ("report.json", "model/report.json", "bundles/report.sarif"):
        for _ in range(2):
            assert run_cli("check", "--output", f"json={name}", cwd=full.root).code == 0
        assert json.loads((full.root / name).read_text())["verdict"] == "verified"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("given", ["-", "json=-"])
def test_a_dash_is_no_file(full: Repository, given: str) -> None:
    result = run_cli("check", "--output", given, cwd=full.root)
    assert result.code == 2
    assert "To write to a file named '-', give ./-" in " ".join(result.err.split())
    assert not (full.root / "-").exists()
    assert run_cli("check", "--output", "./-", cwd=full.root).code == 0


@pytest.mark.parametrize(
    ("columns", "wide"), [("60", False), ("x", True), ("0", True), ("9999", True)]
)
def test_the_columns_that_are_asked_for_count_in_a_pipe_too(
    full: Repository, columns: str, wide: bool
) -> None:
    result = run_cli("check", cwd=full.root, env={"COLUMNS": columns})
    widest = max(len(line) for line in result.out.splitlines())
    assert 90 < widest <= 100 if wide else 40 < widest <= 60


def test_the_verdict_is_wrapped_too(full: Repository) -> None:
    full.defer("LIC204", ["*"], reference="a decision that has quite a long name of its own")
    for row in full.rows:
        row["license"] = "Mine"
    full.save()
    out = run_cli("check", cwd=full.root, env={"COLUMNS": "60"}).out
    assert "\nOK: 5 rows passed" in out
    assert all(len(line) <= 60 for line in out.splitlines()[-2:])


def test_what_standard_output_cannot_take_is_said(full: Repository) -> None:
    with open("/dev/full", "w") as target:
        done = subprocess.run(
            [sys.executable, "-m", "provenance", "check"],
            cwd=full.root,
            stdout=target,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 2
    assert "cannot write standard output: No space left on device" in done.stderr


def test_what_the_library_logs_is_a_note_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    record = logging.LogRecord("provenance", logging.WARNING, "", 0, "%s", ("a\x1b[2Jb",), None)
    exits._Notes().emit(record)
    assert capsys.readouterr() == ("", "note: a\\u001b[2Jb\n")
