# SPDX-License-Identifier: Apache-2.0
"""Which release a summary speaks of, and which of two releases is the later one."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from provenance.artifacts import digest
from provenance.attestations import predicates
from provenance.attestations.bundle import Envelope
from provenance.attestations.statement import Statement
from provenance.gate.evidence import BundleEvidence

MAX_NAME: Final = 1000
"""Characters of the name of a registry by which its releases are remembered."""


@dataclass(frozen=True, order=True, slots=True)
class ReleaseOrder:
    """Where a release stands among those of its registry: a later one is greater.

    The only place that knows what releases are ordered by: the time at which the release was
    verified, as its signer's clock said.
    """

    time: datetime.datetime

    @classmethod
    def of(cls, predicate: Mapping[str, Any]) -> ReleaseOrder | None:
        """That of the release with this summary; None where it has none."""
        return cls._at(predicate.get("timeVerified"))

    @classmethod
    def from_json(cls, value: object) -> ReleaseOrder | None:
        """The order that `as_json` gave; None where `value` is none."""
        if not isinstance(value, dict) or value.keys() != {"time"}:
            return None
        return cls._at(value["time"])

    def as_json(self) -> dict[str, str]:
        """The order as it is remembered."""
        return {"time": str(self)}

    @classmethod
    def _at(cls, text: object) -> ReleaseOrder | None:
        if not isinstance(text, str) or len(text) > 40:
            return None
        try:
            time = datetime.datetime.fromisoformat(text)
            return None if time.tzinfo is None else cls(time.astimezone(datetime.UTC))
        except (ValueError, OverflowError):
            return None

    def __str__(self) -> str:
        return self.time.isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Release:
    """One release of a registry.

    Attributes:
        registry: What its summary calls the registry.
        order: Where it stands among the registry's releases.
        sha256: The digest of the summary's statement: two releases never have the same.
    """

    registry: str
    order: ReleaseOrder
    sha256: str


def predicate_of(summary: Statement) -> Mapping[str, Any] | None:
    """What a release summary says; None where the statement is none, or says that it failed."""
    if summary.predicate_type != predicates.SLSA_SUMMARY:
        return None
    predicate = summary.predicate
    return predicate if predicate.get("verificationResult") == "PASSED" else None


def release_of(summary: BundleEvidence) -> Release | None:
    """The release that a summary speaks of; None where it does not say which that is."""
    content = summary.bundle.content if summary.bundle else None
    predicate = predicate_of(summary.statement) if summary.statement else None
    if predicate is None or not isinstance(content, Envelope):
        return None
    registry, order = predicate.get("resourceUri"), ReleaseOrder.of(predicate)
    if not isinstance(registry, str) or not 0 < len(registry) <= MAX_NAME or order is None:
        return None
    return Release(registry, order, digest.of_bytes(content.payload).sha256)
