# SPDX-License-Identifier: Apache-2.0
"""Replacing bundles in several folders: prepared, committed by a rename, and moved into place.

A run that is cut short after the commit is finished by the next one.
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
"""The journal while files are prepared: which they are, for the run that removes them."""


def interrupted(tree: Tree) -> bool:
    """Whether a release was cut short between commit and completion."""
    return (tree.root / JOURNAL_FOLDER / _JOURNAL).exists()


def move_by_journal(tree: Tree, targets: Mapping[Path, bytes]) -> list[str | None]:
    """Prepare each file beside its target, commit to all of them, and rename them; the notes.

    What can go wrong goes wrong before the commit: a folder that cannot be written to, a full disk.
    No file has to leave its folder, which may be on a file system of its own.
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
        except BaseException:  # an interrupt too, which may come right after the commit
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
            prepared = []  # killed while it wrote that: before the first of them
        _abandon(tree, prepared)


def _finish_moves(tree: Tree) -> list[str | None]:
    paths = _committed(tree)
    try:
        targets = [tree.target(path) for path in paths]
        for target in targets:
            staged = replacing.staging_of(target)
            if os.path.lexists(staged):  # else it was renamed by the run before
                os.replace(staged, target)
        # A parent that is gone has taken what was prepared with it: it is made anew.
        notes = [replacing.flushed(p) for p in {target.parent for target in targets} if p.exists()]
        file_system.remove(tree.root / JOURNAL_FOLDER)
    except (FileError, OSError) as e:
        reason = e.message if isinstance(e, FileError) else e.strerror or e
        advice = (
            f"{file_system.advice(e)} Then" if isinstance(e, OSError) else "Remove the cause, and"
        )
        raise InputError(
            f"cannot finish the release: {reason}",
            help="It is committed, and not all of its bundles are in place. "
            f"{advice} run `provenance release` again: it finishes.",
        ) from e
    return notes


def _abandon(tree: Tree, paths: Iterable[str]) -> None:
    """Remove what was prepared for `paths`, and the journal that was never committed."""
    for path in paths:
        # Where something else than a file lies by now, that is not ours, and is left alone.
        with contextlib.suppress(FileError):
            file_system.remove(replacing.staging_of(tree.target(path)))
    file_system.remove(tree.root / JOURNAL_FOLDER)


def _committed(tree: Tree) -> list[str]:
    """What a committed journal says is to be renamed. Raises InputError if it is not a journal."""
    where = f"{JOURNAL_FOLDER}/{_JOURNAL}"
    try:
        return _journal(tree.read(where, limits.DOCUMENT))
    except JsonError as e:
        raise InputError(
            f"{where} is not a journal: {e}", help="Remove the folder and release again."
        ) from e


def _journal(data: bytes) -> list[str]:
    """The paths in a journal, which anybody may have put there: bundles alone. Raises JsonError."""
    files: Any = parse_object(data).get("files")
    if not isinstance(files, list):
        raise JsonError("`files` is no list")
    if not all(isinstance(path, str) and path.endswith(".sigstore.json") for path in files):
        raise JsonError("not all of `files` are bundles")
    return files


@contextlib.contextmanager
def made(folders: Iterable[Path]) -> Iterator[None]:
    """With these folders, which are made if they are missing, and removed again on a failure."""
    made: list[Path] = []
    try:
        for folder in folders:
            missing = [f for f in (folder, *folder.parents) if not f.exists()]
            for new in reversed(missing):
                new.mkdir()
                made.append(new)
        yield
    except BaseException:  # an interrupt too
        for new in reversed(made):
            # One that is not empty holds what is committed.
            with contextlib.suppress(OSError):
                new.rmdir()
        raise
