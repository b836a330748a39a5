# SPDX-License-Identifier: Apache-2.0
"""The state file, which remembers the last release of each registry that a consumer has used.

One process at a time holds it open, for as long as it judges a release.
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
from provenance.registry.withdrawn import WithdrawnError, entries_of

VERSION: Final = 2
FORMER: Final = 1
"""The format without a release's version and predecessor. It is read, and replaced when the next
release is recorded."""

LOCK: Final = ".lock"
"""Suffix of the file that is locked. The state file itself is replaced, so it cannot be locked."""

HELD: Final = ".held"
"""Suffix of the file that replaces the lock on file systems without locks."""

PATIENCE: Final = 60.0
"""Seconds to wait for other processes. Each holds the lock while it evaluates the rules."""

_PAUSE: Final = 0.01


class Seen:
    """An open state file.

    Attributes:
        releases: The last release of each registry that was used, by the registry's name.
    """

    def __init__(self, path: Path, releases: Mapping[str, Release]) -> None:
        self._path = path
        self.releases = releases

    def record(self, report: Report, release: Release | None) -> None:
        """Remember a release if it is VERIFIED.

        Raises:
            InputError: If the file cannot be written.
        """
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
                    **({_WITHDRAWN: [w.as_json() for w in r.withdrawn]} if r.withdrawn else {}),
                }
                for name, r in sorted(releases.items())
            },
        }
        data = (json.dumps(value, indent=2) + "\n").encode("ascii")
        if len(data) > limits.DOCUMENT:
            raise InputError(
                f"state file {self._path}: too many registries for one file ({len(releases):,})"
                ", with the models that they have withdrawn",
                help="Use a state file for each publisher.",
            )
        write_named_file(self._path, data)
        self.releases = releases


@contextlib.contextmanager
def comparing(
    evidence: Evidence, path: str | os.PathLike[str] | None
) -> Iterator[tuple[Evidence, Callable[[Report], None]]]:
    """Add the releases that were used before to the evidence.

    Yields the evidence, and a function that records its release if the report is VERIFIED. Without
    a state file, the evidence stays as it is and nothing is recorded.

    Raises:
        InputError, UnavailableError: As `opened`.
    """
    if path is None:
        yield evidence, lambda report: None
        return
    with opened(Path(path)) as state:
        release = release_of(evidence.summary) if evidence.summary else None
        yield replace(evidence, seen=state.releases), lambda report: state.record(report, release)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Seen]:
    """Open the state file at `path` and lock it. It does not have to exist yet.

    Raises:
        InputError: If the file cannot be read or locked, or is not a state file.
        UnavailableError: If other processes hold the lock for too long, or this platform has no
            file locks.
    """
    if sys.platform == "win32":
        raise UnavailableError("a state file needs file locks, which this platform does not have")
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
            return {}  # no release was used yet
        raise InputError(f"state file {path}: {e.message}", help=e.help) from e
    except JsonError as e:
        raise _malformed(path, str(e)) from e
    version = value.get("version")
    known = type(version) is int and version in (FORMER, VERSION)  # True is equal to 1
    if value.keys() != {"version", "releases"} or not known:
        raise _malformed(path, f"is not a state file of version {FORMER} or {VERSION}")
    releases = value["releases"]
    if not isinstance(releases, dict):
        raise _malformed(path, "has no object `releases`")
    fields = _FIELDS if version == VERSION else _FORMER_FIELDS
    return {name: _release(path, name, entry, fields) for name, entry in releases.items()}


_FORMER_FIELDS: Final = frozenset(("order", "summary"))
_FIELDS: Final = _FORMER_FIELDS | {"version", "previous"}
_WITHDRAWN: Final = "withdrawn"
"""The field of a release that withdraws models."""


def _release(path: Path, name: str, entry: Any, fields: frozenset[str]) -> Release:
    optional = {_WITHDRAWN} if fields == _FIELDS else set()
    if isinstance(entry, dict) and entry.keys() - optional == fields:
        order, sha256 = ReleaseOrder.from_json(entry["order"]), entry["summary"]
        version, previous = entry.get("version"), entry.get("previous")
        named = version is None or is_version(version)
        follows = previous is None or is_sha256(previous)
        if order is not None and is_sha256(sha256) and named and follows:
            with contextlib.suppress(WithdrawnError):
                withdrawn = entries_of(entry.get(_WITHDRAWN, []))
                return Release(name, order, sha256, version, previous, withdrawn)
    raise _malformed(path, f"holds a release of {name[:100]!r} that cannot be read")


def _malformed(path: Path, why: str) -> InputError:
    return InputError(
        f"state file {path} {why}",
        help="Restore it. Without it, an older release cannot be recognized.",
    )


def _acquire(path: Path, release: contextlib.ExitStack) -> None:
    """Take the lock; leaving the `release` stack gives it up.

    One process at a time holds the lock. If that process dies, the kernel releases it.

    Raises:
        OSError: If the lock file cannot be opened.
        UnavailableError: If another process holds the lock for too long.
    """
    # The lock is next to the real file, so all processes use the same one, with or without links.
    real = Path(os.path.realpath(path))
    lock = file_system.twin(real, LOCK)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(lock, flags, 0o600)
    release.callback(os.close, descriptor)
    # If root runs this, the owner of the state file must still be able to open the lock.
    file_system.keep_owner(descriptor, file_system.status(real))
    if not _waiting(lambda: file_system.lock(descriptor), path, f"See which: fuser {lock}"):
        held = file_system.twin(real, HELD)
        left = f"If no process of yours uses it, one was killed: remove {held}"
        _waiting(lambda: _create(held), path, left)
        release.callback(_give_up, held)


def _give_up(held: Path) -> None:
    with contextlib.suppress(OSError):  # the next process reports a leftover file
        held.unlink()


def _create(lock: Path) -> bool:
    """Create the file that only one process can create.

    Raises:
        BlockingIOError: If it exists.
    """
    try:
        file_system.create(lock, f"process {os.getpid()}\n".encode("ascii"), 0o600)
    except FileExistsError as e:
        raise BlockingIOError from e
    return True


def _waiting(attempt: Callable[[], bool], path: Path, help: str) -> bool:
    """Call `attempt` until it does not block, and return its result.

    Raises:
        UnavailableError: If it still blocks after `PATIENCE` seconds.
    """
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
