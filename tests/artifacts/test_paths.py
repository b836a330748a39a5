# SPDX-License-Identifier: Apache-2.0
"""Opening files below a root, and nowhere else."""

from __future__ import annotations

import errno
import gc
import os
import pickle
import socket
import stat
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from provenance.artifacts import folders, paths
from provenance.artifacts.paths import FileError, FileProblem, Tree, read_named_file
from provenance.errors import InputError
from tests.support.command import time_limit


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A root with a file and a folder, and a secret beside the root."""
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (root / "folder" / "file").write_bytes(b"inside")
    (tmp_path / "secret").write_bytes(b"outside")
    return Tree.at(root)


def problem(tree: Tree, path: str) -> FileError:
    with pytest.raises(FileError) as raised:
        tree.read(path, 100)
    return raised.value


def test_a_file_below_the_root_is_read(tree: Tree) -> None:
    assert tree.read("folder/file", 100) == b"inside"


def test_steps_up_that_stay_below_the_root_are_followed(tree: Tree) -> None:
    assert tree.read("folder/../folder/./file", 100) == b"inside"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "is empty"),
        ("/etc/passwd", "is an absolute path"),
        ("c:/windows", "is an absolute path"),
        ("a\0b", "contains a NUL"),
        ("..\\secret", "contains a backslash"),
        ("../secret", "leaves the repository"),
        ("folder/../../secret", "leaves the repository"),
    ],
)
def test_a_path_out_of_the_root_is_refused(tree: Tree, path: str, reason: str) -> None:
    error = problem(tree, path)
    assert error.problem is FileProblem.UNSAFE
    assert reason in error.message


def test_a_link_out_of_the_root_is_refused(tree: Tree) -> None:
    (tree.root / "link").symlink_to("../secret")
    assert problem(tree, "link").problem is FileProblem.UNSAFE


def test_a_linked_folder_out_of_the_root_is_refused(tree: Tree) -> None:
    (tree.root / "link").symlink_to("..")
    assert problem(tree, "link/secret").problem is FileProblem.UNSAFE


def test_a_chain_of_links_out_of_the_root_is_refused(tree: Tree) -> None:
    (tree.root / "one").symlink_to("two")
    (tree.root / "two").symlink_to(tree.root.parent / "secret")
    assert problem(tree, "one").problem is FileProblem.UNSAFE


def test_a_link_inside_the_root_is_followed(tree: Tree) -> None:
    (tree.root / "link").symlink_to("folder/file")
    assert tree.read("link", 100) == b"inside"


def test_links_in_a_circle_are_an_error(tree: Tree) -> None:
    (tree.root / "one").symlink_to("two")
    (tree.root / "two").symlink_to("one")
    with pytest.raises(FileError):
        tree.read("one", 100)


def test_a_root_that_is_a_link_is_resolved_once(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(tree.root)
    assert Tree.at(tmp_path / "alias") == tree


def test_a_root_that_is_no_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a folder"):
        Tree.at(tmp_path / "nowhere")


def test_a_missing_file_is_told_from_an_unsafe_one(tree: Tree) -> None:
    assert problem(tree, "folder/none").problem is FileProblem.MISSING


def test_a_path_below_a_file_is_missing(tree: Tree) -> None:
    assert problem(tree, "folder/file/more").problem is FileProblem.MISSING


def test_a_folder_is_named_as_one(tree: Tree) -> None:
    error = problem(tree, "folder")
    assert error.problem is FileProblem.IRREGULAR
    assert "a folder" in error.message


def test_a_fifo_is_refused_without_waiting_for_a_writer(tree: Tree) -> None:
    os.mkfifo(tree.root / "fifo")
    with time_limit(5):
        error = problem(tree, "fifo")
    assert error.problem is FileProblem.IRREGULAR
    assert "a FIFO" in error.message


def test_a_socket_is_refused(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree.root)  # the name of a socket must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        assert problem(tree, "socket").problem is FileProblem.IRREGULAR


@pytest.mark.parametrize(
    ("mode", "name"), [(0o010000, "a FIFO"), (0o140000, "a socket"), (0o020000, "a device")]
)
def test_what_is_no_regular_file_has_a_name(mode: int, name: str) -> None:
    assert paths._kind(mode) == name


def test_a_folder_swapped_for_a_link_between_check_and_open_does_not_escape(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tree.root.parent / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"outside")
    (tree.root / "way").symlink_to("folder")  # only what a link leads to is resolved
    resolve = Tree.resolve

    def resolve_then_swap(self: Tree, path: str) -> str:
        result = resolve(self, path)
        (tree.root / "folder").rename(tree.root / "old")
        (tree.root / "folder").symlink_to(outside)
        return result

    monkeypatch.setattr(Tree, "resolve", resolve_then_swap)
    with pytest.raises(FileError) as raised:
        tree.read("way/file", 100)
    assert raised.value.problem in (FileProblem.UNSAFE, FileProblem.MISSING)


def test_a_file_swapped_for_a_link_between_check_and_open_does_not_escape(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree.root / "way").symlink_to("folder")
    resolve = Tree.resolve

    def resolve_then_swap(self: Tree, path: str) -> str:
        result = resolve(self, path)
        (tree.root / "folder" / "file").unlink()
        (tree.root / "folder" / "file").symlink_to("../../secret")
        return result

    monkeypatch.setattr(Tree, "resolve", resolve_then_swap)
    assert problem(tree, "way/file").problem is FileProblem.UNSAFE


def test_a_path_without_links_is_opened_without_resolving_it(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: Tree, path: str) -> str:
        raise AssertionError(path)

    monkeypatch.setattr(Tree, "resolve", fail)
    assert tree.read("folder/../folder//file", 100) == b"inside"


def test_no_descriptor_is_left_open_by_a_refusal(tree: Tree) -> None:
    os.mkfifo(tree.root / "fifo")
    before = len(os.listdir("/proc/self/fd"))
    for path in ("fifo", "folder", "none", "../secret"):
        problem(tree, path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_as_large_as_the_limit_is_read(tree: Tree) -> None:
    assert tree.read("folder/file", 6) == b"inside"


def test_a_file_larger_than_the_limit_is_refused(tree: Tree) -> None:
    with pytest.raises(FileError, match="larger than 5 bytes") as raised:
        tree.read("folder/file", 5)
    assert raised.value.problem is FileProblem.TOO_LARGE


def test_a_bounded_read_takes_no_more_memory_than_its_bound(tree: Tree) -> None:
    with (tree.root / "huge").open("wb") as stream:
        stream.truncate(200 << 20)
    tracemalloc.start()
    try:
        with pytest.raises(FileError):
            tree.read("huge", 4 << 20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


def test_an_error_while_reading_is_told_with_the_path(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int, _size: int) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    (tree.root / "file").write_text("content")
    monkeypatch.setattr(os, "read", fail)
    with pytest.raises(FileError, match=r"file': Input/output error") as raised:
        paths.read_named_file(tree.root / "file", 10)
    assert raised.value.problem is FileProblem.UNREADABLE


def test_what_the_system_says_decides_the_kind_of_trouble() -> None:
    kinds = {
        errno.ENOENT: FileProblem.MISSING,
        errno.ENOTDIR: FileProblem.MISSING,
        errno.ELOOP: FileProblem.UNSAFE,
        errno.ENXIO: FileProblem.IRREGULAR,
        errno.EACCES: FileProblem.UNREADABLE,
    }
    found = {code: paths._file_error(OSError(code, os.strerror(code)), "f") for code in kinds}
    assert {code: error.problem for code, error in found.items()} == kinds


def test_a_dangling_link_exists(tree: Tree) -> None:
    (tree.root / "link").symlink_to("nowhere")
    assert tree.exists("link")
    assert not tree.exists("nowhere")
    assert not tree.exists("/etc/passwd")


@given(st.text(alphabet="ab./\\:\0 \n", max_size=12))
def test_no_path_whatever_leaves_the_root(path: str) -> None:
    tree = Tree.at(Path(__file__).parent)
    try:
        resolved = tree.resolve(path)
    except FileError:
        return
    inside = Path(os.path.realpath(tree.root / resolved))
    assert inside.is_relative_to(tree.root)


@pytest.mark.parametrize(
    ("folder", "path", "joined"),
    [
        (".", "a.onnx", "a.onnx"),
        ("", "./a.onnx", "a.onnx"),
        ("model", "../bundles/a", "bundles/a"),
        ("model", "../../a", "../a"),
        ("model", "/a", "/a"),
        ("", "", ""),
    ],
)
def test_a_name_beside_the_registry_is_seen_from_the_root(
    folder: str, path: str, joined: str
) -> None:
    assert paths.join(folder, path) == joined


def test_a_path_is_named_relative_to_the_registry() -> None:
    assert paths.relative("model", "bundles/a") == "../bundles/a"
    assert paths.relative(".", "a") == "a"


def test_without_a_walk_by_descriptor_links_are_still_resolved_first(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "_HAS_DIR_FD", False)
    (tree.root / "link").symlink_to("../secret")
    assert tree.read("folder/file", 100) == b"inside"
    assert problem(tree, "link").problem is FileProblem.UNSAFE


@pytest.fixture
def linked(tree: Tree) -> Tree:
    """The same root, in which the links are the user's own and may lead out of it."""
    return Tree.at(tree.root, confined=False)


