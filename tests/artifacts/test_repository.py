# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import pytest

from provenance.artifacts.repository import (
    FileUrl,
    WorkTree,
    file_url,
    is_absolute_uri,
    is_same_project,
    registry_uri,
    work_tree,
)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://github.com/o/r/blob/main/LICENSE", ("o/r", "main", "LICENSE")),
        ("https://github.com/o/r/raw/main/a/b%20c?x=1#L3", ("o/r", "main", "a/b c")),
        ("https://raw.githubusercontent.com/o/r/main/LICENSE", ("o/r", "main", "LICENSE")),
        ("https://raw.githubusercontent.com/o/r/refs/heads/main/L", ("o/r", "main", "L")),
        ("https://gitlab.example.org/g/s/r/-/blob/main/LICENSE", ("g/s/r", "main", "LICENSE")),
        ("https://huggingface.co/o/r/resolve/main/LICENSE", ("o/r", "main", "LICENSE")),
        ("https://codeberg.org/o/r/src/branch/main/LICENSE", ("o/r", "main", "LICENSE")),
    ],
)
def test_forges_write_the_address_of_a_file_in_a_few_ways(
    url: str, expected: tuple[str, str, str]
) -> None:
    assert file_url(url) == FileUrl(*expected)


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/o/r",
        "https://github.com/o/r/tree/main/licenses",
        "https://github.com/o/r/blob/main",
        "https://example.org/LICENSE",
        "https://[x/o/r/blob/main/LICENSE",
        "git://github.com/o/r/blob/main/LICENSE",
        "../LICENSE",
        "",
    ],
)
def test_other_addresses_are_of_no_file(url: str) -> None:
    assert file_url(url) is None


@pytest.mark.parametrize(
    ("ref", "moves"),
    [
        ("main", True),
        ("HEAD", True),
        ("release", True),
        ("c8fdf6182a0340e89dd18f5df25b47337cbede6f", False),
        ("c8fdf61", False),
        ("v3.0.0", False),
        ("3.0", False),
        ("refs", False),
    ],
)
def test_a_fixed_revision_is_not_what_lies_here(ref: str, moves: bool) -> None:
    url = FileUrl("o/r", ref, "LICENSE")
    assert WorkTree("o/r").path_of(url) == ("LICENSE" if moves else None)


def test_only_files_of_this_repository_below_the_folder_are_here() -> None:
    here = WorkTree("O/R", "models")
    assert here.path_of(FileUrl("o/r", "main", "models/LICENSE")) == "LICENSE"
    assert here.path_of(FileUrl("o/r", "main", "LICENSE")) is None
    assert here.path_of(FileUrl("o/other", "main", "models/LICENSE")) is None
    assert WorkTree(None).path_of(FileUrl("o/r", "main", "LICENSE")) is None


def configure(git: Path, url: str) -> None:
    git.mkdir(parents=True)
    text = f'[core]\n\tbare = false\n[remote "up"]\n\turl = https://x/u/p\n[Remote "origin"]\n\tfetch = x\n\tURL = {url}\n'  # noqa: E501
    (git / "config").write_text(text)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://github.com/lusoris/vmaf.git", "lusoris/vmaf"),
        ("https://user:token@github.com/lusoris/vmaf", "lusoris/vmaf"),
        ("git@github.com:lusoris/vmaf.git", "lusoris/vmaf"),
        ("ssh://git@github.com:22/lusoris/vmaf.git/", "lusoris/vmaf"),
        ('"https://gitlab.example.org/g/s/r"', "g/s/r"),
        ("git@github.com:lusoris/vmaf.git  # mirror", "lusoris/vmaf"),
        ("https://github.com/lusoris/vmaf ; mirror", "lusoris/vmaf"),
        ('"https://github.com/lusoris/vmaf" # "quoted"', "lusoris/vmaf"),
        ("https://github.com/lusoris/\\\nvmaf.git", "lusoris/vmaf"),
        ('https://github.com/"lusoris"/vmaf', "lusoris/vmaf"),
        ("https://github.com/o/first\n\turl = https://github.com/o/second", "o/first"),
        ("https://github.com/o/first\n\turl =\n\turl = https://github.com/o/second", "o/second"),
        ('https://github.com/o/r\n[remote "Origin"]\n\turl = https://github.com/o/other', "o/r"),
        ("https://github.com/o/\\q", None),
        ('"https://github.com/o/r', None),
        ("file:///srv/git/vmaf.git", None),
        ("/srv/git/vmaf.git", None),
        ("../vmaf", None),
        ("https://github.com", None),
        ("", None),
    ],
)
def test_the_remote_origin_says_which_repository_it_is(
    tmp_path: Path, url: str, name: str | None
) -> None:
    configure(tmp_path / ".git", url)
    assert work_tree(tmp_path) == WorkTree(name)


INCLUDES = {
    "beside it": ("[include] path = more", ".git/more"),
    "quoted, above it": ('[include] path = "../more" # shared', "more"),
    "at home": ("[include] path = ~/more", "home/more"),
}


