# SPDX-License-Identifier: Apache-2.0
"""ENS5xx: the rules about ensembles.

`members` checks which models belong to an ensemble, `interface` and `vocabulary` whether they take
the same input, `production` and `gates` what a production ensemble must have. `configured` checks
the gates of the configuration. The other modules do the arithmetic of gates: `verdicts` and `folds`
on one document, `records` across several.
"""

from __future__ import annotations

from collections.abc import Iterable

from provenance.gate.rules.base import Rule
from provenance.gate.rules.ensembles import (
    configured,
    gates,
    interface,
    members,
    production,
    vocabulary,
)

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
    configured.GateFailed,
    configured.GateValueMissing,
    configured.GateUnmatched,
)