@pytest.mark.parametrize(
    "leads_to", ["../secret", "{outside}/secret"], ids=["relative", "absolute"]
)
def test_a_link_that_the_user_made_may_leave_a_folder_that_is_not_confined(
    linked: Tree, leads_to: str
) -> None:
    (linked.root / "link").symlink_to(leads_to.format(outside=linked.root.parent))
    assert linked.read("link", 100) == b"outside"


def test_a_folder_that_the_user_linked_is_entered_where_links_may_leave(linked: Tree) -> None:
    (linked.root / "link").symlink_to("..")
    assert linked.read("link/secret", 100) == b"outside"


@pytest.mark.parametrize(
    "path", ["../secret", "folder/../../secret", "/etc/passwd", "a\0b", "..\\secret", ""]
)
def test_a_path_that_leaves_by_itself_is_refused_where_links_may_leave(
    linked: Tree, path: str
) -> None:
    assert problem(linked, path).problem is FileProblem.UNSAFE


def test_a_fifo_behind_a_link_is_refused_where_links_may_leave(linked: Tree) -> None:
    os.mkfifo(linked.root.parent / "fifo")
    (linked.root / "link").symlink_to("../fifo")
    with time_limit(5):
        error = problem(linked, "link")
    assert error.problem is FileProblem.IRREGULAR


