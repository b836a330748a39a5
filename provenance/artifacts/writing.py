# SPDX-License-Identifier: Apache-2.0
"""Write files all or nothing: a crash at any instant leaves the old state or the new one.

A single file is replaced by a rename. Files that have a folder of their own (`bundles/`) are
replaced by exchanging the folder, in one system call, for one that was prepared beside it. In all
other cases a journal is committed by a rename, and then each file is renamed. If a run is
interrupted after the commit, the next run finishes it (docs/adr/0007-all-or-nothing.md).
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from provenance.artifacts import file_system, journal, limits, replacing
from provenance.artifacts.paths import FileError, Tree
from provenance.errors import InputError
from provenance.frozen import dataclass

_SPECIAL: Final = ("/dev/", "/proc/")
"""Folders whose names are open files and devices, even if they are links to regular files."""

_NO_TWIN: Final = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.EXDEV, errno.ENAMETOOLONG}
)
"""Errors after which a file may still be overwritten, though it cannot be replaced by a rename."""


@dataclass(frozen=True, slots=True)
class Change:
    """The content of a file before and after an edit. `path` is relative to the root."""

    path: str
    before: str
    after: str

    @property
    def diff(self) -> str:
        """The edit as a unified diff for `git` and `patch`; empty if nothing changed."""
        if self.before == self.after:
            return ""
        from provenance.artifacts.documents import text_diff  # loads difflib

        return text_diff.unified(self.path, self.before, self.after)


def changed(path: str) -> InputError:
    """Return the error that a file changed after it was checked."""
    return InputError(
        f"{path} changed during the check",
        help="Stop other programs from writing to it, or check a copy.",
    )


def replace_file(tree: Tree, path: str, data: bytes) -> None:
    """Replace the file at `path` (relative to the root) by `data`, keeping mode, owner and group.

    Raises:
        InputError: If the file cannot be written. The old file is then unchanged.
    """
    with _as_input_error(path), _locked(tree):
        replacing.warn(replacing.replace(tree.target(path), data))


def write_changes(tree: Tree, changes: Iterable[Change]) -> None:
    """Write all `changes`, or none.

    This is for text files that are edited in place; the journal of a release moves only bundles.
    All new files are prepared beside their targets before the first is renamed, so that most
    errors occur before anything changes. If the process is killed between two renames, every file
    is complete, and the first ones are new. Callers pass the changes in an order from which the
    next run can continue.

    Raises:
        InputError: If a file is no longer what was edited, or cannot be written. Nothing has
            changed then.
    """
    changes = [change for change in changes if change.after != change.before]
    olds: dict[Path, bytes] = {}
    prepared: list[Path] = []
    with _as_input_error(", ".join(c.path for c in changes)), _locked(tree):
        try:
            for change in changes:
                target = tree.target(change.path)
                olds[target] = tree.read(change.path, limits.REGISTRY)
                if olds[target] != change.before.encode("utf-8"):
                    raise InputError(
                        f"{change.path} changed during the check: nothing was written",
                        help="Run the command again.",
                    )
                new = change.after.encode("utf-8")
                file_system.write_new(replacing.staging_of(target), new, target.stat())
                prepared.append(target)
            for target in olds:
                os.replace(replacing.staging_of(target), target)
        except BaseException:  # including KeyboardInterrupt
            if len(prepared) == len(changes):
                renamed = [
                    t for t in prepared if file_system.status(replacing.staging_of(t)) is None
                ]
                _put_back({target: olds[target] for target in renamed})
            raise
        finally:
            for target in olds:
                with contextlib.suppress(OSError):
                    replacing.staging_of(target).unlink(missing_ok=True)
        for folder in {target.parent for target in olds}:
            replacing.warn(replacing.flushed(folder))


def _put_back(olds: Mapping[Path, bytes]) -> None:
    """Restore the old contents. Raises InputError if that fails: some files are then new."""
    for target, old in olds.items():
        try:
            replacing.replace(target, old)
        except OSError as e:
            raise InputError(
                f"{target} was written, and its old content cannot be restored: {e.strerror or e}",
                help=f"{file_system.advice(e)} See what was changed: git diff",
            ) from e


def write_all(tree: Tree, files: Mapping[str, bytes]) -> str | None:
    """Write all `files` (by path relative to the root), or none.

    Returns:
        Notes for the user on how the files were written, or None.

    Raises:
        InputError: If the files cannot be written. Either nothing has changed, or the files are
            committed but not all in place, and the next run finishes.
    """
    if not files:
        return None
    notes: list[str | None] = []
    with _as_input_error("the release"), _locked(tree) as locked:
        journal.recover(tree)
        targets = {tree.target(path): data for path, data in files.items()}
        folders = {t.parent for t in targets}
        if len(targets) == 1:
            target, data = next(iter(targets.items()))
            with journal.made(folders):
                notes.append(replacing.replace(target, data))
        elif len(folders) == 1 and replacing.owns_folder(tree, folder := next(iter(folders))):
            try:
                notes += replacing.exchange_folder(
                    folder, {t.name: data for t, data in targets.items()}
                )
            except replacing.CannotExchangeError as e:
                notes += [
                    f"{folder.relative_to(tree.root).as_posix()}/ cannot be exchanged in one step "
                    f"({e}): its files were replaced one after the other, under a journal",
                    *journal.move_by_journal(tree, targets),
                ]
        else:
            notes += journal.move_by_journal(tree, targets)
        if not locked:
            notes.append(
                "this file system has no locks: make sure that no other run writes at the same time"
            )
    return "; ".join(note for note in notes if note is not None) or None


def write_named_file(path: Path, data: bytes) -> None:
    """Write the file that the user named. Links are followed.

    A regular file is replaced by a rename. If no file can be created beside it, it is overwritten.

    Raises:
        InputError: If the file cannot be written. A regular file is then unchanged, unless the
            message says that it may be incomplete.
    """
    with file_system.explained(f"cannot write {path}"):
        # Write to devices and pipes directly: a rename would replace them by a file.
        if os.path.abspath(path).startswith(_SPECIAL) or (path.exists() and not path.is_file()):
            path.write_bytes(data)
            return
        real = Path(os.path.realpath(path))
        try:
            replacing.warn(replacing.replace(real, data))
        except OSError as e:
            if e.errno not in _NO_TWIN or not real.is_file() or not os.access(real, os.W_OK):
                raise
            try:
                file_system.write_in_place(real, data)
            except OSError as e:
                message = f"cannot write {path}: {e.strerror or e}; the file may be incomplete"
                raise InputError(message, help=file_system.advice(e)) from e


def recover(tree: Tree) -> None:
    """Finish or undo the work of an interrupted run. Raises InputError."""
    with _as_input_error("the release"), _locked(tree):
        journal.recover(tree)


def clean(tree: Tree, paths: Iterable[str]) -> None:
    """Remove files that killed runs left beside `paths` (from the root). Raises InputError."""
    with _as_input_error("the release"), _locked(tree):
        targets = [tree.target(path) for path in paths]
        for place in {*targets, *(t.parent for t in targets)} - {tree.root}:
            file_system.remove(replacing.staging_of(place))


@contextlib.contextmanager
def _locked(tree: Tree) -> Iterator[bool]:
    """Lock the tree against other writers. Yields whether this file system has locks."""
    if sys.platform == "win32":
        yield True
        return
    descriptor = os.open(tree.root, os.O_RDONLY)
    try:
        try:
            locked = file_system.lock(descriptor)
        except BlockingIOError as e:
            raise InputError(
                "another run is writing to this repository", help="Wait until it ends."
            ) from e
        yield locked
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _as_input_error(what: str) -> Iterator[None]:
    try:
        yield
    except FileError as e:
        raise InputError(f"cannot write {what}: {e.message}") from e
    except OSError as e:
        where = f" ({e.filename})" if e.filename else ""
        raise InputError(
            f"cannot write {what}: {e.strerror or e}{where}",
            help=f"Nothing was changed. {file_system.advice(e)}",
        ) from e
