# SPDX-License-Identifier: Apache-2.0
"""Replacing one file and many; what a killed run leaves behind. Crashes: tests/operations."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provenance.artifacts import journal, writing
from provenance.artifacts.paths import Tree
from provenance.artifacts.replacing import STAGING
from provenance.errors import InputError
from tests.support.folders import cannot_exchange


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    (tmp_path / "bundles").mkdir()
    (tmp_path / "bundles" / "release.pub").write_text("key")
    return Tree.at(tmp_path)


ONE = {"bundles/a.sigstore.json": b"a"}
TWO = {**ONE, "bundles/b.sigstore.json": b"b"}
SCATTERED = {**ONE, "c.sigstore.json": b"c"}


def files(tree: Tree) -> dict[str, bytes]:
    return {
        p.relative_to(tree.root).as_posix(): p.read_bytes()
        for p in tree.root.rglob("*")
        if p.is_file()
    }


def everything(tree: Tree) -> list[str]:
    """All files and folders, hidden ones included."""
    return sorted(p.relative_to(tree.root).as_posix() for p in tree.root.rglob("*"))


@pytest.mark.parametrize("new", [ONE, TWO, SCATTERED], ids=["one", "one folder", "two folders"])
def test_all_files_are_written_and_the_others_stay(tree: Tree, new: dict[str, bytes]) -> None:
    assert writing.write_all(tree, new) is None  # nothing to be told about
    assert files(tree) == {**new, "bundles/release.pub": b"key"}


@pytest.mark.parametrize("new", [TWO, SCATTERED], ids=["one folder", "two folders"])
def test_a_folder_that_does_not_exist_is_made(tmp_path: Path, new: dict[str, bytes]) -> None:
    tree = Tree.at(tmp_path)
    writing.write_all(tree, new)
    assert files(tree) == new


def test_writing_nothing_touches_nothing(tree: Tree) -> None:
    writing.write_all(tree, {})
    assert files(tree) == {"bundles/release.pub": b"key"}


def test_a_replaced_file_keeps_its_mode(tree: Tree) -> None:
    path = tree.root / "registry.json"
    path.write_text("old")
    path.chmod(0o640)
    writing.replace_file(tree, "registry.json", b"new")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", 0o640)


def test_bundles_keep_their_modes_when_their_folder_is_exchanged(tree: Tree) -> None:
    writing.write_all(tree, TWO)
    bundle = tree.root / "bundles" / "a.sigstore.json"
    bundle.chmod(0o600)
    (tree.root / "bundles").chmod(0o750)
    writing.write_all(tree, {k: v + b"!" for k, v in TWO.items()})
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o600
    assert stat.S_IMODE((tree.root / "bundles").stat().st_mode) == 0o750


def test_a_folder_with_other_things_in_it_is_never_exchanged(tree: Tree) -> None:
    inside = tree.root / "bundles" / "sub"
    inside.mkdir()
    before = inside.stat().st_ino
    writing.write_all(tree, TWO)
    assert inside.stat().st_ino == before
    assert (tree.root / "bundles" / "b.sigstore.json").read_bytes() == b"b"


def test_a_folder_that_somebody_stands_in_is_never_exchanged(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tree.root / "bundles"
    before = folder.stat().st_ino
    monkeypatch.chdir(folder)
    writing.write_all(tree, TWO)
    assert folder.stat().st_ino == before
    assert Path("b.sigstore.json").read_bytes() == b"b"


NO_EXCHANGE = {
    "a file system that does not know it": (errno.EINVAL, "Invalid argument"),
    "a kernel without the call": (errno.ENOSYS, "Function not implemented"),
    "a network file system": (errno.EOPNOTSUPP, "Operation not supported"),
    "a sandbox that forbids it": (errno.EPERM, "Operation not permitted"),
    "a folder that is a mount of its own": (errno.EBUSY, "Device or resource busy"),
    "a folder on another file system": (errno.EXDEV, "Invalid cross-device link"),
    "a C library without the call": (None, "the C library has no renameat2"),
}


@pytest.mark.parametrize(("code", "why"), NO_EXCHANGE.values(), ids=list(NO_EXCHANGE))
def test_a_folder_that_cannot_be_exchanged_is_written_by_a_journal_and_that_is_said(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, code: int | None, why: str
) -> None:
    cannot_exchange(monkeypatch, code)
    before = (tree.root / "bundles").stat().st_ino
    said = writing.write_all(tree, TWO)
    assert said == (
        f"bundles/ cannot be exchanged in one step ({why}): "
        "its files were replaced one after the other, under a journal"
    )
    assert files(tree) == {**TWO, "bundles/release.pub": b"key"}
    assert everything(tree) == ["bundles", *sorted(files(tree))]
    assert (tree.root / "bundles").stat().st_ino == before


@pytest.mark.parametrize("module", ["ctypes", "_ctypes"])
def test_a_python_without_ctypes_writes_by_a_journal(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.delitem(sys.modules, "ctypes")
    monkeypatch.setitem(sys.modules, module, None)
    assert "Python has no ctypes" in (writing.write_all(tree, TWO) or "")
    assert everything(tree) == ["bundles", *sorted({**TWO, "bundles/release.pub": b""})]


def test_a_c_library_that_cannot_be_opened_writes_by_a_journal(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("Dynamic loading not supported")

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert "Dynamic loading not supported" in (writing.write_all(tree, TWO) or "")
    assert files(tree) == {**TWO, "bundles/release.pub": b"key"}


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EROFS])
def test_an_exchange_that_fails_for_another_reason_stops_the_release(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    cannot_exchange(monkeypatch, code)
    with pytest.raises(InputError, match=os.strerror(code)) as caught:
        writing.write_all(tree, TWO)
    assert "Nothing was changed" in (caught.value.help or "")
    assert everything(tree) == ["bundles", "bundles/release.pub"]


def test_a_journal_that_takes_the_place_of_an_exchange_writes_all_or_nothing(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    cannot_exchange(monkeypatch, errno.EINVAL)
    fail_at(monkeypatch, "rename")  # the commit
    with pytest.raises(InputError, match="No space left"):
        writing.write_all(tree, TWO)
    assert everything(tree) == ["bundles", "bundles/release.pub"]


def test_files_are_copied_where_the_file_system_has_no_hard_links(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_links)
    writing.write_all(tree, TWO)
    assert files(tree) == {**TWO, "bundles/release.pub": b"key"}


def test_a_link_that_fails_for_another_reason_stops_the_release(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "link", broken)
    with pytest.raises(InputError, match="Input/output error"):
        writing.write_all(tree, TWO)
    assert files(tree) == {"bundles/release.pub": b"key"}


def fail_at(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, name, refuse)


@pytest.mark.parametrize(
    ("new", "call"),
    [(ONE, "replace"), (TWO, "fsync"), (SCATTERED, "fsync"), (SCATTERED, "rename")],
    ids=["one file", "one folder", "two folders, staging", "two folders, commit"],
)
def test_a_write_that_fails_leaves_nothing_behind(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, new: dict[str, bytes], call: str
) -> None:
    fail_at(monkeypatch, call)
    with pytest.raises(InputError, match="No space left"):
        writing.write_all(tree, new)
    assert files(tree) == {"bundles/release.pub": b"key"}
    assert everything(tree) == ["bundles", "bundles/release.pub"]


@pytest.mark.parametrize("call", ["fsync", "rename"], ids=["staging", "commit"])
def test_a_write_that_fails_leaves_no_folder_that_it_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    tree = Tree.at(tmp_path)
    (tmp_path / "kept").mkdir()
    fail_at(monkeypatch, call)
    with pytest.raises(InputError, match="No space left"):
        writing.write_all(tree, {"a/b/c/x.sigstore.json": b"x", "kept/y.sigstore.json": b"y"})
    assert everything(tree) == ["kept"]


def test_one_file_that_cannot_be_written_leaves_no_folder_that_was_made_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = Tree.at(tmp_path)
    fail_at(monkeypatch, "replace")
    with pytest.raises(InputError, match="No space left"):
        writing.write_all(tree, {"a/b/x.sigstore.json": b"x"})
    assert everything(tree) == []


@pytest.mark.parametrize("new", [ONE, TWO, SCATTERED], ids=["one", "one folder", "two folders"])
def test_an_interrupt_leaves_nothing_behind(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, new: dict[str, bytes]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        writing.write_all(tree, new)
    assert everything(tree) == ["bundles", "bundles/release.pub"]


def test_an_interrupt_after_the_commit_leaves_what_the_next_run_finishes(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    assert everything(tree) == ["bundles", *sorted({**SCATTERED, "bundles/release.pub": b""})]


def test_moves_that_fail_are_finished_by_the_next_run(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at(monkeypatch, "replace")
    with pytest.raises(InputError, match="cannot finish the release: No space left") as caught:
        writing.write_all(tree, SCATTERED)
    assert "not all of its bundles are in place" in (caught.value.help or "")
    assert "Nothing was changed" not in (caught.value.help or "")
    assert journal.interrupted(tree)
    monkeypatch.undo()
    writing.recover(tree)
    assert files(tree) == {**SCATTERED, "bundles/release.pub": b"key"}
    assert not journal.interrupted(tree)


def test_a_folder_that_is_gone_after_the_commit_does_not_stop_the_next_run(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at(monkeypatch, "replace")
    with pytest.raises(InputError):
        writing.write_all(tree, SCATTERED)
    monkeypatch.undo()
    shutil.rmtree(tree.root / "bundles")
    writing.recover(tree)
    assert everything(tree) == ["c.sigstore.json"]


def test_a_journal_moves_no_file_from_one_folder_to_another(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may be on two file systems: after the commit it would be too late to find that out."""
    replace = os.replace

    def on_its_own(source: Path, target: Path) -> None:
        if source.parent != target.parent:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        replace(source, target)

    monkeypatch.setattr(os, "replace", on_its_own)
    writing.write_all(tree, SCATTERED)
    assert files(tree) == {**SCATTERED, "bundles/release.pub": b"key"}


