# SPDX-License-Identifier: Apache-2.0
"""The base of all rules that compare the present state with the baseline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from provenance.evidence.evidence import BaselineEvidence
from provenance.evidence.rows import FormerRow, RowEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules.base import Rule
from provenance.gate.rules.case import Case
from provenance.gate.rules.claims import say_smoke
from provenance.gate.rules.declaration import Phase


class BaselineRule(Rule):
    """A rule that compares the present state with the baseline."""

    phase = Phase.BASELINE

    def judge_row(self, case: Case, row: RowEvidence) -> Iterable[Finding]:
        """Yield the findings about one row, if the baseline has the row."""
        baseline = case.evidence.baseline
        former = self.former(baseline, row) if baseline is not None else None
        if baseline is not None and former is not None:
            yield from self.compare(case, baseline, row, former)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        """Yield the findings about all rows, or about a document."""
        baseline = case.evidence.baseline
        if baseline is not None and (case.evidence.whole or not self.needs_whole):
            yield from self.conclude(case, baseline)

    def former(self, baseline: BaselineEvidence, row: RowEvidence) -> FormerRow | None:
        """Return the row of the baseline with which `row` is compared, or None."""
        return baseline.former(row)

    def compare(
        self, case: Case, baseline: BaselineEvidence, row: RowEvidence, former: FormerRow
    ) -> Iterator[Finding]:
        """Yield the findings about one row and its former state."""
        raise NotImplementedError

    def conclude(self, case: Case, baseline: BaselineEvidence) -> Iterator[Finding]:
        """Yield the findings about all rows or a document, and their former state."""
        raise NotImplementedError

    def declare(self, subject: str, change: str) -> str:
        """Return how to declare an intended `change`, a clause such as "it was removed"."""
        return f"If {change} on purpose, declare it: [[deferral]] of {self.code} for {subject!r}."


def until_proven(case: Case, row: RowEvidence, proven: str) -> str:
    """Return the advice to declare the row as smoke until `proven`, a clause, is true."""
    advice = row.worded(say_smoke(row))
    return f"{advice[:1].upper()}{advice[1:]} until {proven}."
