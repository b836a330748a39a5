# SPDX-License-Identifier: Apache-2.0
"""BAS812 and BAS813: changes of `withdrawn.json` since the baseline."""

from __future__ import annotations

from collections.abc import Iterator

from provenance.evidence.evidence import BaselineEvidence
from provenance.gate.finding import Finding, Severity
from provenance.gate.rules.baseline.base import BaselineRule
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import Scope
from provenance.gate.rules.recovery_help import put_back
from provenance.registry import withdrawn


class WithdrawalGone(BaselineRule):
    """An entry of withdrawn.json is gone or was changed since the baseline.

    ## What it does
    Looks for each entry of `withdrawn.json` at the baseline in the present file. It has to be there
    unchanged.

    ## Why it matters
    Consumers refuse a withdrawn model because the release summary lists it. A change that removes
    the entry, or a digest in it, would offer the model to them again.

    ## Example
    The entry of `detector_v1` is removed together with the file `withdrawn.json`.

    ## How to fix
    Put the file back: `git restore --source=origin/main -- withdrawn.json`. Then add what is new
    with `provenance remove`.
    """

    code = "BAS812"
    slug = "withdrawal-gone"
    scopes = (Scope.DOCUMENT,)
    about_rows = False

    def conclude(self, case: Case, baseline: BaselineEvidence) -> Iterator[Finding]:
        now = case.evidence.withdrawn
        if now is None:
            return
        for entry in now.lacking(baseline.withdrawn):
            here = any(entry.id == other.id for other in now.entries)
            yield self.finding(
                f"the entry of {entry.id!r} of {entry.date} "
                f"{'was changed' if here else 'is gone'}; {baseline.name} has it",
                f"{put_back(baseline, withdrawn.FILE)}. Entries are only ever added to it.",
                path=withdrawn.FILE if now.text is not None else case.evidence.registry.path,
                position=now.place_of(entry.id),
                about=withdrawn.FILE,
            )


class NewlyWithdrawn(BaselineRule):
    """A model was withdrawn since the baseline.

    ## What it does
    Shows each entry of `withdrawn.json` that the baseline does not have.

    ## Why it matters
    From the next release on, consumers refuse the model. That is a decision to be reviewed: it
    cannot be undone.

    ## Example
    `provenance remove detector_v1 --reason "wrong labels" --replaced-by detector_v2`

    ## How to fix
    Review it as the end of a model. The warning disappears once the baseline has the entry.
    """

    code = "BAS813"
    slug = "newly-withdrawn"
    scopes = (Scope.DOCUMENT,)
    severity = Severity.WARNING
    about_rows = False

    def conclude(self, case: Case, baseline: BaselineEvidence) -> Iterator[Finding]:
        now = case.evidence.withdrawn
        if now is None:
            return
        changed = {entry.id for entry in now.lacking(baseline.withdrawn)}  # BAS812 reports them
        new = {id(entry) for entry in withdrawn.lacking(baseline.withdrawn, now.entries)}
        for number, entry in enumerate(now.entries):
            if id(entry) in new and entry.id not in changed:
                yield self.finding(
                    f"{entry.id!r} {entry.why}",
                    "Review it: from the next release on, consumers refuse this model.",
                    path=withdrawn.FILE,
                    position=now.position(number),
                )
