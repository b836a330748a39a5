# SPDX-License-Identifier: Apache-2.0
"""The time of a new release, and the release that it follows.

A release is later than the one that it replaces, by a true time: a clock that is behind stops a
release; where only the second is the same, the next one is waited for.
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
    "nobody who counts has signed the release summary that is replaced: this release starts a new "
    "history"
)

_SECOND: Final = datetime.timedelta(seconds=1)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@dataclass(frozen=True)
class Place:
    """The time of a new release, as its summary says it, and what there is to say about it."""

    time: str
    notes: tuple[str, ...] = ()


def checked(version: str | None) -> str | None:
    """A version that a release may have. Raises InputError."""
    if version is not None and not is_version(version):
        raise InputError(
            f"{version[: MAX_VERSION + 1]!r} is no version of a release",
            help=f"One to {MAX_VERSION} printable characters, no space at either end: v1.2.0",
        )
    return version


def replaced(summary: BundleEvidence, registry: str, trust: Trust) -> Release | None:
    """The release whose summary lies where a new one is written; None where that one says nothing.

    It counts where a signer in `trust` signed it, it is a summary of this registry, and says
    which release it is of.

    Raises:
        UnavailableError: There is no trusted root to judge its signature by.
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
    """The place of a release made now. Raises InputError if by this clock it is not later."""
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
    return Place(_text(now), ("the release before is of the same second: the next was waited for",))


def _behind(now: datetime.datetime, previous: Release) -> InputError:
    return InputError(
        f"the clock of this machine says {_text(now)}, and {previous} is replaced: a release has "
        "to be later than the one before",
        help="Set the clock. If it is right, the release before was made with one that was ahead: "
        f"release again after {previous.order}.",
    )


def _text(time: datetime.datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
