# SPDX-License-Identifier: Apache-2.0
"""What all rules about signed statements have in common."""

from __future__ import annotations

from provenance.gate.rules.base import Phase, Rule


class AttestationRule(Rule):
    """A rule about what was signed."""

    phase = Phase.SIGNATURES
    needs_trust = True
