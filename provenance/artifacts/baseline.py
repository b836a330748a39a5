# SPDX-License-Identifier: Apache-2.0
"""The baseline: an earlier state of the registry, which `check` and `restore` compare with.

It is a git commit (`git:REF`), a folder (another checkout), or a registry file. A git commit is
read without checking it out.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from provenance.artifacts import limits, paths
from provenance.artifacts.paths import FileError, FileProblem, Tree
from provenance.errors import InputError
from provenance.frozen import dataclass

NONE: Final = "none"
"""The name that switches a configured baseline off."""

_GIT: Final = "git:"
EXAMPLES: Final = "a commit (git:origin/main), a folder, or a registry file"


@dataclass(frozen=True, slots=True)
class BaselineName:
    """The name of a baseline. If it is a path, it is relative to `folder`."""

    text: str
    folder: Path

    @property
    def ref(self) -> str | None:
        """The git ref, or None if the baseline is a path."""
        return self.text.removeprefix(_GIT) if self.text.startswith(_GIT) else None


def named(text: str | None, folder: Path) -> BaselineName | None:
    """Return the baseline that `text` names, or None if it is None or `none`.

    Raises:
        InputError: If `text` is empty, as when an unset variable is passed. The comparison would
            silently be switched off.
    """
    if text is not None and not text.strip():
        raise InputError("the baseline is empty", help=f"Name {EXAMPLES}; or {NONE}.")
    return None if text is None or text == NONE else BaselineName(text, folder)


class Source(Protocol):
    """The files of a baseline, by path relative to one folder of the repository."""

    def read(self, path: str, limit: int) -> bytes:
        """Return the bytes of a file, at most `limit`. Raises FileError."""

    def names_in(self, folder: str) -> Sequence[str]:
        """Return the names of the files in a folder."""

    def folders_in(self, folder: str) -> Sequence[str]:
        """Return the names of the folders in a folder."""

    def at(self, folder: str) -> Source | None:
        """Return the same source below another folder, or None if that is not part of it."""


@dataclass(frozen=True)
class Opened:
    """An open baseline.

    Attributes:
        label: The name of the baseline, with the commit if there is one.
        source: Its files, relative to the repository's root.
        file: The registry file, if the baseline is a registry file alone.
    """

    label: str
    source: Source
    file: RegistryFile | None = None


@contextmanager
def open_source(name: BaselineName, root: Path) -> Iterator[Opened]:
    """Open a baseline of the repository at `root`.

    Raises:
        InputError: If there is no such baseline.
        UnavailableError: If git is not installed, or this clone does not have the commit.
    """
    if name.ref is not None:
        from provenance.artifacts.git import open_commit  # slow to import

        with open_commit(root, name.ref) as commit:
            yield Opened(f"{name.text} ({commit.oid[:12]})", commit)
        return
    path = name.folder / name.text
    if path.is_dir():
        yield Opened(name.text, Checkout(Tree.at(path)))
    elif path.exists():
        file = RegistryFile(path)
        yield Opened(name.text, file, file)
    else:
        raise InputError(f"baseline {name.text!r}: no such folder or file", help=_help(name.text))


def _help(text: str) -> str:
    """Return a help that suggests what a missing baseline was meant to be."""
    import difflib

    scheme, colon, ref = text.partition(":")
    if colon and difflib.get_close_matches(scheme.lower(), ["git", "github"], 1):
        return f"A commit is named git:REF: --baseline git:{ref}"
    if not colon and ("." not in text or "/" in text):
        return f"A commit is named git:REF: --baseline git:{text}"
    return f"Name {EXAMPLES}."


@dataclass(frozen=True)
class Checkout:
    """A checkout of a repository: the present one, or another."""

    tree: Tree

    def read(self, path: str, limit: int) -> bytes:
        """Return the bytes of a file, at most `limit`. Raises FileError."""
        return self.tree.read(path, limit)

    def folders_in(self, folder: str) -> Sequence[str]:
        """Return the names of the folders in a folder, sorted. Links are left out."""
        names = self.names_in(folder)
        above = self.tree.root / self.tree.resolve(folder) if names else Path()
        return [name for name in names if stat.S_ISDIR(os.lstat(above / name).st_mode)]

    def names_in(self, folder: str) -> Sequence[str]:
        """Return the names of the files and folders in a folder, sorted."""
        try:
            names = os.listdir(self.tree.root / self.tree.resolve(folder))
        except (FileError, FileNotFoundError, NotADirectoryError):
            return ()
        except OSError as e:
            raise InputError(f"cannot list {folder!r} of the baseline: {e.strerror}") from e
        if len(names) > limits.FOLDER_ENTRIES:
            raise InputError(
                f"more than {limits.FOLDER_ENTRIES:,} files in {folder!r} of the baseline"
            )
        return sorted(names)

    def at(self, folder: str) -> Source | None:
        """Return the checkout below another folder, or None if that is not part of it."""
        try:
            below = self.tree.root / self.tree.resolve(folder)
        except FileError:
            return None
        return Checkout(Tree(below, self.tree.confined)) if below.is_dir() else None


@dataclass(frozen=True)
class RegistryFile:
    """A registry file alone, without the files that it names."""

    path: Path
    registry: str | None = None
    """The path that callers read the registry by, or None if it is not known yet."""

    def read(self, path: str, limit: int) -> bytes:
        """Return the bytes of the registry. Raises FileError for every other path."""
        if path != self.registry:
            raise FileError(FileProblem.MISSING, path, f"{path!r} is not known")
        return paths.read_named_file(self.path, limit)

    def names_in(self, folder: str) -> Sequence[str]:
        """Return an empty tuple: no folder is known."""
        return ()

    def folders_in(self, folder: str) -> Sequence[str]:
        """Return an empty tuple: no folder is known."""
        return ()

    def at(self, folder: str) -> None:
        """Return None: no folder is known."""
