# SPDX-License-Identifier: Apache-2.0
"""File systems that lack what a local one offers, and file systems that fail."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from provenance.artifacts import file_system, journal, writing
from provenance.artifacts.paths import Tree
from provenance.artifacts.replacing import STAGING
from provenance.artifacts.writing import Change
from provenance.errors import InputError
from provenance.operations import rollback_state
from tests.support.failing import files_in, names_in, refuse
from tests.support.folders import cannot_exchange

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")

REGISTRY, A, B = "registry.json", "bundles/a.sigstore.json", "bundles/b.sigstore.json"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A registry, and a folder of bundles with a key and an old bundle in it."""
    (tmp_path / "bundles").mkdir()
    for name in ("bundles/release.pub", A, REGISTRY):
        (tmp_path / name).write_bytes(b"old")
    return Tree.at(tmp_path)


def edit(tree: Tree) -> None:
    writing.write_changes(tree, [Change(REGISTRY, "old", "new")])


def replace_one(tree: Tree) -> None:
    writing.replace_file(tree, REGISTRY, b"new")


def write_named(tree: Tree) -> None:
    writing.write_named_file(tree.root / REGISTRY, b"new")


def write_one(tree: Tree) -> str | None:
    return writing.write_all(tree, {A: b"new"})


def exchange(tree: Tree) -> str | None:
    return writing.write_all(tree, dict.fromkeys((A, B), b"new"))


def move(tree: Tree) -> str | None:
    return writing.write_all(tree, dict.fromkeys((A, "c.sigstore.json"), b"new"))


Writer = Callable[[Tree], str | None]
WRITTEN: dict[Writer, str] = {
    **dict.fromkeys((edit, replace_one, write_named), REGISTRY),
    **dict.fromkeys((write_one, exchange, move), A),
}
every_writer = pytest.mark.parametrize("write", WRITTEN, ids=lambda f: f.__name__)


def content(tree: Tree, write: Writer) -> bytes:
    return (tree.root / WRITTEN[write]).read_bytes()


