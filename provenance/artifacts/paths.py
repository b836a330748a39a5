# SPDX-License-Identifier: Apache-2.0
"""Open files below a root folder, and only there.

A path in a registry, a sidecar or a model cannot be trusted. `Tree` opens it only if it stays below
the root after all symbolic links are resolved, and only if it is a regular file: reading a FIFO
could block forever, and reading a device might never end. `Tree` opens one folder after the other
with `O_NOFOLLOW`, so that replacing a folder by a link between check and open fails instead of
leaving the root.
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
    """Why a path could not be opened."""

    MISSING = "missing"
    UNSAFE = "unsafe"
    IRREGULAR = "irregular"
    UNREADABLE = "unreadable"
    TOO_LARGE = "too large"
    POINTER = "pointer"


class FileError(InputError):
    """A path that cannot be opened as a regular file below the root.

    Attributes:
        problem: The kind of problem, for callers that turn it into a finding.
        path: The path relative to the root, or as it was given if it has no such form.
    """

    def __init__(self, problem: FileProblem, path: str, message: str, *, help: str | None = None):
        super().__init__(message, help=help)
        self.problem = problem
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        """Support pickling: by default, an exception is rebuilt from its message alone."""
        return FileError, (self.problem, self.path, self.message), {"help": self.help}

    def kept(self) -> FileError:
        """Return this error without its traceback, which would keep the frames in memory."""
        self.__cause__ = self.__context__ = self.__traceback__ = None
        return self


class PointerError(FileError):
    """A Git LFS pointer in place of a file.

    Attributes:
        oid: The SHA-256 of the file that the pointer represents, or None if it names none.
        size: The size of that file in bytes, or None.
    """

    def __init__(self, path: str, oid: str | None, size: int | None = None) -> None:
        super().__init__(FileProblem.POINTER, path, f"{path!r} {IS_POINTER}", help=FETCH)
        self.oid, self.size = oid, size

    def __reduce__(self) -> tuple[object, ...]:
        """Support pickling, as `FileError` does."""
        return PointerError, (self.path, self.oid, self.size)


IS_POINTER: Final = "is a Git LFS pointer, not the file itself; run `git lfs pull`"

FETCH: Final = "Fetch the file: git lfs pull"
"""The help for a pointer in place of a file."""

_CHUNK: Final = 1 << 20

POINTER_SIZE: Final = 1024
"""Maximum size of a pointer in bytes.

