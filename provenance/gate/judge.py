# SPDX-License-Identifier: Apache-2.0
"""Rules and deferrals, applied to evidence: the report.

Each phase sees the findings of the earlier ones, so that a deferral can be judged by what it
covered. Rows that were not read yet are read and judged unit by unit. The date is given.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from provenance.config import Config
from provenance.errors import InputError
from provenance.evidence.evidence import Evidence
from provenance.evidence.progress import Progress
from provenance.gate import batch_verification, pool
from provenance.gate.batch_verification import Question
from provenance.gate.conclusions import about_all, about_units, facts_of, phases_of, rules_of
from provenance.gate.finding import Report
from provenance.gate.reporting import report
from provenance.gate.requirements import EXPECTED_TYPES, NOTHING, Require
from provenance.gate.rounds import RootNeededError, Rounds
from provenance.gate.rules import BY_CODE, Case, Target
from provenance.gate.units import TASK_ROWS, first_bundle, needs_root
from provenance.signing.judgement import Judgement
from provenance.signing.trust import Trust
from provenance.signing.trust_table import TrustTable

if TYPE_CHECKING:
    from concurrent.futures import Executor


def judge(
    evidence: Evidence,
    config: Config | None,
    *,
    trust: Trust | None,
    today: datetime.date,
    target: Target = Target.REGISTRY,
    name: str | None = None,
    require: Require = NOTHING,
    resource_uri: str | None = None,
    predicate_types: Collection[str] | None = EXPECTED_TYPES,
    progress: Progress | None = None,
    processes: int = 1,
    for_consumer: bool = False,
    known: Mapping[Question, Judgement] | None = None,
    rooted: Callable[[Trust], Trust] = lambda trust: trust,
    executor: Executor | None = None,
    rows_of_a_task: int = TASK_ROWS,
) -> Report:
    """Everything the rules conclude.

    Args:
        evidence: What was read of the `target`.
        config: The configuration; None where there is none, as for all targets but a registry.
        trust: Whose signatures count. Without it no signature is judged.
        today: The date, in UTC.
        target: What is judged as a whole.
        name: What the report calls it; by default the path of the registry.
        require: What a consumer requires beyond that it verifies.
        resource_uri: The project whose release summary it has to be.
        predicate_types: For a model or file, the types of the statements by others that count. With
            None each does for a file, and the default ones do for a model. A row that is required
            is bound by none of them.
        progress: Is notified of each rule.
        processes: How many processes judge, where there are many certificates.
        for_consumer: Whether the help is for those who use a registry of another publisher; that
            of other targets always is.
        known: Judgements on signatures that were made before.
        rooted: If the rows were not read yet, completes the trust with a trusted root, where
            something was signed that needs it.
        executor: What reads and judges them then; by default so many processes, or a loop.
        rows_of_a_task: How many rows are sent to it at a time, about.

    Raises:
        InputError: A deferral names a rule that does not exist; or of rows that were not read yet,
            they have more together than is judged, or a file changed meanwhile.
        UnavailableError: There is no trusted root to judge a certificate by, or a worker was lost.
    """
    config = config or _no_config(evidence)
    _refuse_unknown_rules(config)
    progress = progress or Progress()
    case = Case(
        evidence,
        trust,
        config,
        today,
        catalogue=BY_CODE,
        phases=phases_of(evidence, trust, require),
        require=require,
        resource_uri=resource_uri,
        target=target,
        predicate_types=predicate_types,
    )
    if evidence.unread:
        with nullcontext(executor) if executor else pool.processes(processes) as workers:
            return _judge_units(
                evidence, case, rooted, workers, rows_of_a_task, progress, for_consumer=for_consumer
            )
    judgements = known or {}
    if trust is not None and known is None:
        asked = batch_verification.questions(evidence)
        judgements = batch_verification.judge(asked, trust, processes, progress)
    case = replace(case, judgements=judgements)
    case = replace(case, facts=tuple(facts_of(case, row) for row in evidence.rows))
    rules = rules_of(case, for_consumer=for_consumer)
    findings = about_all(case, rules, about_units(case, rules), progress)
    return report(replace(case, findings=findings), name)


def _judge_units(
    around: Evidence,
    case: Case,
    rooted: Callable[[Trust], Trust],
    executor: Executor | None,
    rows_of_a_task: int,
    progress: Progress,
    *,
    for_consumer: bool,
) -> Report:
    """The same of a registry whose rows were not read: they are read and judged unit by unit."""
    trust = case.trust
    if trust is not None:
        bundles = filter(None, (around.summary, first_bundle(around)))
        trust = rooted(trust) if needs_root(trust, tuple(bundles)) else trust

    def judged(trust: Trust | None) -> Rounds:
        rounds = Rounds(replace(case, trust=trust), for_consumer, progress)
        rounds.first(executor, rows_of_a_task)
        rounds.second()
        return rounds

    try:
        rounds = judged(trust)
    except RootNeededError:
        assert trust is not None
        trust = rooted(trust)
        rounds = judged(trust)
    case = replace(case, evidence=rounds.evidence, trust=trust, facts=tuple(rounds.rows))
    rules = rules_of(case, for_consumer=for_consumer)
    findings = about_all(case, rules, rounds.findings, progress)
    return report(replace(case, findings=findings), None)


def _no_config(evidence: Evidence) -> Config:
    """A configuration that declares nothing."""
    root, path = evidence.root.root, evidence.registry.path
    return Config(root, path, path, TrustTable(), (), "", "", root)


def _refuse_unknown_rules(config: Config) -> None:
    for deferral in config.deferrals:
        if deferral.rule not in BY_CODE:
            import difflib

            near = difflib.get_close_matches(deferral.rule, BY_CODE, 1)
            raise InputError(
                f"{config.path}: [[deferral]] {deferral.index + 1}: no rule {deferral.rule!r}",
                help=f"Did you mean {near[0]}?" if near else "provenance rules lists them.",
            )
