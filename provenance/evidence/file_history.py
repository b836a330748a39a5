# SPDX-License-Identifier: Apache-2.0
"""Find the change along a pipeline's steps that made in-toto refuse a file."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from itertools import pairwise

from provenance.evidence.pipeline import HERE, Moment, PipelineEvidence
from provenance.frozen import dataclass


class Kind(enum.Enum):
    """What happened to a file."""

    CHANGED = "changed"
    ADDED = "added"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Change:
    """A file that differs between two successive moments."""

    file: str
    before: Moment
    after: Moment

    @property
    def kind(self) -> Kind:
        """What happened to it."""
        if self.then is None:
            return Kind.ADDED
        return Kind.GONE if self.now is None else Kind.CHANGED

    @property
    def then(self) -> str | None:
        """Its digest before."""
        return self.before.files.get(self.file)

    @property
    def now(self) -> str | None:
        """Its digest after."""
        return self.after.files.get(self.file)

    @property
    def within(self) -> bool:
        """Whether a step made it, rather than a change between two steps."""
        return self.before.step == self.after.step

    @property
    def when(self) -> str:
        """When it happened, in words."""
        if self.within:
            return f"while `{self.after.step}` ran"
        if self.after.step == HERE:
            return f"after `{self.before.step}`"
        return f"between `{self.before.step}` and `{self.after.step}`"


def changes(pipeline: PipelineEvidence) -> list[Change]:
    """Return for each file that in-toto refused the change that explains it, if there is one."""
    moments = pipeline.moments
    found = (_cause(file, moments) for file in pipeline.refused_files)
    return [change for change in found if change is not None]


def _cause(file: str, moments: Sequence[Moment]) -> Change | None:
    """Return the first change between steps, or else the last one by a step, or None.

    An earlier step may be allowed to change the file, so the last change is the likely cause.
    """
    all_changes = [
        Change(file, a, b) for a, b in pairwise(moments) if a.files.get(file) != b.files.get(file)
    ]
    between = [c for c in all_changes if not c.within]
    return next(iter(between), None) or next(iter(all_changes[::-1]), None)
