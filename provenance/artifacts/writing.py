# SPDX-License-Identifier: Apache-2.0
"""Writing: all or nothing, and a crash at any instant leaves the old state or the new one.

One file is replaced by a rename. Several files that have a folder to themselves (`bundles/`) are
replaced by exchanging the whole folder for one that was prepared beside it: one system call, so no
reader ever sees half of a release. Where that is not possible, the new files are staged, a journal
is committed by a rename, and the files are moved; a run that was cut short after that point is
finished by the next one, and until then every reading command says so and stops
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


def write_all(tree: Tree, files: Mapping[str, bytes]) -> None:
    """Write all `files` (by path relative to the root), or none.

    Raises:
        InputError: They cannot be written; nothing has changed.
    """
    if not files:
        return
    with _as_input_error("the release"), _locked(tree):
        _recover(tree)
        targets = {tree.target(path): data for path, data in files.items()}
        folders = {t.parent for t in targets}
        if len(targets) == 1:
            target, data = next(iter(targets.items()))
            target.parent.mkdir(parents=True, exist_ok=True)
            _replace(target, data)
        elif len(folders) == 1 and _owns_folder(tree, folder := next(iter(folders))):
            _exchange_folder(folder, {t.name: data for t, data in targets.items()})
        else:
            _move_by_journal(tree, targets)


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
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o644
    staged = _staging_of(target)
    try:
        _write(staged, data, mode)
        os.replace(staged, target)
    except OSError:
        staged.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


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
            old = folder / name
            mode = stat.S_IMODE(old.stat().st_mode) if old.exists() else 0o644
            _write(staged / name, data, mode)
        _sync_folder(staged)
        if folder.exists():
            _exchange(staged, folder)
        else:
            os.rename(staged, folder)
    except OSError:
        _remove(staged)
        raise
    _sync_folder(folder.parent)
    _remove(staged)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError as e:
        if e.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV):
            raise
        shutil.copy2(source, target)


def _exchange(a: Path, b: Path) -> None:
    """Exchange two folders in one step (Linux, renameat2(2)). Python has no call for it."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    at_fdcwd, rename_exchange = -100, 2
    if libc.renameat2(at_fdcwd, os.fsencode(a), at_fdcwd, os.fsencode(b), rename_exchange) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(b))


def _move_by_journal(tree: Tree, targets: Mapping[Path, bytes]) -> None:
    folder = tree.root / JOURNAL_FOLDER
    try:
        folder.mkdir()
        moves: dict[str, str] = {}
        for number, (target, data) in enumerate(targets.items()):
            _write(folder / str(number), data)
            moves[str(number)] = target.relative_to(tree.root).as_posix()
        _write(folder / f"{_JOURNAL}.new", json.dumps({"moves": moves}).encode())
        _sync_folder(folder)
        os.rename(folder / f"{_JOURNAL}.new", folder / _JOURNAL)
    except OSError:
        _remove(folder)
        raise
    _sync_folder(folder)
    _finish_moves(tree)


def _finish_moves(tree: Tree) -> None:
    folder = tree.root / JOURNAL_FOLDER
    for name, path in _moves(tree).items():
        staged, target = folder / name, tree.target(path)
        if staged.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(staged, target)
            _sync_folder(target.parent)
    _remove(folder)


def _moves(tree: Tree) -> dict[str, str]:
    where = f"{JOURNAL_FOLDER}/{_JOURNAL}"
    try:
        moves: Any = parse_object(tree.read(where, limits.DOCUMENT)).get("moves")
    except JsonError as e:
        raise InputError(f"{where} {e}", help="Remove the folder and release again.") from e
    # The journal was read from the tree: it may only move staged files onto bundles.
    if not isinstance(moves, dict) or not all(
        name.isdigit() and isinstance(path, str) and path.endswith(".sigstore.json")
        for name, path in moves.items()
    ):
        raise InputError(f"{where} is not a journal", help="Remove the folder and release again.")
    return moves


def _recover(tree: Tree) -> None:
    if interrupted(tree):
        _finish_moves(tree)
    else:
        _remove(tree.root / JOURNAL_FOLDER)


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
