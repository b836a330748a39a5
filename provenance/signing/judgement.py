# SPDX-License-Identifier: Apache-2.0
"""What was found out about a signature."""

from __future__ import annotations

import datetime
import enum

from provenance.frozen import dataclass
from provenance.signing.trust import Entry


class RefusedError(ValueError):
    """A signature, or evidence of it, that does not hold. The message says why."""


class Verdict(enum.Enum):
    """What was found out about one signature."""

    VALID = "valid, by a trusted signer"
    INVALID = "invalid"
    UNTRUSTED = "by somebody who is not trusted"
    UNSUPPORTED = "of a kind that is not supported"


class Clock(enum.Enum):
    """Who says when something was signed."""

    LOG = "log"
    TIMESTAMP = "timestamp"


@dataclass(frozen=True, slots=True)
class Moment:
    """When something was signed, as a trusted log or timestamp authority says."""

    time: datetime.datetime
    clock: Clock


@dataclass(frozen=True)
class Signer:
    """Who signed, and under which trust entry that counts.

    Attributes:
        name: As a person would say it: the path of the key, or the subject.
        issuer: Who vouched for the subject, None for a key.
        unique: What distinguishes two signers.
        moments: When it was signed; none for a key without a timestamp.
    """

    name: str
    issuer: str | None
    unique: str
    entries: tuple[Entry, ...]
    moments: tuple[Moment, ...] = ()


@dataclass(frozen=True)
class Judgement:
    """The verdict on one signature.

    `reason` says what is wrong where it is INVALID, who it was where it is UNTRUSTED, and what is
    not supported where it is UNSUPPORTED; `help` what to do about it. `signer` is set where it is
    VALID.
    """

    verdict: Verdict
    signer: Signer | None = None
    reason: str = ""
    help: str = ""
