# SPDX-License-Identifier: Apache-2.0
"""What lies below a folder: the names of all files, without opening one.

Left out is what `in-toto` leaves out of what it records by itself, so that both see the same files;
a test compares the patterns with its settings.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Final

from provenance.artifacts import limits, paths
from provenance.artifacts.paths import FileError, Tree, Trouble
from provenance.errors import InputError

LEFT_OUT: Final = ("*.link*", ".git", "*.pyc", "*~")
"""Patterns for the names of files and folders, at any depth."""


def inventory(tree: Tree, folders: Iterable[str]) -> list[str]:
    """The paths of all files below `folders`, each relative to the root, sorted, each once.

    Links are named and not followed: a link to a folder is one entry, which is no file to whoever
    opens it. Nothing can hide behind one.

    Raises:
        InputError: A folder cannot be listed, a name cannot be written down, or there are too many.
    """
    found: set[str] = set()
    for folder in folders:
        for path in _below(tree, paths.join("", folder) or "."):
            found.add(path)
            if len(found) > limits.FOLDER_ENTRIES:
                raise InputError(
                    f"more than {limits.FOLDER_ENTRIES:,} files below {folder!r}",
                    help="Keep the registry in a folder of its own.",
                )
    return sorted(found)


def is_left_out(path: str) -> bool:
    """Whether a path, or a folder on the way to it, has a name that is left out."""
    return any(_left_out(name) for name in path.split("/"))


def _left_out(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in LEFT_OUT)


def _below(tree: Tree, folder: str) -> Iterator[str]:
    """All that is no folder itself, folder by folder."""
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            with os.scandir(tree.root / tree.resolve(here)) as listed:
                entries = [(e.name, e.is_dir(follow_symlinks=False)) for e in listed]
        except FileNotFoundError:
            continue  # what is not there holds nothing; what has to be there is judged elsewhere
        except OSError as e:
            raise FileError(
                Trouble.UNREADABLE, here, f"cannot list {here!r}: {e.strerror or e}"
            ) from e
        for name, is_folder in entries:
            if _left_out(name):
                continue
            path = _checked(name if here == "." else f"{here}/{name}")
            if is_folder:
                waiting.append(path)
            else:
                yield path


def _checked(path: str) -> str:
    """A path that others can read. Raises FileError where it is none."""
    shown = path.encode("utf-8", "backslashreplace").decode()
    if shown != path or "\\" in path:
        raise FileError(
            Trouble.UNSAFE,
            shown,
            f"{shown!r} has a name that is not UTF-8, or holds a backslash, and cannot be recorded",
            help="Rename it.",
        )
    return path
