# SPDX-License-Identifier: Apache-2.0
"""Grouping of findings for people: a one-sentence summary, and blocks of rows with alike findings.

Two findings of one rule are alike if their texts differ only in digests and in the names of their
rows. Neighbouring rows whose findings are all alike share a block. A finding that occurs in more
than `MANY` places is shown only once, with all its rows.
"""

from __future__ import annotations

import enum
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from provenance.config import Deferral
from provenance.frozen import dataclass
from provenance.gate.finding import Finding, Report, RowResult, Verdict
from provenance.output.text import count
from provenance.registry.rows import Classification

MANY: Final = 3
"""Alike findings in more places than this are shown once."""

_DIGEST: Final = re.compile(r"\b[0-9a-f]{12}(?:…|[0-9a-f]{52}\b)")


class Kind(enum.Enum):
    """What the findings of a block are about: rows, ensembles or files."""

    ROWS = "row"
    ENSEMBLES = "ensemble"
    FILES = "file"


@dataclass(frozen=True, slots=True)
class Entry:
    """Alike findings, one for each subject of the block, in the order of the subjects."""

    findings: tuple[Finding, ...]

    @property
    def first(self) -> Finding:
        """The finding that is shown in place of all."""
        return self.findings[0]


@dataclass(frozen=True, slots=True)
class Block:
    """Rows, ensembles or files with alike findings, and these findings."""

    kind: Kind
    subjects: tuple[str, ...]
    entries: tuple[Entry, ...]


class Likeness(NamedTuple):
    """The properties in which alike findings are equal."""

    code: str
    message: str
    help: str
    path: str


_Item = tuple[Finding, Likeness]


def blocks(
    findings: Iterable[Finding], rows: Iterable[RowResult], *, fold: bool = True
) -> list[Block]:
    """Group findings into blocks: rows in the order of the registry, then ensembles, then files.

    Without `fold`, each row, ensemble and file has a block of its own.
    """
    likeness = likeness_in(rows)
    by_kind: dict[Kind, dict[str, list[_Item]]] = {kind: {} for kind in Kind}
    for finding in findings:
        item = (finding, likeness(finding))
        by_kind[kind_of(finding)].setdefault(finding.subject, []).append(item)
    result: list[Block] = []
    for kind, subjects in by_kind.items():
        if fold:
            result += _folded(kind, subjects)
        else:
            result += [_block(kind, {subject: items}) for subject, items in subjects.items()]
    return result


def kind_of(finding: Finding) -> Kind:
    """Return what a finding is about."""
    if finding.row is not None:
        return Kind.ROWS
    return Kind.ENSEMBLES if finding.ensemble is not None else Kind.FILES


def likeness_in(rows: Iterable[RowResult]) -> Callable[[Finding], Likeness]:
    """Return a function that computes the likeness of a finding.

    `rows` supply the file names that differ from row to row.
    """
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
    """Return `text` with `name` replaced wherever it is a whole word."""
    first, *rest = text.split(name)
    for part in rest:
        whole = not first[-1:].isalnum() and not part[:1].isalnum()
        first += ("\0" if whole else name) + part
    return first


def _folded(kind: Kind, subjects: Mapping[str, Sequence[_Item]]) -> Iterator[Block]:
    places = Counter(
        like for run in _runs(subjects) for like in {like for _, like in next(iter(run.values()))}
    )
    wide = {like for like, number in places.items() if number > MANY}
    narrow = {
        subject: [(f, like) for f, like in items if like not in wide]
        for subject, items in subjects.items()
    }
    for run in _runs({subject: items for subject, items in narrow.items() if items}):
        yield _block(kind, run)
    by_likeness: dict[Likeness, dict[str, list[_Item]]] = {}
    for subject, items in subjects.items():
        for finding, like in items:
            if like in wide:
                by_likeness.setdefault(like, {}).setdefault(subject, []).append((finding, like))
    together: dict[tuple[str, ...], dict[str, list[_Item]]] = {}
    for shared in by_likeness.values():
        merged = together.setdefault(tuple(shared), {subject: [] for subject in shared})
        for subject, more in shared.items():
            merged[subject] += more
    for merged in together.values():
        yield _block(kind, merged)


def _runs(subjects: Mapping[str, Sequence[_Item]]) -> Iterator[dict[str, Sequence[_Item]]]:
    """Yield groups of neighbouring subjects whose findings are alike."""
    for _, run in groupby(subjects.items(), key=lambda pair: [item[1] for item in pair[1]]):
        yield dict(run)


def _block(kind: Kind, subjects: Mapping[str, Sequence[_Item]]) -> Block:
    """Return the block of subjects that have the same likenesses equally often."""
    entries: dict[tuple[Likeness, int], list[Finding]] = {}
    for items in subjects.values():
        times: Counter[Likeness] = Counter()
        for finding, like in items:
            entries.setdefault((like, times[like]), []).append(finding)
            times[like] += 1
    return Block(kind, tuple(subjects), tuple(Entry(tuple(alike)) for alike in entries.values()))


def summary(report: Report) -> str:
    """Return the verdict in a sentence, with the numbers of errors, warnings and deferrals.

    References of deferrals and notes are not escaped.
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
            kinds = _kinds(report.judged)
            absent = len(report.rows) - len(report.judged)
            if absent:
                rows = f"{len(report.judged):,} of {rows}"
                tail = f"; {absent:,} not here{tail}"
            what = "verified" if report.trust is not None else "passed"
            return f"OK: {rows} {what}{kinds}{tail}"
        case Verdict.NOTHING:
            nothing = report.notes[-1] if report.notes else "the registry has no rows"
            if report.rows:
                nothing = "no row has all of its files here"
            return f"NOTHING TO VERIFY: {nothing}"
        case Verdict.FAILED:
            # A finding can be about a row that was lost since the baseline.
            present = {r.id for r in report.rows}
            failed = {row for f in report.failing for row in f.rows} & present
            where = f" in {len(failed):,} of {rows}" if failed else ""
            elsewhere = where and any(f.row not in present for f in report.failing)
            where += " and elsewhere" if elsewhere else ""
            return f"FAILED: {count(len(report.failing), 'error')}{where}{tail}"


def by_state(rows: Sequence[RowResult]) -> Iterator[tuple[str, list[str]]]:
    """Yield the ids of the smoke, unclaimed and imported rows. All others are production."""
    ids = {
        state.value: [r.id for r in rows if r.classification is state]
        for state in (Classification.SMOKE, Classification.UNCLAIMED)
    }
    ids["imported"] = [r.id for r in rows if r.origin]
    return ((state, found) for state, found in ids.items() if found)


def _kinds(rows: Sequence[RowResult]) -> str:
    """Return the number of rows in each state, such as ", 5 of them smoke, 1 unclaimed"."""
    if len(rows) == 1:
        return "".join(f", {state}" for state, _ in by_state(rows))
    text = ""
    for state, found in by_state(rows):
        text += f", {len(found):,} {'' if text else 'of them '}{state}"
    return text


def by_deferral(findings: Iterable[Finding]) -> Iterator[tuple[Deferral, list[Finding]]]:
    """Yield each deferral that covers a finding, with all findings that it covers."""
    covered: dict[Deferral, list[Finding]] = {}
    for finding in findings:
        if finding.deferred is not None:
            covered.setdefault(finding.deferred, []).append(finding)
    yield from covered.items()