def test_a_dangling_link_is_missing_where_links_may_leave(linked: Tree) -> None:
    (linked.root / "link").symlink_to("../nowhere")
    assert problem(linked, "link").problem is FileProblem.MISSING


def test_a_file_that_the_user_named_is_read_through_links(tree: Tree) -> None:
    (tree.root / "link").symlink_to("../secret")
    assert read_named_file(tree.root / "link", 100) == b"outside"


def named_trouble(path: Path, limit: int = 100) -> FileProblem:
    with pytest.raises(FileError) as raised:
        read_named_file(path, limit)
    return raised.value.problem


def test_a_named_file_as_large_as_the_limit_is_read(tree: Tree) -> None:
    assert read_named_file(tree.root / "folder" / "file", 6) == b"inside"


def test_a_named_file_larger_than_the_limit_is_refused(tree: Tree) -> None:
    assert named_trouble(tree.root / "folder" / "file", 5) is FileProblem.TOO_LARGE


def test_a_named_file_that_is_not_there_is_missing(tree: Tree) -> None:
    assert named_trouble(tree.root / "none") is FileProblem.MISSING


def test_a_named_folder_is_no_file(tree: Tree) -> None:
    assert named_trouble(tree.root / "folder") is FileProblem.IRREGULAR


def test_a_named_fifo_is_refused_without_waiting_for_a_writer(tree: Tree) -> None:
    os.mkfifo(tree.root / "fifo")
    with time_limit(5):
        assert named_trouble(tree.root / "fifo") is FileProblem.IRREGULAR


def test_a_named_file_with_a_nul_in_its_name_is_refused(tree: Tree) -> None:
    assert named_trouble(tree.root / "a\0b") is FileProblem.UNSAFE


def test_a_link_that_leads_nowhere_is_no_file_that_is_missing(tree: Tree) -> None:
    (tree.root / "link").symlink_to("nowhere")
    found = problem(tree, "link")
    assert found.problem is FileProblem.IRREGULAR
    assert str(found) == "'link' is a link to 'nowhere', which does not exist"


def test_links_in_a_circle_are_named_as_that(tree: Tree) -> None:
    (tree.root / "one").symlink_to("two")
    (tree.root / "two").symlink_to("one")
    for read in (tree.read, lambda p, n: read_named_file(tree.root / p, n)):
        with pytest.raises(FileError) as e:
            read("one", 100)
        assert e.value.problem is FileProblem.IRREGULAR
        assert str(e.value).endswith("one' is a link that leads to itself")


# --- one pass of reading many files: folders that are kept open ----------------------------------


