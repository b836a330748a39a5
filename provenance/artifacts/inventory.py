# SPDX-License-Identifier: Apache-2.0
"""What lies below a folder: the names of all files, without opening one.

What `in-toto` leaves out of what it records is left out here; a test compares the patterns. What is
none of the by-products that these patterns are meant for, such as a model, is named apart.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Final

from provenance.artifacts import limits, paths
from provenance.artifacts.paths import FileError, FileProblem, Tree
from provenance.errors import InputError
from provenance.frozen import dataclass

LEFT_OUT: Final = ("*.link*", ".git", "*.pyc", "*~")
"""Patterns for the names of files and folders, at any depth."""

_BY_PRODUCTS: Final = ("*.link", ".git", "*.pyc", "*~")
"""What in-toto, git, Python and editors leave behind: files, and the folder of git."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Where the files of a release are, relative to the root.

    No folder is below another. `config` is None where it is kept elsewhere. `named` are the
    registry and what it names.
    """

    folders: tuple[str, ...]
    bundle_folders: tuple[str, ...]
    config: str | None
    named: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inventory:
    """What lies below some folders, relative to the root, sorted, each once.

    `unseen` is what is left out and is no by-product; the path of a folder ends in `/`.
    """

    files: tuple[str, ...]
    unseen: tuple[str, ...]


def inventory(tree: Tree, folders: Iterable[str]) -> Inventory:
    """What lies below `folders`.

    Links are named and not followed: a link to a folder is one entry, which is no file to whoever
    opens it. Nothing can hide behind one.

    Raises:
        InputError: A folder cannot be listed, a name cannot be written down, or there are too many.
    """
    files: set[str] = set()
    unseen: set[str] = set()
    for folder in folders:
        for path, is_unseen in _below(tree, paths.join("", folder) or "."):
            (unseen if is_unseen else files).add(path)
            if len(files) + len(unseen) > limits.FOLDER_ENTRIES:
                raise InputError(
                    f"more than {limits.FOLDER_ENTRIES:,} files below {folder!r}",
                    help="Keep the registry in a folder of its own.",
                )
    return Inventory(tuple(sorted(files)), tuple(sorted(unseen)))


def left_out_by(path: str) -> str | None:
    """The pattern that leaves out a path, or a folder on the way to it; None where none does."""
    matched = (_matching(name, LEFT_OUT) for name in path.split("/"))
    return next((pattern for pattern in matched if pattern is not None), None)


def _matching(name: str, patterns: Iterable[str]) -> str | None:
    return next((pattern for pattern in patterns if fnmatchcase(name, pattern)), None)


def _below(tree: Tree, folder: str) -> Iterator[tuple[str, bool]]:
    """All that is no folder itself, folder by folder, and what is left out; and whether it is."""
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
                FileProblem.UNREADABLE, here, f"cannot list {here!r}: {e.strerror or e}"
            ) from e
        for name, is_folder in entries:
            left_out = _matching(name, LEFT_OUT) is not None
            by_products = (".git",) if is_folder else _BY_PRODUCTS
            if left_out and _matching(name, by_products) is not None:
                continue
            path = _checked(name if here == "." else f"{here}/{name}")
            if left_out:
                yield f"{path}/" if is_folder else path, True
            elif is_folder:
                waiting.append(path)
            else:
                yield path, False


def _checked(path: str) -> str:
    """A path that others can read. Raises FileError if it is not."""
    shown = path.encode("utf-8", "backslashreplace").decode()
    if shown != path or "\\" in path:
        raise FileError(
            FileProblem.UNSAFE,
            shown,
            f"{shown!r} has a name that is not UTF-8, or holds a backslash, and cannot be recorded",
            help="Rename it.",
        )
    return path
