# SPDX-License-Identifier: Apache-2.0
"""Properties of rules. Each list is deliberate: update it if a rule joins or leaves it."""

from __future__ import annotations

from collections.abc import Callable

from provenance.gate.finding import Severity
from provenance.gate.rules import CATALOGUE, Rule
from provenance.gate.rules.declaration import Phase, Target


def codes(has: Callable[[Rule], bool]) -> list[str]:
    return sorted(rule.code for rule in CATALOGUE if has(rule))


def between(first: str, last: str) -> list[str]:
    return codes(lambda rule: first <= rule.code <= last)


def test_rules_that_apply_to_a_single_file() -> None:
    """Rules about the file and its weights, its bundle and its signed row."""
    of_the_file = ["ART301", "ART303", "ART304", "ART305", "ART307", "ART309"]
    of_its_bundle = sorted({*between("SIG601", "SIG608")} - {"SIG607"})
    of_its_row = ["ATT701", "ATT702", "ATT704", "ATT705", "ATT711", "ATT712", "ATT713", "DEF903"]
    required = between("USE001", "USE011")
    found = codes(lambda r: Target.MODEL in r.applies)
    assert found == sorted([*of_the_file, *of_its_bundle, *of_its_row, *required])


def test_rules_that_apply_to_a_release_by_its_summary() -> None:
    of_bundles = ["SIG602", "SIG603", "SIG604", "SIG608", "ATT710", "ATT712"]
    required = between("USE001", "USE010")
    assert codes(lambda r: Target.RELEASE in r.applies) == sorted([*of_bundles, *required])


def test_rules_that_apply_only_to_a_single_model() -> None:
    assert codes(lambda r: Target.REGISTRY not in r.applies) == ["ATT711", "ATT713", "USE011"]


def test_rules_that_need_the_whole_registry() -> None:
    """Rules about strays, ensembles, and what the baseline had."""
    ensembles = set(between("ENS501", "ENS521")) - {"ENS511", "ENS516", "ENS517"}
    others = ["ART311", "SID415", "BAS801", "BAS807", "BAS809"]
    assert codes(lambda r: r.needs_whole) == sorted([*ensembles, *others])


def test_rules_that_look_around_their_unit() -> None:
    """Other rows and their files, files that no row names, the baseline, the registry's schema."""
    files = ["ART301", "ART302", "ART304", "ART306", "ART308", "ATT703", "ATT708"]
    fields = ["LIC201", "LIC202", "LIC203", "LIC204", "REG101", "REG107", "REG114", "REG115"]
    claims = ["SID401", "SID402", "SID404", "SID407", "SID408", "SID417", "SID418"]
    ensembles = ["ENS501", "ENS509", "ENS510", "ENS518", "ENS519"]
    assert codes(lambda r: r.looks_around) == sorted([*files, *fields, *claims, *ensembles])


def test_rules_whose_findings_are_not_about_rows() -> None:
    ensembles = set(between("ENS501", "ENS521")) - {
        "ENS503", "ENS504", "ENS506", "ENS516", "ENS517",
    }  # fmt: skip
    others = ["ART311", "SID415", "BAS801", "BAS807", "BAS809", "BAS810"]
    steps = between("PIP001", "PIP014")
    assert codes(lambda r: not r.about_rows) == sorted([*ensembles, *others, *steps])


def test_rules_that_need_trust() -> None:
    signed = between("SIG601", "SIG608") + between("ATT701", "ATT713")
    signed += between("USE001", "USE011")
    assert codes(lambda r: r.needs_trust) == sorted(["LIC205", *signed])


def test_rules_that_apply_to_a_blob() -> None:
    of_signatures = ["SIG602", "SIG603", "SIG604", "SIG605", "SIG608"]
    assert codes(lambda r: Target.BLOB in r.applies) == ["ATT701", *of_signatures]


def test_rules_with_advice_for_consumers_too() -> None:
    """Consumers have only files and a bundle, so they can neither edit nor sign."""
    theirs = ["ART309", "SIG604", "SIG606", "ATT711", "ATT712", "ATT713", "PIP002"]
    theirs += between("RUN001", "RUN007") + between("USE001", "USE011")
    assert codes(lambda r: r.for_consumer) == sorted(theirs)
    own = ["ART301", "ART304", "ART305", "SIG601", "SIG608"]
    own += [p for p in between("PIP001", "PIP014") if p != "PIP002"]
    assert codes(lambda r: r.consumer_help is not None and not r.for_consumer) == sorted(own)


def test_rules_that_only_warn() -> None:
    warnings = [
        *("ATT711", "ATT713", "BAS810", "REG106", "REG115"),
        *("RUN005", "RUN007", "SID406", "SID418"),
    ]
    assert codes(lambda r: r.severity is Severity.WARNING) == warnings


def test_phases_that_a_release_does_not_judge() -> None:
    not_released = {Phase.RUNTIME, Phase.BASELINE, Phase.REQUIREMENTS, Phase.PIPELINE}
    assert {p for p in Phase if not p.is_released} == not_released


def test_which_phases_leave_nothing_open_if_they_are_not_judged() -> None:
    assert {p for p in Phase if not p.is_open} == {Phase.PIPELINE, Phase.REQUIREMENTS}


def test_rules_that_escalate_another_rule() -> None:
    assert {r.code: r.escalates for r in CATALOGUE if r.escalates} == {"SID404": "SID402"}