@pytest.mark.parametrize(("line", "place"), INCLUDES.values(), ids=list(INCLUDES))
def test_what_the_configuration_includes_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, place: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text(f"[core] bare = false\n{line}\n[include] path = gone")
    (tmp_path / place).write_text("[remote.origin]\nurl = https://github.com/o/r")
    assert work_tree(tmp_path) == WorkTree("o/r")


def test_a_configuration_that_includes_itself_names_no_repository(tmp_path: Path) -> None:
    configure(tmp_path / ".git", "https://github.com/o/r\n[include] path = config")
    assert work_tree(tmp_path) == WorkTree(None)


def test_a_folder_of_a_repository_knows_its_place(tmp_path: Path) -> None:
    configure(tmp_path / ".git", "https://github.com/o/r")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert work_tree(below) == WorkTree("o/r", "a/b")
    assert work_tree(below, "known/name") == WorkTree("known/name", "a/b")


def test_a_worktree_and_a_submodule_have_their_configuration_elsewhere(tmp_path: Path) -> None:
    main = tmp_path / "main"
    configure(main / ".git", "https://github.com/o/r")
    own = main / ".git" / "worktrees" / "w"
    own.mkdir(parents=True)
    (own / "commondir").write_text("../..\n")
    tree = tmp_path / "w"
    tree.mkdir()
    (tree / ".git").write_text(f"gitdir: {own}\n")
    assert work_tree(tree) == WorkTree("o/r")

    configure(main / ".git" / "modules" / "s", "https://github.com/o/sub")
    submodule = main / "s"
    submodule.mkdir()
    (submodule / ".git").write_text("gitdir: ../.git/modules/s\n")
    assert work_tree(submodule) == WorkTree("o/sub")


def test_a_git_folder_that_says_nothing_names_no_repository(tmp_path: Path) -> None:
    for name in ("empty", "fifo", "file", "large", "nowhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "empty" / ".git").mkdir()
    os.mkfifo(tmp_path / "fifo" / ".git")
    (tmp_path / "file" / ".git").write_bytes(b"\xff\xfe")
    (tmp_path / "large" / ".git").mkdir()
    with (tmp_path / "large" / ".git" / "config").open("wb") as stream:
        stream.truncate((1 << 20) + 1)
    (tmp_path / "nowhere" / ".git").write_text("gitdir: /nowhere/at/all\n")
    for name in ("empty", "fifo", "file", "large", "nowhere"):
        assert work_tree(tmp_path / name) == WorkTree(None)


def test_outside_of_a_repository_only_the_configuration_can_say() -> None:
    assert work_tree(Path("/proc"), "o/r") == WorkTree("o/r")
    assert work_tree(Path("/proc")) == WorkTree(None)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("git@github.com:Example/models.git", "git+https://github.com/Example/models#sub/r.json"),
        ("https://user:secret@GitHub.com/Example/models", "git+https://github.com/Example/models#sub/r.json"),
        ("ssh://git@git.example.org:2222/group/sub/models.git", "git+https://git.example.org/group/sub/models#sub/r.json"),
        ("https://git.example.org:443/o/models", "git+https://git.example.org/o/models#sub/r.json"),
        ("https://git.example.org:8443/o/models", "git+https://git.example.org:8443/o/models#sub/r.json"),
        ("https://git.example.org:99999/o/models", None),
        ("file:///srv/models.git", None),
        ("/srv/models.git", None),
        ("https:///Example/models", None),
        ("https://[::1/Example/models", None),
    ],
)  # fmt: skip
def test_a_projects_registry_is_named_by_its_remote(
    tmp_path: Path, url: str, expected: str | None
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/config").write_text(f'[remote "origin"]\n\turl = {url}\n')
    assert registry_uri(tmp_path, "sub/r.json") == expected


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("git+https://github.com/O/Models#r", "git+https://github.com/o/models#r", True),
        ("git+https://github.com/o/models#r", "git+https://github.com/o/models#R", False),
        ("git+https://git.example.org/o/Models#r", "git+https://git.example.org/o/models#r", False),
        ("https://github.com/O/models", "https://github.com/o/models", False),
    ],
)  # fmt: skip
def test_a_project_is_the_same_however_its_forge_lets_it_be_typed(
    one: str, other: str, same: bool
) -> None:
    assert is_same_project(one, other) is same


def test_a_folder_that_is_no_clone_names_no_project(tmp_path: Path) -> None:
    assert registry_uri(tmp_path, "r.json") is None


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("https://example.org/models/registry.json", True),
        ("git+https://github.com/example/models#model/registry.json", True),
        ("urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66", True),
        ("registry.json", False),
        ("//example.org/registry.json", False),
        ("https://example.org/a b", False),
        ("https://example.org/\u202e", False),
        ("https://example.org/" + "a" * 1000, False),
        ("", False),
    ],
)
def test_an_absolute_uri_has_a_scheme_and_no_odd_character(text: str, valid: bool) -> None:
    assert is_absolute_uri(text) is valid
