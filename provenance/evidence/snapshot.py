# SPDX-License-Identifier: Apache-2.0
"""Take a snapshot: the digest of every file of a release at one moment.

A release consists of the files below the folders of the registry and its bundles, of the
configuration, and of the list of withdrawn models. in-toto leaves out files with certain names, so
links do not contain them. A release must neither name nor contain such a file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from provenance.artifacts import digest
from provenance.artifacts.baseline import Checkout
from provenance.artifacts.digest import Digest
from provenance.artifacts.inventory import Inventory, Scope, inventory, left_out_by
from provenance.artifacts.paths import FileError, FileProblem, Tree
from provenance.config import Config
from provenance.errors import InputError
from provenance.evidence.facts import RowFacts
from provenance.evidence.progress import Progress
from provenance.evidence.rows import RowEvidence
from provenance.evidence.workers import map_in_threads
from provenance.registry import reading, withdrawn
from provenance.registry.registry import Registry


def scope_of(config: Config, registry: Registry | None = None) -> Scope:
    """Return the scope of a release of `config`.

    It follows from `registry`, or else from the present registry if that exists.

    Raises:
        InputError: If the registry cannot be read.
    """
    tree = Tree.at(config.root)
    bundles: set[str] = set()
    named: set[str] = set()
    folders: set[str] = set()
    if registry is None:
        registry = _present(tree, config)
    if registry is None:
        named = {path for index in config.indexes for path in index.paths}
        folders = {tree.resolve(_folder_of(path)) for path in named}
    else:
        folders = {tree.resolve(_folder_of(file.path)) for file in registry.files}
        folders.add(tree.resolve(registry.folder))
        named = {file.path for file in registry.files}
        paths = {registry.absolute(r.sigstore_bundle) for r in registry.rows if r.sigstore_bundle}
        bundles = {tree.resolve(_folder_of(path)) for path in paths}
        files = (n for r in registry.rows for n in r.names)
        named |= paths | {registry.absolute(n) for n in files if n is not None}
    folders |= bundles
    return Scope(
        folders=tuple(sorted(f for f in folders if not any(_is_below(f, o) for o in folders))),
        bundle_folders=tuple(sorted(bundles)),
        others=(*((config.path,) if config.is_in_root else ()), withdrawn.FILE),
        named=tuple(sorted(named)),
    )


def _present(tree: Tree, config: Config) -> Registry | None:
    """Return the present registry, or None if an index file that is named does not exist."""
    named = [path for index in config.indexes for path in index.paths if "*" not in path]
    if not all(map(tree.exists, named)):
        return None
    return reading.read(Checkout(tree), config.indexes)


def named_by(registry: Registry, rows: Iterable[RowEvidence | RowFacts]) -> set[str]:
    """Return the paths that rows name: models with their data, existing sidecars, bundles."""
    found: set[str] = set()
    for row in rows:
        found.update(f.path for f in row.model_files)
        found.update(s.path for s in row.sidecars if not s.missing)
    bundles = (row.sigstore_bundle for row in registry.rows)
    return found | {registry.absolute(name) for name in bundles if name is not None}


def unseen(scope: Scope, listed: Inventory, named: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the paths of a release that links cannot contain.

    They are among those `listed` in its folders, those of the scope, and those further `named`. A
    folder represents all files below it.
    """
    names = {*scope.named, *named, *scope.others}
    names |= {f"{folder}/" for folder in scope.folders}
    kept: list[str] = []
    for path in sorted({*listed.unseen, *(n for n in names if left_out_by(n) is not None)}):
        if not (kept and kept[-1].endswith("/") and path.startswith(kept[-1])):
            kept.append(path)
    return tuple(kept)


def need_seen(unseen: Sequence[str]) -> None:
    """Check that links can contain all files of a release.

    Raises:
        InputError: If there are `unseen` paths.
    """
    if unseen:
        more = f" and {len(unseen) - 1} more are" if len(unseen) > 1 else " is"
        patterns = sorted({f"`{left_out_by(path)}`" for path in unseen})
        raise InputError(
            f"{unseen[0]!r}{more} part of the release, but a link cannot contain it: in-toto "
            f"leaves out {', '.join(patterns)}",
            help="Rename it everywhere, or move it elsewhere: a file outside the links can change "
            "between two steps unnoticed.",
        )


def take(config: Config, progress: Progress | None = None) -> dict[str, str]:
    """Return the SHA-256 of each file of the release, by its path.

    Raises:
        InputError: If a file cannot be recorded: it cannot be read, in-toto leaves it out, or it
            is a symbolic link out of the tree or to a folder, or a pipe.
    """
    tree, scope = Tree.at(config.root), scope_of(config)
    listed = inventory(tree, scope.folders)
    need_seen(unseen(scope, listed))
    files = {*listed.files, *filter(tree.exists, scope.others)}
    read = hash_files(tree, sorted(files), progress)
    for found in read.values():
        if isinstance(found, FileError):
            raise found
    return {path: found.sha256 for path, found in read.items() if isinstance(found, Digest)}


def hash_files(
    tree: Tree, files: Sequence[str], progress: Progress | None, what: str = "recording files"
) -> Mapping[str, Digest | FileError]:
    """Return the digest of each file, or why it cannot be read. Files are read in threads."""
    progress = progress or Progress()
    progress.begin(what, len(files))

    def read(path: str) -> Digest | FileError:
        try:
            with tree.open(path) as stream:
                size = os.fstat(stream.fileno()).st_size
                with progress.reading(stream, path, size) as watched:
                    return digest.of_stream(watched, size)
        except FileError as e:
            return e.kept()
        except OSError as e:
            return FileError(FileProblem.UNREADABLE, path, f"{path!r}: {e.strerror or e}")
        finally:
            progress.advance()

    return dict(zip(files, map_in_threads(read, files), strict=True))


def _folder_of(path: str) -> str:
    return path.rpartition("/")[0] or "."


def _is_below(folder: str, other: str) -> bool:
    return folder != other and (other == "." or folder.startswith(f"{other}/"))
