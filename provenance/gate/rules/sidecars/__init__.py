# SPDX-License-Identifier: Apache-2.0
"""SID4xx: the rules about sidecars. A sidecar must exist, and must describe its own model."""

from __future__ import annotations

from typing import Final

from provenance.gate.rules.base import Rule
from provenance.gate.rules.sidecars.current import describes_its_model
from provenance.gate.rules.sidecars.identity import SidecarDigest, SidecarIdentity
from provenance.gate.rules.sidecars.interface import (
    SidecarDtype,
    SidecarNames,
    SidecarOpset,
    SidecarShape,
)
from provenance.gate.rules.sidecars.record import (
    ProductionSidecarStale,
    SeedRecordIncomplete,
    SidecarMalformed,
    SidecarMissing,
    SidecarStale,
    SidecarUnlinked,
)
from provenance.gate.rules.sidecars.statistics import SidecarEntryTwice, SidecarStatistics
from provenance.gate.rules.sidecars.strays import StraySidecar
from provenance.gate.rules.sidecars.widths import SidecarWidth, input_width

RULES: Final[tuple[type[Rule], ...]] = (
    SidecarMissing,
    SidecarStale,
    SidecarWidth,
    ProductionSidecarStale,
    SidecarMalformed,
    SidecarUnlinked,
    SeedRecordIncomplete,
    SidecarIdentity,
    SidecarDigest,
    SidecarNames,
    SidecarShape,
    SidecarDtype,
    SidecarOpset,
    SidecarStatistics,
    StraySidecar,
    SidecarEntryTwice,
)

__all__ = ["RULES", "describes_its_model", "input_width"]
