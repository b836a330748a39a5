# SPDX-License-Identifier: Apache-2.0
"""Rules and deferrals, applied to evidence: the report.

Each phase sees the findings of the earlier ones, so that a deferral can be judged by what it
covered. Nothing here reads a file; the date is given.
"""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from typing import Final

from provenance.artifacts.documents.strict_json import START
from provenance.config import Config
from provenance.errors import InputError
from provenance.evidence.classification import origin
from provenance.evidence.evidence import Evidence
from provenance.evidence.facts import RowFacts, SignatureResult
from provenance.evidence.progress import Progress
from provenance.evidence.rows import RowEvidence
from provenance.gate import batch_verification
from provenance.gate.batch_verification import Question
from provenance.gate.capping import gather
from provenance.gate.finding import Finding, Report
from provenance.gate.reporting import report
from provenance.gate.requirements import EXPECTED_TYPES, NOTHING, Require
from provenance.gate.rules import BY_CODE, CATALOGUE, Case, Phase, Rule, Target
from provenance.gate.signature_set import SignatureSet
from provenance.signing.judgement import Judgement
from provenance.signing.trust import Trust
from provenance.signing.trust_table import TrustTable

ADVICE: Final[Mapping[Target, str]] = {
    Target.REGISTRY: "Do not use it. Fetch the release again, or ask the publisher to correct it.",
    Target.RELEASE: "Do not use it. Fetch the release again from the publisher.",
    Target.MODEL: "Do not use it. Fetch the model and its bundle again from the publisher.",
    Target.BLOB: "Do not use it. Fetch the file and its bundle again from where they come from.",
}
"""The help of findings for those who use what others publish."""


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
        predicate_types: For a model or file, the types of the statements by others that count. With
            None each does for a file, and the default ones do for a model. A row that is required
            is bound by none of them.
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
    unseen = {
        Phase.SIGNATURES: trust is None,
        Phase.RUNTIME: not evidence.ran,
        Phase.BASELINE: evidence.baseline is None,
        Phase.REQUIREMENTS: require == NOTHING and evidence.seen is None,
        Phase.PIPELINE: evidence.pipeline is None,
    }
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
        phases=tuple(p for p in Phase if not unseen.get(p, False)),
        judgements=judgements,
        require=require,
        resource_uri=resource_uri,
        target=target,
        predicate_types=predicate_types,
    )
    case = replace(case, facts=tuple(_facts(case, row) for row in evidence.rows))
    rules = _applying(case, for_consumer=for_consumer)
    return report(replace(case, findings=conclude(case, rules, progress)), name)


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


def _applying(case: Case, *, for_consumer: bool) -> list[Rule]:
    """The rules that judge the target in this run, in the order of the catalogue."""
    rules = [
        rule
        for rule in CATALOGUE
        if case.target in rule.applies
        and rule.phase in case.phases
        and (case.trust is not None or not rule.needs_trust)
    ]
    if case.target is Target.REGISTRY and not for_consumer:
        return rules
    return [type(rule)(ADVICE[case.target]) for rule in rules]


def conclude(case: Case, rules: Sequence[Rule], progress: Progress) -> tuple[Finding, ...]:
    """Every finding of `rules`, phase by phase, with deferrals applied."""
    texts = case.texts
    progress.begin("judging rules", len(rules))
    for phase in case.phases:
        found: list[Finding] = []
        for rule in rules:
            if rule.phase is phase:
                each = (_placed(f, texts) for f in _judged(rule, case))
                found += (_defer(f, case) for f in gather(each, case.deferrals))
                progress.advance()
        case = replace(case, findings=(*case.findings, *found))
    return case.findings


def _judged(rule: Rule, case: Case) -> Iterator[Finding]:
    """Every finding of a rule."""
    if rule.of_units:
        yield from rule.judge_unit(case)
    if rule.of_whole:
        yield from rule.judge_whole(case)


def _placed(finding: Finding, texts: Set[str]) -> Finding:
    whole = finding.position is None and finding.path in texts
    return replace(finding, position=START) if whole else finding


def _defer(finding: Finding, case: Case) -> Finding:
    if not case.catalogue[finding.code].deferrable:
        return finding
    deferral = case.deferrals.covering(finding.code, finding.subject)
    return finding if deferral is None else finding.defer(deferral)


def _facts(case: Case, row: RowEvidence) -> RowFacts:
    """What is kept of a row: the little that was read, and what trusted signers said of it."""
    facts = RowFacts.of(row)
    if case.trust is None:
        return replace(facts, origin=origin(row))
    signed = case.signed_row(row)
    statement = case.row_statement(row) if row.misses_a_model else None
    # What lies beside a file alone is not signed: its bundle says where the model is from.
    stated = (signed.row.get("origin") if signed else None) if case.alone else origin(row)
    return replace(
        facts,
        origin=stated,
        signatures=_signatures(_signature_set(case, row)),
        signed_deferrals=signed.deferrals if signed else None,
        signed_subjects=tuple(s.name for s in statement.subjects) if statement else (),
    )


def _signature_set(case: Case, row: RowEvidence) -> SignatureSet | None:
    """The signatures that speak for a row: of a release, those over its summary."""
    summary = case.evidence.summary
    if case.target is not Target.RELEASE:
        return case.row_signatures(row)
    return case.signature_set(summary) if summary and summary.bundle is not None else None


def _signatures(signature_set: SignatureSet | None) -> tuple[SignatureResult, ...]:
    """Those that counted; none where they were too few."""
    if signature_set is None or not signature_set.counts:
        return ()
    return tuple(
        SignatureResult(
            signer=signer.name,
            issuer=signer.issuer,
            entry=str(entry),
            times=tuple((m.time, m.clock.value) for m in signer.moments),
        )
        for signer, entry in signature_set.counted
    )
