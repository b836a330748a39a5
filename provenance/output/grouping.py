# SPDX-License-Identifier: Apache-2.0
"""A report as people read it: in a sentence, and in blocks that say once what many rows share.

Findings of one rule are alike if their texts differ only in digests and in the names of their own
rows. Neighbours whose findings are all alike share a block. What is alike in many places besides is
shown once, with the rows that it concerns.
"""

from __future__ import annotations

import enum
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from provenance.artifacts.registry import Classification
from provenance.config import Deferral
from provenance.frozen import dataclass
from provenance.gate.finding import Finding, Report, RowResult, Verdict
from provenance.output.text import count

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
    wide = {like for like, number in places.items() if number > MANY}
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


def summary(report: Report) -> str:
    """The verdict in a sentence, with everything that was found and did not decide it.

    References of deferrals and notes are in it as they were read.
    """
    extras = []
    if report.warnings:
        extras.append(count(len(report.warnings), "warning"))
    if report.deferred:
        references = sorted({f.deferred.reference for f in report.deferred if f.deferred})
        extras.append(f"{len(report.deferred):,} deferred ({', '.join(references)})")
    tail = "".join(f"; {extra}" for extra in extras)
    rows = count(len(report.rows), "row")
    match report.verdict:
        case Verdict.VERIFIED:
            kinds = _kinds(report.rows)
            what = "verified" if report.trust is not None else "passed"
            return f"OK: {rows} {what}{kinds}{tail}"
        case Verdict.NOTHING:
            nothing = report.notes[-1] if report.notes else "the registry has no rows"
            return f"NOTHING TO VERIFY: {nothing}"
        case Verdict.FAILED:
            # A row that is gone since the baseline is none of those that are here.
            here = {r.id for r in report.rows}
            failed = {row for f in report.failing for row in f.rows} & here
            where = f" in {len(failed):,} of {rows}" if failed else ""
            elsewhere = where and any(f.row not in here for f in report.failing)
            where += " and elsewhere" if elsewhere else ""
            return f"FAILED: {count(len(report.failing), 'error')}{where}{tail}"


def by_state(rows: Sequence[RowResult]) -> Iterator[tuple[str, list[str]]]:
    """The ids of the rows that are smoke, unclaimed or imported; the others are production."""
    ids = {
        state.value: [r.id for r in rows if r.classification is state]
        for state in (Classification.SMOKE, Classification.UNCLAIMED)
    }
    ids["imported"] = [r.id for r in rows if r.origin]
    return ((state, found) for state, found in ids.items() if found)


def _kinds(rows: Sequence[RowResult]) -> str:
    """How many of the rows are in each state: ", 5 of them smoke, 1 unclaimed"."""
    if len(rows) == 1:
        return "".join(f", {state}" for state, _ in by_state(rows))
    text = ""
    for state, found in by_state(rows):
        text += f", {len(found):,} {'' if text else 'of them '}{state}"
    return text


def by_deferral(findings: Iterable[Finding]) -> Iterator[tuple[Deferral, list[Finding]]]:
    """Each deferral that covers a finding, with what it covers."""
    covered: dict[Deferral, list[Finding]] = {}
    for finding in findings:
        if finding.deferred is not None:
            covered.setdefault(finding.deferred, []).append(finding)
    yield from covered.items()
