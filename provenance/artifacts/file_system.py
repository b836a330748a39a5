# SPDX-License-Identifier: Apache-2.0
"""Operations on single files, folders and locks, on any file system.

A feature that network, FAT and FUSE file systems lack is skipped. Other failures are errors with
advice.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from provenance.errors import InputError

_LONGEST_TWIN: Final = 143
"""Bytes of a file name that every file system accepts, including encrypted ones (eCryptfs)."""

_UNKNOWN: Final = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
"""Errors of a file system that does not support a call."""

# Some network file systems need a descriptor that is open for writing, which a folder cannot have.
# A folder that may be entered but not listed cannot be opened.
_NO_FOLDER_SYNC: Final = _UNKNOWN | {errno.EBADF, errno.EISDIR, errno.EACCES, errno.EPERM}
_NO_LOCKS: Final = _UNKNOWN | {errno.ENOLCK, errno.EBADF, errno.EISDIR}
_NO_MODES: Final = _UNKNOWN | {errno.EPERM, errno.EACCES}

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_NOFOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
_CHMOD_BY_DESCRIPTOR: Final = os.chmod in os.supports_fd


def twin(target: Path, suffix: str) -> Path:
    """Return a hidden path beside `target`, with a name short enough for any file system."""
    name = f".{target.name}{suffix}"
    if len(os.fsencode(name)) > _LONGEST_TWIN:
        name = f".{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:32]}{suffix}"
    return target.with_name(name)


def status(path: Path) -> os.stat_result | None:
    """Return the status of `path` without following a link, or None if it is missing."""
    try:
        return path.lstat()
    except FileNotFoundError:
        return None


def write_new(path: Path, data: bytes, like: os.stat_result | None = None) -> None:
    """Write a new file to the disk, with the mode, owner and group of `like`.

    A file at `path` is left over from a killed run and is replaced. A link is not followed.

    Raises:
        OSError: If the file cannot be written.
    """
    if like is not None and not stat.S_ISREG(like.st_mode):
        like = None  # a link that leads to itself
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, _NEW, 0o600), "wb") as stream:
        stream.write(data)
        stream.flush()
        keep_owner(stream.fileno(), like)
        _set_mode(stream.fileno(), path, stat.S_IMODE(like.st_mode) if like else 0o644)
        _sync(stream.fileno())


def create(path: Path, data: bytes, mode: int) -> None:
    """Write a file at a free path. After a failure, the path is free again.

    Raises:
        OSError: If the path is not free, or the file cannot be written.
    """
    descriptor = os.open(path, _NEW, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            _sync(stream.fileno())
    except BaseException:  # including KeyboardInterrupt
        path.unlink(missing_ok=True)
        raise


def copy(source: Path, target: Path) -> bool:
    """Copy a file to a new one with the same mode.

    Returns:
        Whether the copy has the same owner and group.

    Raises:
        OSError: If the file cannot be read or the copy cannot be written.
    """
    import shutil

    with (
        os.fdopen(os.open(source, os.O_RDONLY | _NOFOLLOW), "rb") as old,
        os.fdopen(os.open(target, _NEW, 0o600), "wb") as new,
    ):
        shutil.copyfileobj(old, new)
        new.flush()
        like = os.fstat(old.fileno())
        kept = keep_owner(new.fileno(), like)
        _set_mode(new.fileno(), target, stat.S_IMODE(like.st_mode))
        _sync(new.fileno())
    return kept


def write_in_place(path: Path, data: bytes) -> None:
    """Overwrite the file at `path`. If this raises OSError, the file may be incomplete."""
    with path.open("r+b") as stream:
        stream.write(data)
        stream.truncate()
        stream.flush()
        _sync(stream.fileno())


def make_folder(path: Path, like: Path | None = None) -> bool:
    """Make a folder with the mode, owner, group and access list of the folder `like`.

    Returns:
        Whether the new folder has the same owner and group.

    Raises:
        OSError: If the folder cannot be made.
    """
    path.mkdir()
    if like is None or sys.platform == "win32":
        return True
    new = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _NOFOLLOW)
    try:
        status = like.stat()
        kept = keep_owner(new, status)
        _copy_attributes(like, new)
        _set_mode(new, path, stat.S_IMODE(status.st_mode))
    finally:
        os.close(new)
    return kept


def keep_owner(descriptor: int, like: os.stat_result | None) -> bool:
    """Give an open file or folder the owner and group of `like`, and return whether it has them.

    Only root can change the owner. The descriptor is used, not the name, because in a folder of
    another user the name may meanwhile refer to another file.
    """
    if like is None or sys.platform == "win32":
        return True

    def has() -> bool:
        now = os.fstat(descriptor)
        return (now.st_uid, now.st_gid) == (like.st_uid, like.st_gid)

    for owner in (like.st_uid, -1):
        if has():
            break
        with _ignored(_NO_MODES):
            os.chown(descriptor, owner, like.st_gid)
    return has()


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk, if the file system can. Raises OSError."""
    if sys.platform == "win32":
        return  # Windows cannot open folders; a rename is atomic nevertheless
    with _ignored(_NO_FOLDER_SYNC):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def lock(descriptor: int, *, wait: bool = False) -> bool:
    """Lock an open file or folder exclusively. Return False on a file system without locks.

    Raises:
        BlockingIOError: If another process has locked it, and `wait` is false.
        OSError: If it cannot be locked for another reason.
    """
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        raise
    except OSError as e:
        if e.errno not in _NO_LOCKS:
            raise
        return False
    return True


