# SPDX-License-Identifier: Apache-2.0
"""A report in a sentence, and its deferrals: what every format for people ends with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from provenance.config import Deferral
from provenance.gate.finding import Finding, Report, Verdict
from provenance.output.text import count


def summary(report: Report) -> str:
    """The verdict in a sentence, with everything that was found and did not decide it.

    A word or two, a colon, and the numbers. Of what was read, references of deferrals and notes
    are in it, as they were read.
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
            smoke = sum(1 for r in report.rows if r.smoke)
            kinds = f", {smoke:,} of them smoke" if smoke else ""
            if smoke and len(report.rows) == 1:
                kinds = ", smoke"
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


def by_deferral(findings: Iterable[Finding]) -> Iterator[tuple[Deferral, list[Finding]]]:
    """Each deferral that covers a finding, with what it covers."""
    covered: dict[Deferral, list[Finding]] = {}
    for finding in findings:
        if finding.deferred is not None:
            covered.setdefault(finding.deferred, []).append(finding)
    yield from covered.items()