Source: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
"""

_POINTER: Final = b"version https://git-lfs.github.com/spec/v1"
_OID: Final = re.compile(rb"^oid sha256:([0-9a-f]{64})$", re.MULTILINE)
_SIZE: Final = re.compile(rb"^size ([0-9]{1,18})$", re.MULTILINE)

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_DIRECTORY = getattr(os, "O_DIRECTORY", 0)
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_BINARY = getattr(os, "O_BINARY", 0)
_FLAGS = os.O_RDONLY | _NOFOLLOW | _NONBLOCK | _BINARY
_HAS_DIR_FD = os.open in os.supports_dir_fd


@dataclass(frozen=True, slots=True)
class Tree:
    """A folder below which files are opened.

    Attributes:
        root: The absolute path of the folder, without links.
        confined: Whether links that leave the folder are refused.
    """

    root: Path
    confined: bool = True
    _folders: OpenFolders | None = field(default=None, compare=False, repr=False, kw_only=True)

    @classmethod
    def at(cls, folder: Path, *, confined: bool = True) -> Tree:
        """Return the tree below `folder`.

        If `confined` is false, links may lead out of the tree: some folders, such as download
        caches, consist of such links. Paths that leave the tree through `..` are still refused.

        Raises:
            InputError: If `folder` is not a folder.
        """
        root = Path(os.path.realpath(folder))
        if not root.is_dir():
            raise InputError(f"{folder}: not a folder")
        return cls(root, confined)

    def keeping_folders(self) -> Self:
        """Return the same tree, for reading many files in one pass.

        It keeps the folders that it opens open. If a folder is then replaced by a link or by
        another folder, files are still read from the folder that was opened.
        """
        return replace(self, _folders=OpenFolders())

    def resolve(self, path: str) -> str:
        """Return `path` (relative, `/`-separated) as a normalized path with all links resolved.

        Raises:
            FileError: If the path is empty or absolute, contains a NUL or a backslash, or leaves
                the root.
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
        """Open the regular file at `path` for reading, unbuffered.

        Raises:
            FileError: If the file is missing, not below the root, not regular, or not readable.
        """
        return _regular(self._descriptor(path), path)

    def read(self, path: str, limit: int) -> bytes:
        """Return the bytes of the file at `path`, at most `limit`.

        Raises:
            FileError: As for `open`, or if the file is larger than `limit`.
        """
        return _contents(self._descriptor(path), path, limit)

    def read_if_there(self, path: str, limit: int) -> bytes | None:
        """Return the bytes of the file at `path`, or None if it is missing.

        For many optional files this is faster than an exception for each.

        Raises:
            FileError: As for `read`, except for a missing file.
        """
        folder, _, name = path.rpartition("/")
        parent = self._folders.get(folder) if self._folders else None
        if parent is not None and _NORMAL.fullmatch(path):
            try:
                descriptor = os.open(name, _FLAGS, dir_fd=parent)
            except FileNotFoundError:  # not even a broken link
                return None
            except OSError:
                pass  # `read` raises the right error
            else:
                return _contents(descriptor, path, limit)
        try:
            return self.read(path, limit)
        except FileError as e:
            if e.problem is FileProblem.MISSING:
                return None
            raise

    def target(self, path: str) -> Path:
        """Return where to write the file at `path`. Its folder may be reached through links.

        Raises:
            FileError: As for `resolve`, or if something other than a regular file exists there. A
                link is not followed: writing through it would change another file.
        """
        folder, _, name = os.path.normpath(path).rpartition("/")
        reason = unsafe_reason(path)
        if reason is not None or name in ("", ".", ".."):
            raise FileError(FileProblem.UNSAFE, path, f"{path!r} {reason or 'is a folder'}")
        target = self.root / self.resolve(folder or ".") / name
        if os.path.lexists(target) and not stat.S_ISREG(mode := target.lstat().st_mode):
            message = f"{path!r} is {_kind(mode)}, expected a regular file"
            raise FileError(FileProblem.IRREGULAR, path, message)
        return target

    def exists(self, path: str) -> bool:
        """Return whether anything exists at `path`. Links are not followed, even broken ones."""
        return refusal(path) is None and os.path.lexists(f"{self.root}/{os.path.normpath(path)}")

    def _descriptor(self, path: str) -> int:
        """Open what is at `path`, of any file type, for reading. Raises FileError."""
        descriptor = self._open_without_links(path)
        if descriptor is not None:
            return descriptor
        relative = self.resolve(path)
        try:
            return self._open_descriptor(relative)
        except OSError as e:
            link = self.root / os.path.normpath(path)
            # In a download cache, a broken link means that the file was not fetched.
            dangling = FileProblem.IRREGULAR if self.confined else FileProblem.MISSING
            raise _link_error(link, path, dangling) or _file_error(e, path) from e

    def _open_without_links(self, path: str) -> int | None:
        """Open the file at `path`, or return None if there may be a link on the way to it.

        Most paths contain no link. Opening them without following links needs no `realpath`, which
        halves the time for a small file.
        """
        if not self.confined or not _HAS_DIR_FD:
            return None
        if refusal(path) is not None:
            return None
        try:
            return self._open_descriptor(os.path.normpath(path))
        except FileNotFoundError as e:  # not even a broken link
            raise _file_error(e, path) from e
        except OSError:
            return None  # the caller tries again with links resolved, and raises the right error

    def _open_descriptor(self, relative: str) -> int:
        # Windows cannot open relative to a descriptor; resolve() has refused paths that leave.
        if not _HAS_DIR_FD or not self.confined:
            return os.open(os.path.normpath(self.root / relative), _FLAGS)
        folder, _, name = relative.rpartition("/")
        parent = self._folders.get(folder) if self._folders else None
        if parent is not None:
            return os.open(name, _FLAGS, dir_fd=parent)
        parent = self._open_folder(folder)
        try:
            return os.open(name, _FLAGS, dir_fd=parent)
        finally:
            if self._folders is None or not self._folders.keep(folder, parent):
                os.close(parent)

    def _open_folder(self, folder: str) -> int:
        descriptor = os.open(self.root, os.O_RDONLY | _DIRECTORY)
        for name in folder.split("/") if folder else ():
            try:
                child = os.open(name, os.O_RDONLY | _DIRECTORY | _NOFOLLOW, dir_fd=descriptor)
            finally:
                os.close(descriptor)
            descriptor = child
        return descriptor


_NORMAL: Final = re.compile(r"(?:[\w-][\w.-]*+/)*+[\w-][\w.-]*+", re.ASCII)
"""Matches most paths: those that are safe and that `normpath` does not change."""


def unsafe_reason(path: str) -> str | None:
    """Return why `path` is refused in any folder, or None.

    It may still leave the root through `..`, which `refusal` also checks.
    """
    if not path:
        return "is empty"
    if "\0" in path:
        return "contains a NUL"
    if "\\" in path:
        return "contains a backslash; use '/' in paths"
    if path.startswith("/") or (len(path) > 1 and path[1] == ":"):
        return "is an absolute path"
    return None


