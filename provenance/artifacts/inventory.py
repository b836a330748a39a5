# SPDX-License-Identifier: Apache-2.0
"""List all files below a folder, without opening them.

The patterns of files that `in-toto` does not record are also left out here; a test compares the two
lists. These patterns are meant for by-products of tools. A file that matches one but is not a
by-product, such as a model, is listed separately.
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
"""Patterns for names of files and folders that are left out, at any depth."""

_BY_PRODUCTS: Final = ("*.link", ".git", "*.pyc", "*~")
"""Patterns of by-products of in-toto, git, Python and editors."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The location of the files of a release, relative to the root.

    Attributes:
        folders: The folders with the files. None of them is below another.
        bundle_folders: The folders with bundles.
        others: Files elsewhere that are part of the release, if they exist: the configuration and
            the list of withdrawn models.
        named: The registry and the files that it names.
    """

    folders: tuple[str, ...]
    bundle_folders: tuple[str, ...]
    others: tuple[str, ...]
    named: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inventory:
    """The files below some folders, relative to the root and sorted.

    Attributes:
        files: The files.
        unseen: Files and folders that are left out but are not by-products. The path of a folder
            ends in `/`.
    """

    files: tuple[str, ...]
    unseen: tuple[str, ...]


def inventory(tree: Tree, folders: Iterable[str]) -> Inventory:
    """List the files below `folders`.

    Symbolic links are listed but not followed. A link to a folder is one entry, and opening it as a
    file fails, so nothing can hide behind a link.

    Raises:
        InputError: If a folder cannot be listed, a name cannot be recorded, or there are too many
            files.
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
    """Return the pattern by which a path or a folder above it is left out, or None."""
    matched = (_matching(name, LEFT_OUT) for name in path.split("/"))
    return next((pattern for pattern in matched if pattern is not None), None)


def _matching(name: str, patterns: Iterable[str]) -> str | None:
    return next((pattern for pattern in patterns if fnmatchcase(name, pattern)), None)


def _below(tree: Tree, folder: str) -> Iterator[tuple[str, bool]]:
    """Yield every path that is not a folder, and whether it is left out, as for `unseen`."""
    waiting = [folder]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(tree.root / tree.resolve(folder)) as listed:
                entries = [(e.name, e.is_dir(follow_symlinks=False)) for e in listed]
        except FileNotFoundError:
            continue  # a missing folder is empty; rules report files that are missing
        except OSError as e:
            raise FileError(
                FileProblem.UNREADABLE, folder, f"cannot list {folder!r}: {e.strerror or e}"
            ) from e
        for name, is_folder in entries:
            left_out = _matching(name, LEFT_OUT) is not None
            by_products = (".git",) if is_folder else _BY_PRODUCTS
            if left_out and _matching(name, by_products) is not None:
                continue
            path = _checked(name if folder == "." else f"{folder}/{name}")
            if left_out:
                yield f"{path}/" if is_folder else path, True
            elif is_folder:
                waiting.append(path)
            else:
                yield path, False


def _checked(path: str) -> str:
    """Return `path`. Raises FileError if other systems could not read it."""
    shown = path.encode("utf-8", "backslashreplace").decode()
    if shown != path or "\\" in path:
        raise FileError(
            FileProblem.UNSAFE,
            shown,
            f"the name {shown!r} cannot be recorded: it is not UTF-8, or contains a backslash",
            help="Rename it.",
        )
    return path