def refuse_to_flush_folders(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    fsync = os.fsync

    def call(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", call)


# --- what a file system lacks ---------------------------------------------------------------------

UNKNOWN = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)
LACKING = [
    *((call, code) for call in ("fsync", "chmod", "chown", "setxattr") for code in UNKNOWN),
    *(("chmod", code) for code in (errno.EPERM, errno.EACCES)),
]


@every_writer
@pytest.mark.parametrize(("call", "code"), LACKING)
def test_a_file_system_without_a_call_is_written_to(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, write: Writer, call: str, code: int
) -> None:
    refuse(monkeypatch, f"os.{call}", code)
    assert write(tree) is None
    assert content(tree, write) == b"new"


@every_writer
@pytest.mark.parametrize("code", [*UNKNOWN, errno.EBADF, errno.EACCES])
def test_a_folder_that_cannot_be_flushed_is_written_to(
    tree: Tree,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    write: Writer,
    code: int,
) -> None:
    refuse_to_flush_folders(monkeypatch, code)
    assert write(tree) is None
    assert (content(tree, write), caplog.records) == (b"new", [])


@every_writer
@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_without_locks_is_written_to(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, write: Writer, code: int
) -> None:
    refuse(monkeypatch, "fcntl.flock", code)
    note = write(tree)
    assert content(tree, write) == b"new"
    if write in (write_one, exchange, move):
        assert note == (
            "this file system has no locks: make sure that no other run writes at the same time"
        )


def test_a_lock_that_fails_stops_a_write(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, "fcntl.flock", errno.EIO)
    with pytest.raises(InputError, match="Input/output error"):
        replace_one(tree)
    assert content(tree, replace_one) == b"old"


@pytest.mark.parametrize("folder", ["", "c"])
def test_files_with_the_longest_names_are_replaced(tree: Tree, folder: str) -> None:
    names = [f"bundles/{letter * 241}.sigstore.json" for letter in "ab"]
    for new in (b"new", b"newer"):
        files = dict.fromkeys([*names, f"{folder}x.sigstore.json"], new)
        writing.write_all(tree, files)
        assert files_in(tree.root).items() >= files.items()
    writing.write_all(tree, dict.fromkeys(names, b"last"))
    assert files_in(tree.root).items() >= dict.fromkeys(names, b"last").items()
    assert not [name for name in names_in(tree.root) if STAGING in name]


def test_names_that_differ_by_a_dot_are_prepared_apart(tree: Tree) -> None:
    files = {"a.sigstore.json": b"1", ".a.sigstore.json": b"2", B: b"3"}
    writing.write_all(tree, files)
    assert files_in(tree.root).items() >= files.items()


@pytest.mark.parametrize("mount", ["another device", "a bind mount", "another owner"])
def test_a_fixed_folder_uses_a_journal(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, mount: str
) -> None:
    status, bundles = file_system.status, tree.root / "bundles"

    def of_another_device(path: Path) -> Any:
        found = status(path)
        assert found is not None or path != bundles
        return SimpleNamespace(st_dev=found.st_dev + 1) if found and path == bundles else found

    if mount == "another device":
        monkeypatch.setattr(file_system, "status", of_another_device)
        refuse(monkeypatch, "shutil.copyfileobj", errno.ENOSPC)  # nothing is copied between mounts
    elif mount == "a bind mount":
        refuse(monkeypatch, "os.link", errno.EXDEV)
    else:
        monkeypatch.setattr(file_system, "keep_owner", lambda *_: False)
    before = bundles.stat().st_ino
    why = "belongs to another user or group" if mount == "another owner" else "is a mount point"
    assert f"it {why}" in (exchange(tree) or "")
    assert (bundles.stat().st_ino, content(tree, exchange)) == (before, b"new")


# --- what fails -----------------------------------------------------------------------------------


@every_writer
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_what_was_renamed_is_not_reported_as_unwritten(
    tree: Tree,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    write: Writer,
    code: int,
) -> None:
    renamed = False
    sync = file_system.sync_folder

    def noted(call: Callable[..., None]) -> Callable[..., None]:
        def wrapped(*names: object) -> None:
            nonlocal renamed
            call(*names)
            renamed = True

        return wrapped

    def swap(one: Path, other: Path) -> None:
        aside = one.with_name("aside")
        for source, target in ((one, aside), (other, one), (aside, other)):
            source.rename(target)

    def fail_after_the_rename(folder: Path) -> None:
        if renamed:
            raise OSError(code, os.strerror(code))
        sync(folder)

    for name in ("replace", "rename"):
        monkeypatch.setattr(os, name, noted(getattr(os, name)))
    monkeypatch.setattr("provenance.artifacts.replacing._exchange", noted(swap))
    monkeypatch.setattr(file_system, "sync_folder", fail_after_the_rename)
    note = write(tree) or caplog.text
    assert content(tree, write) == b"new"
    assert f"could not be flushed to the disk ({os.strerror(code)})" in note
    assert {r.name for r in caplog.records} <= {"provenance"}
    assert not journal.interrupted(tree)


def test_leftover_bundles_are_reported(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, "shutil.rmtree", errno.EACCES)
    assert "the old files are still in" in (exchange(tree) or "")
    assert content(tree, exchange) == b"new"
    monkeypatch.undo()
    assert exchange(tree) is None  # and removed by the next run
    assert not [name for name in names_in(tree.root) if STAGING in name]


ADVICE = {
    errno.ENOSPC: "Free space",
    errno.EDQUOT: "quota",
    errno.EROFS: "mounted read-only",
    errno.EACCES: "Make the folder writable",
    errno.EPERM: "immutable",
    errno.EIO: "system log",
    errno.ESTALE: "mount it again",
    errno.EMFILE: "ulimit -n",
    errno.EFBIG: "ulimit -f",
    errno.ENAMETOOLONG: "shorten it",
    errno.ECANCELED: "Remove the cause",
}


@every_writer
@pytest.mark.parametrize("code", ADVICE, ids=errno.errorcode.get)
def test_every_error_has_its_advice_and_changes_nothing(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, write: Writer, code: int
) -> None:
    before = files_in(tree.root), names_in(tree.root)
    with monkeypatch.context() as failing:
        refuse(failing, "provenance.artifacts.file_system.write_new", code)
        failing.setattr(os, "access", lambda *_: False)
        with pytest.raises(InputError, match=os.strerror(code)) as caught:
            write(tree)
    assert ADVICE[code] in (caught.value.help or "")
    assert (files_in(tree.root), names_in(tree.root)) == before


def test_an_edit_that_stays_is_reported(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree.root / "m.json").write_bytes(b"old")
    replace, calls = os.replace, 0

    def fail_from_the_second_on(*names: Any) -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        replace(*names)

    monkeypatch.setattr(os, "replace", fail_from_the_second_on)
    changes = [Change(name, "old", "new") for name in (REGISTRY, "m.json")]
    with pytest.raises(InputError, match=r"registry\.json was written, and its old") as caught:
        writing.write_changes(tree, changes)
    assert "Nothing was changed" not in (caught.value.help or "")
    assert (content(tree, edit), (tree.root / "m.json").read_bytes()) == (b"new", b"old")


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY])
def test_a_file_is_overwritten(tree: Tree, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    before = files_in(tree.root)
    refuse(monkeypatch, "os.replace", code)
    write_named(tree)
    assert files_in(tree.root) == before | {REGISTRY: b"new"}
    refuse(monkeypatch, "provenance.artifacts.file_system.write_in_place", errno.ENOSPC)
    with pytest.raises(InputError, match="the file may be incomplete") as caught:
        write_named(tree)
    assert "Free space" in (caught.value.help or "")


def test_a_new_file_replaces_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to("elsewhere")
    with pytest.raises(FileExistsError):
        file_system.create(tmp_path / "link", b"key", 0o600)
    refuse(monkeypatch, "os.fsync", errno.ENOSPC)
    with pytest.raises(OSError, match="No space left"):
        file_system.create(tmp_path / "release.key", b"half", 0o600)
    assert [p.name for p in tmp_path.iterdir()] == ["link"]


def test_a_link_to_itself_is_replaced_by_a_regular_file(tmp_path: Path) -> None:
    (tmp_path / "out.json").symlink_to("out.json")
    writing.write_named_file(tmp_path / "out.json", b"new")
    assert stat.S_IMODE((tmp_path / "out.json").lstat().st_mode) == 0o644


# --- owners and modes -----------------------------------------------------------------------------


def owners(tree: Tree) -> dict[Path, tuple[int, int, int]]:
    found = {path: path.stat() for path in (tree.root, *tree.root.rglob("*"))}
    return {path: (s.st_uid, s.st_gid, stat.S_IMODE(s.st_mode)) for path, s in found.items()}


@every_writer
@pytest.mark.parametrize(
    "owned", [False, pytest.param(True, marks=as_root)], ids=["as a user", "as root"]
)
@pytest.mark.parametrize("system", ["as usual", "no exchange", "no hard links"])
def test_root_leaves_owner_group_and_mode_of_what_it_replaces(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, write: Writer, system: str, owned: bool
) -> None:
    if system == "no exchange":
        cannot_exchange(monkeypatch, errno.EINVAL)
    if system == "no hard links":
        refuse(monkeypatch, "os.link", errno.EPERM)
    for number, path in enumerate((tree.root, *tree.root.rglob("*"))):
        if owned:
            os.chown(path, 1000 + number, 2000 + number)
        path.chmod(0o2750 if path.is_dir() else 0o640)
    before = owners(tree)
    write(tree)
    assert content(tree, write) == b"new"
    assert owners(tree).items() >= before.items()


@as_root
def test_root_leaves_the_state_file_of_a_user_to_that_user(tmp_path: Path) -> None:
    path = tmp_path / "seen.json"
    path.write_text('{"version": 1, "releases": {}}')
    os.chown(path, 1000, 2000)
    with rollback_state.opened(path):
        lock = (tmp_path / ".seen.json.lock").stat()
    assert (lock.st_uid, lock.st_gid) == (1000, 2000)
