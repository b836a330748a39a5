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
from tests.support.command import Result, run_cli
from tests.support.keys import KeyPair
from tests.support.models import External, data, model
from tests.support.repository import Repository


def outputs(*files: str) -> list[str]:
    return [part for file in files for part in ("--output", file)]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# --- the files that are written ----------------------------------------------------------------


def test_run_writes_several_formats(full: Repository) -> None:
    result = run_cli("check", *outputs("json=a.json", "human=b.txt"), cwd=full.root)
    assert result.code == 0
    assert "OK: 5 rows" in result.out
    assert json.loads((full.root / "a.json").read_text())["verdict"] == "verified"
    assert (full.root / "b.txt").read_text() == result.out
    result = run_cli("hash", *outputs("json=a.json"), cwd=full.root)
    assert "OK: every digest" in result.out
    assert len(json.loads((full.root / "a.json").read_text())["files"]) == 7


def test_file_without_a_format_replaces_standard_output(full: Repository, tmp_path: Path) -> None:
    typed = ("check", "-C", str(full.root), "--format", "json", *outputs("a.json", "human=b.txt"))
    result = run_cli(*typed, cwd=tmp_path)
    assert (result.code, result.out) == (0, "")
    assert json.loads((full.root / "a.json").read_text())["verdict"] == "verified"
    assert "OK: 5 rows" in (full.root / "b.txt").read_text()
    assert not (tmp_path / "a.json").exists()


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("./a=b.txt", "a=b.txt"),
        ("human=a=b.txt", "a=b.txt"),
        ("human=json=c", "json=c"),
        ("./-", "-"),
    ],
)
def test_file_name_may_contain_an_equals_sign_or_be_a_dash(
    full: Repository, given: str, name: str
) -> None:
    assert run_cli("check", "--output", given, cwd=full.root).code == 0
    assert "OK: 5 rows" in (full.root / name).read_text()


DASH = "To write to a file named '-', give ./-"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            ["jsno=a.json"],
            "did you mean json=a.json? To write to a file of that name, give ./jsno=",
        ),
        (["x=a"], "unknown format 'x'; formats are human, json"),
        (["json="], "no file; expected --output json=FILE"),
        (["a.txt", "json=./a.txt"], "a.txt is given twice"),
        (["none/a.txt"], "cannot write none/a.txt: the folder none does not exist"),
        (["json=model"], "cannot write model: it is a folder"),
        (["-"], DASH),
        (["json=-"], DASH),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_invalid_output_is_refused_before_the_run(
    full: Repository, given: list[str], message: str
) -> None:
    before = sorted(os.listdir(full.root))
    result = run_cli("release", "--signer", "file:none", *outputs(*given), cwd=full.root)
    assert result.code == 2
    assert message in " ".join(result.err.split())
    assert sorted(os.listdir(full.root)) == before


@pytest.mark.parametrize("command", ["hash", "rules", "init", "keygen", "inspect x"])
def test_command_without_a_report_names_its_formats(command: str) -> None:
    for option in (["--format", "sarif"], ["--output", "sarif=a"]):
        result = run_cli(*command.split(), *option)
        assert result.code == 2
        said = " ".join(result.err.split())
        assert "human and json" in said or "formats are human, json" in said


