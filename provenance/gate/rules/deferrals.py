# SPDX-License-Identifier: Apache-2.0
"""DEF9xx: deferrals must be explained, allowed and unexpired, and must still have a finding."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import ClassVar, Final, TypeAlias

from provenance.config import Deferral
from provenance.evidence.rows import RowEvidence
from provenance.gate import deferral_matching
from provenance.gate.finding import Finding
from provenance.gate.rules.base import Rule, some
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import REGISTRY_AND_MODEL, Phase, Scope, Target

EXPLANATIONS: Final = ("reason", "reference")
"""The keys that every deferral must fill in."""

_Conclusion: TypeAlias = tuple[str | None, str, str]
"""The key of the deferral (None for the deferral as a whole), the message and the help."""


class _DeferralRule(Rule):
    phase = Phase.OUTCOME
    scopes: ClassVar[tuple[Scope, ...]] = (Scope.OUTCOME,)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        for deferral in case.config.deferrals:
            for key, message, help in self.conclude(case, deferral):
                yield self.finding(
                    message,
                    help,
                    path=case.config.path,
                    position=case.config.deferral_position(deferral, key),
                )

    def conclude(self, case: Case, deferral: Deferral) -> Iterator[_Conclusion]:
        raise NotImplementedError


class DeferralStale(_DeferralRule):
    """A deferral covers a row that no longer has its finding.

    ## What it does
    Requires that every row matched by a deferral still has the deferred finding. If a stricter rule
    has replaced the deferred one for a row (SID404 for SID402), that rule fails, and the row is not
    reported here. For a rule about ensembles, files or removed rows, each pattern in `rows` must
    still match one with the finding.

    ## Why it matters
    An exception that outlives its cause also hides the next incident. For this reason ADR-1105 used
    a strict xfail, which fails as soon as the retrained weights arrive.

    ## Example
    SID402 is deferred for five seeds, but the production export has just written correct sidecars.

    ## How to fix
    Remove the `[[deferral]]`, or narrow `rows` to those that still have the finding.
    """

    code = "DEF901"
    slug = "deferral-stale"

    def conclude(self, case: Case, deferral: Deferral) -> Iterator[_Conclusion]:
        rule = case.catalogue[deferral.rule]
        if not rule.deferrable or not case.judged(rule.code):
            return
        live = case.subjects.get(rule.code, set())
        if rule.about_rows:
            found = deferral_matching.matched(deferral, case.places)
            stale = [label for label in found if label not in live]
        else:
            found = list(deferral.rows)
            stale = deferral_matching.unmatched(deferral, live)
        if stale:
            every = not set(found).difference(stale)
            yield (
                None if every else "rows",
                f"{deferral.rule} no longer occurs for {some(stale, 5)}: "
                "the cause of this deferral is gone",
                "Remove the [[deferral]]."
                if every
                else "Narrow `rows` to those that still have the finding.",
            )


class DeferralMatchesNothing(_DeferralRule):
    """A deferral's rows match no row.

    ## What it does
    Requires that each pattern in `rows` matches the id of at least one row of the registry.

    ## Why it matters
    A misspelt pattern has no effect. A pattern for removed rows covers any new row that gets such
    an id later.

    ## Example
    `rows = ["fr_regresor_v2_ensemble_v1_seed*"]`

    ## How to fix
    Correct the pattern, or remove it.
    """

    code = "DEF902"
    slug = "deferral-matches-nothing"

    def conclude(self, case: Case, deferral: Deferral) -> Iterator[_Conclusion]:
        if not case.catalogue[deferral.rule].about_rows:
            return  # DEF901 reports it if the rule is checked in this run
        for pattern in deferral_matching.unmatched(deferral, case.evidence.registry.labels):
            yield (
                "rows",
                f"`rows` {pattern!r} matches no row",
                "Correct the pattern, or remove it.",
            )


class DeferralExpired(_DeferralRule):
    """A deferral's date has passed.

    ## What it does
    Compares `expires` with today's date (UTC). The deferral is still valid on that day.

    ## Why it matters
    The date is a promise to review the exception by then.

    ## Example
    `expires = 2026-06-30`, in July.

    ## How to fix
    Remove the cause and the deferral. To keep the deferral, decide on a new date, and refer to that
    decision.
    """

    code = "DEF903"
    slug = "deferral-expired"
    applies = REGISTRY_AND_MODEL
    scopes = (Scope.ROW, Scope.OUTCOME)

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        """Yield the expired deferrals that a model was signed with.

        They are checked if a single model is verified without a registry.
        """
        signed = case.signed_row(row) if case.target is Target.MODEL else None
        for deferral in signed.deferrals if signed else ():
            expires = deferral.get("expires")  # dates in ISO form compare as strings
            if isinstance(expires, str) and expires < case.today.isoformat():
                yield self.finding(
                    f"the model was signed with a deferral of {deferral.get('rule')} that expired "
                    f"on {expires}",
                    "Ask the publisher for a release without it.",
                    path=row.onnx.path if row.onnx else "",
                    row=row.label,
                    for_consumer=True,
                )

    def conclude(self, case: Case, deferral: Deferral) -> Iterator[_Conclusion]:
        if deferral.expires is not None and deferral.expires < case.today:
            yield (
                "expires",
                f"the deferral of {deferral.rule} expired on {deferral.expires.isoformat()}",
                "Remove its cause, or decide on a new date and refer to that decision.",
            )


class DeferralUnexplained(_DeferralRule):
    """A deferral has no reason or no reference.

    ## What it does
    Requires a `reason` in words and a `reference` to the decision on every deferral.

    ## Why it matters
    The reason is signed and shown to every consumer. An exception without a reason cannot be
    reviewed.

    ## Example
    ```toml
    [[deferral]]
    rule = "SID402"
    rows = ["*"]
    ```

    ## How to fix
    Write the reason and the decision: `reason = "…"`, `reference = "ADR-1105"`.
    """

    code = "DEF904"
    slug = "deferral-unexplained"

    def conclude(self, case: Case, deferral: Deferral) -> Iterator[_Conclusion]:
        for field in EXPLANATIONS:
            if not getattr(deferral, field):
                message = f"the deferral of {deferral.rule} has no `{field}`"
                yield field, message, f'Write it: {field} = "…"'


class NotDeferrable(_DeferralRule):
    """A deferral names a rule that cannot be deferred.

    ## What it does
    Refuses deferrals of rules about signatures, digests, missing licenses, paths outside the
    repository, and models that crash the runtime or exceed its limits.

    ## Why it matters
    There is no legitimate reason to ship bytes that differ from the declared ones. If such rules
    could be deferred, the gate could be switched off.

    ## Example
    `rule = "ART302"`

    ## How to fix
    Remove the deferral and correct the finding. `provenance rules` lists what can be deferred.
    """

    code = "DEF905"
    slug = "not-deferrable"

    def conclude(self, case: Case, deferral: Deferral) -> Iterator[_Conclusion]:
        if not case.catalogue[deferral.rule].deferrable:
            yield (
                "rule",
                f"{deferral.rule} cannot be deferred",
                "Remove the deferral and correct the finding.",
            )


_TODO: Final = re.compile(r"todo\b", re.IGNORECASE)


class DeferralTodo(_DeferralRule):
    """A deferral still has a TODO instead of an explanation.

    ## What it does
    Looks for a `reason` or `reference` that starts with TODO, in upper or lower case.

    ## Why it matters
    `provenance init` can record today's findings as deferrals, so that only new findings fail. It
    cannot know why each model is shipped anyway. Only a written reason can be signed and shown to a
    consumer.

    ## Example
    ```toml
    [[deferral]]
    rule = "SID402"
    rows = ["seed*"]
    reason = "TODO: why is this shipped all the same?"
    reference = "TODO"
    ```

    ## How to fix
    Write the reason and the decision. If the model should not be shipped, correct the finding and
    remove the `[[deferral]]`.
    """

    code = "DEF906"
    slug = "deferral-todo"

    def conclude(self, case: Case, deferral: Deferral) -> Iterator[_Conclusion]:
        for field in EXPLANATIONS:
            if _TODO.match(getattr(deferral, field)):
                yield (
                    field,
                    f"`{field}` of the deferral of {deferral.rule} is still a TODO",
                    'Write why it is shipped anyway (reason = "…") and where that was decided '
                    '(reference = "…").',
                )


RULES: Iterable[type[Rule]] = (
    DeferralStale,
    DeferralMatchesNothing,
    DeferralExpired,
    DeferralUnexplained,
    NotDeferrable,
    DeferralTodo,
)
