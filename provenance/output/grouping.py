# SPDX-License-Identifier: Apache-2.0
"""Findings as people read them: by row, and what many rows share said once.

Findings of one rule are alike if their texts differ only in digests and in the names of their own
rows. Neighbours whose findings are all alike share a block. What is alike in many places besides is
shown once, with the rows that it concerns.
"""

from __future__ import annotations

import enum
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple

from provenance.gate.finding import Finding, RowResult

MANY: Final = 3
"""In more places than this, what is alike is told once."""

_DIGEST: Final = re.compile(r"\b[0-9a-f]{12}(?:…|[0-9a-f]{52}\b)")


class Kind(enum.Enum):
    """What the findings of a block are about."""

    ROWS = "row"
    ENSEMBLES = "ensemble"
    FILES = "file"


@dataclass(frozen=True, slots=True)
class Entry:
    """Findings that are alike, one of each subject of the block, in its order."""

    findings: tuple[Finding, ...]

    @property
    def first(self) -> Finding:
        """The finding that is shown for all."""
        return self.findings[0]

    @property
    def same(self) -> bool:
        """Whether all say the very same."""
        return all(f.message == self.first.message for f in self.findings)


@dataclass(frozen=True, slots=True)
class Block:
    """Rows, ensembles or files that have these findings, and what is found of all of them."""

    kind: Kind
    subjects: tuple[str, ...]
    entries: tuple[Entry, ...]


class Likeness(NamedTuple):
    """What is equal for findings that are alike."""

    code: str
    message: str
    help: str
    path: str

    @property
    def step(self) -> tuple[str, str]:
        """What is equal for findings with one next step."""
        return self.code, self.help


_Told = tuple[Finding, Likeness]


def blocks(
    findings: Iterable[Finding], rows: Iterable[RowResult], *, fold: bool = True
) -> list[Block]:
    """Findings in blocks: rows in the order of the registry, then ensembles, then files.

    Without `fold` each row, ensemble and file has a block of its own.
    """
    likeness = likeness_in(rows)
    by_kind: dict[Kind, dict[str, list[_Told]]] = {kind: {} for kind in Kind}
    for finding in findings:
        told = (finding, likeness(finding))
        by_kind[kind_of(finding)].setdefault(finding.subject, []).append(told)
    found: list[Block] = []
    for kind, subjects in by_kind.items():
        if fold:
            found += _folded(kind, subjects)
        else:
            found += [_block(kind, {subject: told}) for subject, told in subjects.items()]
    return found


def kind_of(finding: Finding) -> Kind:
    """What a finding is about."""
    if finding.row is not None:
        return Kind.ROWS
    return Kind.ENSEMBLES if finding.ensemble is not None else Kind.FILES


def likeness_in(rows: Iterable[RowResult]) -> Callable[[Finding], Likeness]:
    """What tells the likeness of a finding; `rows` say which names are a row's own."""
    stems: dict[str, str] = {}
    for row in rows:
        stems[row.id] = row.path.rpartition("/")[2].removesuffix(".onnx")

    def likeness(finding: Finding) -> Likeness:
        own = finding.subject
        names = {own, stems.get(own, ""), own.rpartition("/")[2]} - {""}

        def of(text: str) -> str:
            for name in sorted(names, key=len, reverse=True):
                text = _masked(text, name)
            return _DIGEST.sub("\1", text)

        return Likeness(finding.code, of(finding.message), of(finding.help), of(finding.path))

    return likeness


def _masked(text: str, name: str) -> str:
    """`text` with `name` replaced wherever it is a whole word."""
    first, *rest = text.split(name)
    for part in rest:
        whole = not first[-1:].isalnum() and not part[:1].isalnum()
        first += ("\0" if whole else name) + part
    return first


def _folded(kind: Kind, subjects: Mapping[str, Sequence[_Told]]) -> Iterator[Block]:
    places = Counter(
        like for run in _runs(subjects) for like in {like for _, like in next(iter(run.values()))}
    )
    wide = {like for like, count in places.items() if count > MANY}
    narrow = {
        subject: [(f, like) for f, like in told if like not in wide]
        for subject, told in subjects.items()
    }
    for run in _runs({subject: told for subject, told in narrow.items() if told}):
        yield _block(kind, run)
    who: dict[Likeness, dict[str, list[_Told]]] = {}
    for subject, told in subjects.items():
        for finding, like in told:
            if like in wide:
                who.setdefault(like, {}).setdefault(subject, []).append((finding, like))
    together: dict[tuple[str, ...], dict[str, list[_Told]]] = {}
    for shared in who.values():
        merged = together.setdefault(tuple(shared), {subject: [] for subject in shared})
        for subject, more in shared.items():
            merged[subject] += more
    for merged in together.values():
        yield _block(kind, merged)


def _runs(subjects: Mapping[str, Sequence[_Told]]) -> Iterator[dict[str, Sequence[_Told]]]:
    """Neighbours whose findings are alike, together."""
    for _, run in groupby(subjects.items(), key=lambda item: [told[1] for told in item[1]]):
        yield dict(run)


def _block(kind: Kind, subjects: Mapping[str, Sequence[_Told]]) -> Block:
    """The block of subjects with the same likenesses, each as often."""
    entries: dict[tuple[Likeness, int], list[Finding]] = {}
    for told in subjects.values():
        times: Counter[Likeness] = Counter()
        for finding, like in told:
            entries.setdefault((like, times[like]), []).append(finding)
            times[like] += 1
    return Block(kind, tuple(subjects), tuple(Entry(tuple(found)) for found in entries.values()))
