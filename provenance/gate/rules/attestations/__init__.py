# SPDX-License-Identifier: Apache-2.0
"""ATT7xx: signed statements, compared with the present rows and files."""

from __future__ import annotations

from collections.abc import Iterable

from provenance.gate.rules.attestations.binding import (
    FileGone,
    FileOnlySignature,
    FileUncovered,
    RowUnbound,
    SidecarAbsent,
)
from provenance.gate.rules.attestations.changes import DeferralsDiffer, RowChanged, SidecarChanged
from provenance.gate.rules.attestations.seeds import SeedAttestationDiffers, SeedUnattested
from provenance.gate.rules.attestations.summary import OtherProject, SummaryMissing, SummaryStale
from provenance.gate.rules.attestations.withdrawals import WithdrawalForgotten
from provenance.gate.rules.base import Rule

RULES: Iterable[type[Rule]] = (
    RowUnbound,
    FileUncovered,
    RowChanged,
    SidecarChanged,
    FileGone,
    DeferralsDiffer,
    SeedUnattested,
    SeedAttestationDiffers,
    SummaryMissing,
    SummaryStale,
    OtherProject,
    SidecarAbsent,
    FileOnlySignature,
    WithdrawalForgotten,
)
