# SPDX-License-Identifier: Apache-2.0
"""The baseline: the registry as it was, that `check` and `restore` compare the present one with.

It is named as `git:REF`, as a folder (another checkout), or as a registry file. Nothing here is
ever written to, and of a git commit nothing is checked out.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from provenance.artifacts import limits, paths
from provenance.artifacts.paths import FileError, Tree, Trouble
from provenance.artifacts.registry import Registry, parse_bytes
from provenance.errors import InputError

NONE: Final = "none"
"""The baseline that switches a configured one off."""

_GIT: Final = "git:"
_EXAMPLES: Final = "a commit (git:origin/main), a folder, or a registry file"
_FIRST_TIME: Final = (
    "A registry that has moved or is new has no baseline: --baseline none, until the baseline has "
    "it at this path."
)


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
        raise InputError("the baseline is empty", help=f"Name it, or say {NONE}: {_EXAMPLES}")
    return None if text is None or text == NONE else BaselineName(text, folder)


class Source(Protocol):
    """Where files are read as they were, by path relative to the repository's root."""

    def read(self, path: str, limit: int) -> bytes:
        """All bytes of a file, at most `limit`. Raises FileError."""

    def names_in(self, folder: str) -> Sequence[str]:
        """The names of the files in a folder."""


@dataclass(frozen=True)
class Baseline:
    """An open baseline.

    Attributes:
        name: As it was named, for commands that name it again.
        label: The same, with the commit that it was, for the report.
        registry: The registry as it was.
        source: Where the files beside it are read.
    """

    name: str
    label: str
    registry: Registry
    source: Source


@contextmanager
def open_baseline(name: BaselineName, root: Path, registry: str) -> Iterator[Baseline]:
    """The baseline of the registry at path `registry` of the repository at `root`.

    Raises:
        InputError: There is no such baseline, or no registry in it that can be read.
        UnavailableError: There is no git, or this clone does not have the commit.
    """
    if name.ref is not None:
        from provenance.artifacts.git import open_commit  # costs as much as all the rest of it

        with open_commit(root, name.ref) as commit:
            label = f"{name.text} ({commit.oid[:12]})"
            yield _opened(name, label, registry, commit)
        return
    path = name.folder / name.text
    if path.is_dir():
        yield _opened(name, name.text, registry, _Checkout(Tree.at(path)))
    elif path.exists():
        yield _opened(name, name.text, registry, _RegistryFile(path, registry))
    else:
        raise InputError(
            f"baseline {name.text!r}: no such folder or file",
            help=_help(name.text),
        )


def _help(text: str) -> str:
    """What may have been meant by a baseline that is not there."""
    scheme, colon, ref = text.partition(":")
    if colon and difflib.get_close_matches(scheme.lower(), ["git", "github"], 1):
        return f"A commit is named git:REF: --baseline git:{ref}"
    if not colon and ("." not in text or "/" in text):
        return f"A commit is named git:REF: --baseline git:{text}"
    return f"Name {_EXAMPLES}."


def _opened(name: BaselineName, label: str, path: str, source: Source) -> Baseline:
    try:
        registry = parse_bytes(source.read(path, limits.REGISTRY), path)
    except FileError as e:
        if e.trouble is Trouble.MISSING:
            raise InputError(
                f"baseline {name.text}: there is no registry {path!r} in it", help=_FIRST_TIME
            ) from e
        raise InputError(f"baseline {name.text}: {e.message}", help=e.help) from e
    except InputError as e:
        # Of a file that was named, only that was read: no registry at the configured path.
        alone = isinstance(source, _RegistryFile)
        said = e.message.removeprefix(f"{path}: ") if alone else e.message
        raise InputError(
            f"baseline {name.text}: {said}",
            help="Compare with a baseline whose registry can be read, or: --baseline none",
        ) from e
    return Baseline(name.text, label, registry, source)


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


@dataclass(frozen=True)
class _RegistryFile:
    """A registry alone, without the files that it names: what lay beside it is not known."""

    path: Path
    registry: str

    def read(self, path: str, limit: int) -> bytes:
        if path != self.registry:
            raise FileError(Trouble.MISSING, path, f"{path!r} is not known")
        return paths.read_named_file(self.path, limit)

    def names_in(self, folder: str) -> Sequence[str]:
        return ()
