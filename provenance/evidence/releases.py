# SPDX-License-Identifier: Apache-2.0
"""Read the release from a summary, and order the releases of a registry."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Final

from provenance.artifacts import digest
from provenance.artifacts.digest import is_sha256
from provenance.attestations import predicates
from provenance.attestations.bundle import Envelope
from provenance.attestations.statement import Statement
from provenance.evidence.rows import BundleEvidence
from provenance.frozen import dataclass
from provenance.registry.withdrawn import Withdrawal, WithdrawnError, entries_of

MAX_NAME: Final = 1000
"""Maximum length of a registry's name in a state file, in characters."""

MAX_VERSION: Final = 100
"""Maximum length of a release's version, in characters."""


@dataclass(frozen=True, order=True, slots=True)
class ReleaseOrder:
    """The order of a release among those of its registry: a later release is greater.

    Releases are ordered by the time of verification, from the signer's clock. Only this class
    depends on that.
    """

    time: datetime.datetime

    @classmethod
    def of(cls, predicate: Mapping[str, Any]) -> ReleaseOrder | None:
        """Return the order of the release in this summary, or None if it has no valid time."""
        return cls._at(predicate.get("timeVerified"))

    @classmethod
    def from_json(cls, value: object) -> ReleaseOrder | None:
        """Return the order from the output of `as_json`, or None if `value` is not valid."""
        if not isinstance(value, dict) or value.keys() != {"time"}:
            return None
        return cls._at(value["time"])

    def as_json(self) -> dict[str, str]:
        """Return the order as it is stored in a state file."""
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
        registry: The name of the registry in the summary.
        order: The order among the registry's releases.
        sha256: The digest of the summary's statement. It is unique to the release, and
            countersigning does not change it.
        version: What the publisher calls the release, or None.
        previous: The `sha256` of the release that it replaced, or None.
        withdrawn: The models that were withdrawn, in this release or before.
    """

    registry: str
    order: ReleaseOrder
    sha256: str
    version: str | None = None
    previous: str | None = None
    withdrawn: tuple[Withdrawal, ...] = ()

    def __str__(self) -> str:
        """Return the release for a sentence: "the release v1.2.0 of 2026-05-04T10:00:00Z"."""
        return f"the release {'' if self.version is None else f'{self.version} '}of {self.order}"


def divergence(now: Release, last: Release) -> str | None:
    """Return why a release that is later than the last one used does not follow it, or None.

    None is also returned if that cannot be known: releases in between may not have been seen, and a
    publisher that does not keep the previous summary cannot name the previous release.
    """
    if now.previous == last.sha256 or not now.order > last.order:
        return None
    if now.sha256 == last.previous:
        return "that one already replaced this one"
    if last.previous is None:
        return None
    if now.previous == last.previous:
        return "both replace the same release"
    followed = "that one replaced another release, and this one does not name the one it replaces"
    return followed if now.previous is None else None


def is_version(value: object) -> bool:
    """Whether a release can have this version: a short, printable string without outer spaces."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_VERSION:
        return False
    return value.isprintable() and value == value.strip()


def base_of(summary: Statement) -> str | None:
    """Return the folder that names are relative to, for a registry of another shape, or None."""
    field = summary.predicate.get(predicates.REGISTRY_FIELD)
    base = field.get("base") if isinstance(field, dict) else None
    return base if isinstance(base, str) else None


def files_of(summary: Statement) -> dict[str, str]:
    """Return the SHA-256 of every file of a release, by name: subjects and input attestations."""
    found = {s.name: s.sha256 for s in summary.subjects}
    found.update(summary.inputs)
    return found


def predicate_of(summary: Statement) -> Mapping[str, Any] | None:
    """Return the predicate of a release summary, or None if it is not one, or is not PASSED."""
    if summary.predicate_type != predicates.SLSA_SUMMARY:
        return None
    predicate = summary.predicate
    return predicate if predicate.get("verificationResult") == "PASSED" else None


def policy_of(summary: Statement) -> str | None:
    """Return the SHA-256 of the policy that a release was verified under, as it was signed."""
    policy = summary.predicate.get("policy")
    digests = policy.get("digest") if isinstance(policy, dict) else None
    sha256 = digests.get("sha256") if isinstance(digests, dict) else None
    return sha256 if isinstance(sha256, str) else None


def index_of(summary: Statement) -> str | None:
    """Return the path of the registry file of a release, relative to its project's root."""
    field = summary.predicate.get(predicates.REGISTRY_FIELD)
    index = field.get("index") if isinstance(field, dict) else None
    return index if isinstance(index, str) else None


def withdrawn_of(summary: Statement) -> tuple[Withdrawal, ...]:
    """Return the models that a release withdraws.

    Raises:
        WithdrawnError: If they are not listed as the predicate requires.
    """
    value = summary.predicate.get(predicates.WITHDRAWN_FIELD)
    return () if value is None else entries_of(value)


def deferrals_of(summary: Statement) -> int | None:
    """Return the number of deferred findings of a release, or None if it is not stated."""
    field = summary.predicate.get(predicates.DEFERRALS_FIELD)
    count = field.get("count") if isinstance(field, dict) else None
    return count if type(count) is int and count >= 0 else None


def release_of(summary: BundleEvidence) -> Release | None:
    """Return the release of a summary, or None if the summary does not identify it."""
    content = summary.bundle.content if summary.bundle else None
    predicate = predicate_of(summary.statement) if summary.statement else None
    if predicate is None or not isinstance(content, Envelope) or summary.statement is None:
        return None
    registry, order = predicate.get("resourceUri"), ReleaseOrder.of(predicate)
    if not isinstance(registry, str) or not 0 < len(registry) <= MAX_NAME or order is None:
        return None
    try:
        version, previous = _version_and_previous(predicate.get(predicates.RELEASE_FIELD, {}))
    except ValueError:
        return None  # a release with an invalid version or predecessor has no order
    sha256 = digest.of_bytes(content.payload).sha256
    try:
        withdrawn = withdrawn_of(summary.statement)
    except WithdrawnError:
        withdrawn = ()  # USE012 refuses the summary
    return Release(registry, order, sha256, version, previous, withdrawn)


def _version_and_previous(field: object) -> tuple[str | None, str | None]:
    """Return the version of a release, and the digest of the previous one.

    Raises:
        ValueError: If one of them is not valid.
    """
    if not isinstance(field, dict):
        raise ValueError("no object")
    version, previous = field.get("version"), None
    if "version" in field and not is_version(version):
        raise ValueError("version")
    if "previous" in field:
        digests = field["previous"].get("digest") if isinstance(field["previous"], dict) else None
        previous = digests.get("sha256") if isinstance(digests, dict) else None
        if not is_sha256(previous):
            raise ValueError("previous")
    return version, previous
