# SPDX-License-Identifier: Apache-2.0
"""A report in a sentence, and its deferrals: what every format for people ends with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from provenance.artifacts.registry import Classification
from provenance.config import Deferral
from provenance.gate.finding import Finding, Report, RowResult, Verdict
from provenance.output.text import count


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
    for state in (Classification.SMOKE, Classification.UNCLAIMED):
        found = [r.id for r in rows if r.classification is state]
        if found:
            yield state.value, found
    imported = [r.id for r in rows if r.origin]
    if imported:
        yield "imported", imported


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