def remove(path: Path) -> None:
    """Remove a file, a link, or a folder with its contents, if it exists. Raises OSError."""
    import shutil

    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


@contextlib.contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn an OSError into an InputError with advice. `what` is what could not be done."""
    try:
        yield
    except OSError as e:
        raise InputError(f"{what}: {e.strerror or e}", help=advice(e)) from e


def advice(e: OSError) -> str:
    """Return what to do about an error of the file system."""
    return _ADVICE.get(e.errno or 0, "Remove the cause, and run the command again.")


_ADVICE: Final = {
    errno.ENOSPC: "Free space on the file system (df), and run the command again.",
    errno.EDQUOT: "Your disk quota is used up (quota): remove files or ask for a larger quota, and "
    "run the command again.",
    errno.EROFS: "The file system is mounted read-only: mount it for writing, or run the command "
    "in a copy of the folder.",
    errno.EACCES: "Make the folder writable for the user that runs this (ls -ld FOLDER), and run "
    "the command again.",
    errno.EPERM: "The folder may be writable, but the file system refuses: the file may be "
    "immutable (lsattr), or belong to another user in a sticky folder (ls -ld FOLDER).",
    errno.ENAMETOOLONG: "The name is too long for the file system: shorten it.",
    errno.EIO: "The disk or its connection fails: see the system log (dmesg).",
    errno.ESTALE: "The network file system changed on the server: mount it again, and run the "
    "command again.",
    errno.ETIMEDOUT: "The network file system does not respond: run the command again later.",
    errno.EHOSTDOWN: "The network file system does not respond: run the command again later.",
    errno.EMFILE: "Allow more open files (ulimit -n), and run the command again.",
    errno.ENFILE: "The system has too many open files: close some, and run the command again.",
    errno.EFBIG: "The file exceeds the size limit of the process: raise the limit (ulimit -f).",
    errno.ENOENT: "A folder was removed during the run: restore it, and run the command again.",
    errno.ENOTDIR: "A file is in the place of a folder: remove the file.",
    errno.EISDIR: "A folder is in the place of a file: remove the folder.",
    errno.EEXIST: "Remove what is at this path, and run the command again.",
    errno.ENOTEMPTY: "Remove what is at this path, and run the command again.",
    errno.EBUSY: "It is in use, or a mount point: release it, and run the command again.",
    errno.EXDEV: "It is not on the same mount as its parent folder: use a folder on one mount.",
    errno.EINVAL: "The file system does not accept this name: choose a simpler one.",
    errno.EILSEQ: "The file system does not accept this name: choose a simpler one.",
    errno.ENOMEM: "The system is out of memory: close programs, and run the command again.",
}


def _set_mode(descriptor: int, path: Path, mode: int) -> None:
    with _ignored(_NO_MODES):
        os.chmod(descriptor if _CHMOD_BY_DESCRIPTOR else path, mode)


def _copy_attributes(source: Path, descriptor: int) -> None:
    """Copy the extended attributes of a folder: access lists and security labels."""
    if sys.platform != "linux":
        return
    with _ignored(_NO_MODES):
        for name in os.listxattr(source):
            with _ignored(_NO_MODES | {errno.ENODATA}):
                os.setxattr(descriptor, name, os.getxattr(source, name))


def _sync(descriptor: int) -> None:
    with _ignored(_UNKNOWN):
        os.fsync(descriptor)


@contextlib.contextmanager
def _ignored(codes: frozenset[int]) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        if e.errno not in codes:
            raise
