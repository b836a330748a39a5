# SPDX-License-Identifier: Apache-2.0
"""Writing: all or nothing, and a crash at any instant leaves the old state or the new one.

One file is replaced by a rename. Several files that have a folder to themselves (`bundles/`) are
replaced by exchanging the whole folder for one that was prepared beside it: one system call, so no
reader ever sees half of a release. Where that is not possible, the new files are prepared beside
their targets, a journal is committed by a rename, and each file is renamed; a run that was cut
short after that point is finished by the next one, and until then every reading command says so
and stops. Where the system cannot do the exchange that was meant to be, this is said
(docs/adr/0007-all-or-nothing.md).
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from provenance.artifacts import digest, limits
from provenance.artifacts.digest import Digest
from provenance.artifacts.paths import FileError, Tree
from provenance.artifacts.strict_json import JsonError, parse_object
from provenance.errors import InputError

STAGING: Final = ".provenance-new"
"""Suffix of what is being prepared, and of what an exchange has put out of use."""

_SPECIAL: Final = ("/dev/", "/proc/")
"""Where names stand for open files and devices, whatever they lead to."""

JOURNAL_FOLDER: Final = ".provenance-journal"
_JOURNAL: Final = "journal.json"
_NOT_COMMITTED: Final = f"{_JOURNAL}.new"
"""The journal while files are prepared: which they are, for the run that removes them."""

_NO_EXCHANGE: Final = frozenset(
    {
        errno.EINVAL,  # a file system that does not know it, and
        errno.EOPNOTSUPP,  # one on the network
        errno.ENOSYS,  # a kernel without the call, and
        errno.EPERM,  # a sandbox that forbids it, or a folder of somebody else in a sticky one
        errno.EBUSY,  # a folder that is a mount of its own, and
        errno.EXDEV,  # one that is on another mount than the folder above it
    }
)
"""What is answered where two folders cannot be exchanged, and files in them may well be renamed."""


def replace_file(tree: Tree, path: str, data: bytes) -> None:
    """Replace the file at `path` (relative to the root) by `data`, keeping its mode.

    Raises:
        InputError: It cannot be written. The old file is then untouched.
    """
    with _as_input_error(path), _locked(tree):
        _replace(tree.target(path), data)


def replace_files(tree: Tree, files: Mapping[str, tuple[Digest, bytes]]) -> None:
    """Replace files (by path relative to the root) that still have the given digest, or none.

    For texts that are edited in place, where the journal of a release has no say: what it may move
    are bundles. All are prepared beside their targets before the first is renamed, so that what
    can go wrong goes wrong before. A kill between two renames leaves each file whole, the first
    ones new; whoever calls this gives them in an order that the next run can go on from.

    Raises:
        InputError: One is another file by now, or cannot be written. Nothing has changed.
    """
    olds: dict[Path, bytes] = {}
    renamed: list[Path] = []
    with _as_input_error(", ".join(files)), _locked(tree):
        try:
            for path, (before, data) in files.items():
                target = tree.target(path)
                olds[target] = tree.read(path, limits.REGISTRY)
                if digest.of_bytes(olds[target]) != before:
                    raise InputError(
                        f"{path} was changed while it was judged: nothing was written",
                        help="Run it again.",
                    )
                _write(_staging_of(target), data, stat.S_IMODE(target.stat().st_mode))
            for target in olds:
                os.replace(_staging_of(target), target)
                renamed.append(target)
        except BaseException:  # an interrupt too
            for target in renamed:
                _replace(target, olds[target])
            raise
        finally:
            for target in olds:
                _staging_of(target).unlink(missing_ok=True)
        for folder in {t.parent for t in renamed}:
            _sync_folder(folder)


def write_all(tree: Tree, files: Mapping[str, bytes]) -> str | None:
    """Write all `files` (by path relative to the root), or none.

    Returns what there is to be told, where their folder cannot be exchanged in one step here.

    Raises:
        InputError: They cannot be written, and nothing has changed; or they are committed and not
            all in place, which the next run finishes.
    """
    if not files:
        return None
    with _as_input_error("the release"), _locked(tree):
        _recover(tree)
        targets = {tree.target(path): data for path, data in files.items()}
        folders = {t.parent for t in targets}
        if len(targets) == 1:
            target, data = next(iter(targets.items()))
            with _made(folders):
                _replace(target, data)
        elif len(folders) == 1 and _owns_folder(tree, folder := next(iter(folders))):
            try:
                _exchange_folder(folder, {t.name: data for t, data in targets.items()})
            except _CannotExchangeError as e:
                _move_by_journal(tree, targets)
                return (
                    f"{folder.relative_to(tree.root).as_posix()}/ cannot be exchanged in one step "
                    f"here ({e}): its files were replaced one after the other, under a journal"
                )
        else:
            _move_by_journal(tree, targets)
    return None


def write_named_file(path: Path, data: bytes) -> None:
    """Write the file that the user named, through links. A regular file is replaced as a whole.

    Raises:
        InputError: It cannot be written. A regular file is then untouched.
    """
    try:
        # Devices and pipes are written to: a rename would put a file in their place.
        if os.path.abspath(path).startswith(_SPECIAL) or (path.exists() and not path.is_file()):
            path.write_bytes(data)
        else:
            _replace(Path(os.path.realpath(path)), data)
    except OSError as e:
        raise InputError(f"cannot write {path}: {e.strerror or e}") from e


def recover(tree: Tree) -> None:
    """Finish or undo what a run that was cut short has left, and remove what it left behind.

    Raises:
        InputError: That is not possible.
    """
    with _as_input_error("the release"), _locked(tree):
        _recover(tree)


def interrupted(tree: Tree) -> bool:
    """Whether a release was cut short between commit and completion."""
    return (tree.root / JOURNAL_FOLDER / _JOURNAL).exists()


def clean(tree: Tree, paths: Iterable[str]) -> None:
    """Remove what killed runs have left of writing `paths` (relative to the root).

    Raises:
        InputError: It cannot be removed.
    """
    with _as_input_error("the release"), _locked(tree):
        targets = [tree.target(path) for path in paths]
        for place in {*targets, *(t.parent for t in targets)} - {tree.root}:
            _remove(_staging_of(place))


def _staging_of(target: Path) -> Path:
    return target.with_name(f".{target.name.lstrip('.')}{STAGING}")


def _replace(target: Path, data: bytes) -> None:
    staged = _staging_of(target)
    try:
        _write(staged, data, _mode_of(target))
        os.replace(staged, target)
    except BaseException:  # an interrupt too
        staged.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _mode_of(target: Path) -> int:
    """The mode of the file that is replaced, or that of a new one."""
    return stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o644


def _write(path: Path, data: bytes, mode: int = 0o644) -> None:
    path.unlink(missing_ok=True)  # left by a run that was killed; never followed if it is a link
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    os.chmod(path, mode)


def _owns_folder(tree: Tree, folder: Path) -> bool:
    """Whether `folder` can be exchanged: nothing in it but plain files, and nobody stands in it."""
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


class _CannotExchangeError(Exception):
    """Two folders cannot be exchanged here. The message says why."""


def _exchange_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    staged = _staging_of(folder)
    _remove(staged)
    try:
        staged.mkdir()
        if folder.exists():
            shutil.copystat(folder, staged)
            for name in sorted(os.listdir(folder)):
                if name not in files:
                    _link(folder / name, staged / name)
        for name, data in files.items():
            _write(staged / name, data, _mode_of(folder / name))
        _sync_folder(staged)
        if folder.exists():
            _exchange(staged, folder)
        else:
            os.rename(staged, folder)
        _sync_folder(folder.parent)
    finally:
        _remove(staged)  # what was to be, or what has been


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError as e:
        if e.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV):
            raise
        shutil.copy2(source, target)


def _exchange(a: Path, b: Path) -> None:
    """Exchange two folders in one step (Linux, renameat2(2)). Python has no call for it.

    Raises:
        _CannotExchangeError: The system cannot do it with these folders.
    """
    try:
        import ctypes

        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except ImportError as e:
        raise _CannotExchangeError("Python has no ctypes") from e
    except AttributeError as e:
        raise _CannotExchangeError("the C library has no renameat2") from e
    except OSError as e:
        raise _CannotExchangeError(str(e)) from e
    at_fdcwd, rename_exchange = -100, 2
    if rename(at_fdcwd, os.fsencode(a), at_fdcwd, os.fsencode(b), rename_exchange) != 0:
        code = ctypes.get_errno()
        if code in _NO_EXCHANGE:
            raise _CannotExchangeError(os.strerror(code))
        raise OSError(code, os.strerror(code), str(b))


def _move_by_journal(tree: Tree, targets: Mapping[Path, bytes]) -> None:
    """Prepare each file beside its target, commit to all of them, and rename them.

    What can go wrong goes wrong before the commit: a folder that cannot be written to, a full disk.
    No file has to leave its folder, which may be on a file system of its own.
    """
    folder = tree.root / JOURNAL_FOLDER
    paths = [target.relative_to(tree.root).as_posix() for target in targets]
    parents = {target.parent for target in targets}
    with _made(parents):
        try:
            folder.mkdir()
            _write(folder / _NOT_COMMITTED, json.dumps({"files": paths}).encode())
            _sync_folder(folder)
            _sync_folder(tree.root)
            for target, data in targets.items():
                _write(_staging_of(target), data, _mode_of(target))
            for parent in parents:
                _sync_folder(parent)
            os.rename(folder / _NOT_COMMITTED, folder / _JOURNAL)
        except BaseException:  # an interrupt too, which may come right after the commit
            if not interrupted(tree):
                _abandon(tree, paths)
            raise
        _sync_folder(folder)
        _finish_moves(tree)


def _finish_moves(tree: Tree) -> None:
    paths = _committed(tree)
    try:
        targets = [tree.target(path) for path in paths]
        for target in targets:
            if os.path.lexists(_staging_of(target)):  # else it was renamed by the run before
                os.replace(_staging_of(target), target)
        for parent in {target.parent for target in targets}:
            if parent.exists():  # else what was prepared is gone with it, and made anew
                _sync_folder(parent)
        _remove(tree.root / JOURNAL_FOLDER)
    except (FileError, OSError) as e:
        reason = e.message if isinstance(e, FileError) else e.strerror or e
        raise InputError(
            f"cannot finish the release: {reason}",
            help="It is committed, and not all of its bundles are in place. Remove the cause, and "
            "run `provenance release` again: it finishes.",
        ) from e


def _abandon(tree: Tree, paths: Iterable[str]) -> None:
    """Remove what was prepared for `paths`, and the journal that was never committed."""
    for path in paths:
        # Where something else than a file lies by now, that is not ours, and is left alone.
        with contextlib.suppress(FileError):
            _remove(_staging_of(tree.target(path)))
    _remove(tree.root / JOURNAL_FOLDER)


def _committed(tree: Tree) -> list[str]:
    """What a committed journal says is to be renamed. Raises InputError where it is none."""
    where = f"{JOURNAL_FOLDER}/{_JOURNAL}"
    try:
        return _journal(tree.read(where, limits.DOCUMENT))
    except JsonError as e:
        raise InputError(
            f"{where} is not a journal: {e}", help="Remove the folder and release again."
        ) from e


def _prepared(tree: Tree) -> list[str]:
    """What a run may have prepared files for, that was killed before it committed to them."""
    try:
        return _journal(tree.read(f"{JOURNAL_FOLDER}/{_NOT_COMMITTED}", limits.DOCUMENT))
    except (FileError, JsonError):
        return []  # killed while it wrote that: before the first of them


def _journal(data: bytes) -> list[str]:
    """The paths in a journal. Raises JsonError where it is none.

    It is read from the tree, where anybody may have put it: it may speak of bundles and nothing
    else.
    """
    files: Any = parse_object(data).get("files")
    if not isinstance(files, list):
        raise JsonError("`files` is no list")
    if not all(isinstance(path, str) and path.endswith(".sigstore.json") for path in files):
        raise JsonError("not all of `files` are bundles")
    return files


def _recover(tree: Tree) -> None:
    if interrupted(tree):
        _finish_moves(tree)
    else:
        _abandon(tree, _prepared(tree))


@contextlib.contextmanager
def _made(folders: Iterable[Path]) -> Iterator[None]:
    """With these folders, which are made where there are none, and removed again on a failure."""
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


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":
        return  # folders cannot be opened there; the rename itself is still atomic
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _locked(tree: Tree) -> Iterator[None]:
    """One writer at a time, without a lock file that could be left behind."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    descriptor = os.open(tree.root, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            raise InputError(
                "another run is writing to this repository", help="Wait until it has ended."
            ) from e
        yield
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
            help="Nothing was changed. Make room, or make the folder writable, and run it again.",
        ) from e
