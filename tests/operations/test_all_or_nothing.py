# SPDX-License-Identifier: Apache-2.0
"""A release that is cut short at any of its writes leaves the old state or the new one."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import provenance
from provenance import InputError
from provenance.artifacts import journal, limits
from provenance.artifacts.replacing import STAGING
from tests.operations.workspace import REPOSITORY, Workspace, codes, make_workspace
from tests.support.folders import cannot_exchange

KILLER = Path(__file__).with_name("kill_release.py")
ROWS = ("quality_regressor_ext_v1", "quality_regressor_q_v1")
CONFIG = 'registry = "model/registry.json"\n[[trust.key]]\npath = "release.pub"\n'


def small_workspace(folder: Path, bundle_folder: str) -> Workspace:
    """Two rows, whose bundles lie in `bundle_folder` (relative to the registry)."""
    full = make_workspace(folder)
    for seed_file in full.root.glob("model/fr_regressor*"):
        seed_file.unlink()

    def keep(rows: list[dict[str, Any]]) -> None:
        rows[:] = [r for r in rows if r["id"] in ROWS]
        for row in rows:
            row["sigstore_bundle"] = f"{bundle_folder}{row['onnx']}.sigstore.json"

    full.edit_registry(keep)
    shutil.rmtree(full.bundles)
    shutil.copy(full.key.with_suffix(".pub"), full.root / "release.pub")
    (full.root / "provenance.toml").write_text(CONFIG)
    return full


@dataclass(frozen=True)
class Layout:
    """Where the bundles lie, and whether the system exchanges a folder of theirs in one step."""

    folder: str = "../bundles/"
    exchanges: bool = True

    @property
    def atomic(self) -> bool:
        return self.exchanges and self.folder != ""


LAYOUTS = {
    "a folder of their own": Layout(),
    "beside the models": Layout(""),
    "a folder that cannot be exchanged": Layout(exchanges=False),
}


@pytest.fixture(params=LAYOUTS.values(), ids=list(LAYOUTS))
def layout(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Layout:
    value: Layout = request.param
    if not value.exchanges:
        cannot_exchange(monkeypatch, errno.EINVAL)
    return value


@pytest.fixture
def unreleased(tmp_path: Path, layout: Layout) -> Workspace:
    return small_workspace(tmp_path, layout.folder)


@pytest.fixture
def outdated(unreleased: Workspace) -> Workspace:
    """Released once, and then a note was changed in every row: all bundles have to be new."""
    unreleased.release()
    unreleased.edit_registry(lambda rows: [r.update(notes="changed") for r in rows])
    return unreleased


@contextmanager
def killer(workspace: Workspace, layout: Layout) -> Iterator[Callable[[int], int]]:
    """Give a function that releases and is killed before change N; it returns the exit status."""
    command = [sys.executable, str(KILLER), str(workspace.root), str(workspace.key)]
    command += [] if layout.exchanges else ["no-exchange"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=REPOSITORY) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        ours, theirs = process.stdin, process.stdout

        def run(change: int) -> int:
            ours.write(f"{change}\n")
            ours.flush()
            return int(theirs.readline())

        yield run


def state(workspace: Workspace) -> dict[str, bytes]:
    """The released documents, wherever they lie; what is being prepared does not count."""
    return {
        path: data
        for path, data in workspace.snapshot().items()
        if path.endswith(".sigstore.json") and ".provenance" not in path
    }


def leftovers(workspace: Workspace) -> list[str]:
    return [
        p.as_posix() for p in workspace.root.rglob("*") if p.name.startswith(".") or "new" in p.name
    ]


@pytest.mark.parametrize("start", ["unreleased", "outdated"])
def test_killed_at_any_write_the_tree_is_old_or_new_and_the_next_run_finishes(
    start: str, tmp_path: Path, layout: Layout, request: pytest.FixtureRequest
) -> None:
    workspace: Workspace = request.getfixturevalue(start)
    saved = tmp_path / "saved"
    shutil.copytree(workspace.root, saved)
    before = state(workspace)
    change = 0
    outcomes = set()
    with killer(workspace, layout) as release:
        while True:
            change += 1
            shutil.rmtree(workspace.root)
            shutil.copytree(saved, workspace.root)
            status = release(change)
            if status == 0:
                break
            assert status == -signal.SIGKILL
            outcomes.add(self_consistent(workspace, before, atomic=layout.atomic))
            workspace.release()
            assert leftovers(workspace) == [], f"killed at change {change}"
            assert workspace.verify().exit_code == 0
    assert change > 8, "the release made fewer changes than it has files to write"
    assert workspace.verify().exit_code == 0, "the run that was not killed"
    assert "old" in outcomes
    if start == "outdated":
        assert outcomes & {"new", "committed"}, "killed after the step that counts"


def self_consistent(workspace: Workspace, before: dict[str, bytes], *, atomic: bool) -> str:
    """Which state the tree is in; fails where it is neither."""
    now = state(workspace)
    if journal.interrupted(provenance.artifacts.paths.Tree.at(workspace.root)):
        assert not atomic, "a folder of its own is exchanged in one step, without a journal"
        with pytest.raises(InputError, match="cut short"):
            workspace.verify()
        return "committed"
    if now == before:
        return "old"
    assert workspace.verify().exit_code == 0, "neither the old state nor the new one"
    return "new"


@pytest.fixture
def failing_writes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, int], None]]:
    """Make the Nth fsync of this process fail with an error number, as a full disk does."""
    real = os.fsync

    def arrange(nth: int, code: int) -> None:
        calls = 0

        def fsync(descriptor: int) -> None:
            nonlocal calls
            calls += 1
            if calls == nth:
                raise OSError(code, os.strerror(code))
            real(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)

    yield arrange
    monkeypatch.undo()


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_full_disk_is_exit_2_and_nothing_is_lost(
    outdated: Workspace, failing_writes: Callable[[int, int], None], nth: int
) -> None:
    before = outdated.snapshot()
    failing_writes(nth, errno.ENOSPC)
    with pytest.raises(InputError, match="No space left") as caught:
        outdated.release()
    assert caught.value.exit_code == 2
    assert "Nothing was changed" in (caught.value.help or "")
    assert outdated.snapshot() == before


def test_a_read_only_folder_is_exit_2_and_nothing_is_lost(
    outdated: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = outdated.snapshot()

    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    # Tests may run as root, for whom no folder is read-only: the kernel's answer is imitated.
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(InputError, match="Read-only file system"):
        outdated.release()
    monkeypatch.undo()
    assert outdated.snapshot() == before


def test_a_release_that_no_exchange_wrote_says_so(outdated: Workspace, layout: Layout) -> None:
    report = outdated.release()
    told = [n for n in report.notes if "cannot be exchanged in one step" in n]
    assert len(told) == (0 if layout.exchanges else 1)
    assert leftovers(outdated) == []
    assert outdated.verify().exit_code == 0
    assert not [n for n in outdated.release().notes if "exchanged" in n]  # nothing was written


def test_a_release_with_findings_writes_nothing(outdated: Workspace) -> None:
    outdated.edit_row(ROWS[0], lambda row: row.pop("license"))
    before = outdated.snapshot()
    signer = provenance.open_signer(f"file:{outdated.key}")
    report = provenance.release(provenance.load_config(outdated.root), signer)
    assert codes(report) == {(ROWS[0], "LIC201")}
    assert (report.written, outdated.snapshot()) == ((), before)


def test_a_second_release_of_the_same_tree_changes_nothing(unreleased: Workspace) -> None:
    unreleased.release()
    before = unreleased.snapshot()
    report = unreleased.release()
    assert report.written == ()
    assert len(report.kept) == len(ROWS) + 1
    assert unreleased.snapshot() == before


def test_only_what_changed_is_signed_again(unreleased: Workspace) -> None:
    unreleased.release()
    unreleased.edit_row(ROWS[0], lambda row: row.update(notes="changed"))
    report = unreleased.release()
    assert len(report.kept) == 1
    assert len(report.written) == 2  # the row that changed, and the summary


def test_two_releases_at_once_do_not_mix(unreleased: Workspace) -> None:
    import fcntl

    holder = os.open(unreleased.root, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    try:
        with pytest.raises(InputError, match="another run is writing"):
            unreleased.release()
    finally:
        os.close(holder)


def test_a_planted_journal_moves_nothing_but_bundles(unreleased: Workspace) -> None:
    folder = unreleased.root / journal.JOURNAL_FOLDER
    folder.mkdir()
    (unreleased.root / "model" / f".registry.json{STAGING}").write_bytes(b"not yours")
    (folder / "journal.json").write_text(json.dumps({"files": ["model/registry.json"]}))
    before = unreleased.registry.read_bytes()
    with pytest.raises(InputError, match="is not a journal"):
        unreleased.release()
    assert unreleased.registry.read_bytes() == before


def test_a_planted_journal_cannot_write_outside_the_repository(unreleased: Workspace) -> None:
    folder = unreleased.root / journal.JOURNAL_FOLDER
    folder.mkdir()
    planted = unreleased.root.parent / f".escaped.sigstore.json{STAGING}"
    planted.write_bytes(b"not yours")
    (folder / "journal.json").write_text(json.dumps({"files": ["../escaped.sigstore.json"]}))
    with pytest.raises(InputError, match="leaves the repository"):
        unreleased.release()
    assert not (unreleased.root.parent / "escaped.sigstore.json").exists()


def test_an_entry_that_is_too_large_to_be_signed_writes_nothing(unreleased: Workspace) -> None:
    unreleased.edit_registry(lambda rows: rows[0].update(notes="x" * limits.ENTRY))
    before = unreleased.snapshot()
    with pytest.raises(InputError, match="at most 262,144 are signed"):
        unreleased.release()
    assert unreleased.snapshot() == before
