# SPDX-License-Identifier: Apache-2.0
"""One file, folder or lock on whatever file system it is on.

What network, FAT and FUSE file systems lack is passed over; what fails is an error with advice.
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
"""Bytes of a name that every file system takes, encrypted ones (eCryptfs) included."""

_UNKNOWN: Final = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
"""Answers of a file system that does not know a call."""

# Servers of network file systems want a descriptor for writing, which a folder does not have; a
# folder that may be entered and not be listed cannot be opened.
_NO_FOLDER_SYNC: Final = _UNKNOWN | {errno.EBADF, errno.EISDIR, errno.EACCES, errno.EPERM}
_NO_LOCKS: Final = _UNKNOWN | {errno.ENOLCK, errno.EBADF, errno.EISDIR}
_NO_MODES: Final = _UNKNOWN | {errno.EPERM, errno.EACCES}

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_NOFOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
_CHMOD_BY_DESCRIPTOR: Final = os.chmod in os.supports_fd


def twin(target: Path, suffix: str) -> Path:
    """The hidden name beside `target` that belongs to it, short enough for any file system."""
    name = f".{target.name}{suffix}"
    if len(os.fsencode(name)) > _LONGEST_TWIN:
        name = f".{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:32]}{suffix}"
    return target.with_name(name)


def status(path: Path) -> os.stat_result | None:
    """The status of what lies at `path`, a link itself included; None if nothing does."""
    try:
        return path.lstat()
    except FileNotFoundError:
        return None


def write_new(path: Path, data: bytes, like: os.stat_result | None = None) -> None:
    """Write a new file to the disk, with the mode, owner and group of `like`.

    A file at `path` was left by a run that was killed, and is removed; a link is not followed.
    Raises OSError.
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
    """Write a file where nothing lies yet; on a failure nothing lies there afterwards.

    Raises:
        OSError: Something lies there, or it cannot be written.
    """
    descriptor = os.open(path, _NEW, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            _sync(stream.fileno())
    except BaseException:  # an interrupt too
        path.unlink(missing_ok=True)
        raise


def copy(source: Path, target: Path) -> bool:
    """Copy a file to a new one with its mode; whether owner and group are kept. Raises OSError."""
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
    """Overwrite the file at `path`. Raises OSError, after which the file may be incomplete."""
    with path.open("r+b") as stream:
        stream.write(data)
        stream.truncate()
        stream.flush()
        _sync(stream.fileno())


def make_folder(path: Path, like: Path | None = None) -> bool:
    """Make a folder with the mode, owner, group and access list of the folder `like`.

    Returns whether owner and group are the same now. Raises OSError.
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

    Only root can give a file to another user. By descriptor, because in a folder of another user
    the name may lead elsewhere by now.
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
    """Flush the names in a folder to the disk, on a file system that can. Raises OSError."""
    if sys.platform == "win32":
        return  # folders cannot be opened there; the rename itself is still atomic
    with _ignored(_NO_FOLDER_SYNC):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def lock(descriptor: int, *, wait: bool = False) -> bool:
    """Lock an open file or folder for this process alone; False on a file system without locks.

    Raises:
        BlockingIOError: Another process has locked it, and this one does not `wait`.
        OSError: It cannot be locked for another reason.
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
    """Remove a file, a link or a whole folder, if it is there. Raises OSError."""
    import shutil

    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


@contextlib.contextmanager
def explained(what: str) -> Iterator[None]:
    """Raise InputError, with advice, for an OSError inside; `what` could not be done."""
    try:
        yield
    except OSError as e:
        raise InputError(f"{what}: {e.strerror or e}", help=advice(e)) from e


def advice(e: OSError) -> str:
    """What to do about an error of the file system."""
    return _ADVICE.get(e.errno or 0, "Remove the cause, and run it again.")


_ADVICE: Final = {
    errno.ENOSPC: "Make room on the file system (df), and run it again.",
    errno.EDQUOT: "Your disk quota is used up (quota): remove files of yours, or ask for more, "
    "and run it again.",
    errno.EROFS: "The file system is mounted read-only: mount it for writing, or run it in a copy "
    "of the folder.",
    errno.EACCES: "Make the folder writable for the user that runs this (ls -ld FOLDER), and run "
    "it again.",
    errno.EPERM: "The file system does not permit it, though the folder may be writable: the file "
    "may be immutable (lsattr), or belong to another user in a sticky folder (ls -ld FOLDER).",
    errno.ENAMETOOLONG: "The name is longer than the file system takes: shorten it.",
    errno.EIO: "The disk or its connection fails: see the log of the system (dmesg).",
    errno.ESTALE: "The network file system was changed elsewhere: mount it anew, and run it again.",
    errno.ETIMEDOUT: "The network file system does not answer: run it again once it does.",
    errno.EHOSTDOWN: "The network file system does not answer: run it again once it does.",
    errno.EMFILE: "Allow more open files (ulimit -n), and run it again.",
    errno.ENFILE: "The system has too many open files: close some, and run it again.",
    errno.EFBIG: "The file is larger than is allowed: raise the limit (ulimit -f).",
    errno.ENOENT: "A folder was removed meanwhile: put it back, and run it again.",
    errno.ENOTDIR: "Remove the file that lies where a folder is needed.",
    errno.EISDIR: "Remove the folder that lies where a file is needed.",
    errno.EEXIST: "Remove what lies there, and run it again.",
    errno.ENOTEMPTY: "Remove what lies there, and run it again.",
    errno.EBUSY: "It is in use, or a mount point of its own: release it, and run it again.",
    errno.EXDEV: "It is on another mount than the folder around it: use a folder on one mount.",
    errno.EINVAL: "The file system does not take this name: choose a plainer one.",
    errno.EILSEQ: "The file system does not take this name: choose a plainer one.",
    errno.ENOMEM: "The system has no memory left: close programs, and run it again.",
}


def _set_mode(descriptor: int, path: Path, mode: int) -> None:
    with _ignored(_NO_MODES):
        os.chmod(descriptor if _CHMOD_BY_DESCRIPTOR else path, mode)


def _copy_attributes(source: Path, descriptor: int) -> None:
    """Copy the extended attributes of a folder: access lists, security labels."""
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
