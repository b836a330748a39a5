# SPDX-License-Identifier: Apache-2.0
"""The catalogue of all rules, in the order in which they are judged. Register new rules here."""

from __future__ import annotations

from typing import Final

from provenance.gate.rules import (
    artifacts,
    attestations,
    baseline,
    claims,
    consumer,
    deferrals,
    ensembles,
    license,
    mapped,
    pipeline,
    registry,
    runtime,
    schema,
    sidecars,
    signatures,
    withdrawn,
)
from provenance.gate.rules.base import Rule
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import Phase, Scope, Target

CATALOGUE: Final[tuple[Rule, ...]] = tuple(
    rule()
    for family in (
        registry,
        mapped,
        withdrawn,
        schema,
        license,
        artifacts,
        sidecars,
        claims,
        ensembles,
        runtime,
        baseline,
        signatures,
        attestations,
        pipeline,
        deferrals,
        consumer,
    )
    for rule in family.RULES
)

BY_CODE: Final = {rule.code: rule for rule in CATALOGUE}

__all__ = ["BY_CODE", "CATALOGUE", "Case", "Phase", "Rule", "Scope", "Target"]
