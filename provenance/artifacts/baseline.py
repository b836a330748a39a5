# SPDX-License-Identifier: Apache-2.0
"""The baseline: the registry as it was, that `check` and `restore` compare the present one with.

`git:REF`, a folder (another checkout), or a registry file. Of a git commit nothing is checked out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from provenance.artifacts import limits, paths
from provenance.artifacts.paths import FileError, FileProblem, Tree
from provenance.errors import InputError

NONE: Final = "none"
"""The baseline that switches a configured one off."""

_GIT: Final = "git:"
EXAMPLES: Final = "a commit (git:origin/main), a folder, or a registry file"


@dataclass(frozen=True, slots=True)
class BaselineName:
    """A baseline as it was named; a path is relative to `folder`."""

    text: str
    folder: Path

    @property
    def ref(self) -> str | None:
        """The git ref, None where a path was named."""
        return self.text.removeprefix(_GIT) if self.text.startswith(_GIT) else None


def named(text: str | None, folder: Path) -> BaselineName | None:
    """The baseline that `text` names; None where it names none.

    Raises:
        InputError: It is empty, as a variable is that was not set: that would compare with nothing.
    """
    if text is not None and not text.strip():
        raise InputError("the baseline is empty", help=f"Name it, or say {NONE}: {EXAMPLES}")
    return None if text is None or text == NONE else BaselineName(text, folder)


class Source(Protocol):
    """Where files are read as they were, by path relative to one folder of the repository."""

    def read(self, path: str, limit: int) -> bytes:
        """All bytes of a file, at most `limit`. Raises FileError."""

    def names_in(self, folder: str) -> Sequence[str]:
        """The names of the files in a folder."""

    def at(self, folder: str) -> Source | None:
        """The same below another folder, relative to this one; None if that is not part of it."""


@dataclass(frozen=True)
class Opened:
    """A baseline whose files can be read, relative to the repository's root.

    `label` also names the commit; `file` is the registry, where nothing else of the baseline is
    known.
    """

    label: str
    source: Source
    file: RegistryFile | None = None


@contextmanager
def open_source(name: BaselineName, root: Path) -> Iterator[Opened]:
    """The files of a baseline of the repository at `root`.

    Raises:
        InputError: There is no such baseline.
        UnavailableError: There is no git, or this clone does not have the commit.
    """
    if name.ref is not None:
        from provenance.artifacts.git import open_commit  # costs as much as all the rest of it

        with open_commit(root, name.ref) as commit:
            yield Opened(f"{name.text} ({commit.oid[:12]})", commit)
        return
    path = name.folder / name.text
    if path.is_dir():
        yield Opened(name.text, _Checkout(Tree.at(path)))
    elif path.exists():
        file = RegistryFile(path)
        yield Opened(name.text, file, file)
    else:
        raise InputError(f"baseline {name.text!r}: no such folder or file", help=_help(name.text))


def _help(text: str) -> str:
    """What may have been meant by a baseline that is not there."""
    import difflib

    scheme, colon, ref = text.partition(":")
    if colon and difflib.get_close_matches(scheme.lower(), ["git", "github"], 1):
        return f"A commit is named git:REF: --baseline git:{ref}"
    if not colon and ("." not in text or "/" in text):
        return f"A commit is named git:REF: --baseline git:{text}"
    return f"Name {EXAMPLES}."


@dataclass(frozen=True)
class _Checkout:
    """Another checkout of the repository."""

    tree: Tree

    def read(self, path: str, limit: int) -> bytes:
        return self.tree.read(path, limit)

    def names_in(self, folder: str) -> Sequence[str]:
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
        try:
            below = self.tree.root / self.tree.resolve(folder)
        except FileError:
            return None
        return _Checkout(Tree(below, self.tree.confined)) if below.is_dir() else None


@dataclass(frozen=True)
class RegistryFile:
    """A registry alone, without the files that it names: nothing beside it is known."""

    path: Path
    registry: str | None = None
    """The path that the registry is read by; None until that is known."""

    def read(self, path: str, limit: int) -> bytes:
        """All bytes of the registry. Raises FileError for every other path."""
        if path != self.registry:
            raise FileError(FileProblem.MISSING, path, f"{path!r} is not known")
        return paths.read_named_file(self.path, limit)

    def names_in(self, folder: str) -> Sequence[str]:
        """Nothing: no folder is known."""
        return ()

    def at(self, folder: str) -> None:
        """Nothing: no folder is known."""
