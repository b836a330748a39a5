# SPDX-License-Identifier: Apache-2.0
"""Rules and deferrals, applied to evidence: the report.

Each phase sees the findings of the earlier ones, so that a deferral can be judged by what it
covered. Nothing here reads a file; the date is given.
"""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor
from dataclasses import replace

from provenance.config import Config
from provenance.errors import InputError
from provenance.evidence.evidence import Evidence
from provenance.evidence.progress import Progress
from provenance.gate import batch_verification
from provenance.gate.batch_verification import Question
from provenance.gate.conclusions import about_all, about_units, facts_of, phases_of, rules_of
from provenance.gate.finding import Report
from provenance.gate.reporting import report
from provenance.gate.requirements import EXPECTED_TYPES, NOTHING, Require
from provenance.gate.rounds import RootNeededError, Rounds
from provenance.gate.rules import BY_CODE, Case, Phase, Target
from provenance.gate.units import TASK_ROWS, Context, first_bundle, needs_root
from provenance.signing.judgement import Judgement
from provenance.signing.trust import Trust
from provenance.signing.trust_table import TrustTable


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
        predicate_types: For a model or file, the types of the statements by others that count; with
            None each does. None is enough where anything of the row is required.
        progress: Is notified of each rule.
        processes: How many processes judge, where there are many certificates.
        for_consumer: Whether the help is for those who use a registry of another publisher; that
            of other targets always is.
        known: Judgements on signatures that were made before.

    Raises:
        InputError: A deferral names a rule that does not exist.
        UnavailableError: There is no trusted root to judge a certificate by.
    """
    config = config or _no_config(evidence)
    _refuse_unknown_rules(config)
    progress = progress or Progress()
    judgements = known or {}
    if trust is not None and known is None:
        asked = batch_verification.questions(evidence)
        judgements = batch_verification.judge(asked, trust, processes, progress)
    case = Case(
        evidence,
        trust,
        config,
        today,
        catalogue=BY_CODE,
        phases=phases_of(evidence, trust, require),
        judgements=judgements,
        require=require,
        resource_uri=resource_uri,
        target=target,
        predicate_types=predicate_types,
    )
    case = replace(case, facts=tuple(facts_of(case, row) for row in evidence.rows))
    rules = rules_of(case, for_consumer=for_consumer)
    findings = about_all(case, rules, about_units(case, rules), progress)
    return report(replace(case, findings=findings), name)


def judge_registry(
    around: Evidence,
    config: Config,
    *,
    trust: Trust | None,
    today: datetime.date,
    rooted: Callable[[Trust], Trust],
    executor: Executor | None = None,
    rows_of_a_task: int = TASK_ROWS,
    require: Require = NOTHING,
    resource_uri: str | None = None,
    progress: Progress | None = None,
    for_consumer: bool = False,
) -> Report:
    """The same of a registry whose rows were not read: they are read and judged unit by unit.

    Args:
        around: What lies around the rows, as `survey` reads it, and the baseline.
        config: The configuration.
        trust: Whose signatures count. Without it no signature is judged.
        today: The date, in UTC.
        rooted: Completes the trust with a trusted root, if something was signed that needs it.
        executor: What judges the units; by default they are judged in a loop.
        rows_of_a_task: How many rows are sent to it at a time, about.
        require: What a consumer requires beyond that it verifies.
        resource_uri: The project whose release summary it has to be.
        progress: Is notified of each row and rule.
        for_consumer: As `judge` has it.

    Raises:
        InputError: Also where the rows have more together than is judged, or a file has changed.
        UnavailableError: Also where a worker was lost.
    """
    _refuse_unknown_rules(config)
    progress = progress or Progress()
    phases = phases_of(around, trust, require)
    if trust is not None and needs_root(
        trust, [b for b in (around.summary, first_bundle(around)) if b]
    ):
        trust = rooted(trust)

    def judged(trust: Trust | None) -> Rounds:
        context = Context.of(
            replace(around, baseline=None),
            config,
            trust,
            today=today,
            phases=tuple(p for p in phases if p is not Phase.BASELINE),
            require=require,
            resource_uri=resource_uri,
            for_consumer=for_consumer,
        )
        rounds = Rounds(around, context, progress, phases)
        rounds.first(executor, rows_of_a_task)
        rounds.second()
        return rounds

    try:
        rounds = judged(trust)
    except RootNeededError:
        assert trust is not None
        trust = rooted(trust)
        rounds = judged(trust)
    case = Case(
        rounds.evidence,
        trust,
        config,
        today,
        facts=tuple(rounds.rows),
        catalogue=BY_CODE,
        phases=phases,
        require=require,
        resource_uri=resource_uri,
    )
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
            near = difflib.get_close_matches(deferral.rule, BY_CODE, 1)
            raise InputError(
                f"{config.path}: [[deferral]] {deferral.index + 1}: no rule {deferral.rule!r}",
                help=f"Did you mean {near[0]}?" if near else "provenance rules lists them.",
            )
