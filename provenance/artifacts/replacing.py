# SPDX-License-Identifier: Apache-2.0
"""Replacing one file by a rename, or a folder of bundles by an exchange.

What is there is the old content or the new one, and never a part of either.
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
"""Suffix of what is being prepared, and of what an exchange has put out of use."""

_NO_EXCHANGE: Final = frozenset(
    {
        errno.EINVAL,  # a file system that does not know it, and
        errno.EOPNOTSUPP,  # one on the network
        errno.ENOSYS,  # a kernel without the call, and
        errno.EPERM,  # a sandbox that forbids it, or another user's folder in a sticky one
        errno.EBUSY,  # a folder that is a mount of its own, and
        errno.EXDEV,  # one that is on another mount than the folder above it
    }
)
"""What is answered where two folders cannot be exchanged, and files in them may well be renamed."""


def staging_of(target: Path) -> Path:
    """Where the new content of `target` is prepared."""
    return file_system.twin(target, STAGING)


def replace(target: Path, data: bytes) -> str | None:
    """Replace one file; what is uncertain about it afterwards. Raises OSError: it is as before."""
    staged = staging_of(target)
    try:
        file_system.write_new(staged, data, file_system.status(target))
        os.replace(staged, target)
    except BaseException:  # an interrupt too
        with contextlib.suppress(OSError):
            staged.unlink(missing_ok=True)
        raise
    return flushed(target.parent)


def flushed(folder: Path) -> str | None:
    """Flush the names in a folder after a rename; the note that it failed, or None.

    What was renamed is written, and every reader sees it: only a crash could undo it.
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
    """Two folders cannot be exchanged here. The message says why."""


def owns_folder(tree: Tree, folder: Path) -> bool:
    """Whether `folder` can be exchanged: it holds plain files only, and no process is in it."""
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
    """Exchange a folder for one with new `files`; the notes about it.

    Raises:
        CannotExchangeError: Nothing has changed, as after an OSError.
    """
    old = file_system.status(folder)
    if old is not None and old.st_dev != folder.parent.stat().st_dev:
        raise CannotExchangeError("it is a mount of its own")
    staged = staging_of(folder)
    file_system.remove(staged)
    try:
        _prepare_folder(staged, folder, old, files)
        if old is not None:
            _exchange(staged, folder)
        else:
            os.rename(staged, folder)
    except BaseException:  # an interrupt too
        with contextlib.suppress(OSError):
            file_system.remove(staged)
        raise
    notes = [flushed(folder.parent)]
    try:
        file_system.remove(staged)  # the former folder
    except OSError as e:
        notes.append(f"the former files are left in {str(staged)!r} ({e.strerror or e}): remove it")
    return notes


def _prepare_folder(
    staged: Path, folder: Path, old: os.stat_result | None, files: Mapping[str, bytes]
) -> None:
    """Make the folder that is to be: new files, and links to the ones that stay."""
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
            raise CannotExchangeError("it is a mount of its own") from e
        if e.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        if not file_system.copy(source, target):
            raise CannotExchangeError("files in it belong to another user or group") from e


def _exchange(a: Path, b: Path) -> None:
    """Exchange two folders in one step (Linux, renameat2(2)). Python has no call for it.

    Raises:
        CannotExchangeError: The system cannot do it with these folders.
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
