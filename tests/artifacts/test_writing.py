# SPDX-License-Identifier: Apache-2.0
"""Replacing one file and many; what a killed run leaves behind. Crashes: tests/journeys."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from provenance.artifacts import writing
from provenance.artifacts.paths import Tree
from provenance.errors import InputError


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


@pytest.mark.parametrize("new", [ONE, TWO, SCATTERED], ids=["one", "one folder", "two folders"])
def test_all_files_are_written_and_the_others_stay(tree: Tree, new: dict[str, bytes]) -> None:
    writing.write_all(tree, new)
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
    assert sorted(p.name for p in tree.root.iterdir()) == ["bundles"]


def test_moves_that_fail_are_finished_by_the_next_run(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at(monkeypatch, "replace")
    with pytest.raises(InputError):
        writing.write_all(tree, SCATTERED)
    assert writing.interrupted(tree)
    monkeypatch.undo()
    writing.recover(tree)
    assert files(tree) == {**SCATTERED, "bundles/release.pub": b"key"}
    assert not writing.interrupted(tree)


def test_a_journal_that_was_never_committed_is_removed(tree: Tree) -> None:
    folder = tree.root / writing.JOURNAL_FOLDER
    folder.mkdir()
    (folder / "0").write_bytes(b"half of it")
    writing.recover(tree)
    assert files(tree) == {"bundles/release.pub": b"key"}
    assert not folder.exists()


@pytest.mark.parametrize(
    "text", ["", "[]", '{"moves": {"../x": "a.sigstore.json"}}', '{"moves": 1}']
)
def test_a_journal_that_is_none_is_refused(tree: Tree, text: str) -> None:
    folder = tree.root / writing.JOURNAL_FOLDER
    folder.mkdir()
    (folder / "journal.json").write_text(text)
    with pytest.raises(InputError, match="journal"):
        writing.recover(tree)


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch], ids=["a folder", "a file"])
def test_what_a_killed_run_left_is_removed(tree: Tree, make: Callable[[Path], None]) -> None:
    beside = tree.root / f".bundles{writing.STAGING}"
    make(beside)
    inside = tree.root / "bundles" / f".a.sigstore.json{writing.STAGING}"
    inside.touch()
    writing.clean(tree, ["bundles/a.sigstore.json"])
    assert (beside.exists(), inside.exists()) == (False, False)


def test_a_staging_path_that_is_a_link_is_not_followed(tree: Tree, tmp_path: Path) -> None:
    victim = tmp_path / "victim.txt"
    victim.write_text("untouched")
    (tree.root / f".registry.json{writing.STAGING}").symlink_to(victim)
    writing.replace_file(tree, "registry.json", b"new")
    assert victim.read_text() == "untouched"


def test_a_path_outside_the_repository_is_not_written(tree: Tree) -> None:
    with pytest.raises(InputError, match="leaves the repository"):
        writing.replace_file(tree, "../registry.json", b"new")


def test_nothing_beside_the_repository_is_removed(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    beside = tmp_path / f".tree{writing.STAGING}"
    beside.mkdir()
    writing.clean(Tree.at(root), ["a.sigstore.json"])
    assert beside.exists()


@pytest.mark.parametrize("new", [ONE, TWO, SCATTERED], ids=["one", "one folder", "two folders"])
def test_a_link_where_a_bundle_goes_is_not_followed(tree: Tree, new: dict[str, bytes]) -> None:
    (tree.root / "registry.json").write_text("{}")
    (tree.root / "bundles" / "a.sigstore.json").symlink_to("../registry.json")
    with pytest.raises(InputError, match="is a link, where a file is to be written"):
        writing.write_all(tree, new)
    assert (tree.root / "registry.json").read_text() == "{}"
    assert not writing.interrupted(tree)


@pytest.mark.parametrize("new", [ONE, TWO, SCATTERED], ids=["one", "one folder", "two folders"])
def test_a_folder_where_a_bundle_goes_stops_the_release_before_it_begins(
    tree: Tree, new: dict[str, bytes]
) -> None:
    (tree.root / "bundles" / "a.sigstore.json").mkdir()
    with pytest.raises(InputError, match="is a folder, where a file is to be written"):
        writing.write_all(tree, new)
    assert not writing.interrupted(tree)
