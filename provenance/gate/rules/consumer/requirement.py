# SPDX-License-Identifier: Apache-2.0
"""The base of all rules about requirements of a consumer."""

from __future__ import annotations

from provenance.evidence.rows import BundleEvidence, RowEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules.base import Rule
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import ALL_BUT_BLOBS, Phase

AGAIN = "Do not use it. Fetch the model, its bundle and the release summary from the publisher."


class Requirement(Rule):
    """A rule about a requirement of a consumer."""

    phase = Phase.REQUIREMENTS
    needs_trust = True
    applies = ALL_BUT_BLOBS
    for_consumer = True

    def of_row(self, case: Case, row: RowEvidence, field: str, message: str, help: str) -> Finding:
        """Return a finding at a field of the row, or at the file if a single file is verified."""
        about = row.onnx.path if row.onnx else None
        return self.in_row(case, row, field, message, help, about=about)

    def of_summary(self, summary: BundleEvidence, message: str, help: str) -> Finding:
        """Return a finding at the release summary."""
        return self.finding(message, help, path=summary.path)
