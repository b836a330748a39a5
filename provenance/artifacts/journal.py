# SPDX-License-Identifier: Apache-2.0
"""Replace bundles in several folders: prepare them, commit by a rename, and move them into place.

If a run is interrupted after the commit, the next run finishes it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from provenance.artifacts import file_system, limits, replacing
from provenance.artifacts.documents.strict_json import JsonError, parse_object
from provenance.artifacts.paths import FileError, Tree
from provenance.errors import InputError

JOURNAL_FOLDER: Final = ".provenance-journal"
_JOURNAL: Final = "journal.json"
_NOT_COMMITTED: Final = f"{_JOURNAL}.new"
"""The journal before the commit. It lists the files being prepared, so that they can be removed."""


def interrupted(tree: Tree) -> bool:
    """Return whether a release was interrupted between commit and completion."""
    return (tree.root / JOURNAL_FOLDER / _JOURNAL).exists()


def move_by_journal(tree: Tree, targets: Mapping[Path, bytes]) -> list[str | None]:
    """Prepare each file beside its target, commit to all of them, and rename them.

    Most errors, such as a read-only folder or a full disk, occur before the commit. Each file is
    prepared in its own folder, which may be on another file system than the journal.

    Returns:
        Notes for the user, or None in their place.
    """
    folder = tree.root / JOURNAL_FOLDER
    paths = [target.relative_to(tree.root).as_posix() for target in targets]
    parents = {target.parent for target in targets}
    with made(parents):
        try:
            folder.mkdir()
            file_system.write_new(folder / _NOT_COMMITTED, json.dumps({"files": paths}).encode())
            file_system.sync_folder(folder)
            file_system.sync_folder(tree.root)
            for target, data in targets.items():
                file_system.write_new(
                    replacing.staging_of(target), data, file_system.status(target)
                )
            for parent in parents:
                file_system.sync_folder(parent)
            os.rename(folder / _NOT_COMMITTED, folder / _JOURNAL)
        except BaseException:  # including KeyboardInterrupt, even right after the commit
            if not interrupted(tree):
                with contextlib.suppress(OSError):
                    _abandon(tree, paths)
            raise
        return [replacing.flushed(folder), *_finish_moves(tree)]


def recover(tree: Tree) -> None:
    """Finish what was committed, or remove what was not. Raises InputError or OSError."""
    if interrupted(tree):
        _finish_moves(tree)
    else:
        try:
            prepared = _journal(tree.read(f"{JOURNAL_FOLDER}/{_NOT_COMMITTED}", limits.DOCUMENT))
        except (FileError, JsonError):
            prepared = []  # the run was killed before it prepared a file
        _abandon(tree, prepared)


def _finish_moves(tree: Tree) -> list[str | None]:
    paths = _committed(tree)
    try:
        targets = [tree.target(path) for path in paths]
        for target in targets:
            staged = replacing.staging_of(target)
            if os.path.lexists(staged):  # otherwise the interrupted run has renamed it
                os.replace(staged, target)
        # If a parent folder was removed, the files prepared in it are gone as well.
        notes = [replacing.flushed(p) for p in {target.parent for target in targets} if p.exists()]
        file_system.remove(tree.root / JOURNAL_FOLDER)
    except (FileError, OSError) as e:
        reason = e.message if isinstance(e, FileError) else e.strerror or e
        advice = (
            f"{file_system.advice(e)} Then" if isinstance(e, OSError) else "Remove the cause, and"
        )
        raise InputError(
            f"cannot finish the release: {reason}",
            help="It is committed, but not all of its bundles are in place. "
            f"{advice} run `provenance release` again to finish it.",
        ) from e
    return notes


def _abandon(tree: Tree, paths: Iterable[str]) -> None:
    """Remove the files prepared for `paths`, and the journal that was not committed."""
    for path in paths:
        # If something other than a file is there now, leave it alone.
        with contextlib.suppress(FileError):
            file_system.remove(replacing.staging_of(tree.target(path)))
    file_system.remove(tree.root / JOURNAL_FOLDER)


def _committed(tree: Tree) -> list[str]:
    """Return the paths in the committed journal. Raises InputError if it is not a journal."""
    where = f"{JOURNAL_FOLDER}/{_JOURNAL}"
    try:
        return _journal(tree.read(where, limits.DOCUMENT))
    except JsonError as e:
        raise InputError(
            f"{where} is not a journal: {e}", help="Remove the folder and release again."
        ) from e


def _journal(data: bytes) -> list[str]:
    """Return the paths in a journal. Raises JsonError.

    Only paths of bundles are accepted, because the journal cannot be trusted.
    """
    files: Any = parse_object(data).get("files")
    if not isinstance(files, list):
        raise JsonError("`files` is not a list")
    if not all(isinstance(path, str) and path.endswith(".sigstore.json") for path in files):
        raise JsonError("not all of `files` are bundles")
    return files


@contextlib.contextmanager
def made(folders: Iterable[Path]) -> Iterator[None]:
    """Make the folders that are missing, and remove them again if the block fails."""
    made: list[Path] = []
    try:
        for folder in folders:
            missing = [f for f in (folder, *folder.parents) if not f.exists()]
            for new in reversed(missing):
                new.mkdir()
                made.append(new)
        yield
    except BaseException:  # including KeyboardInterrupt
        for new in reversed(made):
            # A folder that is not empty holds committed files.
            with contextlib.suppress(OSError):
                new.rmdir()
        raise