def test_file_is_replaced_as_a_whole_and_keeps_its_mode(
    full: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
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

    def fail(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    target.write_text("old")
    monkeypatch.setattr(os, "replace", fail)
    result = run_cli("check", "--output", "a.txt", cwd=full.root)
    assert result.code == 2
    assert "cannot write a.txt: No space left on device" in result.err
    assert target.read_text() == "old"


def test_pipe_and_device_are_written_to_and_not_replaced(full: Repository) -> None:
    pipe = full.root / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    assert run_cli("check", "--output", "human=pipe", cwd=full.root).code == 0
    reader.join(20)
    assert "OK: 5 rows" in read[0]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    before = os.stat(os.devnull)
    assert run_cli("check", "--output", os.devnull, cwd=full.root).code == 0
    assert os.stat(os.devnull).st_rdev == before.st_rdev
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_folder_of_a_tree_in_its_repository_is_found(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert repository_folder(None) == repository_folder(below) == ""
    (tmp_path / ".git").write_text("gitdir: elsewhere\n")
    assert repository_folder(below) == "a/b"
    assert repository_folder(tmp_path) == ""


# --- the files that are never overwritten ------------------------------------------------------


def assert_spared(result: Result) -> None:
    assert (result.code, result.out) == (2, ""), result
    assert "this run also reads or writes that file" in " ".join(result.err.split()), result


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
        "model/weights.bin",  # external data that is not in the row
        "bundles/plain.onnx.sigstore.json",
        "bundles/plain.onnx.2.sigstore.json",
        "bundles/ens_seed0.onnx.provenance.sigstore.json",
        "bundles/registry.json.vsa.sigstore.json",
    ],
)
def test_result_never_overwrites_what_the_run_reads(full: Repository, name: str) -> None:
    full.write("stray.json", {"id": "plain", "kind": "fr", "onnx": "old.onnx", "sha256": "0" * 64})
    full.write("weights.bin", data(24, salt=90))
    full.add("loose", model(salt=90, external=External("weights.bin")))
    full.save()
    before = contents(full.root)
    for command in ("check", "hash --write", "promote plain", "release --signer file:x", "verify"):
        for given in (name, f"json=./{name}", f"json={full.root / name}"):
            assert_spared(run_cli(*command.split(), "--output", given, cwd=full.root))
    assert contents(full.root) == before


@pytest.mark.parametrize("make", [os.symlink, os.link])
def test_result_never_overwrites_through_a_link(
    full: Repository, tmp_path: Path, make: Callable[[Path, Path], None]
) -> None:
    before = contents(full.root)
    for name in ("registry.json", "ext.onnx.data", "ens.json"):
        make(full.path(name), tmp_path / f"link-{name}")
        assert_spared(run_cli("check", "--output", tmp_path / f"link-{name}", cwd=full.root))
    assert contents(full.root) == before


@pytest.mark.parametrize(
    ("output", "typed"),
    [
        ("{key}", "verify-model model/ext.onnx --key {key}"),
        ("{key}", "verify-model model/ext.onnx --trust trust.toml"),
        ("trust.toml", "verify-model model/ext.onnx --trust trust.toml"),
        ("model/ext.onnx", "verify-model model/ext.onnx --key {key}"),
        ("model/ext.onnx.data", "verify-model model/ext.onnx --key {key}"),
        ("signed.sigstore.json", "inspect signed.sigstore.json"),
        ("new.key", "keygen new"),
        ("new.pub", "keygen new"),
        ("model/registry.json", "check --baseline model/registry.json"),
        ("model/registry.json", "restore --baseline ."),
        ("links/check.01234567.link", "check --link-dir links --link-key file:x"),
        *[
            (f"{{former}}/model/{name}", f"{command} --baseline {{former}}")
            for command in ("check", "restore")
            for name in ("registry.json", "plain.json", "ens.json")
        ],
        ("{former}/model/registry.json", "check --config former.toml"),
        ("model/registry.json", "init"),
        ("provenance.toml", "init"),
    ],
)
def test_result_never_overwrites_a_file_that_the_user_names(
    full: Repository, key: KeyPair, tmp_path: Path, output: str, typed: str
) -> None:
    former = shutil.copytree(full.root, tmp_path / "former")
    (full.root / "former.toml").write_text(
        f'registry = "model/registry.json"\nbaseline = "{former}"\n'
    )
    (full.root / "trust.toml").write_text(f'[[trust.key]]\npath = "{key.public}"\n')
    (full.root / "signed.sigstore.json").write_text("{}")
    (full.root / "links").mkdir()
    (full.root / "links" / "check.01234567.link").write_text("{}")
    if typed == "init":
        (full.root / "provenance.toml").unlink()
    folders = (full.root, former, key.public.parent)
    before = [contents(folder) for folder in folders]
    given = f"{typed} --output {output}".format(key=key.public, former=former)
    assert_spared(run_cli(*given.split(), cwd=full.root))
    assert [contents(folder) for folder in folders] == before


def test_former_result_is_replaced(full: Repository) -> None:
    for name in ("report.json", "model/report.json", "bundles/report.sarif"):
        for _ in range(2):
            assert run_cli("check", "--output", f"json={name}", cwd=full.root).code == 0
        assert json.loads((full.root / name).read_text())["verdict"] == "verified"


# --- standard output ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "wide"), [("60", False), ("x", True), ("0", True), ("9999", True)]
)
def test_pipe_is_as_wide_as_the_variable_says(full: Repository, columns: str, wide: bool) -> None:
    result = run_cli("check", cwd=full.root, env={"COLUMNS": columns})
    widest = max(len(line) for line in result.out.splitlines())
    assert 90 < widest <= 100 if wide else 40 < widest <= 60


def test_verdict_is_wrapped(full: Repository) -> None:
    full.defer("LIC204", ["*"], reference="a decision that has quite a long name of its own")
    for row in full.rows:
        row["license"] = "Mine"
    out = run_cli("check", cwd=full.save().root, env={"COLUMNS": "60"}).out
    assert "\nOK: 5 rows passed" in out
    assert all(len(line) <= 60 for line in out.splitlines()[-2:])


def test_full_disk_behind_standard_output_is_an_error(full: Repository) -> None:
    command = [sys.executable, "-m", "provenance", "check"]
    with open("/dev/full", "w") as target:
        done = subprocess.run(
            command, cwd=full.root, stdout=target, stderr=subprocess.PIPE, timeout=60, check=False
        )
    assert done.returncode == 2
    assert b"cannot write standard output: No space left on device" in done.stderr


def test_log_message_of_the_library_is_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    record = logging.LogRecord("provenance", logging.WARNING, "", 0, "%s", ("a\x1b[2Jb",), None)
    exits._Notes().emit(record)
    assert capsys.readouterr() == ("", "note: a\\u001b[2Jb\n")
