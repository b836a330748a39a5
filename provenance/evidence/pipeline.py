# SPDX-License-Identifier: Apache-2.0
"""Evidence about a pipeline: a layout, the links of its steps, and in-toto's verdict on both.

`collect_pipeline` reads it. in-toto has decided by then, and the rules explain its verdict in terms
of steps and files.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from provenance.artifacts.inventory import Inventory, Scope
from provenance.frozen import dataclass

Files = Mapping[str, str]
"""Digests of files by path."""

HERE: Final = "here"
"""The last moment of the chain: the files on disk."""


class Standing(enum.Enum):
    """Whether a link counts, or why it does not."""

    COUNTS = "counts"
    MALFORMED = "malformed"
    UNAUTHORIZED = "by a key that may not do this step"
    UNSIGNED = "not signed by the key that its name says"


@dataclass(frozen=True)
class Link:
    """A file with the name of a step's link.

    Attributes:
        path: The path as it is shown.
        key: The beginning of the key id, from the file name.
        standing: Whether the link counts.
        why: What is wrong with a malformed link.
        materials, products: The files before and after the step, if the link counts.
    """

    path: str
    key: str
    standing: Standing
    why: str = ""
    materials: Files | None = None
    products: Files | None = None


@dataclass(frozen=True)
class StepEvidence:
    """A step of the layout, with its links.

    Attributes:
        name: The name of the step.
        authorized: The ids of the keys that may perform it.
        threshold: The number of authorized keys that must perform it.
        links: The links of the step.
        disputed: Whether the links that count disagree about the files.
    """

    name: str
    authorized: tuple[str, ...]
    threshold: int
    links: tuple[Link, ...]
    disputed: bool = False

    @property
    def counting(self) -> tuple[Link, ...]:
        """The links that count."""
        return tuple(link for link in self.links if link.standing is Standing.COUNTS)

    @property
    def done(self) -> bool:
        """Whether enough authorized keys performed it."""
        return len(self.counting) >= self.threshold


@dataclass(frozen=True, slots=True)
class Refusal:
    """A rule of a step or inspection that in-toto refused, and the files it refused."""

    item: str
    rule: tuple[str, ...]
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """The command that an inspection would run."""

    inspection: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """The files at one moment: before a step, after it, or on disk."""

    step: str
    after: bool
    files: Files

    def __str__(self) -> str:
        if self.step == HERE:
            return "the file on disk"
        return f"what `{self.step}` {'left' if self.after else 'read'}"


@dataclass(frozen=True)
class PipelineEvidence:
    """A layout with its links, and in-toto's verdict.

    Attributes:
        path: The path of the layout, as it is shown.
        keys: The paths of the keys that must have signed the layout.
        links: The folder of the links, as it is shown.
        malformed: Why the file is not a layout, or None. If set, nothing else is known.
        unsigned: The paths in `keys` whose signature is missing. If there are any, the content of
            the layout is not trusted.
        expires: The expiry date in the layout.
        expired: Whether the layout has expired.
        commands: The commands of its inspections, except the ones known to do nothing.
        steps: The steps, in order.
        refusals: The rules about files that in-toto refused.
        here: The files on disk that an inspection compares, or None if nothing was compared.
        unreadable: The files of `here` that cannot be read, with the reason.
        scope: The folders of the release, or None if the layout is not trusted.
        listed: The files in these folders.
        unseen: The files of the release that links cannot contain, so in-toto never sees them.
        in_toto: Why in-toto refuses the pipeline, in its words, or None if it does not.
    """

    path: str
    keys: tuple[str, ...]
    links: str
    malformed: str | None = None
    unsigned: tuple[str, ...] = ()
    expires: str = ""
    expired: bool = False
    commands: tuple[Command, ...] = ()
    steps: tuple[StepEvidence, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    here: Files | None = None
    unreadable: Mapping[str, str] | None = None
    scope: Scope | None = None
    listed: Inventory | None = None
    unseen: tuple[str, ...] = ()
    in_toto: str | None = None

    @property
    def moments(self) -> Sequence[Moment]:
        """The chain: the files before and after each step that was performed, and on disk."""
        return tuple(self._moments())

    def _moments(self) -> Iterator[Moment]:
        for step in self.steps:
            link = next(iter(step.counting), None)
            if link is not None and link.materials is not None and link.products is not None:
                yield Moment(step.name, False, link.materials)
                yield Moment(step.name, True, link.products)
        if self.here is not None:
            yield Moment(HERE, True, self.here)

    @property
    def refused_files(self) -> tuple[str, ...]:
        """The files that in-toto refused, each once, sorted."""
        return tuple(sorted({f for r in self.refusals for f in r.files}))
