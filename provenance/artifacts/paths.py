# SPDX-License-Identifier: Apache-2.0
"""Opening files below a root, and nowhere else.

A path in a registry, a sidecar or a model is a claim by whoever wrote that file. `Tree` opens it
only if it stays below the root after every link is resolved, and only if it is a regular file:
a FIFO would hang the gate, a device would never end. The walk goes folder by folder with
`O_NOFOLLOW`, so that swapping a folder for a link between check and open fails instead of escaping.
"""

from __future__ import annotations

import enum
import errno
import io
import os
import re
import stat
from dataclasses import field, replace
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, Final, Self, cast

from provenance.artifacts.folders import OpenFolders
from provenance.errors import InputError
from provenance.frozen import dataclass


class FileProblem(enum.Enum):
    """Why a path did not become an open file."""

    MISSING = "missing"
    UNSAFE = "unsafe"
    IRREGULAR = "irregular"
    UNREADABLE = "unreadable"
    TOO_LARGE = "too large"
    POINTER = "pointer"


class FileError(InputError):
    """A path that cannot be opened as the regular file below the root that it should be.

    Attributes:
        problem: The kind of problem, for callers that turn it into a finding.
        path: The path relative to the root, as far as it is known.
    """

    def __init__(self, problem: FileProblem, path: str, message: str, *, help: str | None = None):
        super().__init__(message, help=help)
        self.problem = problem
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        """How it is sent to another process: by default an error is made of its message alone."""
        return FileError, (self.problem, self.path, self.message), {"help": self.help}

    def kept(self) -> FileError:
        """The same error without where it was raised, which holds on to all that was at hand."""
        self.__cause__ = self.__context__ = self.__traceback__ = None
        return self


class PointerError(FileError):
    """A Git LFS pointer where a file should be.

    Attributes:
        oid: The SHA-256 of the file that it stands for, or None if it does not say.
    """

    def __init__(self, path: str, oid: str | None) -> None:
        super().__init__(FileProblem.POINTER, path, f"{path!r} {IS_POINTER}", help=FETCH)
        self.oid = oid

    def __reduce__(self) -> tuple[object, ...]:
        """As that of `FileError`."""
        return PointerError, (self.path, self.oid)


IS_POINTER: Final = "is a Git LFS pointer, not the file itself; run `git lfs pull`"

FETCH: Final = "Fetch the file: git lfs pull"
"""The next step, for those who publish the file and for those who use it."""

_CHUNK: Final = 1 << 20

POINTER_SIZE: Final = 1024
"""Bytes of the largest Git LFS pointer (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md)."""

_POINTER: Final = b"version https://git-lfs.github.com/spec/v1"
_OID: Final = re.compile(rb"^oid sha256:([0-9a-f]{64})$", re.MULTILINE)

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_DIRECTORY = getattr(os, "O_DIRECTORY", 0)
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_BINARY = getattr(os, "O_BINARY", 0)
_FLAGS = os.O_RDONLY | _NOFOLLOW | _NONBLOCK | _BINARY
_HAS_DIR_FD = os.open in os.supports_dir_fd