def test_bundles_keep_their_modes_when_a_journal_replaces_them(tree: Tree) -> None:
    writing.write_all(tree, SCATTERED)
    bundle = tree.root / "bundles" / "a.sigstore.json"
    bundle.chmod(0o600)
    writing.write_all(tree, {k: v + b"!" for k, v in SCATTERED.items()})
    assert (bundle.read_bytes(), stat.S_IMODE(bundle.stat().st_mode)) == (b"a!", 0o600)


def never_committed(tree: Tree, text: str) -> None:
    """What a run leaves that was killed while it prepared its files."""
    folder = tree.root / journal.JOURNAL_FOLDER
    folder.mkdir()
    (folder / "journal.json.new").write_text(text)
    for name in ("a", "b"):
        (tree.root / "bundles" / f".{name}.sigstore.json{STAGING}").write_bytes(b"half")


def test_a_journal_that_was_never_committed_is_removed_with_what_was_prepared(tree: Tree) -> None:
    never_committed(tree, json.dumps({"files": [*TWO, "bundles/not-yet.sigstore.json"]}))
    writing.recover(tree)
    assert everything(tree) == ["bundles", "bundles/release.pub"]


def test_a_file_that_cannot_be_written_any_more_does_not_keep_what_was_prepared_for_others(
    tree: Tree,
) -> None:
    never_committed(tree, json.dumps({"files": [*TWO, "bundles/link.sigstore.json"]}))
    (tree.root / "bundles" / "link.sigstore.json").symlink_to("release.pub")
    writing.recover(tree)
    kept = ["bundles", "bundles/link.sigstore.json", "bundles/release.pub"]
    assert everything(tree) == kept


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "{}", '{"files": 1}', '{"files": ["bundles/a.sigstore.json", 2]}'),
        '{"files": ["bundles/a.sigstore.json", "bundles/release.pub"]}',
    ],
)
def test_a_journal_that_was_never_committed_and_is_none_is_removed_alone(
    tree: Tree, text: str
) -> None:
    never_committed(tree, text)
    prepared = sorted(f"bundles/.{n}.sigstore.json{STAGING}" for n in ("a", "b"))
    writing.recover(tree)
    assert everything(tree) == ["bundles", *prepared, "bundles/release.pub"]


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"files": 1}', '{"files": ["registry.json"]}', '{"files": [2]}'),
        '{"moves": {"0": "a.sigstore.json"}}',
    ],
)
def test_a_journal_that_is_none_is_refused(tree: Tree, text: str) -> None:
    folder = tree.root / journal.JOURNAL_FOLDER
    folder.mkdir()
    (folder / "journal.json").write_text(text)
    with pytest.raises(InputError, match="journal") as caught:
        writing.recover(tree)
    assert "Remove the folder" in (caught.value.help or "")


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch], ids=["a folder", "a file"])
def test_what_a_killed_run_left_is_removed(tree: Tree, make: Callable[[Path], None]) -> None:
    beside = tree.root / f".bundles{STAGING}"
    make(beside)
    inside = tree.root / "bundles" / f".a.sigstore.json{STAGING}"
    inside.touch()
    writing.clean(tree, ["bundles/a.sigstore.json"])
    assert (beside.exists(), inside.exists()) == (False, False)


