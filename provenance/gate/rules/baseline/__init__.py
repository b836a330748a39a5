# SPDX-License-Identifier: Apache-2.0
"""BAS8xx: changes since the baseline that are easy to miss in a review."""

from __future__ import annotations

from collections.abc import Iterable

from provenance.gate.rules.base import Rule
from provenance.gate.rules.baseline import gates, rows, terms, vouching, withdrawals

RULES: Iterable[type[Rule]] = (
    rows.RowGone,
    rows.FieldGone,
    vouching.EvidenceUnchanged,
    vouching.PromotedByHand,
    rows.KindChanged,
    terms.LicenseChanged,
    terms.RegistryFieldGone,
    rows.SidecarGone,
    vouching.RecordGone,
    terms.PolicyChanged,
    vouching.BundleSuperseded,
    gates.GateLoosened,
    withdrawals.WithdrawalGone,
    withdrawals.NewlyWithdrawn,
)
