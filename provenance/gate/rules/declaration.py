# SPDX-License-Identifier: Apache-2.0
"""The attributes that a rule declares: when and where it is judged, and what it yields to."""

from __future__ import annotations

import enum
from typing import ClassVar, Final

from provenance.gate.finding import Severity


class Phase(enum.Enum):
    """When a rule is judged. The rules of a phase see the findings of earlier phases.

    Reports show the values. The value of an optional phase names the option that enables it.
    """

    ARTIFACTS = "what can be judged before signing"
    RUNTIME = "how the models run (--run)"
    BASELINE = "changes since a baseline (--baseline)"
    CLAIMS = "whether the rows have the evidence for their claims"
    SIGNATURES = "signatures (verify)"
    PIPELINE = "the steps of the release (verify --layout)"
    OUTCOME = "consequences of the findings: deferrals, the release summary"
    REQUIREMENTS = "requirements of a consumer (verify --require)"

    @property
    def is_released(self) -> bool:
        """Whether a release judges it. Only such a phase can have findings signed as deferred."""
        unreleased = (Phase.RUNTIME, Phase.BASELINE, Phase.PIPELINE, Phase.REQUIREMENTS)
        return self not in unreleased

    @property
    def is_open(self) -> bool:
        """Whether a run without this phase is incomplete.

        A run without a layout or requirements leaves nothing open.
        """
        return self not in (Phase.PIPELINE, Phase.REQUIREMENTS)


class Scope(enum.Enum):
    """A kind of subject. A rule judges one subject at a time."""

    ROW = "a row and its files"
    ENSEMBLE = "an ensemble: a manifest, its members and its verdicts"
    REGISTRY = "all rows together"
    DOCUMENT = "a document that does not belong to one row"
    OUTCOME = "the findings of other rules"


class Target(enum.Enum):
    """The subject that a run verifies."""

    REGISTRY = "the registry of a repository"
    RELEASE = "a release by its summary"
    MODEL = "one model by its bundle"
    BLOB = "any file by a bundle"


REGISTRY: Final = frozenset({Target.REGISTRY})
REGISTRY_AND_MODEL: Final = REGISTRY | {Target.MODEL}
REGISTRY_AND_RELEASE: Final = REGISTRY | {Target.RELEASE}
ALL_BUT_BLOBS: Final = REGISTRY_AND_MODEL | {Target.RELEASE}
EVERYWHERE: Final = frozenset(Target)


class Declaration:
    """The attributes of a rule. Each rule sets `code` and `slug`, which are never reused."""

    code: ClassVar[str]
    slug: ClassVar[str]
    severity: ClassVar[Severity] = Severity.ERROR
    deferrable: ClassVar[bool] = False
    phase: ClassVar[Phase] = Phase.ARTIFACTS
    scopes: ClassVar[tuple[Scope, ...]] = (Scope.ROW,)
    """The kinds of subjects that it judges."""
    applies: ClassVar[frozenset[Target]] = REGISTRY
    """The kinds of runs in which it is judged."""
    yields_to: ClassVar[tuple[str, ...]] = ()
    """The rules that report the same cause. If one of them fails for the same row or file, the
    finding of this rule is suppressed and listed as suppressed."""
    looks_around: ClassVar[bool] = False
    """Whether its findings about a unit depend on data outside the unit: stray files, files of
    other rows, or the baseline. It can be judged first without that data and again with it."""
    needs_trust: ClassVar[bool] = False
    """Whether it judges signed content and therefore needs trusted signers."""
    needs_whole: ClassVar[bool] = False
    """Whether it is judged only if all rows of the registry are selected."""
    about_rows: ClassVar[bool] = True
    """Whether its findings are about rows. Other findings are about an ensemble, a file, or a row
    that is gone. A deferral names that subject, and is stale if there is no such finding."""
    for_consumer: ClassVar[bool] = False
    """Whether its help is meant for consumers as well as for the publisher."""
    consumer_help: ClassVar[str | None] = None
    """The help for consumers, or None for the default help of the command."""
    escalates: ClassVar[str | None] = None
    """A rule that this one replaces for rows where a deferral is not allowed, or None."""

    @property
    def of_units(self) -> bool:
        """Whether it judges units."""
        return Scope.ROW in self.scopes or Scope.ENSEMBLE in self.scopes

    @property
    def of_whole(self) -> bool:
        """Whether it judges subjects that do not belong to one unit."""
        return any(s not in (Scope.ROW, Scope.ENSEMBLE) for s in self.scopes)