def test_a_staging_path_that_is_a_link_is_not_followed(tree: Tree, tmp_path: Path) -> None:
    victim = tmp_path / "victim.txt"
    victim.write_text("untouched")
    (tree.root / f".registry.json{STAGING}").symlink_to(victim)
    writing.replace_file(tree, "registry.json", b"new")
    assert victim.read_text() == "untouched"


def test_a_path_outside_the_repository_is_not_written(tree: Tree) -> None:
    with pytest.raises(InputError, match="leaves the repository"):
        writing.replace_file(tree, "../registry.json", b"new")


def test_nothing_beside_the_repository_is_removed(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    beside = tmp_path / f".tree{STAGING}"
    beside.mkdir()
    writing.clean(Tree.at(root), ["a.sigstore.json"])
    assert beside.exists()


@pytest.mark.parametrize("new", [ONE, TWO, SCATTERED], ids=["one", "one folder", "two folders"])
def test_a_link_where_a_bundle_goes_is_not_followed(tree: Tree, new: dict[str, bytes]) -> None:
    (tree.root / "registry.json").write_text("{}")
    (tree.root / "bundles" / "a.sigstore.json").symlink_to("../registry.json")
    with pytest.raises(InputError, match="is a link, expected a regular file"):
        writing.write_all(tree, new)
    assert (tree.root / "registry.json").read_text() == "{}"
    assert not journal.interrupted(tree)


@pytest.mark.parametrize("new", [ONE, TWO, SCATTERED], ids=["one", "one folder", "two folders"])
def test_a_folder_where_a_bundle_goes_stops_the_release_before_it_begins(
    tree: Tree, new: dict[str, bytes]
) -> None:
    (tree.root / "bundles" / "a.sigstore.json").mkdir()
    with pytest.raises(InputError, match="is a folder, expected a regular file"):
        writing.write_all(tree, new)
    assert not journal.interrupted(tree)
