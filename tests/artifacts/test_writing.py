# SPDX-License-Identifier: Apache-2.0
"""Replacing one file and many, and what a killed run leaves behind. Crashes: tests/operations."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provenance.artifacts import journal, writing
from provenance.artifacts.paths import Tree
from provenance.artifacts.replacing import STAGING
from provenance.artifacts.writing import Change
from provenance.errors import InputError
from tests.support.failing import files_in, names_in, refuse
from tests.support.folders import cannot_exchange

KEY = {"bundles/release.pub": b"key"}
ONE = {"bundles/a.sigstore.json": b"a"}
TWO = {**ONE, "bundles/b.sigstore.json": b"b"}
SCATTERED = {**ONE, "c.sigstore.json": b"c"}

Files = dict[str, bytes]
every_release = pytest.mark.parametrize(
    "new", [ONE, TWO, SCATTERED], ids=["one file", "one folder", "two folders"]
)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A repository whose folder of bundles holds a key."""
    (tmp_path / "bundles").mkdir()
    (tmp_path / "bundles" / "release.pub").write_bytes(b"key")
    return Tree.at(tmp_path)


# --- several files --------------------------------------------------------------------------------


@every_release
def test_all_files_are_written_and_the_others_stay(tree: Tree, new: Files) -> None:
    assert writing.write_all(tree, {}) is None
    assert files_in(tree.root) == KEY
    assert writing.write_all(tree, new) is None
    assert files_in(tree.root) == new | KEY


@every_release
def test_a_missing_folder_is_made(tmp_path: Path, new: Files) -> None:
    writing.write_all(Tree.at(tmp_path), new)
    assert files_in(tmp_path) == new


NO_EXCHANGE: dict[str, tuple[int | str | None, str]] = {
    "a file system that does not know it": (errno.EINVAL, "Invalid argument"),
    "a kernel without the call": (errno.ENOSYS, "Function not implemented"),
    "a network file system": (errno.EOPNOTSUPP, "Operation not supported"),
    "a sandbox that forbids it": (errno.EPERM, "Operation not permitted"),
    "a folder that is a mount of its own": (errno.EBUSY, "Device or resource busy"),
    "a folder on another file system": (errno.EXDEV, "Invalid cross-device link"),
    "a C library without the call": (None, "the C library has no renameat2"),
    "a C library that cannot be opened": ("CDLL", "Operation not permitted"),
    "a Python without ctypes": ("ctypes", "Python has no ctypes"),
    "a Python whose ctypes cannot be imported": ("_ctypes", "Python has no ctypes"),
}


@pytest.mark.parametrize(("cause", "why"), NO_EXCHANGE.values(), ids=list(NO_EXCHANGE))
def test_a_folder_that_cannot_be_exchanged_is_written_by_a_journal(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, cause: int | str | None, why: str
) -> None:
    if cause == "CDLL":
        refuse(monkeypatch, "ctypes.CDLL", errno.EPERM)
    elif isinstance(cause, str):
        monkeypatch.delitem(sys.modules, "ctypes")
        monkeypatch.setitem(sys.modules, cause, None)
    else:
        cannot_exchange(monkeypatch, cause)
    before = (tree.root / "bundles").stat().st_ino
    note = writing.write_all(tree, TWO) or ""
    assert note.startswith("bundles/ cannot be exchanged in one step (")
    assert why in note
    assert note.endswith("): its files were replaced one after the other, under a journal")
    assert files_in(tree.root) == TWO | KEY
    assert names_in(tree.root) == ["bundles", *sorted(TWO | KEY)]
    assert (tree.root / "bundles").stat().st_ino == before


