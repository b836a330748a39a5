# SPDX-License-Identifier: Apache-2.0
"""Properties of rules. Each list is deliberate: update it if a rule joins or leaves it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from provenance.gate.finding import Severity
from provenance.gate.rules import CATALOGUE, Rule
from provenance.gate.rules.declaration import Phase, Target


def codes(has: Callable[[Rule], bool]) -> list[str]:
    return sorted(rule.code for rule in CATALOGUE if has(rule))


def between(first: str, last: str) -> set[str]:
    return set(codes(lambda rule: first <= rule.code <= last))


def listed(*text: str) -> set[str]:
    return {code for line in text for code in line.split()}


ENSEMBLES: Final = between("ENS501", "ENS521") - {"ENS516", "ENS517"}
STEPS: Final = between("PIP001", "PIP014")
USE: Final = between("USE001", "USE012")
WHOLE: Final = listed("ART311 SID415 BAS801 BAS807 BAS809")

PROPERTIES: Final[dict[str, tuple[Callable[[Rule], bool], set[str]]]] = {
    "applies to a file, its weights, its bundle and its signed row": (
        lambda r: Target.MODEL in r.applies,
        listed("ART301 ART303 ART304 ART305 ART307 ART309 DEF903")
        | (between("SIG601", "SIG608") - {"SIG607"})
        | listed("ATT701 ATT702 ATT704 ATT705 ATT711 ATT712 ATT713")
        | USE,
    ),
    "does not apply to a registry: only to single models and downloaded releases": (
        lambda r: Target.REGISTRY not in r.applies,
        listed("ATT711 ATT713 USE011 USE012"),
    ),
    "applies to a release by its summary": (
        lambda r: Target.RELEASE in r.applies,
        listed("SIG602 SIG603 SIG604 SIG608 ATT710 ATT712") | (USE - {"USE011"}),
    ),
    "applies to a blob": (
        lambda r: Target.BLOB in r.applies,
        listed("ATT701 SIG602 SIG603 SIG604 SIG605 SIG608"),
    ),
    "needs the whole registry: strays, ensembles, and rows of the baseline": (
        lambda r: r.needs_whole,
        (ENSEMBLES - {"ENS511"}) | WHOLE | {"ENS524", "BAS816"},
    ),
    "looks around: other rows and their files, strays, the baseline, the schema": (
        lambda r: r.looks_around,
        listed(
            "ART301 ART302 ART304 ART306 ART308 ATT703 ATT708",
            "LIC201 LIC202 LIC203 LIC204 REG101 REG107 REG114 REG115",
            "SID401 SID402 SID404 SID407 SID408 SID417 SID418",
            "ENS501 ENS509 ENS510 ENS518 ENS519",
        ),
    ),
    "is not about rows": (
        lambda r: not r.about_rows,
        (ENSEMBLES - {"ENS503", "ENS504", "ENS506"})
        | listed("ENS522 ENS523 ENS524 BAS810 BAS812 BAS813 BAS816")
        | WHOLE
        | STEPS,
    ),
    "needs trust": (
        lambda r: r.needs_trust,
        {"LIC205"} | between("SIG601", "SIG608") | between("ATT701", "ATT714") | USE,
    ),
    "gives consumers the same advice: they can neither edit nor sign": (
        lambda r: r.for_consumer,
        listed("ART309 SIG604 SIG606 ATT711 ATT712 ATT713 PIP002")
        | between("RUN001", "RUN007")
        | USE,
    ),
    "gives consumers other advice": (
        lambda r: r.consumer_help is not None and not r.for_consumer,
        listed("ART301 ART304 ART305 SIG601 SIG608") | (STEPS - {"PIP002"}),
    ),
    "only warns": (
        lambda r: r.severity is Severity.WARNING,
        listed("ATT711 ATT713 BAS810 BAS813 BAS815 REG106 REG109 REG111 REG112 REG115")
        | listed("RUN005 RUN007 SID406 SID418"),
    ),
    "escalates another rule": (lambda r: bool(r.escalates), {"SID404"}),
}


@pytest.mark.parametrize(("has", "expected"), PROPERTIES.values(), ids=PROPERTIES)
def test_rules_with_a_property(has: Callable[[Rule], bool], expected: set[str]) -> None:
    assert codes(has) == sorted(expected)


def test_a_stale_sidecar_is_escalated_in_production() -> None:
    assert [r.escalates for r in CATALOGUE if r.escalates] == ["SID402"]


def test_phases_that_a_release_does_not_judge_or_that_leave_nothing_open() -> None:
    not_released = {Phase.RUNTIME, Phase.BASELINE, Phase.REQUIREMENTS, Phase.PIPELINE}
    assert {p for p in Phase if not p.is_released} == not_released
    assert {p for p in Phase if not p.is_open} == {Phase.PIPELINE, Phase.REQUIREMENTS}
