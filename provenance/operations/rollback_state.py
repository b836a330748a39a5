# SPDX-License-Identifier: Apache-2.0
"""The state file: the last release of each registry that a consumer has used.

It is open for as long as a release is judged, by one process at a time.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from provenance.artifacts import file_system, limits, paths
from provenance.artifacts.digest import is_sha256
from provenance.artifacts.documents.strict_json import JsonError, parse_object
from provenance.artifacts.paths import FileError, FileProblem
from provenance.artifacts.writing import write_named_file
from provenance.errors import InputError, UnavailableError
from provenance.evidence.evidence import Evidence
from provenance.evidence.releases import Release, ReleaseOrder, is_version, release_of
from provenance.gate.finding import Report, Verdict

VERSION: Final = 2
FORMER: Final = 1
"""Without version and predecessor of a release. Read, and written anew with the next release."""

LOCK: Final = ".lock"
"""Suffix of the file that is locked. The state file itself is replaced, and a lock with it."""

HELD: Final = ".held"
"""Suffix of the file that takes the place of a lock where the file system has none."""

PATIENCE: Final = 60.0
"""Seconds to wait for other processes. Each holds the lock for as long as rules take."""

_PAUSE: Final = 0.01


class Seen:
    """An open state file. `releases` holds the last release of each registry, by its name."""

    def __init__(self, path: Path, releases: Mapping[str, Release]) -> None:
        self._path = path
        self.releases = releases

    def record(self, report: Report, release: Release | None) -> None:
        """Remember a release that may be used. Raises InputError if the file cannot be written."""
        if release is None or report.verdict is not Verdict.VERIFIED:
            return
        if self.releases.get(release.registry) == release:
            return
        releases = {**self.releases, release.registry: release}
        value = {
            "version": VERSION,
            "releases": {
                name: {
                    "order": r.order.as_json(),
                    "summary": r.sha256,
                    "version": r.version,
                    "previous": r.previous,
                }
                for name, r in sorted(releases.items())
            },
        }
        data = (json.dumps(value, indent=2) + "\n").encode("ascii")
        if len(data) > limits.DOCUMENT:
            raise InputError(
                f"state file {self._path}: {len(releases):,} registries are more than it can hold",
                help="Use a state file for each publisher.",
            )
        write_named_file(self._path, data)
        self.releases = releases


@contextlib.contextmanager
def comparing(
    evidence: Evidence, path: str | os.PathLike[str] | None
) -> Iterator[tuple[Evidence, Callable[[Report], None]]]:
    """Evidence with the releases that were used before, and what records the one it is about.

    Without a state file, nothing was used before and nothing is recorded. Raises: as `opened`.
    """
    if path is None:
        yield evidence, lambda report: None
        return
    with opened(Path(path)) as state:
        release = release_of(evidence.summary) if evidence.summary else None
        yield replace(evidence, seen=state.releases), lambda report: state.record(report, release)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Seen]:
    """The state file at `path`, which need not exist yet, while no other process has it open.

    Raises:
        InputError: It cannot be read or locked, or is no state file.
        UnavailableError: Others do not let go of it, or this system has no such locks.
    """
    if sys.platform == "win32":
        raise UnavailableError("a state file needs locks that this system does not have")
    with contextlib.ExitStack() as release:
        try:
            _acquire(path, release)
        except OSError as e:
            raise InputError(
                f"state file {path}: cannot lock {e.filename or 'it'}: {e.strerror or e}",
                help=file_system.advice(e),
            ) from e
        yield Seen(path, _read(path))


def _read(path: Path) -> Mapping[str, Release]:
    try:
        value = parse_object(paths.read_named_file(path, limits.DOCUMENT))
    except FileError as e:
        if e.problem is FileProblem.MISSING and not os.path.lexists(path):
            return {}  # nothing was seen yet
        raise InputError(f"state file {path}: {e.message}", help=e.help) from e
    except JsonError as e:
        raise _malformed(path, str(e)) from e
    version = value.get("version")
    known = type(version) is int and version in (FORMER, VERSION)  # True is equal to 1
    if value.keys() != {"version", "releases"} or not known:
        raise _malformed(path, f"is not one of version {FORMER} or {VERSION}")
    releases = value["releases"]
    if not isinstance(releases, dict):
        raise _malformed(path, "has no object `releases`")
    fields = _FIELDS if version == VERSION else _FORMER_FIELDS
    return {name: _release(path, name, entry, fields) for name, entry in releases.items()}


_FORMER_FIELDS: Final = frozenset(("order", "summary"))
_FIELDS: Final = _FORMER_FIELDS | {"version", "previous"}


def _release(path: Path, name: str, entry: Any, fields: frozenset[str]) -> Release:
    if isinstance(entry, dict) and entry.keys() == fields:
        order, sha256 = ReleaseOrder.from_json(entry["order"]), entry["summary"]
        version, previous = entry.get("version"), entry.get("previous")
        named = version is None or is_version(version)
        follows = previous is None or is_sha256(previous)
        if order is not None and is_sha256(sha256) and named and follows:
            return Release(name, order, sha256, version, previous)
    raise _malformed(path, f"holds a release of {name[:100]!r} that cannot be read")


def _malformed(path: Path, why: str) -> InputError:
    return InputError(
        f"state file {path} {why}",
        help="Restore it. Without it, nobody knows which releases were used before.",
    )


def _acquire(path: Path, release: contextlib.ExitStack) -> None:
    """Take the lock, which `release` gives up. Raises OSError or UnavailableError.

    One process at a time has it. The kernel lets go of the lock of a process that is gone.
    """
    # Next to the file that a link leads to: all who write it meet at one lock.
    real = Path(os.path.realpath(path))
    lock = file_system.twin(real, LOCK)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(lock, flags, 0o600)
    release.callback(os.close, descriptor)
    # Run by root, a file of a user gets a lock that this user can open too.
    file_system.keep_owner(descriptor, file_system.status(real))
    if not _waiting(lambda: file_system.lock(descriptor), path, f"See which: fuser {lock}"):
        held = file_system.twin(real, HELD)
        left = f"If no process of yours uses it, one was killed: remove {held}"
        _waiting(lambda: _create(held), path, left)
        release.callback(_give_up, held)


def _give_up(held: Path) -> None:
    with contextlib.suppress(OSError):  # the next process says what is left
        held.unlink()


def _create(lock: Path) -> bool:
    """Make the file that only one process can make. Raises BlockingIOError if it is there."""
    try:
        file_system.create(lock, f"process {os.getpid()}\n".encode("ascii"), 0o600)
    except FileExistsError as e:
        raise BlockingIOError from e
    return True


def _waiting(attempt: Callable[[], bool], path: Path, help: str) -> bool:
    """What `attempt` returns once it is not blocked any more, for as long as `PATIENCE`."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return attempt()
        except BlockingIOError as e:
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"state file {path}: another process has held its lock for "
                    f"{PATIENCE:.0f} seconds",
                    help=help,
                ) from e
            time.sleep(_PAUSE)
