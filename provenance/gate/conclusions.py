# SPDX-License-Identifier: Apache-2.0
"""What the rules conclude: about units, one by one or all at once, and then about the whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from provenance.artifacts.documents.strict_json import START
from provenance.artifacts.registry import Registry
from provenance.evidence.progress import Progress
from provenance.gate.capping import gather
from provenance.gate.finding import Finding
from provenance.gate.rules import BY_CODE, CATALOGUE, Case, Rule, Target

ADVICE: Final[Mapping[Target, str]] = {
    Target.REGISTRY: "Do not use it. Fetch the release again, or ask the publisher to correct it.",
    Target.RELEASE: "Do not use it. Fetch the release again from the publisher.",
    Target.MODEL: "Do not use it. Fetch the model and its bundle again from the publisher.",
    Target.BLOB: "Do not use it. Fetch the file and its bundle again from where they come from.",
}
"""The help of findings for those who use what others publish."""


def rules_of(case: Case, *, for_consumer: bool) -> list[Rule]:
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


def about_units(case: Case, rules: Sequence[Rule]) -> tuple[Finding, ...]:
    """What rules about rows and ensembles find, phase by phase, with deferrals applied."""
    for phase in case.phases:
        found: list[Finding] = []
        for rule in rules:
            if rule.phase is phase and rule.of_units:
                found += gather(rule.judge_unit(case), of_unit=True)
        if found:
            found = [_deferred(finding, case) for finding in found]
            case = replace(case, findings=(*case.findings, *found))
    return tuple(_at_starts(case.findings, case.evidence.texts))


def about_all(
    case: Case, rules: Sequence[Rule], of_units: Iterable[Finding], progress: Progress
) -> tuple[Finding, ...]:
    """All findings: those about units, and what the other rules find, phase by phase.

    Whether and how the units were judged together makes no difference.
    """
    by_rule: dict[str, list[Finding]] = {rule.code: [] for rule in rules}
    for finding in of_units:
        by_rule[finding.code].append(finding)
    progress.begin("judging rules", len(rules))
    places = case.places
    for phase in case.phases:
        concluded: list[Finding] = []
        for rule in rules:
            if rule.phase is not phase:
                continue
            found = by_rule[rule.code]
            if rule.of_whole:
                found += _at_starts(rule.judge_whole(case), case.evidence.texts_of(case.facts))
            if found:
                located = _located(found, case.evidence.registry)
                ordered = dict.fromkeys(sorted(located, key=lambda f: order(f, places)))
                concluded += (_deferred(f, case) for f in gather(ordered, case.deferrals))
            progress.advance()
        case = replace(case, findings=(*case.findings, *concluded))
    return tuple(sorted(case.findings, key=lambda f: order(f, places)))


def order(finding: Finding, places: Mapping[str, int]) -> tuple[object, ...]:
    """As a registry is read: row by row, then the registry as a whole, then the deferrals."""
    row = places.get(finding.row, len(places)) if finding.row else len(places)
    line, column = 0, 0
    if finding.position is not None:
        line, column = finding.position.line, finding.position.column
    said = (finding.path, column, finding.message, finding.about, finding.help)
    return (finding.code.startswith("DEF"), row, finding.code, finding.count > 1, line, *said)


def _deferred(finding: Finding, case: Case) -> Finding:
    if finding.deferred is not None or not BY_CODE[finding.code].deferrable:
        return finding
    deferral = case.deferrals.covering(finding.code, finding.subject)
    return finding if deferral is None else finding.defer(deferral)


def _at_starts(findings: Iterable[Finding], texts: frozenset[str]) -> Iterator[Finding]:
    """What is said of a text file as a whole has its start for a place."""
    for finding in findings:
        whole = finding.position is None and finding.path in texts
        yield replace(finding, position=START) if whole else finding


def _located(findings: Iterable[Finding], registry: Registry) -> Iterator[Finding]:
    """Where in the registry's text a finding points is looked up: units do not have that."""
    for finding in findings:
        if finding.place is not None:
            where = registry.position_of(finding.place.row, finding.place.path)
            finding = replace(finding, position=where or finding.position, place=None)
        yield finding
