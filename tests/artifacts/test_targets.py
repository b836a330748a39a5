# SPDX-License-Identifier: Apache-2.0
"""Where something is written: at the path that was named, and never through a link."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from provenance.artifacts import journal, writing
from provenance.artifacts.paths import FileError, FileProblem, Tree
from provenance.artifacts.replacing import STAGING
from provenance.errors import InputError


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A root with a folder and a file, and a secret beside the root."""
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (root / "folder" / "file").write_bytes(b"inside")
    (tmp_path / "secret").write_bytes(b"outside")
    return Tree.at(root)


def refusal(tree: Tree, path: str) -> FileError:
    with pytest.raises(FileError) as raised:
        tree.target(path)
    return raised.value


def test_a_file_that_is_there_is_its_own_target(tree: Tree) -> None:
    assert tree.target("folder/file") == tree.root / "folder" / "file"


@pytest.mark.parametrize("path", ["new", "folder/new", "none/new", "folder/../new", "./new"])
def test_a_file_that_is_not_there_yet_has_a_target(tree: Tree, path: str) -> None:
    assert tree.target(path) == tree.root / os.path.normpath(path)


def test_a_folder_may_be_reached_by_a_link_inside_the_root(tree: Tree) -> None:
    (tree.root / "link").symlink_to("folder")
    assert tree.target("link/new") == tree.root / "folder" / "new"


@pytest.mark.parametrize(
    "leads_to", ["folder/file", "nowhere", "../secret", "folder", "self"], ids=str
)
def test_a_link_at_the_target_is_refused_wherever_it_leads(tree: Tree, leads_to: str) -> None:
    (tree.root / "self").symlink_to(leads_to)
    error = refusal(tree, "self")
    assert error.problem is FileProblem.IRREGULAR
    assert error.message == "'self' is a link, expected a regular file"


def test_a_folder_at_the_target_is_refused(tree: Tree) -> None:
    error = refusal(tree, "folder")
    assert error.problem is FileProblem.IRREGULAR
    assert error.message == "'folder' is a folder, expected a regular file"


def test_a_fifo_at_the_target_is_refused(tree: Tree) -> None:
    os.mkfifo(tree.root / "fifo")
    assert "'fifo' is a FIFO" in refusal(tree, "fifo").message


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "is empty"),
        (".", "is a folder"),
        ("folder/..", "is a folder"),
        ("..", "is a folder"),
        ("/etc/passwd", "is an absolute path"),
        ("a\0b", "contains a NUL"),
        ("..\\secret", "contains a backslash"),
        ("../secret", "leaves the repository"),
        ("folder/../../secret", "leaves the repository"),
    ],
)
def test_what_names_no_file_below_the_root_is_no_target(tree: Tree, path: str, reason: str) -> None:
    error = refusal(tree, path)
    assert error.problem is FileProblem.UNSAFE
    assert reason in error.message


def test_a_linked_folder_out_of_the_root_holds_no_target(tree: Tree) -> None:
    (tree.root / "link").symlink_to("..")
    error = refusal(tree, "link/secret")
    assert error.problem is FileProblem.UNSAFE
    assert "a link that leaves the repository" in error.message


def test_one_file_is_not_replaced_through_a_link(tree: Tree) -> None:
    (tree.root / "link").symlink_to("folder/file")
    with pytest.raises(InputError, match="cannot write link: 'link' is a link"):
        writing.replace_file(tree, "link", b"new")
    assert (tree.root / "folder" / "file").read_bytes() == b"inside"


def test_a_committed_journal_moves_nothing_onto_a_link(tree: Tree) -> None:
    (tree.root / "a.sigstore.json").symlink_to("folder/file")
    folder = tree.root / journal.JOURNAL_FOLDER
    folder.mkdir()
    (tree.root / f".a.sigstore.json{STAGING}").write_bytes(b"new")
    (folder / "journal.json").write_text('{"files": ["a.sigstore.json"]}')
    with pytest.raises(InputError, match=r"'a\.sigstore\.json' is a link"):
        writing.recover(tree)
    assert (tree.root / "folder" / "file").read_bytes() == b"inside"
    assert (tree.root / "a.sigstore.json").is_symlink()