@pytest.mark.parametrize("reason", ["holds a folder", "is the current folder"])
def test_a_folder_in_use_stays(tree: Tree, monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    folder = tree.root / "bundles"
    if reason == "holds a folder":
        (folder / "sub").mkdir()
    else:
        monkeypatch.chdir(folder)
    before = folder.stat().st_ino
    writing.write_all(tree, TWO)
    assert folder.stat().st_ino == before
    assert files_in(tree.root) == TWO | KEY


NEW_FOLDER = {"a/b/x.sigstore.json": b"x"}
NEW_AND_OLD_FOLDER = {**NEW_FOLDER, "bundles/y.sigstore.json": b"y"}


@pytest.mark.parametrize(
    ("new", "call", "code", "exchange"),
    [
        (ONE, "replace", errno.ENOSPC, 0),
        (TWO, "fsync", errno.ENOSPC, 0),
        (TWO, "link", errno.EIO, 0),
        (TWO, None, 0, errno.EIO),
        (TWO, None, 0, errno.ENOSPC),
        (TWO, None, 0, errno.EROFS),
        (TWO, "rename", errno.ENOSPC, errno.EINVAL),
        (SCATTERED, "fsync", errno.ENOSPC, 0),
        (SCATTERED, "rename", errno.ENOSPC, 0),
        (NEW_FOLDER, "replace", errno.ENOSPC, 0),
        (NEW_AND_OLD_FOLDER, "fsync", errno.ENOSPC, 0),
        (NEW_AND_OLD_FOLDER, "rename", errno.ENOSPC, 0),
    ],
)
def test_a_write_that_fails_leaves_nothing_behind(
    tree: Tree,
    monkeypatch: pytest.MonkeyPatch,
    new: Files,
    call: str | None,
    code: int,
    exchange: int,
) -> None:
    if exchange:
        cannot_exchange(monkeypatch, exchange)
    if call:
        refuse(monkeypatch, f"os.{call}", code)
    with pytest.raises(InputError, match=os.strerror(code or exchange)) as caught:
        writing.write_all(tree, new)
    assert "Nothing was changed" in (caught.value.help or "")
    assert names_in(tree.root) == ["bundles", "bundles/release.pub"]


@every_release
def test_an_interrupt_leaves_nothing(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, new: Files
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        writing.write_all(tree, new)
    assert names_in(tree.root) == ["bundles", "bundles/release.pub"]


@every_release
@pytest.mark.parametrize("kind", ["link", "folder"])
def test_a_bundle_replaces_only_a_regular_file(tree: Tree, new: Files, kind: str) -> None:
    path = tree.root / "bundles" / "a.sigstore.json"
    path.symlink_to("release.pub") if kind == "link" else path.mkdir()
    with pytest.raises(InputError, match=f"is a {kind}, expected a regular file"):
        writing.write_all(tree, new)
    assert (tree.root / "bundles" / "release.pub").read_bytes() == b"key"
    assert not journal.interrupted(tree)


# --- one file -------------------------------------------------------------------------------------


def test_a_staging_path_that_is_a_link_is_not_followed(tree: Tree) -> None:
    (tree.root / f".registry.json{STAGING}").symlink_to("bundles/release.pub")
    writing.replace_file(tree, "registry.json", b"new")
    assert files_in(tree.root) == {"registry.json": b"new", **KEY}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("../registry.json", "leaves the repository"),
        ("link", "cannot write link: 'link' is a link"),
    ],
)
def test_a_file_is_written_only_at_the_named_path(tree: Tree, path: str, message: str) -> None:
    (tree.root / "link").symlink_to("bundles/release.pub")
    with pytest.raises(InputError, match=message):
        writing.replace_file(tree, path, b"new")
    assert (tree.root / "bundles" / "release.pub").read_bytes() == b"key"


# --- journals -------------------------------------------------------------------------------------


def test_the_next_run_ends_a_release(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = os.rename

    def interrupt(*names: Any) -> None:
        rename(*names)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "rename", interrupt)
    with pytest.raises(KeyboardInterrupt):
        writing.write_all(tree, SCATTERED)
    assert journal.interrupted(tree)
    monkeypatch.undo()
    writing.recover(tree)
    assert names_in(tree.root) == ["bundles", *sorted(SCATTERED | KEY)]


