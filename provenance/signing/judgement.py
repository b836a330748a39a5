# SPDX-License-Identifier: Apache-2.0
"""The result of verifying a signature."""

from __future__ import annotations

import datetime
import enum

from provenance.frozen import dataclass
from provenance.signing.trust import Entry


class RefusedError(ValueError):
    """A signature, or evidence for it, that is not valid. The message gives the reason."""


class Verdict(enum.Enum):
    """The outcome of verifying one signature."""

    VALID = "valid, by a trusted signer"
    INVALID = "invalid"
    UNTRUSTED = "by an untrusted signer"
    UNSUPPORTED = "of an unsupported kind"


class Clock(enum.Enum):
    """The kind of service that states the time of a signature."""

    LOG = "log"
    TIMESTAMP = "timestamp"


@dataclass(frozen=True, slots=True)
class Moment:
    """The time of a signature, as stated by a trusted log or timestamp authority."""

    time: datetime.datetime
    clock: Clock


@dataclass(frozen=True)
class Signer:
    """A trusted signer.

    Attributes:
        name: The path of the key, or the subject of the certificate.
        issuer: The issuer that vouched for the subject, or None for a key.
        unique: A string that differs between any two signers.
        entries: The trust entries that match the signer.
        moments: The times of the signature; empty for a key without a timestamp.
    """

    name: str
    issuer: str | None
    unique: str
    entries: tuple[Entry, ...]
    moments: tuple[Moment, ...] = ()


@dataclass(frozen=True)
class Judgement:
    """The verdict on one signature.

    Attributes:
        verdict: The outcome.
        signer: The signer, if the signature is VALID.
        reason: What is wrong if it is INVALID, who signed if it is UNTRUSTED ("by …"), or what is
            not supported if it is UNSUPPORTED.
        help: What to do about it.
    """

    verdict: Verdict
    signer: Signer | None = None
    reason: str = ""
    help: str = ""