@dataclass(frozen=True, slots=True)
class Tree:
    """A folder below which files are opened. `root` is absolute and free of links."""

    root: Path
    confined: bool = True
    _folders: OpenFolders | None = field(default=None, compare=False, repr=False, kw_only=True)

    @classmethod
    def at(cls, folder: Path, *, confined: bool = True) -> Tree:
        """The tree below `folder`.

        With `confined` false, links may lead out of it: for a folder whose links the user made,
        as a download cache does. Paths that leave it by themselves are refused all the same.

        Raises:
            InputError: `folder` is not a folder.
        """
        root = Path(os.path.realpath(folder))
        if not root.is_dir():
            raise InputError(f"{folder}: not a folder")
        return cls(root, confined)

    def keeping_folders(self) -> Self:
        """Return the same tree for one pass of reading many files.

        It keeps the folders open that were reached without following a link. A folder that is
        replaced meanwhile, by a link or by another folder, is still read as it was opened.
        """
        return replace(self, _folders=OpenFolders())

    def resolve(self, path: str) -> str:
        """`path` (relative, `/`-separated) as a normal path below the root, links resolved.

        Raises:
            FileError: The path is empty, absolute, holds a NUL or a backslash, or leaves the root.
        """
        reason = refusal(path)
        if reason is not None:
            raise FileError(FileProblem.UNSAFE, path, f"{path!r} {reason}")
        normal = os.path.normpath(path)
        try:
            real = os.path.realpath(self.root / normal)
        except (OSError, ValueError) as e:
            raise FileError(FileProblem.UNREADABLE, path, f"{path!r}: {e}") from e
        relative = os.path.relpath(real, self.root)
        if self.confined and (relative == ".." or relative.startswith(f"..{os.sep}")):
            message = f"{normal!r} is a link that leaves the repository"
            raise FileError(FileProblem.UNSAFE, normal, message)
        return relative.replace(os.sep, "/")

    def open(self, path: str) -> BinaryIO:
        """The regular file at `path`, open for reading, unbuffered.

        Raises:
            FileError: It is missing, not below the root, not a regular file, or not readable.
        """
        return _regular(self._descriptor(path), path)

    def read(self, path: str, limit: int) -> bytes:
        """All bytes of the file at `path`, at most `limit`.

        Raises:
            FileError: As `open`, or the file is larger than `limit`.
        """
        return _contents(self._descriptor(path), path, limit)

    def read_if_there(self, path: str, limit: int) -> bytes | None:
        """As `read`, but None where nothing lies at `path`: that of many files is not worth an
        error each.

        Raises:
            FileError: As `read`.
        """
        folder, _, name = path.rpartition("/")
        here = self._folders.get(folder) if self._folders else None
        if here is not None and _NORMAL.fullmatch(path):
            try:
                descriptor = os.open(name, _FLAGS, dir_fd=here)
            except FileNotFoundError:  # no link either
                return None
            except OSError:
                pass  # `read` says why
            else:
                return _contents(descriptor, path, limit)
        try:
            return self.read(path, limit)
        except FileError as e:
            if e.problem is FileProblem.MISSING:
                return None
            raise

    def target(self, path: str) -> Path:
        """Where to write the file at `path`. Its folder may be reached by links inside the root.

        Raises:
            FileError: As `resolve`, or something else than a regular file is there: a link is not
                followed, because what it leads to is not what was meant to be written.
        """
        folder, _, name = os.path.normpath(path).rpartition("/")
        reason = unsafe_reason(path)
        if reason is not None or name in ("", ".", ".."):
            raise FileError(FileProblem.UNSAFE, path, f"{path!r} {reason or 'is a folder'}")
        target = self.root / self.resolve(folder or ".") / name
        if os.path.lexists(target) and not stat.S_ISREG(mode := target.lstat().st_mode):
            message = f"{path!r} is {_kind(mode)}, where a file is to be written"
            raise FileError(FileProblem.IRREGULAR, path, message)
        return target

    def exists(self, path: str) -> bool:
        """Whether anything lies at `path` below the root (also a dangling or foreign link)."""
        safe = unsafe_reason(path) is None
        return safe and os.path.lexists(f"{self.root}/{os.path.normpath(path)}")

    def _descriptor(self, path: str) -> int:
        """The file at `path`, whatever it is, open for reading. Raises FileError."""
        descriptor = self._open_without_links(path)
        if descriptor is not None:
            return descriptor
        relative = self.resolve(path)
        try:
            return self._open_descriptor(relative)
        except OSError as e:
            link = self.root / os.path.normpath(path)
            # In a cache of downloads, what was not fetched is missing, link or not.
            dangling = FileProblem.IRREGULAR if self.confined else FileProblem.MISSING
            raise _trouble_of_link(link, path, dangling) or _trouble_of(e, path) from e

    def _open_without_links(self, path: str) -> int | None:
        """The file at `path` where no link is on the way to it, as is usual; None elsewhere.

        The walk follows no link, so that what it reaches needs no resolving: half the time of
        opening a small file.
        """
        if not self.confined or not _HAS_DIR_FD:
            return None
        if refusal(path) is not None:
            return None
        try:
            return self._open_descriptor(os.path.normpath(path))
        except FileNotFoundError as e:  # no link either
            raise _trouble_of(e, path) from e
        except OSError:
            return None  # tried again by the path with its links resolved, which says why

    def _open_descriptor(self, relative: str) -> int:
        # Windows has no walk by descriptor; resolve() has refused what leaves.
        if not _HAS_DIR_FD or not self.confined:
            return os.open(os.path.normpath(self.root / relative), _FLAGS)
        folder, _, name = relative.rpartition("/")
        here = self._folders.get(folder) if self._folders else None
        if here is not None:
            return os.open(name, _FLAGS, dir_fd=here)
        here = self._open_folder(folder)
        try:
            return os.open(name, _FLAGS, dir_fd=here)
        finally:
            if self._folders is None or not self._folders.keep(folder, here):
                os.close(here)

    def _open_folder(self, folder: str) -> int:
        here = os.open(self.root, os.O_RDONLY | _DIRECTORY)
        for name in folder.split("/") if folder else ():
            try:
                below = os.open(name, os.O_RDONLY | _DIRECTORY | _NOFOLLOW, dir_fd=here)
            finally:
                os.close(here)
            here = below
        return here


