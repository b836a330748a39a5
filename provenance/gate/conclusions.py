# SPDX-License-Identifier: Apache-2.0
"""Apply the rules: first to units, one by one or all at once, and then to the whole registry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from provenance.artifacts.documents.strict_json import START
from provenance.evidence.classification import origin
from provenance.evidence.evidence import Evidence
from provenance.evidence.facts import RowFacts, SignatureResult
from provenance.evidence.progress import Progress
from provenance.evidence.rows import RowEvidence
from provenance.gate.capping import gather
from provenance.gate.finding import Finding
from provenance.gate.requirements import NOTHING, Require
from provenance.gate.rules import CATALOGUE, Case, Phase, Rule, Target
from provenance.gate.signature_set import SignatureSet
from provenance.signing.trust import Trust

ADVICE: Final[Mapping[Target, str]] = {
    Target.REGISTRY: "Do not use it. Fetch the release again, or ask the publisher to correct it.",
    Target.RELEASE: "Do not use it. Fetch the release again from the publisher.",
    Target.MODEL: "Do not use it. Fetch the model and its bundle again from the publisher.",
    Target.BLOB: "Do not use it. Fetch the file and its bundle again from where they come from.",
}
"""The help of every finding for consumers."""


def phases_of(evidence: Evidence, trust: Trust | None, require: Require) -> tuple[Phase, ...]:
    """Return the phases of a run."""
    unseen = {
        Phase.SIGNATURES: trust is None,
        Phase.RUNTIME: evidence.run is None,
        Phase.BASELINE: evidence.baseline is None,
        Phase.REQUIREMENTS: require == NOTHING and evidence.seen is None,
        Phase.PIPELINE: evidence.pipeline is None,
    }
    return tuple(phase for phase in Phase if not unseen.get(phase, False))


def rules_of(case: Case, *, for_consumer: bool) -> list[Rule]:
    """Return the rules that judge the target in this run, in the order of the catalogue."""
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


def about_units(case: Case, rules: Sequence[Rule]) -> tuple[Finding, ...]:
    """Return the findings of rules about rows and ensembles, phase by phase, with deferrals."""
    by_phase: dict[Phase, list[Rule]] = {phase: [] for phase in case.phases}
    for rule in rules:
        if rule.of_units:
            by_phase[rule.phase].append(rule)
    for judging in by_phase.values():
        found = [f for rule in judging for f in gather(rule.judge_unit(case), of_unit=True)]
        if found:
            found = [_deferred(finding, case) for finding in found]
            case = replace(case, findings=(*case.findings, *found))
    return case.findings


def about_all(
    case: Case, rules: Sequence[Rule], of_units: Iterable[Finding], progress: Progress
) -> tuple[Finding, ...]:
    """Return all findings: those about units, and what the other rules find, phase by phase.

    The result does not depend on how the units were judged.
    """
    by_rule: dict[str, list[Finding]] = {rule.code: [] for rule in rules}
    for finding in of_units:
        by_rule[finding.code].append(finding)
    progress.begin("judging rules", len(rules))
    whole = case  # what it looks up does not depend on findings

    def in_order(findings: Iterable[Finding]) -> Iterable[Finding]:
        # Without a registry to read, the order of the rules puts causes before consequences.
        if case.target is not Target.REGISTRY:
            return findings
        return sorted(findings, key=lambda finding: order(finding, whole.places))

    for phase in case.phases:
        concluded: list[Finding] = []
        for rule in rules:
            if rule.phase is not phase:
                continue
            found = by_rule[rule.code]
            if rule.of_whole:
                found += rule.judge_whole(case)
            if found:
                located = _located(found, whole)
                ordered = in_order(dict.fromkeys(located))
                concluded += (_deferred(f, case) for f in gather(ordered, case.deferrals))
            progress.advance()
        case = replace(case, findings=(*case.findings, *concluded))
    return tuple(in_order(case.findings))


def order(finding: Finding, places: Mapping[str, int]) -> tuple[object, ...]:
    """Return a sort key: row by row, then the registry as a whole, then the deferrals.

    Findings at the same place in a file keep their order, because they come from one unit.
    """
    row = places.get(finding.row, len(places)) if finding.row else len(places)
    line = finding.position.line if finding.position is not None else 0
    represents_many = finding.count > 1
    is_deferral = finding.code.startswith("DEF")
    return (is_deferral, row, finding.code, represents_many, line, finding.path)


def _deferred(finding: Finding, case: Case) -> Finding:
    if finding.deferred is not None or not case.catalogue[finding.code].deferrable:
        return finding
    deferral = case.deferrals.covering(finding.code, finding.subject)
    return finding if deferral is None else finding.defer(deferral)


def _located(findings: Iterable[Finding], case: Case) -> Iterator[Finding]:
    """Look up the positions of findings in the registry's text, which units do not have.

    A finding about a JSON file as a whole points at its start.
    """
    registry = case.evidence.registry
    for finding in findings:
        if finding.place is not None:
            where = registry.files[finding.place.file].position(finding.place.path)
            finding = replace(finding, position=where or finding.position, place=None)
        elif finding.position is None and finding.path in case.texts:
            finding = replace(finding, position=START)
        yield finding


def facts_of(case: Case, row: RowEvidence) -> RowFacts:
    """Return the facts of a row, including what trusted signers signed about it."""
    if case.trust is None:
        return RowFacts.of(row, origin=origin(row))
    signed = case.signed_row(row)
    statement = case.row_statement(row) if row.misses_a_model else None
    # Files beside a single model are not signed, so only its bundle can state the origin.
    stated = (signed.row.get("origin") if signed else None) if case.alone else origin(row)
    return RowFacts.of(
        row,
        origin=stated,
        signatures=_signatures(_signature_set(case, row)),
        signed_deferrals=signed.deferrals if signed else None,
        signed_subjects=tuple(s.name for s in statement.subjects) if statement else (),
    )


def _signature_set(case: Case, row: RowEvidence) -> SignatureSet | None:
    """Return the signatures that cover a row: in a release, those over its summary."""
    summary = case.evidence.summary
    if case.target is not Target.RELEASE:
        return case.row_signatures(row)
    return case.signature_set(summary) if summary and summary.bundle is not None else None


def _signatures(signature_set: SignatureSet | None) -> tuple[SignatureResult, ...]:
    """Return the signatures that counted, or nothing if they are too few."""
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