@pytest.mark.parametrize("folder", ["is there", "is gone"])
def test_the_next_run_ends_moves(tree: Tree, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    refuse(monkeypatch, "os.replace")
    with pytest.raises(InputError, match="cannot finish the release: No space left") as caught:
        writing.write_all(tree, SCATTERED)
    assert "not all of its bundles are in place" in (caught.value.help or "")
    assert "Nothing was changed" not in (caught.value.help or "")
    assert journal.interrupted(tree)
    monkeypatch.undo()
    if folder == "is gone":
        shutil.rmtree(tree.root / "bundles")
    writing.recover(tree)
    assert files_in(tree.root) == (
        SCATTERED | KEY if folder == "is there" else {"c.sigstore.json": b"c"}
    )
    assert not journal.interrupted(tree)


def test_a_journal_moves_within_folders(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folders may be on two file systems, which a run must not find out after the commit."""
    replace = os.replace

    def within_a_folder(source: Path, target: Path) -> None:
        assert source.parent == target.parent
        replace(source, target)

    monkeypatch.setattr(os, "replace", within_a_folder)
    writing.write_all(tree, SCATTERED)
    assert files_in(tree.root) == SCATTERED | KEY


def leave_journal(tree: Tree, name: str, text: str) -> None:
    """Leave a journal and two prepared files, as a killed run does."""
    (tree.root / journal.JOURNAL_FOLDER).mkdir()
    (tree.root / journal.JOURNAL_FOLDER / name).write_text(text)
    for bundle in "ab":
        (tree.root / "bundles" / f".{bundle}.sigstore.json{STAGING}").write_bytes(b"half")


PREPARED = [f"bundles/.{name}.sigstore.json{STAGING}" for name in "ab"]


NO_FILES = ["", "[]", "{}", '{"files": 1}', '{"files": [2]}', '{"moves": {"0": "a.sigstore.json"}}']
LISTS = [json.dumps({"files": [*TWO, f"bundles/{n}.sigstore.json"]}) for n in ("new", "link")]
MALFORMED = [*NO_FILES, "{", '{"files": ["bundles/a.sigstore.json", "bundles/release.pub"]}']


@pytest.mark.parametrize(
    ("text", "kept"), [*((t, []) for t in LISTS), *((t, PREPARED) for t in MALFORMED)]
)
def test_a_journal_without_commit_is_removed(tree: Tree, text: str, kept: list[str]) -> None:
    leave_journal(tree, "journal.json.new", text)
    (tree.root / "bundles" / "link.sigstore.json").symlink_to("release.pub")
    writing.recover(tree)
    link = "bundles/link.sigstore.json"
    assert names_in(tree.root) == ["bundles", *kept, link, "bundles/release.pub"]


@pytest.mark.parametrize("text", [*NO_FILES, '{"files": ["registry.json"]}'])
def test_a_malformed_journal_is_refused(tree: Tree, text: str) -> None:
    leave_journal(tree, "journal.json", text)
    with pytest.raises(InputError, match="journal") as caught:
        writing.recover(tree)
    assert "Remove the folder" in (caught.value.help or "")


def test_a_committed_journal_does_not_replace_a_link(tree: Tree) -> None:
    leave_journal(tree, "journal.json", '{"files": ["bundles/a.sigstore.json"]}')
    (tree.root / "bundles" / "a.sigstore.json").symlink_to("release.pub")
    with pytest.raises(InputError, match=r"'bundles/a\.sigstore\.json' is a link"):
        writing.recover(tree)
    assert (tree.root / "bundles" / "release.pub").read_bytes() == b"key"
    assert (tree.root / "bundles" / "a.sigstore.json").is_symlink()


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch], ids=["a folder", "a file"])
def test_prepared_files_are_removed(tmp_path: Path, make: Callable[[Path], None]) -> None:
    root = tmp_path / "tree"
    (root / "bundles").mkdir(parents=True)
    beside_root = tmp_path / f".tree{STAGING}"
    for path in (beside_root, root / f".bundles{STAGING}"):
        make(path)
    (root / "bundles" / f".a.sigstore.json{STAGING}").touch()
    writing.clean(Tree.at(root), ["bundles/a.sigstore.json", "a.sigstore.json"])
    assert names_in(root) == ["bundles"]
    assert beside_root.exists()


# --- edited texts ---------------------------------------------------------------------------------

A, B = Change("a.json", "1\n", "2\n"), Change("f/b.json", "3\n", "4\n")
OLD = {"a.json": b"1\n", "f/b.json": b"3\n"}


@pytest.fixture
def edited(tmp_path: Path) -> Tree:
    """The tree that `A` and `B` edit."""
    (tmp_path / "f").mkdir()
    for name, content in OLD.items():
        (tmp_path / name).write_bytes(content)
    return Tree.at(tmp_path)


def test_an_unchanged_file_is_not_touched(edited: Tree) -> None:
    before = (edited.root / "a.json").stat().st_ino
    writing.write_changes(edited, [Change("a.json", "1\n", "1\n"), B])
    assert (edited.root / "a.json").stat().st_ino == before
    assert files_in(edited.root) == {"a.json": b"1\n", "f/b.json": b"4\n"}


@pytest.mark.parametrize(
    ("found", "message"), [(b"33\n", r"f/b\.json changed during the check"), (None, "cannot write")]
)
def test_a_changed_file_stops_all_writes(edited: Tree, found: bytes | None, message: str) -> None:
    path = edited.root / "f" / "b.json"
    path.unlink() if found is None else path.write_bytes(found)
    before = files_in(edited.root)
    with pytest.raises(InputError, match=message):
        writing.write_changes(edited, [A, B])
    assert files_in(edited.root) == before


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize(("call", "at"), [("replace", 1), ("replace", 2), ("fsync", 2)])
def test_a_failure_puts_all_files_back(
    edited: Tree, monkeypatch: pytest.MonkeyPatch, call: str, at: int, error: BaseException
) -> None:
    real, calls = getattr(os, call), 0

    def fail_once(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            raise error
        real(*arguments)

    monkeypatch.setattr(os, call, fail_once)
    with pytest.raises((InputError, KeyboardInterrupt), match=r"No space left on device|^$"):
        writing.write_changes(edited, [A, B])
    assert files_in(edited.root) == OLD