_NORMAL: Final = re.compile(r"(?:[\w-][\w.-]*+/)*+[\w-][\w.-]*+", re.ASCII)
"""Most paths: they are safe, and are what `normpath` makes of them."""


def unsafe_reason(path: str) -> str | None:
    """Why `path` may not be opened, whatever lies on disk; None where it may be tried."""
    if not path:
        return "is empty"
    if "\0" in path:
        return "holds a NUL"
    if "\\" in path:
        return "holds a backslash; paths here use '/'"
    if path.startswith("/") or (len(path) > 1 and path[1] == ":"):
        return "is an absolute path"
    return None


def refusal(path: str) -> str | None:
    """Why a path from the root is refused without looking at the disk; None if it may be tried."""
    normal = os.path.normpath(path)
    leaves = normal == ".." or normal.startswith("../")
    return unsafe_reason(path) or ("leaves the repository" if leaves else None)


def read_named_file(path: Path, limit: int) -> bytes:
    """All bytes of a file that the user named, through links, at most `limit`.

    Raises:
        FileError: It is missing, not a regular file, not readable, or too large.
    """
    return _contents(_named_descriptor(path), str(path), limit)


def open_named_file(path: Path) -> BinaryIO:
    """A file that the user named, through links, open for reading, unbuffered.

    Raises:
        FileError: It is missing, not a regular file, or not readable.
    """
    return _regular(_named_descriptor(path), str(path))


def _named_descriptor(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | _NONBLOCK | _BINARY)
    except (OSError, ValueError) as e:
        link = _trouble_of_link(path, str(path), FileProblem.MISSING)
        raise link or _trouble_of(e, str(path)) from e


def _regular(descriptor: int, path: str) -> BinaryIO:
    """Return the open file as a stream, at its beginning.

    Raises:
        FileError: It is not a regular file, cannot be read, or is a Git LFS pointer. Then it is
            closed.
    """
    try:
        if len(_POINTER) <= _size(descriptor, path) <= POINTER_SIZE:
            try:
                data = os.read(descriptor, POINTER_SIZE + 1)
                os.lseek(descriptor, 0, os.SEEK_SET)
            except OSError as e:
                raise _trouble_of(e, path) from e
            _refuse_pointer(data, path)
        return cast(BinaryIO, io.FileIO(descriptor, "rb"))
    except BaseException:
        os.close(descriptor)
        raise


def _contents(descriptor: int, path: str, limit: int) -> bytes:
    """All bytes of the open file, which is closed. Raises FileError as `Tree.read`."""
    try:
        size = _size(descriptor, path)
        if size > limit:
            raise too_large(path, limit)
        # Of a small file, one read gives all of it, unless it is written to meanwhile.
        data = os.read(descriptor, min(size, _CHUNK) + 1)
        if len(data) != size:
            parts, length = [data], len(data)
            while length <= limit and (
                part := os.read(descriptor, min(limit + 1 - length, _CHUNK))
            ):
                parts.append(part)
                length += len(part)
            data = b"".join(parts)
    except OSError as e:
        raise _trouble_of(e, path) from e
    finally:
        os.close(descriptor)
    _refuse_pointer(data, path)
    if len(data) > limit:
        raise too_large(path, limit)
    return data


