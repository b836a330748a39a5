# SPDX-License-Identifier: Apache-2.0
"""DEF9xx: a deferral is an alarm clock. These rules make it ring."""

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
"""What every deferral has to say, in words."""

_Conclusion: TypeAlias = tuple[str | None, str, str]
"""The key that it is about, None for the deferral as a whole; message and help."""


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
    Requires that every row a deferral matches still has the finding it defers. A row where a
    sterner rule has taken over (SID404 for SID402) fails by that rule and is not named here. Where
    the rule is about an ensemble, a file or a row that is gone, each pattern in `rows` must still
    match one that has the finding.

    ## Why it matters
    An exception that outlives its cause covers the next incident. In ADR-1105 the exception was a
    strict xfail for this reason: it fails the moment the retrain lands.

    ## Example
    SID402 is deferred for five seeds, and the production export has just written fresh sidecars.

    ## How to fix
    Remove the `[[deferral]]`, or narrow `rows` to those that still need it.
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
                else "Narrow `rows` to what still has the finding.",
            )


class DeferralMatchesNothing(_DeferralRule):
    """A deferral's rows match no row.

    ## What it does
    Requires that each pattern in `rows` matches the id of at least one row of the registry.

    ## Why it matters
    A misspelt pattern looks like an exception and is none; a pattern for rows that were removed
    will cover whatever gets that name next.

    ## Example
    `rows = ["fr_regresor_v2_ensemble_v1_seed*"]`

    ## How to fix
    Correct the pattern, or remove it.
    """

    code = "DEF902"
    slug = "deferral-matches-nothing"

    def conclude(self, case: Case, deferral: Deferral) -> Iterator[_Conclusion]:
        if not case.catalogue[deferral.rule].about_rows:
            return  # DEF901 says it, where the rule is judged
        for pattern in deferral_matching.unmatched(deferral, case.evidence.registry.labels):
            yield (
                "rows",
                f"`rows` {pattern!r} matches no row",
                "Correct the pattern, or remove it.",
            )


class DeferralExpired(_DeferralRule):
    """A deferral's date has passed.

    ## What it does
    Compares `expires` with today's date (UTC). The day itself still counts.

    ## Why it matters
    The date is a promise that somebody would look again by then.

    ## Example
    `expires = 2026-06-30`, in July.

    ## How to fix
    Remove the cause and the deferral. If it has to go on, decide that again: a new date, and a
    reference to the decision.
    """

    code = "DEF903"
    slug = "deferral-expired"
    applies = REGISTRY_AND_MODEL
    scopes = (Scope.ROW, Scope.OUTCOME)

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        """What one model was signed with: without a registry, that is in force."""
        signed = case.signed_row(row) if case.target is Target.MODEL else None
        for deferral in signed.deferrals if signed else ():
            expires = deferral.get("expires")  # dates in ISO form compare as strings
            if isinstance(expires, str) and expires < case.today.isoformat():
                yield self.finding(
                    f"it was signed with a deferral of {deferral.get('rule')} that expired on "
                    f"{expires}",
                    "Ask the publisher for a release without it.",
                    path=row.onnx.path if row.onnx else "",
                    row=row.label,
                    for_consumer=True,
                )

    def conclude(self, case: Case, deferral: Deferral) -> Iterator[_Conclusion]:
        if deferral.expires is not None and deferral.expires < case.today:
            yield (
                "expires",
                f"it expired on {deferral.expires.isoformat()}",
                "Remove its cause, or decide on a new date and refer to that decision.",
            )


class DeferralUnexplained(_DeferralRule):
    """A deferral has no reason or no reference.

    ## What it does
    Requires a `reason` in words and a `reference` to the decision on every deferral.

    ## Why it matters
    The reason is signed and shown to every consumer. An exception that nobody can explain is an
    open door.

    ## Example
    ```toml
    [[deferral]]
    rule = "SID402"
    rows = ["*"]
    ```

    ## How to fix
    Write why, and where it was decided: `reason = "…"`, `reference = "ADR-1105"`.
    """

    code = "DEF904"
    slug = "deferral-unexplained"

    def conclude(self, case: Case, deferral: Deferral) -> Iterator[_Conclusion]:
        for field in EXPLANATIONS:
            if not getattr(deferral, field):
                yield field, f"it has no `{field}`", f'Write it: {field} = "…"'


class NotDeferrable(_DeferralRule):
    """A deferral names a rule that cannot be deferred.

    ## What it does
    Refuses deferrals of rules about signatures, digests, licenses that are missing, paths that lead
    out of the repository, and models that crash a runtime or take more than they may.

    ## Why it matters
    There is no honest reason to ship bytes that are not the declared ones. Whoever could defer that
    could switch the gate off.

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
                "Remove the deferral and correct what it was to cover.",
            )


_TODO: Final = re.compile(r"todo\b", re.IGNORECASE)


class DeferralTodo(_DeferralRule):
    """A deferral still has to be explained.

    ## What it does
    Looks for a `reason` or `reference` that begins with TODO, in any case of letters.

    ## Why it matters
    `provenance init` can record today's findings as deferrals, so that only new ones fail from
    then on. Why each is shipped all the same it cannot know. Until somebody has written that, there
    is nothing that could be signed and shown to a consumer.

    ## Example
    ```toml
    [[deferral]]
    rule = "SID402"
    rows = ["seed*"]
    reason = "TODO: why is this shipped all the same?"
    reference = "TODO"
    ```

    ## How to fix
    Write why, and where it was decided. What should not be shipped is not deferred: correct it, and
    remove the `[[deferral]]`.
    """

    code = "DEF906"
    slug = "deferral-todo"

    def conclude(self, case: Case, deferral: Deferral) -> Iterator[_Conclusion]:
        for field in EXPLANATIONS:
            if _TODO.match(getattr(deferral, field)):
                yield (
                    field,
                    f"the deferral of {deferral.rule} has a `{field}` that is still to be written",
                    'Write why it is shipped all the same (reason = "…") and where that was '
                    'decided (reference = "…").',
                )


RULES: Iterable[type[Rule]] = (
    DeferralStale,
    DeferralMatchesNothing,
    DeferralExpired,
    DeferralUnexplained,
    NotDeferrable,
    DeferralTodo,
)
