# SPDX-License-Identifier: Apache-2.0
"""Which repository a folder belongs to, and the addresses of its files on a forge."""

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

NO_FILES = [
    *("https://github.com/o/r", "https://github.com/o/r/tree/main/licenses", "../LICENSE", ""),
    *("https://github.com/o/r/blob/main", "https://example.org/LICENSE"),
    *("https://[x/o/r/blob/main/LICENSE", "git://github.com/o/r/blob/main/LICENSE"),
]


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
        *((url, None) for url in NO_FILES),
    ],
)
def test_urls_of_forges_are_parsed(url: str, expected: tuple[str, str, str] | None) -> None:
    assert file_url(url) == (expected and FileUrl(*expected))


FIXED = ("c8fdf6182a0340e89dd18f5df25b47337cbede6f", "c8fdf61", "v3.0.0", "3.0", "refs")


@pytest.mark.parametrize(
    ("tree", "url", "path"),
    [
        *((("o/r",), ("o/r", ref, "L"), "L") for ref in ("main", "HEAD", "release")),
        *((("o/r",), ("o/r", ref, "L"), None) for ref in FIXED),
        (("O/R", "models"), ("o/r", "main", "models/LICENSE"), "LICENSE"),
        (("O/R", "models"), ("o/r", "main", "LICENSE"), None),
        (("O/R", "models"), ("o/other", "main", "models/LICENSE"), None),
        ((None,), ("o/r", "main", "LICENSE"), None),
    ],
)
def test_a_url_of_a_branch_of_this_repository_is_a_file_below_the_folder(
    tree: tuple[str, ...], url: tuple[str, str, str], path: str | None
) -> None:
    assert WorkTree(*tree).path_of(FileUrl(*url)) == path


def configure(git: Path, url: str) -> None:
    git.mkdir(parents=True)
    other = '[core]\n\tbare = false\n[remote "up"]\n\turl = https://x/u/p\n'
    (git / "config").write_text(f'{other}[Remote "origin"]\n\tfetch = x\n\tURL = {url}\n')


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://github.com/o/r.git", "o/r"),
        ("https://user:token@github.com/o/r", "o/r"),
        ("git@github.com:o/r.git", "o/r"),
        ("ssh://git@github.com:22/o/r.git/", "o/r"),
        ('"https://gitlab.example.org/g/s/r"', "g/s/r"),
        ("git@github.com:o/r.git  # mirror", "o/r"),
        ("https://github.com/o/r ; mirror", "o/r"),
        ('"https://github.com/o/r" # "quoted"', "o/r"),
        ("https://github.com/o/\\\nr.git", "o/r"),
        ('https://github.com/"o"/r', "o/r"),
        ("https://github.com/o/first\n\turl = https://github.com/o/second", "o/first"),
        ("https://github.com/o/first\n\turl =\n\turl = https://github.com/o/second", "o/second"),
        ('https://github.com/o/r\n[remote "Origin"]\n\turl = https://github.com/o/other', "o/r"),
        ("https://github.com/o/r\n[include] path = config", None),  # without an end
        *(
            (url, None)
            for url in ("https://github.com/o/\\q", '"https://github.com/o/r', "../r", "")
        ),
        *((url, None) for url in ("file:///srv/git/r.git", "/srv/git/r.git", "https://github.com")),
    ],
)
def test_the_remote_origin_names_the_repository(tmp_path: Path, url: str, name: str | None) -> None:
    configure(tmp_path / ".git", url)
    assert work_tree(tmp_path) == WorkTree(name)


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("[include] path = more", ".git/more"),
        ('[include] path = "../more" # shared', "more"),
        ("[include] path = ~/more", "home/more"),
    ],
)
def test_an_included_configuration_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, place: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text(f"[core] bare = false\n{line}\n[include] path = gone")
    (tmp_path / place).write_text("[remote.origin]\nurl = https://github.com/o/r")
    assert work_tree(tmp_path) == WorkTree("o/r")


