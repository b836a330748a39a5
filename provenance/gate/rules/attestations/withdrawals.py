# SPDX-License-Identifier: Apache-2.0
"""ATT714: a release that forgets what a former release withdrew."""

from __future__ import annotations

from collections.abc import Iterator

from provenance.evidence import releases
from provenance.gate.finding import Finding
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import Scope
from provenance.gate.rules.signatures import SignatureRule
from provenance.registry import withdrawn
from provenance.registry.withdrawn import Withdrawal, WithdrawnError


class WithdrawalForgotten(SignatureRule):
    """A model that a release withdrew is no longer listed as withdrawn.

    ## What it does
    Compares `withdrawn.json` with the entries in the signed release summary, and in a release with
    those of the summary that it replaces. Each of them has to be in the file unchanged.

    ## Why it matters
    A withdrawal holds for all later releases. If a release forgets it, consumers of that release
    accept the model again.

    ## Example
    `withdrawn.json` was removed after the release that withdrew `detector_v1`.

    ## How to fix
    Put the entry back, from the last release or from the history of the repository.
    """

    code = "ATT714"
    slug = "withdrawal-forgotten"
    scopes = (Scope.DOCUMENT,)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        evidence = case.evidence
        now = evidence.withdrawn
        if now is None:
            return
        for entry in now.lacking((*_signed(case), *evidence.formerly_withdrawn)):
            yield self.finding(
                f"the entry of {entry.id!r}, which {entry.why}, is missing or was changed since "
                "it was released",
                f"Put it back into {withdrawn.FILE}, as it was released.",
                path=withdrawn.FILE if now.text is not None else evidence.registry.path,
                position=now.place_of(entry.id),
                about=withdrawn.FILE,
            )


def _signed(case: Case) -> tuple[Withdrawal, ...]:
    """Return what the trusted summary of this registry withdraws."""
    statement = case.signed_statement(case.evidence.summary)
    if statement is None or releases.predicate_of(statement) is None or case.of_another_registry:
        return ()
    try:
        return releases.withdrawn_of(statement)
    except WithdrawnError:
        return ()  # ATT710 reports that the file differs