def _size(descriptor: int, path: str) -> int:
    """The size of an open file. Raises FileError where it is not a regular one."""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        kind = _kind(found.st_mode)
        raise FileError(FileProblem.IRREGULAR, path, f"{path!r} is {kind}, not a regular file")
    return found.st_size


def _refuse_pointer(data: bytes, path: str) -> None:
    if data.startswith(_POINTER) and is_pointer(data):
        raise PointerError(path, pointed_to(data))


def is_pointer(data: bytes) -> bool:
    """Whether the content of a file is a Git LFS pointer."""
    return len(data) <= POINTER_SIZE and data.partition(b"\n")[0] == _POINTER


def pointed_to(data: bytes) -> str | None:
    """Return the SHA-256 of what a Git LFS pointer stands for; None if it does not name it."""
    oid = _OID.search(data) if is_pointer(data) else None
    return oid[1].decode() if oid else None


def too_large(path: str, limit: int) -> FileError:
    """The error for a file of more than `limit` bytes."""
    message = f"{path!r} is larger than {limit:,} bytes, the most that is read"
    return FileError(FileProblem.TOO_LARGE, path, message)


def join(folder: str, path: str) -> str:
    """`path` as seen from the root, where `path` is relative to `folder` (both `/`-separated)."""
    if unsafe_reason(path) is not None:
        return path
    return os.path.normpath(f"{folder or '.'}/{path}")


def relative(folder: str, path: str) -> str:
    """`path` as a name relative to `folder`; both are relative to the root, `/`-separated."""
    above, slash, name = path.rpartition("/")
    is_outer = folder.startswith(path)  # perhaps one of the folders on the way back
    if not is_outer and _NORMAL.fullmatch(name) and (above or not slash):
        return _way(folder, above) + name
    return os.path.relpath(path, folder or ".").replace(os.sep, "/")


@lru_cache(maxsize=256)
def _way(folder: str, to: str) -> str:
    """What `relative` puts before the name of a file in the folder `to`."""
    way = os.path.relpath(to or ".", folder or ".").replace(os.sep, "/")
    return "" if way == "." else f"{way}/"


def _trouble_of_link(at: Path, path: str, dangling: FileProblem) -> FileError | None:
    """What is wrong with the link at `at`, where it leads to itself, or nowhere: `dangling`."""
    try:
        if not at.is_symlink():
            return None
        os.stat(at)
    except FileNotFoundError:
        to = os.readlink(at)
        return FileError(dangling, path, f"{path!r} is a link to {to!r}, which does not exist")
    except OSError as e:
        if e.errno != errno.ELOOP:
            return None
        return FileError(FileProblem.IRREGULAR, path, f"{path!r} is a link that leads to itself")
    except ValueError:  # a NUL in the name
        return None
    return None  # it was made while the file was read


def _trouble_of(e: OSError | ValueError, path: str) -> FileError:
    if not isinstance(e, OSError):  # a NUL in a name
        return FileError(FileProblem.UNSAFE, path, f"{path!r}: {e}")
    if e.errno in (errno.ENOENT, errno.ENOTDIR):
        return FileError(FileProblem.MISSING, path, f"{path!r} does not exist")
    if e.errno in (errno.ELOOP, errno.EMLINK):
        message = f"{path!r} changed into a link while it was read"
        return FileError(FileProblem.UNSAFE, path, message)
    if e.errno == errno.ENXIO:
        return FileError(FileProblem.IRREGULAR, path, f"{path!r} is not a regular file")
    return FileError(FileProblem.UNREADABLE, path, f"{path!r}: {e.strerror or e}")


_KINDS: Final = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
}


def _kind(mode: int) -> str:
    return _KINDS.get(stat.S_IFMT(mode), "a device")
