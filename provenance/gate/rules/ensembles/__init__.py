# SPDX-License-Identifier: Apache-2.0
"""ENS5xx: an ensemble is its members, one vocabulary, and a verdict that its numbers give.

`members`: who belongs to it. `interface` and `vocabulary`: what all of them take. `production` and
`gates`: what it takes to be production. The other files are the arithmetic of gates: `verdicts` and
`folds` of one document, `records` of several, on numbers as they are `recorded`.
"""

from __future__ import annotations

from collections.abc import Iterable

from provenance.gate.rules.base import Rule
from provenance.gate.rules.ensembles import gates, interface, members, production, vocabulary

RULES: Iterable[type[Rule]] = (
    members.MemberMissing,
    members.MemberTwice,
    members.MemberUnlisted,
    members.MemberDigest,
    members.ManifestOutdated,
    members.EnsembleSize,
    members.SeedDiffers,
    interface.EnsembleWidth,
    vocabulary.VocabularyDiffers,
    production.SmokeMixed,
    production.VerdictMissing,
    gates.VerdictWrong,
    gates.VerdictDisagrees,
    production.VerdictHold,
    gates.CorpusDiffers,
    vocabulary.StatisticsDiffer,
    gates.RecordWrong,
    production.GateNotPassed,
    members.EnsembleIdDiffers,
    production.DocumentUnreadable,
    interface.InterfaceDiffers,
)
