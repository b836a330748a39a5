# SPDX-License-Identifier: Apache-2.0
"""A private folder: temporary copies of files that no other user can access.

A copy is a new file. A process that has the original open, or has a hard or symbolic link to it,
therefore cannot write to the copy. Folders left behind by killed processes are removed by the next
process that makes one.
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
"""The start of the folders' names. A random part follows."""

_ATTEMPTS: Final = 8
_TICK: Final = 0.01
"""The coarsest resolution of the kernel's file timestamps, in seconds."""

FICLONE: Final = 0x40049409
"""`FICLONE` (linux/fs.h). Python defines it since 3.14."""

_RANGE: Final = 1 << 30
"""The number of bytes that the kernel copies in one call."""

_NOT_SUPPORTED: Final = (
    *(errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP),
    *(errno.ENOTTY, errno.EPERM, errno.EACCES, errno.ETXTBSY),
)
"""The errors with which the kernel refuses an operation that these two files do not support."""

Identity = tuple[int, ...]


class PrivateFolder:
    """A folder in `base` that only the current user can access. It exists until it is closed."""

    def __init__(self, base: Path) -> None:
        """Create the folder.

        Raises:
            InputError: If `base` does not exist or is not writable.
        """
        try:
            _sweep(base)
            self.path, self._lock = _new_folder(base)
        except OSError as e:
            raise _unwritable(base, e) from e
        self._process = os.getpid()
        self._files: dict[str, Identity] = {}
        self._folders: dict[Path, Identity] = {}

    def copy(self, source: BinaryIO, name: str) -> BinaryIO:
        """Copy an open file into the folder, and return the copy open for reading.

        Args:
            source: The file.
            name: The path of the copy in the folder, with `/` as the separator.

        Raises:
            InputError: If there is not enough space, or the copy cannot be written.
        """
        size = os.fstat(source.fileno()).st_size
        target = self.path / name
        try:
            room = shutil.disk_usage(self.path).free
            if size > room:
                raise InputError(
                    f"not enough space in {self.path.parent} for a copy of {name}: {size:,} bytes "
                    f"needed, {room:,} free",
                    help="Name a folder with more space: folder=…, or TMPDIR.",
                )
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            copy = os.fdopen(os.open(target, flags, 0o600), "r+b", buffering=0)
        except OSError as e:
            raise _unwritable(target, e) from e
        try:
            _copy(source, copy, size)
            os.fchmod(copy.fileno(), 0o400)
            # Any later write to the copy changes its identity, even while it is hashed.
            self._files[name] = _identity(os.fstat(copy.fileno()))
            copy.seek(0)
        except OSError as e:
            copy.close()
            raise _unwritable(target, e) from e
        return copy

    def seal(self) -> None:
        """Record the state of the folder, to which nothing is added from now on.

        Waits until the clock of the file system has advanced, so that any later change is visible
        in the timestamps.
        """
        folders = {self.path, *(self.path / p for n in self._files for p in PurePath(n).parents)}
        self._folders = {folder: _identity(folder.lstat()) for folder in folders}
        newest = max(i[-1] for i in (*self._files.values(), *self._folders.values()))
        left = _TICK + (newest - time.time_ns()) / 1e9
        time.sleep(min(max(left, 0), _TICK))

    def check(self) -> None:
        """Check that nothing in the folder was written, added, removed or replaced.

        Raises:
            VerificationError: If anything was.
        """
        files = {self.path / name: identity for name, identity in self._files.items()}
        for path, identity in (*files.items(), *self._folders.items()):
            try:
                now = _identity(path.lstat())
            except OSError:
                now = ()
            if now != identity:
                raise _changed(path)

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Open the copy `name` for a block, and check it again at the end of the block.

        Raises:
            VerificationError: If it was replaced or written to.
        """
        with self.again(name) as stream:
            yield stream
            self._compare(stream.fileno(), name)

    def close(self) -> None:
        """Remove the folder and everything in it.

        Does nothing if it is already closed, or in a child process.
        """
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
        """Open the copy `name`.

        Raises:
            VerificationError: If it was replaced or written to.
        """
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
    """A tree that copies every model file into a private folder before it is opened.

    The verified file is therefore the same as the one that is loaded later, even if the original
    changes.
    """

    kept: PrivateFolder | None = None

    def open(self, path: str) -> BinaryIO:
        """Open a private copy of the file at `path`, which is made on the first call.

        Documents are read with `read` and not copied.

        Raises:
            InputError: If the copy cannot be made.
            VerificationError: If the copy was changed since an earlier bundle was verified with it.
            FileError: As `Tree.open`.
        """
        assert self.kept is not None
        if path in self.kept:
            return self.kept.again(path)
        with super().open(path) as source:
            return self.kept.copy(source, path)


def _identity(status: os.stat_result) -> Identity:
    """Return the properties of a file or folder that change when it is replaced or written to.

    No program can set `st_ctime_ns`, the time of the last change. So even a file that was replaced
    and put back is detected.
    """
    names = ("st_dev", "st_ino", "st_mode", "st_nlink", "st_size", "st_mtime_ns", "st_ctime_ns")
    return tuple(getattr(status, name) for name in names)


def _new_folder(base: Path) -> tuple[Path, int]:
    """Create a folder, and return it with a lock that is held while the folder is in use.

    Raises:
        OSError: If it cannot be created.
        UnavailableError: If other processes keep removing it.
    """
    for _ in range(_ATTEMPTS):
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base)).absolute()
        try:
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            continue
        file_system.lock(lock, wait=True)  # if locks are not supported, `_sweep` removes nothing
        # Another process may have removed the unlocked folder as a leftover.
        if os.path.lexists(path) and os.path.samestat(path.lstat(), os.fstat(lock)):
            return path, lock
        os.close(lock)
    raise UnavailableError(f"cannot make a folder in {base}: it is removed as soon as it is made")


def _sweep(base: Path) -> None:
    """Remove the folders that ended processes of this user have left, which are not locked."""
    with os.scandir(base) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(PREFIX)]
    for name in names:
        path = base / name
        try:
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue  # it belongs to another user, or no longer exists
        try:
            status = os.fstat(lock)
            private = stat.S_IMODE(status.st_mode) == 0o700 and status.st_uid == os.geteuid()
            if private and file_system.lock(lock):  # if locks are not supported, it may be in use
                shutil.rmtree(path, ignore_errors=True)  # the next process retries the rest
        except OSError:
            continue  # in use
        finally:
            os.close(lock)


def _copy(source: BinaryIO, target: BinaryIO, size: int) -> None:
    """Copy the first `size` bytes: by sharing blocks, in the kernel, or else in chunks.

    Bytes that are appended while copying are ignored. The copy is what is hashed.
    """
    if _clone(source, target):
        return
    left = size
    while left and (count := _sent(source, target, min(left, _RANGE))):
        left -= count
    while left and (chunk := source.read(min(left, CHUNK))):  # everything, if the kernel cannot
        left -= len(chunk)
        rest = memoryview(chunk)
        while rest:
            rest = rest[target.write(rest) :]


def _clone(source: BinaryIO, target: BinaryIO) -> bool:
    """Let the copy share the blocks of the original, and return whether that is supported."""
    import fcntl

    if sys.platform != "linux":
        return False
    try:
        fcntl.ioctl(target.fileno(), FICLONE, source.fileno())
    except OSError as e:
        if e.errno not in _NOT_SUPPORTED:
            raise
        return False
    return True


def _sent(source: BinaryIO, target: BinaryIO, count: int) -> int:
    """Copy bytes in the kernel, and return their number, or 0 if that is not supported.

    `sendfile` takes a third of the time of `copy_file_range`.
    """
    if sys.platform != "linux":
        return 0  # elsewhere, `sendfile` supports sockets only
    try:
        return os.sendfile(target.fileno(), source.fileno(), None, count)
    except OSError as e:
        if e.errno not in _NOT_SUPPORTED:
            raise
        return 0


def _changed(path: Path) -> VerificationError:
    return VerificationError(
        f"the private copy {path} was changed after it was made",
        help="Find out which process writes there, then open the model again.",
    )


def _unwritable(path: Path, e: OSError) -> InputError:
    return InputError(
        f"cannot write a private copy to {path}: {e.strerror or e}",
        help="Name a writable folder: folder=…, or TMPDIR.",
    )