def test_a_folder_of_a_repository_knows_its_place(tmp_path: Path) -> None:
    configure(tmp_path / ".git", "https://github.com/o/r")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert work_tree(below) == WorkTree("o/r", "a/b")
    assert work_tree(below, "known/name") == WorkTree("known/name", "a/b")


def test_a_worktree_and_a_submodule_have_their_configuration_elsewhere(tmp_path: Path) -> None:
    git = tmp_path / "main" / ".git"
    configure(git, "https://github.com/o/r")
    configure(git / "modules" / "s", "https://github.com/o/sub")
    (git / "worktrees" / "w").mkdir(parents=True)
    (git / "worktrees" / "w" / "commondir").write_text("../..\n")
    for folder, gitdir, name in (
        (tmp_path / "w", git / "worktrees" / "w", "o/r"),
        (tmp_path / "main" / "s", "../.git/modules/s", "o/sub"),
    ):
        folder.mkdir()
        (folder / ".git").write_text(f"gitdir: {gitdir}\n")
        assert work_tree(folder) == WorkTree(name)


@pytest.mark.parametrize("kind", ["empty", "fifo", "binary", "large", "nowhere", "none"])
def test_a_folder_without_a_readable_repository_has_no_name(tmp_path: Path, kind: str) -> None:
    git = tmp_path / ".git"
    if kind == "fifo":
        os.mkfifo(git)
    elif kind in ("empty", "large"):
        git.mkdir()
    elif kind in ("binary", "nowhere"):
        git.write_bytes(b"\xff\xfe" if kind == "binary" else b"gitdir: /nowhere/at/all\n")
    if kind == "large":
        with (git / "config").open("wb") as stream:
            stream.truncate((1 << 20) + 1)
    assert work_tree(tmp_path) == WorkTree(None)
    assert work_tree(tmp_path, "o/r").name == "o/r"
    assert registry_uri(tmp_path, "r.json") is None


GITHUB, OWN = "git+https://github.com/Example/models", "git+https://git.example.org"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("git@github.com:Example/models.git", GITHUB),
        ("https://user:secret@GitHub.com/Example/models", GITHUB),
        ("ssh://git@git.example.org:2222/group/sub/models.git", f"{OWN}/group/sub/models"),
        ("https://git.example.org:443/o/models", f"{OWN}/o/models"),
        ("https://git.example.org:8443/o/models", f"{OWN}:8443/o/models"),
        *((url, None) for url in ("https://git.example.org:99999/o/m", "file:///srv/m.git")),
        *((url, None) for url in ("/srv/m.git", "https:///Example/m", "https://[::1/Example/m")),
    ],
)
def test_a_remote_names_the_registry(tmp_path: Path, url: str, expected: str | None) -> None:
    configure(tmp_path / ".git", url)
    assert registry_uri(tmp_path, "sub/r.json") == (expected and f"{expected}#sub/r.json")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("git+https://github.com/O/Models#r", "git+https://github.com/o/models#r", True),
        ("git+https://github.com/o/models#r", "git+https://github.com/o/models#R", False),
        (f"{OWN}/o/Models#r", f"{OWN}/o/models#r", False),
        ("https://github.com/O/models", "https://github.com/o/models", False),
    ],
)
def test_projects_are_compared_by_their_forge(one: str, other: str, same: bool) -> None:
    assert is_same_project(one, other) is same


VALID = [
    "https://example.org/models/registry.json",
    "git+https://github.com/example/models#model/registry.json",
    "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
]
INVALID = ["registry.json", "//example.org/r.json", "https://example.org/a b", ""]
INVALID += ["https://example.org/\u202e", "https://example.org/" + "a" * 1000]


@pytest.mark.parametrize("text", VALID + INVALID)
def test_an_absolute_uri_has_a_scheme_and_no_odd_character(text: str) -> None:
    assert is_absolute_uri(text) is (text in VALID)
