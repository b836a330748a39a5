# SPDX-License-Identifier: Apache-2.0
"""Evidence about a pipeline: a layout, the links of its steps, and what in-toto says of both.

`collect_pipeline` reads it. Where there is a layout, in-toto has decided already;
the rules say what it found, in the words of steps and files.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from provenance.artifacts.inventory import Inventory, Scope
from provenance.frozen import dataclass

Files = Mapping[str, str]
"""Paths of files, and their digests."""

HERE: Final = "here"
"""Where the chain ends: at the files that lie on disk."""


class Standing(enum.Enum):
    """What a link is worth."""

    COUNTS = "counts"
    MALFORMED = "malformed"
    UNAUTHORIZED = "by a key that may not do this step"
    UNSIGNED = "not signed by the key that its name says"


@dataclass(frozen=True)
class Link:
    """A file that says that it is the link of a step.

    Attributes:
        path: As it is shown.
        key: The beginning of the key id, by the file's name.
        why: Of a malformed one, what is wrong with it.
        materials, products: Of one that counts, the files before and after the step.
    """

    path: str
    key: str
    standing: Standing
    why: str = ""
    materials: Files | None = None
    products: Files | None = None


@dataclass(frozen=True)
class StepEvidence:
    """A step of the layout, and the links that there are of it.

    `authorized` are the ids of the keys that may do it, `disputed` whether those who did it say
    different things about the files.
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
        """Whether enough of those who may do it have."""
        return len(self.counting) >= self.threshold


@dataclass(frozen=True, slots=True)
class Refusal:
    """What in-toto refused: a rule of a step or inspection, and the files that it is about."""

    item: str
    rule: tuple[str, ...]
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """What an inspection would run."""

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
            return "what lies here"
        return f"what `{self.step}` {'left' if self.after else 'read'}"


@dataclass(frozen=True)
class PipelineEvidence:
    """A layout and what belongs to it.

    Attributes:
        path: The layout, as it is shown.
        keys: The keys that have to have signed it: their paths.
        links: The folder of the links, as it is shown.
        malformed: Why it is no layout. Then nothing else is known.
        unsigned: The keys of `keys` that have not signed it. Then nothing in it is believed.
        expires: When it expires, as it says.
        expired: Whether that was before now.
        commands: What its inspections would run, where that is anything but nothing.
        steps: Its steps, in their order.
        refusals: What in-toto refused, of the files.
        here: The files on disk that an inspection compares; None where nothing was compared.
        unreadable: Of these, those that cannot be read, and why.
        scope: Where the files of the release are; None where nothing is believed.
        listed: What lies in its folders.
        unseen: What of the release no link can name, and in-toto never sees.
        in_toto: Why in-toto refuses the whole, in its words; None where it does not.
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
        """The chain: the files before and after each step that was done, and those on disk."""
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
