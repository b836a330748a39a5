# SPDX-License-Identifier: Apache-2.0
"""Edited texts: shown as a difference, and written together or not at all."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from provenance.artifacts import writing
from provenance.artifacts.paths import Tree
from provenance.artifacts.replacing import STAGING
from provenance.artifacts.writing import Change
from provenance.errors import InputError

A, B = Change("a.json", "1\n", "2\n"), Change("f/b.json", "3\n", "4\n")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    (tmp_path / "f").mkdir()
    (tmp_path / "a.json").write_text("1\n")
    (tmp_path / "f" / "b.json").write_text("3\n")
    return Tree.at(tmp_path)


def content(tree: Tree) -> dict[str, str]:
    return {
        p.relative_to(tree.root).as_posix(): p.read_text()
        for p in tree.root.rglob("*")
        if p.is_file()
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a\nb\nc\n", "a\nB\nc\n"),
        ("a\nb", "a\nB"),
        ("a", "a\n"),
        ("a\r\nb\r\n", "a\r\nB\r\n"),
        ('["\u2028", "\u0085", "\f"]\nb\n', '["\u2028", "\u0085", "\f"]\nB\n'),
        ("", "a\n"),
    ],
)
def test_the_difference_is_one_that_other_tools_apply(
    tmp_path: Path, before: str, after: str
) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(before.encode())
    diff = Change("x.json", before, after).diff
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "apply", "-"], input=diff.encode(), cwd=tmp_path, check=True)
    assert path.read_bytes().decode() == after


def test_nothing_changed_is_no_difference() -> None:
    assert Change("x.json", "a\n", "a\n").diff == ""


def test_all_files_are_written_with_the_mode_they_had(tree: Tree) -> None:
    (tree.root / "a.json").chmod(0o600)
    writing.write_changes(tree, [A, B])
    assert content(tree) == {"a.json": "2\n", "f/b.json": "4\n"}
    assert (tree.root / "a.json").stat().st_mode & 0o777 == 0o600


def test_a_file_that_stays_as_it_is_is_not_touched(tree: Tree) -> None:
    before = (tree.root / "a.json").stat().st_ino
    writing.write_changes(tree, [Change("a.json", "1\n", "1\n"), B])
    assert (tree.root / "a.json").stat().st_ino == before
    assert content(tree)["f/b.json"] == "4\n"


def test_where_one_is_another_by_now_none_is_written(tree: Tree) -> None:
    (tree.root / "f" / "b.json").write_text("33\n")
    with pytest.raises(InputError, match=r"f/b\.json changed during the check"):
        writing.write_changes(tree, [A, B])
    assert content(tree) == {"a.json": "1\n", "f/b.json": "33\n"}


def test_where_one_is_gone_none_is_written(tree: Tree) -> None:
    (tree.root / "f" / "b.json").unlink()
    with pytest.raises(InputError, match="cannot write"):
        writing.write_changes(tree, [A, B])
    assert content(tree) == {"a.json": "1\n"}


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("at", [1, 2])
def test_where_one_cannot_be_renamed_the_others_are_put_back(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, at: int, error: BaseException
) -> None:
    real = os.replace
    calls: list[Any] = []

    def fails_once(source: Any, target: Any) -> None:
        calls.append(target)
        if len(calls) == at:
            raise error
        real(source, target)

    monkeypatch.setattr(os, "replace", fails_once)
    with pytest.raises((InputError, KeyboardInterrupt)):
        writing.write_changes(tree, [A, B])
    assert content(tree) == {"a.json": "1\n", "f/b.json": "3\n"}


def test_where_one_cannot_be_prepared_nothing_is_left_behind(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync
    calls: list[int] = []

    def fails_at_the_second(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(5, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fails_at_the_second)
    with pytest.raises(InputError, match="Input/output error"):
        writing.write_changes(tree, [A, B])
    assert content(tree) == {"a.json": "1\n", "f/b.json": "3\n"}
    assert not any(STAGING in name for name in content(tree))
