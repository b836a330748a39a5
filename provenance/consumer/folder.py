# SPDX-License-Identifier: Apache-2.0
"""A private folder: copies of files that no other user can reach, gone when they are not needed.

A copy has an inode of its own: who holds a link to the original, hard or symbolic, or has it open,
cannot write to the copy. What a process that was killed has left is removed by the next one.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import BinaryIO, Final

from provenance.artifacts import file_system
from provenance.artifacts.digest import CHUNK
from provenance.artifacts.paths import Tree
from provenance.errors import InputError, UnavailableError, VerificationError
from provenance.frozen import dataclass

PREFIX: Final = "onnx-provenance-model-"
"""How the folders are called; the rest is random."""

_ATTEMPTS: Final = 8
_TICK: Final = 0.01
"""Seconds between two times that the kernel gives to changes, where it takes no finer clock."""

FICLONE: Final = 0x40049409
"""`FICLONE` (linux/fs.h). Python has a name for it from 3.14 on."""

_RANGE: Final = 1 << 30
"""Bytes that the kernel is asked to copy at once."""

_NOT_HERE: Final = (
    *(errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP),
    *(errno.ENOTTY, errno.EPERM, errno.EACCES, errno.ETXTBSY),
)
"""How the kernel says that it does not do this with these two files."""

Identity = tuple[int, ...]


class PrivateFolder:
    """A folder below `base` that only this user can enter, until it is closed."""

    def __init__(self, base: Path) -> None:
        """Raises InputError if `base` is missing, or nothing can be written there."""
        try:
            _sweep(base)
            self.path, self._lock = _new_folder(base)
        except OSError as e:
            raise _unwritable(base, e) from e
        self._process = os.getpid()
        self._files: dict[str, Identity] = {}
        self._folders: dict[Path, Identity] = {}

    def copy(self, source: BinaryIO, name: str) -> BinaryIO:
        """A private copy of an open file under `name` (relative, `/`-separated), open for reading.

        Raises:
            InputError: There is no room for it, or it cannot be written.
        """
        size = os.fstat(source.fileno()).st_size
        target = self.path / name
        try:
            room = shutil.disk_usage(self.path).free
            if size > room:
                raise InputError(
                    f"{name} has {size:,} bytes, and {self.path.parent} has room for {room:,}",
                    help="Name a folder with more room: folder=…, or TMPDIR.",
                )
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            copy = os.fdopen(os.open(target, flags, 0o600), "r+b", buffering=0)
        except OSError as e:
            raise _unwritable(target, e) from e
        try:
            _copy(source, copy, size)
            os.fchmod(copy.fileno(), 0o400)
            # From here on, any write to the copy changes this, also while it is hashed.
            self._files[name] = _identity(os.fstat(copy.fileno()))
            copy.seek(0)
        except OSError as e:
            copy.close()
            raise _unwritable(target, e) from e
        return copy

    def seal(self) -> None:
        """Take note of the folder as it is: nothing is added from now on.

        It waits until the clock of the file system has moved on, so that every later change shows.
        """
        folders = {self.path, *(self.path / p for n in self._files for p in PurePath(n).parents)}
        self._folders = {folder: _identity(folder.lstat()) for folder in folders}
        newest = max(i[-1] for i in (*self._files.values(), *self._folders.values()))
        left = _TICK + (newest - time.time_ns()) / 1e9
        time.sleep(min(max(left, 0), _TICK))

    def check(self) -> None:
        """Raise VerificationError if anything in it was written, added, removed or exchanged."""
        noted = {self.path / name: identity for name, identity in self._files.items()}
        for path, identity in (*noted.items(), *self._folders.items()):
            try:
                now = _identity(path.lstat())
            except OSError:
                now = ()
            if now != identity:
                raise _changed(path)

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """`again`, for a block: at its end too, the copy is as it was when it was made."""
        with self.again(name) as stream:
            yield stream
            self._compare(stream.fileno(), name)

    def close(self) -> None:
        """Remove the folder and everything in it. Once is enough, and no child process does it."""
        if self._lock < 0 or os.getpid() != self._process:
            return
        try:
            if os.path.lexists(self.path):
                shutil.rmtree(self.path)
        finally:
            os.close(self._lock)
            self._lock = -1

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def again(self, name: str) -> BinaryIO:
        """Open the copy `name`. Raises VerificationError if it was exchanged or written to."""
        path = self.path / name
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as e:
            raise _changed(path) from e
        stream = os.fdopen(descriptor, "rb")
        try:
            self._compare(descriptor, name)
        except BaseException:
            stream.close()
            raise
        return stream

    def _compare(self, descriptor: int, name: str) -> None:
        if _identity(os.fstat(descriptor)) != self._files[name]:
            raise _changed(self.path / name)


@dataclass(frozen=True)
class CopyingTree(Tree):
    """A tree of which every model file that is opened is first copied into a private folder.

    What the gate judges and what is used afterwards are one file, whatever becomes of the original.
    """

    kept: PrivateFolder | None = None

    def open(self, path: str) -> BinaryIO:
        """A private copy of the file at `path`, made once. Raises as `Tree.open`, and InputError.

        VerificationError if the copy was changed since another of several bundles was judged by it.
        Documents are read whole (`read`) and are not kept as files.
        """
        assert self.kept is not None
        if path in self.kept:
            return self.kept.again(path)
        with super().open(path) as source:
            return self.kept.copy(source, path)


def _identity(found: os.stat_result) -> Identity:
    """What changes where a file or folder is exchanged or written to.

    No program can set the time of the last change (`st_ctime_ns`), not even one that puts another
    file in its place and the first one back.
    """
    names = ("st_dev", "st_ino", "st_mode", "st_nlink", "st_size", "st_mtime_ns", "st_ctime_ns")
    return tuple(getattr(found, name) for name in names)


def _new_folder(base: Path) -> tuple[Path, int]:
    """A new folder, locked for as long as it is used. Raises OSError."""
    for _ in range(_ATTEMPTS):
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base)).absolute()
        try:
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            continue
        file_system.lock(lock, wait=True)  # without locks, no sweep removes a folder
        # A sweep may have taken the folder for a left-over before it was locked.
        if os.path.lexists(path) and os.path.samestat(path.lstat(), os.fstat(lock)):
            return path, lock
        os.close(lock)
    raise UnavailableError(f"{base}: folders are removed there as soon as they are made")


def _sweep(base: Path) -> None:
    """Remove what ended processes of this user have left: no process has it locked."""
    with os.scandir(base) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(PREFIX)]
    for name in names:
        path = base / name
        try:
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue  # another user's, or gone by now
        try:
            found = os.fstat(lock)
            private = stat.S_IMODE(found.st_mode) == 0o700 and found.st_uid == os.geteuid()
            if private and file_system.lock(lock):  # without locks, it may be in use
                shutil.rmtree(path, ignore_errors=True)  # what is left, the next one tries again
        except OSError:
            continue  # in use
        finally:
            os.close(lock)


def _copy(source: BinaryIO, target: BinaryIO, size: int) -> None:
    """Copy the first `size` bytes: by sharing blocks, else by the kernel, else chunk by chunk.

    A file that grows meanwhile is not followed: what is copied is what is hashed.
    """
    if _clone(source, target):
        return
    left = size
    while left and (count := _sent(source, target, min(left, _RANGE))):
        left -= count
    while left and (chunk := source.read(min(left, CHUNK))):  # all of it, where the kernel cannot
        left -= len(chunk)
        rest = memoryview(chunk)
        while rest:
            rest = rest[target.write(rest) :]


def _clone(source: BinaryIO, target: BinaryIO) -> bool:
    """Let the copy share the blocks of the original, where the file system can."""
    import fcntl

    if sys.platform != "linux":
        return False
    try:
        fcntl.ioctl(target.fileno(), FICLONE, source.fileno())
    except OSError as e:
        if e.errno not in _NOT_HERE:
            raise
        return False
    return True


def _sent(source: BinaryIO, target: BinaryIO, count: int) -> int:
    """Bytes that the kernel has copied: at a third of the time that `copy_file_range` takes."""
    if sys.platform != "linux":
        return 0  # sends to sockets only
    try:
        return os.sendfile(target.fileno(), source.fileno(), None, count)
    except OSError as e:
        if e.errno not in _NOT_HERE:
            raise
        return 0


def _changed(path: Path) -> VerificationError:
    return VerificationError(
        f"the private copy {path} was changed after it was made",
        help="Find out who writes there. Open the model again.",
    )


def _unwritable(path: Path, e: OSError) -> InputError:
    return InputError(
        f"cannot keep a private copy in {path}: {e.strerror or e}",
        help="Name a folder that can be written to: folder=…, or TMPDIR.",
    )
