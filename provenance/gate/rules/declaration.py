# SPDX-License-Identifier: Apache-2.0
"""What a rule declares as data: when, where and over what it is judged, and what it yields to."""

from __future__ import annotations

import enum
from typing import ClassVar, Final

from provenance.gate.finding import Severity


class Phase(enum.Enum):
    """When a rule is judged. Each phase sees what the earlier ones concluded.

    A value says what is judged and, where not every run judges it, which does.
    """

    ARTIFACTS = "what can be judged before anything is signed"
    RUNTIME = "how the models run (--run)"
    BASELINE = "changes since a baseline (--baseline)"
    CLAIMS = "whether the evidence for what the rows claim is there"
    SIGNATURES = "signatures (verify)"
    PIPELINE = "the steps of the release (verify --layout)"
    OUTCOME = "what follows from the findings: deferrals, the release summary"
    REQUIREMENTS = "what a consumer requires (verify --require)"

    @property
    def is_released(self) -> bool:
        """Whether a release judges it: only then can what it finds have been signed as deferred."""
        unreleased = (Phase.RUNTIME, Phase.BASELINE, Phase.PIPELINE, Phase.REQUIREMENTS)
        return self not in unreleased

    @property
    def is_open(self) -> bool:
        """Whether a run that does not judge it leaves something open. Who has no layout or requires
        nothing, misses nothing.
        """
        return self not in (Phase.PIPELINE, Phase.REQUIREMENTS)


class Scope(enum.Enum):
    """What a rule looks at, at once."""

    ROW = "a row and its files"
    ENSEMBLE = "an ensemble: a manifest, its members and the verdicts on it"
    REGISTRY = "all rows together"
    DOCUMENT = "a document that is not of one row"
    OUTCOME = "what the other rules found"


class Target(enum.Enum):
    """What is verified as a whole."""

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
    """What a rule is. Each rule sets `code` and `slug`, which are stable and never reused."""

    code: ClassVar[str]
    slug: ClassVar[str]
    severity: ClassVar[Severity] = Severity.ERROR
    deferrable: ClassVar[bool] = False
    phase: ClassVar[Phase] = Phase.ARTIFACTS
    scopes: ClassVar[tuple[Scope, ...]] = (Scope.ROW,)
    """What it looks at, at once."""
    applies: ClassVar[frozenset[Target]] = REGISTRY
    """Where it is judged."""
    yields_to: ClassVar[tuple[str, ...]] = ()
    """The rules whose failing finding about the same row or file says the same cause: then this
    one's is suppressed, and listed as that."""
    looks_around: ClassVar[bool] = False
    """Whether what it says of a unit depends on what lies around it: strays, other rows' files, the
    baseline. It may say something first without, and is judged again with all that."""
    needs_trust: ClassVar[bool] = False
    """Whether it judges what was signed, and so can say nothing where nobody is trusted."""
    needs_whole: ClassVar[bool] = False
    """Whether it is judged only where the whole registry is: some rows do not show it."""
    about_rows: ClassVar[bool] = True
    """Whether its findings are about rows. Others are about an ensemble, a file, or a row that is
    gone: a deferral names that, and is stale where none of it is found."""
    for_consumer: ClassVar[bool] = False
    """Whether its help is for those who use a model too, and not only for its publisher."""
    consumer_help: ClassVar[str | None] = None
    """Its help for those who use a model, if there is more to say than the command has."""
    escalates: ClassVar[str | None] = None
    """The rule that this one takes the place of, for rows where no deferral may cover it."""

    @property
    def of_units(self) -> bool:
        """Whether it judges units."""
        return Scope.ROW in self.scopes or Scope.ENSEMBLE in self.scopes

    @property
    def of_whole(self) -> bool:
        """Whether it judges what is not of one unit."""
        return any(s not in (Scope.ROW, Scope.ENSEMBLE) for s in self.scopes)
