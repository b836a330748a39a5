# SPDX-License-Identifier: Apache-2.0
"""Rules and deferrals, applied to evidence: the report.

Each phase sees the findings of the earlier ones, so that a deferral can be judged by what it
covered. The rows of a registry are read and judged unit by unit. The date is given.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from provenance.config import Config
from provenance.errors import InputError
from provenance.evidence.evidence import Evidence
from provenance.evidence.progress import Progress
from provenance.evidence.rows import BundleEvidence
from provenance.frozen import dataclass
from provenance.gate.conclusions import about_all, about_units, facts_of, phases_of, rules_of
from provenance.gate.finding import Report
from provenance.gate.pool import Workers
from provenance.gate.reporting import report
from provenance.gate.requirements import EXPECTED_TYPES, NOTHING, Require
from provenance.gate.rounds import RootNeededError, Rounds
from provenance.gate.rules import BY_CODE, Case, Target
from provenance.gate.signature_set import SignatureSet
from provenance.gate.units import first_bundle, needs_root
from provenance.signing.trust import Trust
from provenance.signing.trust_table import TrustTable

if TYPE_CHECKING:
    from provenance.evidence.kept_units import KeptUnits


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a target is judged by.

    Attributes:
        trust: Whose signatures count. Without it no signature is judged.
        today: The date, in UTC.
        require: What a consumer requires beyond that it verifies.
        resource_uri: The project whose release summary it has to be.
        predicate_types: For a model or file, the types of the statements by others that count. With
            None each does for a file, and the default ones do for a model. A row that is required
            is bound by none of them.
        for_consumer: Whether the help is for those who use a registry of another publisher; that
            of other targets always is.
        known: The signatures over documents that were judged before.
        rooted: Of a registry, completes the trust with a trusted root, where something was signed
            that needs it.
    """

    trust: Trust | None
    today: datetime.date
    require: Require = NOTHING
    resource_uri: str | None = None
    predicate_types: Collection[str] | None = EXPECTED_TYPES
    for_consumer: bool = False
    known: tuple[tuple[BundleEvidence, SignatureSet], ...] = ()
    rooted: Callable[[Trust], Trust] = lambda trust: trust


def judge(
    evidence: Evidence,
    config: Config | None,
    terms: Terms,
    *,
    target: Target = Target.REGISTRY,
    name: str | None = None,
    workers: Workers = Workers(),  # noqa: B008 (frozen)
    progress: Progress | None = None,
) -> Report:
    """Everything the rules conclude. `name`: what the report calls what was judged.

    The other arguments and errors: as `conclude`.
    """
    case = conclude(evidence, config, terms, target=target, workers=workers, progress=progress)
    return report(case, name)


def conclude(
    evidence: Evidence,
    config: Config | None,
    terms: Terms,
    *,
    target: Target = Target.REGISTRY,
    workers: Workers = Workers(),  # noqa: B008 (frozen)
    progress: Progress | None = None,
    kept: KeptUnits | None = None,
) -> Case:
    """Return the case with all findings.

    Args:
        evidence: What was read of the `target`; of a registry, everything but the rows.
        config: The configuration; None for all targets but a registry.
        terms: What it is judged by.
        target: What is judged as a whole.
        workers: What reads and judges the rows of a registry.
        progress: Is notified of each row and each rule.
        kept: Where the units are kept, if one worker reads them; or were kept, and are not read.

    Raises:
        InputError: If a deferral names a rule that does not exist, the rows have more together than
            is judged, or a file changed meanwhile.
        UnavailableError: If there is no trusted root to judge a certificate by, no runtime to run
            models with, or a worker was lost.
    """
    config = config or _no_config(evidence)
    _refuse_unknown_rules(config)
    progress = progress or Progress()
    case = Case(
        evidence,
        terms.trust,
        config,
        terms.today,
        catalogue=BY_CODE,
        phases=phases_of(evidence, terms.trust, terms.require),
        require=terms.require,
        resource_uri=terms.resource_uri,
        target=target,
        predicate_types=terms.predicate_types,
        _signature_sets={(id(known[0]), None): known for known in terms.known},
    )
    for_consumer = terms.for_consumer
    if evidence.unread is None:
        case = replace(case, facts=tuple(facts_of(case, row) for row in evidence.rows))
        rules = rules_of(case, for_consumer=for_consumer)
        findings = about_all(case, rules, about_units(case, rules), progress)
    else:
        rounds = _judge_units(case, terms, workers, Rounds(case, for_consumer, progress, kept))
        case = replace(rounds.case, evidence=rounds.evidence, facts=tuple(rounds.rows))
        rules = rules_of(case, for_consumer=for_consumer)
        findings = about_all(case, rules, rounds.findings, progress)
    return replace(case, findings=findings)


def _judge_units(case: Case, terms: Terms, workers: Workers, rounds: Rounds) -> Rounds:
    """The rounds when all units are judged: with a trusted root, if they need one."""
    around, trust = case.evidence, case.trust
    with workers.running(len(around.unread or ())) as executor:
        if trust is not None and needs_root(trust, _examples(around, in_loop=executor is None)):
            rounds = rounds.again(terms.rooted(trust))
        try:
            return rounds.run(executor, workers.rows_of_a_task)
        except RootNeededError:
            assert trust is not None
            return rounds.again(terms.rooted(trust)).run(executor, workers.rows_of_a_task)


def _examples(around: Evidence, *, in_loop: bool) -> list[BundleEvidence]:
    """Bundles that are looked at before workers begin: they tell what the others most likely need.

    A loop finds that out in its first task.
    """
    bundles = (around.summary, None if in_loop else first_bundle(around))
    return [bundle for bundle in bundles if bundle is not None]


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
