# SPDX-License-Identifier: Apache-2.0
"""Determine the time of a new release, and the release that it replaces.

A release must be later than the one that it replaces, and its time is never altered to achieve
that. If the clock is behind, the release is refused. If both are of the same second, the release
waits for the next second.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from typing import Final

from provenance.errors import InputError
from provenance.evidence.releases import MAX_VERSION, Release, ReleaseOrder, is_version, release_of
from provenance.evidence.rows import BundleEvidence
from provenance.frozen import dataclass
from provenance.gate import signature_set
from provenance.signing.trust import Trust

NEW_HISTORY: Final = (
    "the release summary that is replaced has no trusted signature: this release starts a new "
    "history"
)

_SECOND: Final = datetime.timedelta(seconds=1)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@dataclass(frozen=True)
class Place:
    """The time of a new release, as in its summary, with notes for the user."""

    time: str
    notes: tuple[str, ...] = ()


def checked(version: str | None) -> str | None:
    """Return a version that is valid for a release, or None.

    Raises:
        InputError: If the version is not valid.
    """
    if version is not None and not is_version(version):
        raise InputError(
            f"{version[: MAX_VERSION + 1]!r} is not a valid version of a release",
            help=f"Use 1 to {MAX_VERSION} printable characters, no space at either end: v1.2.0",
        )
    return version


def replaced(summary: BundleEvidence, registry: str, trust: Trust) -> Release | None:
    """Return the release whose summary is about to be replaced, or None if it does not count.

    It counts if a signer in `trust` signed it, and it names this registry and its release.

    Raises:
        UnavailableError: If there is no trusted root to verify its signature with.
    """
    if summary.bundle is None or not signature_set.judge(summary, trust).counts:
        return None
    release = release_of(summary)
    return release if release is not None and release.registry == registry else None


def place_after(
    previous: Release | None,
    *,
    clock: Callable[[], datetime.datetime] = _now,
    sleep: Callable[[float], None] = time.sleep,
) -> Place:
    """Return the place of a release made now.

    Raises:
        InputError: If by this clock it is not later than the previous release.
    """
    now = clock()
    if previous is None or ReleaseOrder(now.replace(microsecond=0)) > previous.order:
        return Place(_text(now))
    last = previous.order
    if now < last.time:
        raise _behind(now, previous)
    sleep(max(0.0, (last.time + _SECOND - now).total_seconds()))
    now = clock()
    if not ReleaseOrder(now.replace(microsecond=0)) > last:
        raise _behind(now, previous)
    return Place(
        _text(now), ("waited for the next second: the previous release is of the same second",)
    )


def _behind(now: datetime.datetime, previous: Release) -> InputError:
    return InputError(
        f"the clock of this machine says {_text(now)}, but a release must be later than "
        f"{previous}, which it replaces",
        help="Set the clock. If it is right, the previous release was made with a clock that was "
        f"ahead: release again after {previous.order}.",
    )


def _text(time: datetime.datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
