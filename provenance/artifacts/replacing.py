# SPDX-License-Identifier: Apache-2.0
"""Replace one file by a rename, or a folder of bundles by an exchange.

At any time, a path has either its old or its new content, never a mixture.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from provenance.artifacts import file_system
from provenance.artifacts.paths import Tree

STAGING: Final = ".provenance-new"
"""Suffix of a file or folder that is being prepared, and of a folder that was exchanged."""

_NO_EXCHANGE: Final = frozenset(
    {
        errno.EINVAL,  # the file system does not support it
        errno.EOPNOTSUPP,  # a network file system does not support it
        errno.ENOSYS,  # the kernel does not have the call
        errno.EPERM,  # a sandbox forbids it, or the folder is another user's in a sticky folder
        errno.EBUSY,  # the folder is a mount point
        errno.EXDEV,  # the folder is on another mount than its parent
    }
)
"""Errors if two folders cannot be exchanged, but files in them may still be renamed."""


def staging_of(target: Path) -> Path:
    """Return the path at which the new content of `target` is prepared."""
    return file_system.twin(target, STAGING)


def replace(target: Path, data: bytes) -> str | None:
    """Replace one file.

    Returns:
        A note that the file may not survive a crash, or None.

    Raises:
        OSError: If the file cannot be replaced. It is then unchanged.
    """
    staged = staging_of(target)
    try:
        file_system.write_new(staged, data, file_system.status(target))
        os.replace(staged, target)
    except BaseException:  # including KeyboardInterrupt
        with contextlib.suppress(OSError):
            staged.unlink(missing_ok=True)
        raise
    return flushed(target.parent)


def flushed(folder: Path) -> str | None:
    """Flush the names in a folder after a rename.

    Returns:
        A note if that failed, or None. The rename is done and visible to all readers; only a crash
        of the system could undo it.
    """
    try:
        file_system.sync_folder(folder)
    except OSError as e:
        return (
            f"written, but {str(folder)!r} could not be flushed to the disk ({e.strerror or e}): "
            "a crash of the system could undo it"
        )
    return None


def warn(note: str | None) -> None:
    """Log a note about a file that was written."""
    if note is not None:
        import logging

        logging.getLogger("provenance").warning("%s", note)


class CannotExchangeError(Exception):
    """Two folders cannot be exchanged. The message says why."""


def owns_folder(tree: Tree, folder: Path) -> bool:
    """Return whether `folder` may be exchanged: it has only regular files of known kinds.

    It must not be the root or contain the current folder.
    """
    if folder == tree.root or not sys.platform.startswith("linux"):
        return False
    if not folder.exists():
        return folder.parent.is_dir()
    if Path(os.path.realpath(os.curdir)).is_relative_to(folder):
        return False
    with os.scandir(folder) as entries:
        names = [(e.name, e.is_file(follow_symlinks=False)) for e in entries]
    plain = all(is_file for _, is_file in names)
    return plain and all(n.endswith((".json", ".pub", ".md", ".pem")) for n, _ in names)


def exchange_folder(folder: Path, files: Mapping[str, bytes]) -> list[str | None]:
    """Exchange a folder for one with new `files`.

    Returns:
        Notes for the user, or None in their place.

    Raises:
        CannotExchangeError: If the folder cannot be exchanged. Nothing has changed then.
        OSError: If writing fails. Nothing has changed then.
    """
    old = file_system.status(folder)
    if old is not None and old.st_dev != folder.parent.stat().st_dev:
        raise CannotExchangeError("it is a mount point")
    staged = staging_of(folder)
    file_system.remove(staged)
    try:
        _prepare_folder(staged, folder, old, files)
        if old is not None:
            _exchange(staged, folder)
        else:
            os.rename(staged, folder)
    except BaseException:  # including KeyboardInterrupt
        with contextlib.suppress(OSError):
            file_system.remove(staged)
        raise
    notes = [flushed(folder.parent)]
    try:
        file_system.remove(staged)  # the old folder
    except OSError as e:
        notes.append(f"the old files are still in {str(staged)!r} ({e.strerror or e}): remove it")
    return notes


def _prepare_folder(
    staged: Path, folder: Path, old: os.stat_result | None, files: Mapping[str, bytes]
) -> None:
    """Make the new folder: with the new files, and hard links to the files that stay."""
    if not file_system.make_folder(staged, folder if old is not None else None):
        raise CannotExchangeError("it belongs to another user or group")
    if old is not None:
        for name in sorted(os.listdir(folder)):
            if name not in files:
                _link(folder / name, staged / name)
    for name, data in files.items():
        file_system.write_new(staged / name, data, file_system.status(folder / name))
    file_system.sync_folder(staged)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError as e:
        if e.errno == errno.EXDEV:
            raise CannotExchangeError("it is a mount point") from e
        if e.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        if not file_system.copy(source, target):
            raise CannotExchangeError("files in it belong to another user or group") from e


def _exchange(a: Path, b: Path) -> None:
    """Exchange two folders in one step with renameat2(2) of Linux, which Python does not offer.

    Raises:
        CannotExchangeError: If the system cannot exchange these folders.
    """
    try:
        import ctypes

        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except ImportError as e:
        raise CannotExchangeError("Python has no ctypes") from e
    except AttributeError as e:
        raise CannotExchangeError("the C library has no renameat2") from e
    except OSError as e:
        raise CannotExchangeError(str(e)) from e
    at_fdcwd, rename_exchange = -100, 2
    if rename(at_fdcwd, os.fsencode(a), at_fdcwd, os.fsencode(b), rename_exchange) != 0:
        code = ctypes.get_errno()
        if code in _NO_EXCHANGE:
            raise CannotExchangeError(os.strerror(code))
        raise OSError(code, os.strerror(code), str(b))
