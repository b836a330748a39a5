# SPDX-License-Identifier: Apache-2.0
"""The files below a root: their names, and the digests that prove what an index says of them.

Everything is bounded: the number of files that are listed, and the bytes that are hashed.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum
from functools import cached_property
from typing import Final

from provenance.artifacts import digest
from provenance.artifacts.paths import FileError, PointerError, Tree, refusal
from provenance.frozen import dataclass
from provenance.registry.rows import MODEL_SUFFIX

MAX_FILES: Final = 100_000
"""Files below the root that are listed. The others are not found by their name."""

MAX_HASHED: Final = 8 << 30
"""Bytes that are hashed to prove digests."""

SKIPPED: Final = frozenset(
    ("node_modules", "__pycache__", "site-packages", "build", "dist", "venv")
)
"""Folders of tools. Folders whose names start with a dot are skipped, too."""


_SAME_SEGMENT: Final = 50


class State(StrEnum):
    """Whether a file is in the tree."""

    HERE = "here"
    POINTER = "pointer"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that an index names, as it is in the tree.

    Attributes:
        state: Whether it is here, or a Git LFS pointer, or missing.
        size: Its size in bytes, that of the pointed-to file for a pointer, or None.
        oid: The SHA-256 in a pointer, or None.
    """

    state: State
    size: int | None = None
    oid: str | None = None


MISSING: Final = Stored(State.MISSING)


@dataclass(frozen=True)
class Listing:
    """The paths of the files below a root, sorted by folder. Folders of tools are left out."""

    files: tuple[str, ...]

    @cached_property
    def known(self) -> frozenset[str]:
        """The paths as a set."""
        return frozenset(self.files)

    @cached_property
    def by_name(self) -> Mapping[str, list[str]]:
        """The paths by the last segment."""
        found: dict[str, list[str]] = {}
        for path in self.files:
            found.setdefault(path.rpartition("/")[2], []).append(path)
        return found

    @cached_property
    def models(self) -> Mapping[str, list[str]]:
        """The ONNX files by their stem and by each folder in their path, at most 50 for each."""
        found: dict[str, list[str]] = {}
        for path in self.ending_in((MODEL_SUFFIX,)):
            *folders, name = path.split("/")
            for segment in {*folders, name.removesuffix(MODEL_SUFFIX)}:
                paths = found.setdefault(segment, [])
                if len(paths) < _SAME_SEGMENT:
                    paths.append(path)
        return found

    def ending_in(self, suffixes: tuple[str, ...]) -> Iterator[str]:
        """Yield the paths with one of these suffixes."""
        return (path for path in self.files if path.endswith(suffixes))


def list_files(tree: Tree) -> Listing:
    """Return the files below the root of `tree`, at most `MAX_FILES`. Links are not followed."""
    found: list[str] = []
    for folder, folders, names in os.walk(tree.root):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in SKIPPED)
        for name in sorted(names):
            if len(found) >= MAX_FILES:
                return Listing(tuple(found))
            path = os.path.relpath(os.path.join(folder, name), tree.root)
            found.append(path.replace(os.sep, "/"))
    return Listing(tuple(found))


class Disk:
    """Looks up files and computes their digests, each once.

    The SHA-256 of the files in `known`, by path, was computed before.

    Attributes:
        listing: The files of the tree.
        unhashed: The number of files that were not hashed, because `MAX_HASHED` was reached.
    """

    def __init__(
        self, tree: Tree, listing: Listing, known: Mapping[str, str] | None = None
    ) -> None:
        self.listing = listing
        self.unhashed = 0
        self._tree = tree
        self._left = MAX_HASHED
        self._stored: dict[str, Stored] = {}
        self._digests = {path: {"sha256": sha256} for path, sha256 in (known or {}).items()}

    def has(self, path: str) -> bool:
        """Return whether a file or a Git LFS pointer is at `path`."""
        return path in self.listing.known or self.look(path).state is not State.MISSING

    def look(self, path: str) -> Stored:
        """Return what is at `path`. A file that cannot be opened counts as missing."""
        found = self._stored.get(path)
        if found is None:
            found = self._stored[path] = self._look(path)
        return found

    def digests(self, path: str, algorithms: Collection[str]) -> Mapping[str, str]:
        """Return the digests of the file at `path` that are known or can be computed.

        Of a Git LFS pointer, only the SHA-256 is known.
        """
        stored = self.look(path)
        if stored.state is State.POINTER:
            return {} if stored.oid is None else {"sha256": stored.oid}
        known = self._digests.setdefault(path, {})
        wanted = {*algorithms} - known.keys()
        if stored.state is State.HERE and wanted:
            self._hash(path, stored.size or 0, {*wanted, *known} - {"sha256"}, known)
        return known

    def _hash(self, path: str, size: int, others: set[str], known: dict[str, str]) -> None:
        if size > self._left:
            self.unhashed += 1
            return
        self._left -= size
        try:
            with self._tree.open(path) as stream:
                found = digest.of_stream(stream, size, sorted(others))
        except (FileError, OSError):
            return
        known.update(found.others, sha256=found.sha256)

    def _look(self, path: str) -> Stored:
        if refusal(path) is not None:
            return MISSING
        try:
            with self._tree.open(path) as stream:
                return Stored(State.HERE, os.fstat(stream.fileno()).st_size)
        except PointerError as e:
            return Stored(State.POINTER, e.size, e.oid)
        except (FileError, OSError):
            return MISSING
