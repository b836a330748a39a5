# SPDX-License-Identifier: Apache-2.0
"""A snapshot: the digest of every file of a release, at one moment.

A release is what lies below the registry's folder and the folders of its bundles, and the
configuration. Names are relative to the repository's root.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from provenance.artifacts import digest
from provenance.artifacts import registry as registries
from provenance.artifacts.inventory import inventory
from provenance.artifacts.paths import FileError, Tree, Trouble
from provenance.config import Config
from provenance.gate.progress import Progress
from provenance.gate.workers import map_in_threads


@dataclass(frozen=True, slots=True)
class Scope:
    """Where the files of a release are, relative to the root.

    Attributes:
        folders: The registry's and those of the bundles, none of them below another.
        bundle_folders: Those of the bundles.
        config: The configuration, None where it is kept elsewhere.
    """

    folders: tuple[str, ...]
    bundle_folders: tuple[str, ...]
    config: str | None


def scope_of(config: Config) -> Scope:
    """The scope of a release of `config`, by the registry as it is now, if there is one.

    Raises:
        InputError: The registry cannot be read.
    """
    tree = Tree.at(config.root)
    bundles: set[str] = set()
    if tree.exists(config.registry):
        registry = registries.read(tree, config.registry, config.fields)
        named = (registry.absolute(r.sigstore_bundle) for r in registry.rows if r.sigstore_bundle)
        bundles = {tree.resolve(_folder_of(path)) for path in named}
    folders = {tree.resolve(_folder_of(config.registry)), *bundles}
    return Scope(
        folders=tuple(sorted(f for f in folders if not any(_is_below(f, o) for o in folders))),
        bundle_folders=tuple(sorted(bundles)),
        config=config.path if config.in_tree else None,
    )


def take(config: Config, progress: Progress | None = None) -> dict[str, str]:
    """The SHA-256 of each file of the release, by its path.

    Raises:
        InputError: A file cannot be read, or is none: a link that leads out, a folder behind a
            link, a pipe. What cannot be recorded cannot be vouched for.
    """
    tree, scope = Tree.at(config.root), scope_of(config)
    files = {*inventory(tree, scope.folders), *([scope.config] if scope.config else [])}
    read = hash_files(tree, sorted(files), progress)
    for found in read.values():
        if isinstance(found, FileError):
            raise found
    return {path: found for path, found in read.items() if isinstance(found, str)}


def hash_files(
    tree: Tree, files: Sequence[str], progress: Progress | None = None
) -> Mapping[str, str | FileError]:
    """The SHA-256 of each of `files`, several at once, or why it cannot be read."""
    progress = progress or Progress()
    progress.begin("recording files", len(files))

    def read(path: str) -> str | FileError:
        try:
            with tree.open(path) as stream:
                size = os.fstat(stream.fileno()).st_size
                with progress.reading(stream, path, size) as watched:
                    return digest.of_stream(watched, size).sha256
        except FileError as e:
            return e.kept()
        except OSError as e:
            trouble = Trouble.UNREADABLE
            return FileError(trouble, path, f"{path!r}: {e.strerror or e}")
        finally:
            progress.advance()

    return dict(zip(files, map_in_threads(read, files), strict=True))


def _folder_of(path: str) -> str:
    return path.rpartition("/")[0] or "."


def _is_below(folder: str, other: str) -> bool:
    return folder != other and (other == "." or folder.startswith(f"{other}/"))
