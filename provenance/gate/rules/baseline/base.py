# SPDX-License-Identifier: Apache-2.0
"""What the rules about the baseline share: the present state beside the former one."""

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
    """A rule about the present state and that at the baseline."""

    phase = Phase.BASELINE

    def judge_row(self, case: Case, row: RowEvidence) -> Iterable[Finding]:
        """The findings about one row that the baseline has."""
        baseline = case.evidence.baseline
        former = self.former(baseline, row) if baseline is not None else None
        if baseline is not None and former is not None:
            yield from self.compare(case, baseline, row, former)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        """The findings about all rows, or a document."""
        baseline = case.evidence.baseline
        if baseline is not None and (case.evidence.whole or not self.needs_whole):
            yield from self.conclude(case, baseline)

    def former(self, baseline: BaselineEvidence, row: RowEvidence) -> FormerRow | None:
        """What the row is compared with."""
        return baseline.former(row)

    def compare(
        self, case: Case, baseline: BaselineEvidence, row: RowEvidence, former: FormerRow
    ) -> Iterator[Finding]:
        """The findings about one row and what it was."""
        raise NotImplementedError

    def conclude(self, case: Case, baseline: BaselineEvidence) -> Iterator[Finding]:
        """The findings about all rows, or a document, and what that was."""
        raise NotImplementedError

    def declare(self, subject: str, what: str) -> str:
        """How a change is declared that is meant."""
        return f"If {what} on purpose, declare it: [[deferral]] of {self.code} for {subject!r}."


def until_proven(case: Case, row: RowEvidence, proven: str) -> str:
    """The advice to say smoke until what is `proven` is so."""
    say = case.in_its_words(say_smoke(row))
    return f"{say[:1].upper()}{say[1:]} until {proven}."