def refusal(path: str) -> str | None:
    """Return why a path relative to the root is refused before any file is opened, or None."""
    normal = os.path.normpath(path)
    leaves = normal == ".." or normal.startswith("../")
    return unsafe_reason(path) or ("leaves the repository" if leaves else None)


def read_named_file(path: Path, limit: int) -> bytes:
    """Return the bytes of a file that the user named, at most `limit`. Links are followed.

    Raises:
        FileError: If the file is missing, not regular, not readable, or too large.
    """
    return _contents(_named_descriptor(path), str(path), limit)


def open_named_file(path: Path) -> BinaryIO:
    """Open a file that the user named for reading, unbuffered. Links are followed.

    Raises:
        FileError: If the file is missing, not regular, or not readable.
    """
    return _regular(_named_descriptor(path), str(path))


def _named_descriptor(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | _NONBLOCK | _BINARY)
    except (OSError, ValueError) as e:
        link = _link_error(path, str(path), FileProblem.MISSING)
        raise link or _file_error(e, str(path)) from e


def _regular(descriptor: int, path: str) -> BinaryIO:
    """Return the open file as a stream, at its beginning.

    Raises:
        FileError: If the file is not regular, cannot be read, or is a Git LFS pointer. The
            descriptor is then closed.
    """
    try:
        if len(_POINTER) <= _size(descriptor, path) <= POINTER_SIZE:
            try:
                data = os.read(descriptor, POINTER_SIZE + 1)
                os.lseek(descriptor, 0, os.SEEK_SET)
            except OSError as e:
                raise _file_error(e, path) from e
            _refuse_pointer(data, path)
        return cast(BinaryIO, io.FileIO(descriptor, "rb"))
    except BaseException:
        os.close(descriptor)
        raise


def _contents(descriptor: int, path: str, limit: int) -> bytes:
    """Return the bytes of an open file and close it. Raises FileError as `Tree.read` does."""
    try:
        size = _size(descriptor, path)
        if size > limit:
            raise too_large(path, limit)
        # One read returns a whole small file, unless it is being written to.
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
        raise _file_error(e, path) from e
    finally:
        os.close(descriptor)
    _refuse_pointer(data, path)
    if len(data) > limit:
        raise too_large(path, limit)
    return data


def _size(descriptor: int, path: str) -> int:
    """Return the size of an open file. Raises FileError if the file is not regular."""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        kind = _kind(found.st_mode)
        raise FileError(FileProblem.IRREGULAR, path, f"{path!r} is {kind}, not a regular file")
    return found.st_size


def _refuse_pointer(data: bytes, path: str) -> None:
    if data.startswith(_POINTER) and is_pointer(data):
        size = _SIZE.search(data)
        raise PointerError(path, pointed_to(data), int(size[1]) if size else None)


def is_pointer(data: bytes) -> bool:
    """Return whether the content of a file is a Git LFS pointer."""
    return len(data) <= POINTER_SIZE and data.partition(b"\n")[0] == _POINTER


def pointed_to(data: bytes) -> str | None:
    """Return the SHA-256 in a Git LFS pointer, or None if it has none."""
    oid = _OID.search(data) if is_pointer(data) else None
    return oid[1].decode() if oid else None


def too_large(path: str, limit: int) -> FileError:
    """Return the error for a file of more than `limit` bytes."""
    message = f"{path!r} is larger than {limit:,} bytes, the limit for this file"
    return FileError(FileProblem.TOO_LARGE, path, message)


def join(folder: str, path: str) -> str:
    """Return `path`, which is relative to `folder`, relative to the root. Both use `/`."""
    if unsafe_reason(path) is not None:
        return path
    return os.path.normpath(f"{folder or '.'}/{path}")


def relative(folder: str, path: str) -> str:
    """Return `path` relative to `folder`. Both are relative to the root and use `/`."""
    is_outer = folder.startswith(path)  # `path` may be `folder` or a folder above it
    if not is_outer and _NORMAL.fullmatch(path):
        above, _, name = path.rpartition("/")
        return _way(folder, above) + name
    return os.path.relpath(path, folder or ".").replace(os.sep, "/")


@lru_cache(maxsize=256)
def _way(folder: str, to: str) -> str:
    """Return the path from `folder` to the folder `to`, as a prefix for a file name."""
    way = os.path.relpath(to or ".", folder or ".").replace(os.sep, "/")
    return "" if way == "." else f"{way}/"


def _link_error(at: Path, path: str, dangling: FileProblem) -> FileError | None:
    """Return the error for a link at `at` that is broken or leads to itself, or None.

    A broken link has the problem `dangling`.
    """
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
    return None  # the target appeared in the meantime


def _file_error(e: OSError | ValueError, path: str) -> FileError:
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
