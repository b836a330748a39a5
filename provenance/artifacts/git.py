# SPDX-License-Identifier: Apache-2.0
"""Read files of a commit from git's objects, never from the work tree.

Paths are resolved through the tree objects, folder by folder, so that a symbolic link in a commit
is recognized and not followed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field, replace
from pathlib import Path
from typing import Final, TypeAlias

from provenance.artifacts import limits, paths
from provenance.artifacts.git_command import Git, Objects, damaged
from provenance.artifacts.paths import FileError, FileProblem
from provenance.errors import InputError, UnavailableError
from provenance.frozen import dataclass

_Entries: TypeAlias = Mapping[bytes, tuple[bytes, str]]  # name to mode and object

_NAME: Final = re.compile(r"(?!-)[^\s:\\\x00-\x1f\x7f]{1,250}")
_HELP: Final = "Name a branch, a tag or a commit, for example git:origin/main"
_FOLDER: Final = b"40000"
_FILES: Final = (b"100644", b"100755", b"100664")  # the last was written by early versions
_KINDS: Final = {_FOLDER: "a folder", b"120000": "a link"}


@dataclass(frozen=True)
class Commit:
    """A commit, read below one folder of its tree. `oid` is its full object name."""

    oid: str
    _objects: Objects
    _root: str
    _prefix: str
    _folders: dict[str, _Entries] = field(default_factory=dict)

    def read(self, path: str, limit: int) -> bytes:
        """Return the bytes of the file at `path`, at most `limit`.

        Raises:
            FileError: If the file is not in the commit, not regular, outside the folder, or too
                large.
            UnavailableError: If this clone does not have the file.
        """
        reason = paths.refusal(path)
        if reason is not None:
            raise FileError(FileProblem.UNSAFE, path, f"{path!r} {reason}")
        folder, _, name = os.path.normpath(path).rpartition("/")
        mode, oid = self._listing(folder).get(os.fsencode(name), (b"", ""))
        if not mode:
            raise FileError(FileProblem.MISSING, path, f"{path!r} does not exist")
        if mode not in _FILES:
            kind = _KINDS.get(mode, "a submodule")
            raise FileError(FileProblem.IRREGULAR, path, f"{path!r} is {kind}, not a regular file")
        return self._objects.read(oid, "blob", limit, path)

    def names_in(self, folder: str) -> tuple[str, ...]:
        """Return the names of the files in a folder, sorted; empty if the folder is missing."""
        entries = self._listing("" if folder == "." else folder)
        return tuple(sorted(os.fsdecode(n) for n, (mode, _) in entries.items() if mode in _FILES))

    def folders_in(self, folder: str) -> tuple[str, ...]:
        """Return the names of the folders in a folder, sorted; empty if the folder is missing."""
        entries = self._listing("" if folder == "." else folder)
        return tuple(sorted(os.fsdecode(n) for n, (mode, _) in entries.items() if mode == _FOLDER))

    def at(self, folder: str) -> Commit | None:
        """Return the commit below another folder, or None if that is outside the repository.

        `folder` is relative to the present one.
        """
        top = os.path.normpath(f"{self._prefix}/{folder}".lstrip("/"))
        if top == ".." or top.startswith(("../", "/")):
            return None
        return replace(self, _prefix=top, _folders={})

    def _listing(self, folder: str) -> _Entries:
        """Return the entries of a folder; empty if it is missing, or behind a link."""
        known = self._folders.get(folder)
        if known is None:
            known = self._tree(self._root)
            for step in f"{self._prefix}/{folder}".split("/"):
                if step not in ("", "."):
                    mode, oid = known.get(os.fsencode(step), (b"", ""))
                    known = self._tree(oid) if mode == _FOLDER else {}
            self._folders[folder] = known
        return known

    def _tree(self, oid: str) -> _Entries:
        called = f"folder {oid} of the commit"
        data = self._objects.read(oid, "tree", limits.GIT_TREE, called)
        width = len(oid) // 2
        entries = {}
        at = 0
        while at < len(data):  # mode, a space, name, a NUL, the object in binary
            space, end = data.find(b" ", at), data.find(b"\0", at)
            if not at < space < end or len(data) < end + 1 + width:
                raise damaged(called)
            entries[data[space + 1 : end]] = data[at:space], data[end + 1 : end + 1 + width].hex()
            at = end + 1 + width
        return entries


def _resolve(git: Git, objects: Objects, ref: str) -> str:
    """Return the full name of a commit. Raises UnavailableError with the reason that git gives."""
    failure: UnavailableError | None = None
    try:
        commit = objects.resolve(ref, "commit")
    except UnavailableError as e:  # git exits on `@{u}` of a branch without an upstream
        commit, failure = None, e
    if commit is not None:
        return commit
    missing = f"git:{ref}: there is no such commit in this clone"
    reason = git.reason(ref)
    if reason is not None:
        raise UnavailableError(f"{missing}: {reason}", help=_HELP) from failure
    if failure is not None:
        raise failure
    raise UnavailableError(missing, help=git.how_to_fetch(ref))


@contextmanager
def open_commit(folder: Path, ref: str) -> Iterator[Commit]:
    """Open the commit that `ref` names in the repository of `folder`, to be read below `folder`.

    Raises:
        InputError: If `ref` is not a valid name of a commit, or `folder` is not in a repository.
        UnavailableError: If git is not installed, or the commit is not in this clone.
    """
    if _NAME.fullmatch(ref) is None:
        raise InputError(
            f"git:{ref}: not a valid name of a commit",
            help="For example: git:origin/main, git:v3.0.0",
        )
    git = Git.at(folder)
    prefix = git.prefix()
    with git.objects() as objects:
        commit = _resolve(git, objects, ref)
        root = objects.resolve(commit, "tree")
        if root is None:
            raise damaged(f"git:{ref}")
        yield Commit(commit, objects, root, prefix)
