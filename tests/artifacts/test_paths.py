# SPDX-License-Identifier: Apache-2.0
"""Opening files below a root, and naming targets there, but nowhere else."""

from __future__ import annotations

import errno
import gc
import os
import pickle
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from provenance.artifacts import folders, paths
from provenance.artifacts.paths import FileError, FileProblem, Tree, read_named_file
from provenance.errors import InputError
from tests.support.command import time_limit
from tests.support.memory import memory_limit

MISSING, UNSAFE, IRREGULAR = FileProblem.MISSING, FileProblem.UNSAFE, FileProblem.IRREGULAR
LINKS = {
    "in": "folder/file",
    "way": "folder",
    "out": "../secret",
    "out-absolute": "{outside}/secret",
    "chain": "out-absolute",
    "up": "..",
    "circle": "circle-back",
    "circle-back": "circle",
    "gone": "nowhere",
    "gone-outside": "../nowhere",
    "fifo-outside": "../fifo",
}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A root with a file, a folder, a FIFO and links; a secret and a FIFO beside the root."""
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (root / "folder" / "file").write_bytes(b"inside")
    (tmp_path / "secret").write_bytes(b"outside")
    for folder in (root, tmp_path):
        os.mkfifo(folder / "fifo")
    for name, leads_to in LINKS.items():
        (root / name).symlink_to(leads_to.format(outside=tmp_path))
    return Tree.at(root)


def error_of(read: Callable[[str, int], object], path: str, limit: int = 100) -> FileError:
    with time_limit(5), pytest.raises(FileError) as raised:
        read(path, limit)
    return raised.value


UNSAFE_PATHS = {
    "": "is empty",
    "/etc/passwd": "is an absolute path",
    "c:/windows": "is an absolute path",
    "a\0b": "contains a NUL",
    "..\\secret": "contains a backslash",
    "../secret": "leaves the repository",
    "folder/../../secret": "leaves the repository",
}
READABLE = ("folder/file", "folder/../folder/./file", "folder//file", "in", "way/file")
LEAVING = ("out", "out-absolute", "chain", "up/secret")
REFUSED = {
    "folder/none": (MISSING, "does not exist"),
    "none/file": (MISSING, "does not exist"),
    "folder/file/more": (MISSING, "does not exist"),
    "folder": (IRREGULAR, "folder' is a folder"),
    "fifo": (IRREGULAR, "fifo' is a FIFO"),
    "circle": (IRREGULAR, "circle' is a link that leads to itself"),
}
ONLY_CONFINED = {
    "gone": (IRREGULAR, "'gone' is a link to 'nowhere', which does not exist"),
    "gone-outside": (UNSAFE, ""),
    "fifo-outside": (UNSAFE, ""),
    **dict.fromkeys(LEAVING, (UNSAFE, "")),
}
ONLY_UNCONFINED = {
    "gone-outside": (MISSING, ""),
    "fifo-outside": (IRREGULAR, "'fifo-outside' is a FIFO"),
}


@pytest.mark.parametrize("way", ["plain", "keeping folders", "without descriptors"])
def test_reads_stay_in_a_confined_tree(
    tree: Tree, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "without descriptors":
        monkeypatch.setattr(paths, "_HAS_DIR_FD", False)
    reading = tree.keeping_folders() if way == "keeping folders" else tree
    for path in READABLE * 2:
        assert reading.read(path, 100) == b"inside", path
    for path, (problem, message) in (REFUSED | ONLY_CONFINED).items():
        error = error_of(reading.read, path)
        assert (error.problem, message in error.message) == (problem, True), (path, error)


@pytest.mark.parametrize("named", [False, True], ids=["below a root", "named by the user"])
def test_links_of_the_user_may_leave_the_root(tree: Tree, named: bool) -> None:
    def read(path: str, limit: int) -> bytes:
        if named:
            return read_named_file(tree.root / path, limit)
        return Tree.at(tree.root, confined=False).read(path, limit)

    assert [read(path, 6) for path in READABLE] == [b"inside"] * len(READABLE)
    assert [read(path, 7) for path in LEAVING] == [b"outside"] * len(LEAVING)
    for path, (problem, message) in (REFUSED | ({} if named else ONLY_UNCONFINED)).items():
        error = error_of(read, path)
        assert (error.problem, message in error.message) == (problem, True), (path, error)
    assert error_of(read, "folder/file", 5).problem is FileProblem.TOO_LARGE
    assert error_of(read, "a\0b").problem is UNSAFE


@pytest.mark.parametrize(("path", "reason"), UNSAFE_PATHS.items())
def test_a_path_that_leaves_the_root_is_refused(tree: Tree, path: str, reason: str) -> None:
    linked = Tree.at(tree.root, confined=False)
    for use in (tree.read, tree.keeping_folders().read, linked.read, lambda p, _: tree.target(p)):
        error = error_of(use, path)
        assert error.problem is UNSAFE
        assert reason in error.message


def test_errors_and_modes_of_the_system_have_names() -> None:
    modes = {0o010000: "a FIFO", 0o140000: "a socket", 0o020000: "a device"}
    assert {mode: paths._kind(mode) for mode in modes} == modes
    problems = {
        **dict.fromkeys((errno.ENOENT, errno.ENOTDIR), MISSING),
        errno.ELOOP: UNSAFE,
        errno.ENXIO: IRREGULAR,
        errno.EACCES: FileProblem.UNREADABLE,
    }
    errors = {code: paths._file_error(OSError(code, os.strerror(code)), "f") for code in problems}
    assert {code: error.problem for code, error in errors.items()} == problems


def test_an_error_while_reading_names_the_path(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_descriptor: int, _size: int) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "read", fail)
    with pytest.raises(FileError, match=r"file': Input/output error") as raised:
        read_named_file(tree.root / "folder" / "file", 10)
    assert raised.value.problem is FileProblem.UNREADABLE


def test_the_root_is_a_folder_whose_links_are_resolved(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(tree.root)
    assert Tree.at(tmp_path / "alias") == tree
    with pytest.raises(InputError, match="not a folder"):
        Tree.at(tmp_path / "nowhere")


def test_a_dangling_link_exists(tree: Tree) -> None:
    assert tree.exists("gone")
    assert not tree.exists("nowhere")
    assert not tree.exists("/etc/passwd")


@pytest.mark.parametrize("swapped", ["folder", "folder/file"])
def test_a_folder_swapped_for_a_link_between_check_and_open_does_not_escape(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, swapped: str
) -> None:
    outside = tree.root.parent / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"outside")
    target = outside / ("." if swapped == "folder" else "file")
    resolve = Tree.resolve

    def resolve_then_swap(self: Tree, path: str) -> str:
        result = resolve(self, path)
        (tree.root / swapped).rename(tree.root / "old")
        (tree.root / swapped).symlink_to(target)
        return result

    monkeypatch.setattr(Tree, "resolve", resolve_then_swap)
    # `way` is a link: a path without links is not resolved
    assert error_of(tree.read, "way/file").problem in (UNSAFE, MISSING)


def test_a_plain_path_is_not_resolved(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tree, "resolve", lambda _self, path: pytest.fail(path))
    assert tree.read("folder/../folder//file", 100) == b"inside"


@given(st.text(alphabet="ab./\\:\0 \n", max_size=12))
def test_no_path_whatever_leaves_the_root(path: str) -> None:
    tree = Tree.at(Path(__file__).parent)
    try:
        resolved = tree.resolve(path)
    except FileError:
        return
    assert Path(os.path.realpath(tree.root / resolved)).is_relative_to(tree.root)


def test_a_large_file_is_refused(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    fstat = os.fstat

    def before_it_grew(descriptor: int) -> os.stat_result:
        found = list(fstat(descriptor))
        found[stat.ST_SIZE] = 2
        return os.stat_result(found)

    for stat_of_file in (fstat, before_it_grew):
        monkeypatch.setattr(os, "fstat", stat_of_file)
        assert tree.read("folder/file", 6) == b"inside"
        with pytest.raises(FileError, match="larger than 5 bytes"):
            tree.read("folder/file", 5)


def test_a_bounded_read_takes_no_more_memory_than_its_bound(tree: Tree) -> None:
    with (tree.root / "huge").open("wb") as stream:
        stream.truncate(200 << 20)
    with memory_limit(8 << 20):
        error_of(tree.read, "huge", 4 << 20)


def open_descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def test_a_refusal_leaves_no_descriptor_open(tree: Tree) -> None:
    before = open_descriptors()
    for path in (*REFUSED, *ONLY_CONFINED, "../secret"):
        error_of(tree.read, path)
    assert open_descriptors() == before


def test_kept_folders_are_closed_with_the_tree(tree: Tree) -> None:
    before = open_descriptors()
    reading = tree.keeping_folders()
    for _ in range(3):
        assert reading.read("folder/file", 100) == b"inside"
        for path in ("folder/none", "none"):
            assert error_of(reading.read, path).problem is MISSING
    assert open_descriptors() == before + 2  # the root and one folder in it
    del reading
    assert open_descriptors() == before


def test_the_number_of_kept_folders_is_bounded(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MOST", 2)
    before = open_descriptors()
    reading = tree.keeping_folders()
    for number in range(5):
        (tree.root / str(number)).mkdir()
        (tree.root / str(number) / "file").write_text(str(number))
    for number in (*range(5), *range(5)):
        assert reading.read(f"{number}/file", 100) == str(number).encode()
    assert open_descriptors() == before + 2


def test_a_folder_opened_by_two_threads_is_kept_once() -> None:
    kept = folders.OpenFolders()
    first, second = (os.open(".", os.O_RDONLY) for _ in range(2))
    try:
        assert kept.keep("a", first)
        assert not kept.keep("a", second)
        assert kept.get("a") == first
    finally:
        os.close(second)


@pytest.mark.parametrize("target", ["../outside", "elsewhere"])
def test_a_kept_folder_is_read_as_it_was_opened(tree: Tree, target: str) -> None:
    for folder in (tree.root.parent / "outside", tree.root / "elsewhere"):
        folder.mkdir()
        (folder / "file").write_bytes(b"another")
    reading = tree.keeping_folders()
    assert reading.read("folder/file", 100) == b"inside"
    (tree.root / "folder").rename(tree.root / "old")
    (tree.root / "folder").symlink_to(target)
    assert reading.read("folder/file", 100) == b"inside"
    (tree.root / "folder").unlink()
    (tree.root / "folder").mkdir()
    (tree.root / "folder" / "file").write_bytes(b"new")
    assert tree.keeping_folders().read("folder/file", 100) == b"new"


def test_a_file_in_a_kept_folder_may_be_missing(tree: Tree) -> None:
    reading = tree.keeping_folders()
    for name, leads_to in {"gone": "nowhere", "out": "../../secret", "in": "file"}.items():
        (tree.root / "folder" / name).symlink_to(leads_to)
    for path in ("folder/none", "folder/file", "folder/in", "folder/none"):
        expected = None if path == "folder/none" else b"inside"
        assert reading.read_if_there(path, 100) == expected
    for path, limit, found in (
        ("folder/gone", 100, IRREGULAR),
        ("folder/out", 100, UNSAFE),
        ("folder/file", 5, FileProblem.TOO_LARGE),
        ("../secret", 100, UNSAFE),
    ):
        assert error_of(reading.read_if_there, path, limit).problem is found


def test_a_tree_with_kept_folders_can_be_pickled(tree: Tree) -> None:
    reading = tree.keeping_folders()
    reading.read("folder/file", 100)
    copy = pickle.loads(pickle.dumps(reading))  # noqa: S301
    assert copy == tree
    assert copy.read("folder/file", 100) == b"inside"


@pytest.mark.parametrize(
    "path", ["folder/file", "new", "folder/new", "none/new", "folder/../new", "./new"]
)
def test_a_target_may_exist_or_not(tree: Tree, path: str) -> None:
    assert tree.target(path) == tree.root / os.path.normpath(path)


def test_the_folder_of_a_target_may_be_a_link_inside_the_root(tree: Tree) -> None:
    assert tree.target("way/new") == tree.root / "folder" / "new"


@pytest.mark.parametrize(
    ("path", "problem", "message"),
    [
        *(
            (link, IRREGULAR, f"'{link}' is a link, expected a regular file")
            for link in ("in", "gone", "out", "way", "circle")
        ),
        ("folder", IRREGULAR, "'folder' is a folder, expected a regular file"),
        ("fifo", IRREGULAR, "'fifo' is a FIFO"),
        (".", UNSAFE, "is a folder"),
        ("folder/..", UNSAFE, "is a folder"),
        ("..", UNSAFE, "is a folder"),
        ("up/secret", UNSAFE, "a link that leaves the repository"),
    ],
)
def test_a_target_is_a_regular_file(
    tree: Tree, path: str, problem: FileProblem, message: str
) -> None:
    error = error_of(lambda p, _: tree.target(p), path)
    assert (error.problem, message in error.message) == (problem, True), error


PARTS = ("", ".", "..", "a", "b.onnx", ".git", "a b", "a:b", "\u00e9", "c\\d", "-x")
NAMES = st.lists(st.sampled_from(PARTS), max_size=4).map("/".join)


@given(st.sampled_from(["", ".", "model", "a/b", "..", "a/../b"]), NAMES)
@example("model", "../../a")
@example("model", "/a")
@example("a/b", "a")
@example("a/b", "./a")
def test_names_are_joined_as_the_standard_library_joins_them(folder: str, name: str) -> None:
    safe = paths.unsafe_reason(name) is None
    joined = os.path.normpath(f"{folder or '.'}/{name}")
    assert paths.join(folder, name) == (joined if safe else name)
    if name:
        assert paths.relative(folder, name) == os.path.relpath(name, folder or ".")