def open_descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def test_folders_kept_open_are_closed_with_the_tree(tree: Tree) -> None:
    before = open_descriptors()
    reading = tree.keeping_folders()
    for _ in range(3):
        assert reading.read("folder/file", 100) == b"inside"
        assert problem(reading, "folder/none").problem is FileProblem.MISSING
        assert problem(reading, "none").problem is FileProblem.MISSING
    assert open_descriptors() == before + 2  # the root and one folder in it
    del reading
    assert open_descriptors() == before


def test_no_more_than_so_many_folders_are_kept_open(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
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
def test_a_folder_replaced_by_a_link_is_read_as_it_was_opened(tree: Tree, target: str) -> None:
    for folder in (tree.root.parent / "outside", tree.root / "elsewhere"):
        folder.mkdir()
        (folder / "file").write_bytes(b"another")
    reading = tree.keeping_folders()
    assert reading.read("folder/file", 100) == b"inside"
    (tree.root / "folder").rename(tree.root / "old")
    (tree.root / "folder").symlink_to(target)
    assert reading.read("folder/file", 100) == b"inside"


def test_a_link_to_a_file_in_a_folder_kept_open_stays_below_the_root(tree: Tree) -> None:
    reading = tree.keeping_folders()
    assert reading.read("folder/file", 100) == b"inside"
    (tree.root / "folder" / "out").symlink_to("../../secret")
    (tree.root / "folder" / "in").symlink_to("file")
    assert problem(reading, "folder/out").problem is FileProblem.UNSAFE
    assert reading.read("folder/in", 100) == b"inside"


def test_a_file_in_a_folder_kept_open_is_read_if_it_is_there(tree: Tree) -> None:
    reading = tree.keeping_folders()
    assert reading.read_if_there("folder/none", 100) is None
    assert reading.read_if_there("folder/file", 100) == b"inside"
    assert reading.read_if_there("folder/none", 100) is None
    (tree.root / "folder" / "gone").symlink_to("nowhere")
    (tree.root / "folder" / "out").symlink_to("../../secret")
    (tree.root / "folder" / "in").symlink_to("file")
    assert reading.read_if_there("folder/in", 100) == b"inside"
    for path, limit, found in (
        ("folder/gone", 100, FileProblem.IRREGULAR),
        ("folder/out", 100, FileProblem.UNSAFE),
        ("folder/file", 5, FileProblem.TOO_LARGE),
        ("../secret", 100, FileProblem.UNSAFE),
    ):
        with pytest.raises(FileError) as e:
            reading.read_if_there(path, limit)
        assert e.value.problem is found


def test_a_file_that_grows_while_it_is_read_is_read_to_its_end(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    def before_it_grew(descriptor: int) -> os.stat_result:
        found = list(fstat(descriptor))
        found[stat.ST_SIZE] = 2
        return os.stat_result(found)

    fstat = os.fstat
    monkeypatch.setattr(os, "fstat", before_it_grew)
    assert tree.read("folder/file", 6) == b"inside"
    with pytest.raises(FileError, match="larger than 5 bytes"):
        tree.read("folder/file", 5)


def test_another_pass_reads_the_folder_that_is_there_now(tree: Tree) -> None:
    assert tree.keeping_folders().read("folder/file", 100) == b"inside"
    (tree.root / "folder").rename(tree.root / "old")
    (tree.root / "folder").mkdir()
    (tree.root / "folder" / "file").write_bytes(b"new")
    assert tree.keeping_folders().read("folder/file", 100) == b"new"
    assert tree.read("folder/file", 100) == b"new"


def test_a_tree_with_open_folders_can_be_sent_to_another_process(tree: Tree) -> None:
    reading = tree.keeping_folders()
    assert reading.read("folder/file", 100) == b"inside"
    copy = pickle.loads(pickle.dumps(reading))  # noqa: S301
    assert copy == tree
    assert copy.read("folder/file", 100) == b"inside"


PARTS = st.sampled_from(
    ["", ".", "..", "a", "b.onnx", ".git", "a b", "a:b", "\u00e9", "c\\d", "-x"]
)
NAMES = st.lists(PARTS, max_size=4).map("/".join)


@given(st.sampled_from(["", ".", "model", "a/b", "..", "a/../b"]), NAMES)
@example("a/b", "a")
def test_short_ways_to_join_names_give_the_same(folder: str, name: str) -> None:
    safe = paths.unsafe_reason(name) is None
    assert paths.join(folder, name) == (
        os.path.normpath(f"{folder or '.'}/{name}") if safe else name
    )
    if name:
        assert paths.relative(folder, name) == os.path.relpath(name, folder or ".")
