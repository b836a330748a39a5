# SPDX-License-Identifier: Apache-2.0
"""Apply rules and deferrals to evidence, and return a report.

Each phase sees the findings of the earlier ones, so the last phase can judge whether a deferral
covered anything. The rows of a registry are read and judged unit by unit. The date is an argument,
so that equal inputs give equal reports.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from provenance.config import Config
from provenance.errors import InputError
from provenance.evidence.evidence import Evidence
from provenance.evidence.progress import Progress
from provenance.evidence.rows import BundleEvidence
from provenance.frozen import dataclass
from provenance.gate.conclusions import about_all, about_units, facts_of, phases_of, rules_of
from provenance.gate.finding import Finding, Report
from provenance.gate.pool import Workers
from provenance.gate.reporting import report
from provenance.gate.requirements import EXPECTED_TYPES, NOTHING, Require
from provenance.gate.rounds import RootNeededError, Rounds
from provenance.gate.rules import BY_CODE, Case, Target
from provenance.gate.signature_set import SignatureSet
from provenance.gate.units import first_bundle, needs_root
from provenance.registry.mapping import stock
from provenance.signing.trust import Trust
from provenance.signing.trust_table import TrustTable

if TYPE_CHECKING:
    from provenance.evidence.kept_units import KeptUnits


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The terms on which a target is judged.

    Attributes:
        trust: Whose signatures count, or None if signatures are not judged.
        today: The date in UTC.
        require: What a consumer requires beyond a valid signature.
        resource_uri: The project that the release summary must be about.
        predicate_types: The types of statements by others that count for a model or file. None
            accepts any type for a file, and the default types for a model. A statement by others
            never counts as a signed row.
        for_consumer: Whether the help for a registry is for consumers. For the other targets it
            always is.
        known: Documents whose signatures were judged before, each with the result.
        rooted: Returns the trust with a trusted root. It is called if a signature over the registry
            needs one.
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
    """Judge a target, and return the report.

    The report calls the target `name`. For the other arguments and the errors, see `conclude`.
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
        evidence: What was read of the `target`; for a registry, everything except the rows.
        config: The configuration of a registry; None for the other targets.
        terms: The terms on which the target is judged.
        target: The kind of the target.
        workers: The workers that read and judge the rows of a registry.
        progress: Receives each row and each rule.
        kept: Stores the units if this process reads them. Units that it already has are not read
            again.

    Raises:
        InputError: If a deferral names an unknown rule, the rows together exceed a limit, or a
            file changed during the run.
        UnavailableError: If there is no trusted root to verify a certificate with, no runtime to
            run models with, or a worker was lost.
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
    rules = rules_of(case, for_consumer=terms.for_consumer)
    of_units: Iterable[Finding]
    if evidence.unread is None:
        case = replace(case, facts=tuple(facts_of(case, row) for row in evidence.rows))
        of_units = about_units(case, rules)
    else:
        rounds = Rounds(case, terms.for_consumer, progress, kept)
        rounds = _judge_units(case, terms, workers, rounds)
        case = replace(rounds.case, evidence=rounds.evidence, facts=tuple(rounds.rows))
        of_units = rounds.findings
    return replace(case, findings=about_all(case, rules, of_units, progress))


def _judge_units(case: Case, terms: Terms, workers: Workers, rounds: Rounds) -> Rounds:
    """Judge all units, with a trusted root if they need one, and return the rounds."""
    around, trust = case.evidence, case.trust
    if around.run is not None:  # models already run in several processes, with a limit on them
        workers = replace(workers, processes=1)
    with workers.running(len(around.unread or ())) as executor:
        if trust is not None and needs_root(trust, _examples(around, in_loop=executor is None)):
            rounds = rounds.again(terms.rooted(trust))
        try:
            return rounds.run(executor, workers.rows_of_a_task)
        except RootNeededError:
            assert trust is not None
            return rounds.again(terms.rooted(trust)).run(executor, workers.rows_of_a_task)


def _examples(around: Evidence, *, in_loop: bool) -> list[BundleEvidence]:
    """Return bundles that show, before workers start, whether a trusted root is likely needed.

    Without workers, only the summary is read: the first task shows whether the rows need a root.
    """
    bundles = (around.summary, None if in_loop else first_bundle(around))
    return [bundle for bundle in bundles if bundle is not None]


def _no_config(evidence: Evidence) -> Config:
    """Return an empty configuration, for a target that has none."""
    root, path = evidence.root.root, evidence.registry.path
    return Config(root, path, (stock(path),), TrustTable(), (), "", "", root)


def _refuse_unknown_rules(config: Config) -> None:
    for deferral in config.deferrals:
        if deferral.rule not in BY_CODE:
            import difflib

            near = difflib.get_close_matches(deferral.rule, BY_CODE, 1)
            raise InputError(
                f"{config.path}: [[deferral]] {deferral.index + 1}: no rule {deferral.rule!r}",
                help=f"Did you mean {near[0]}?" if near else "provenance rules lists them.",
            )
