# SPDX-License-Identifier: Apache-2.0
"""A case without rows, for rules that are judged on values."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Final

from provenance.artifacts.paths import Tree
from provenance.config import Config
from provenance.evidence.evidence import Evidence
from provenance.gate.rules.case import Case
from provenance.registry.mapping import stock
from provenance.registry.reading import nowhere
from provenance.signing.trust_table import TrustTable

BARE: Final = Case(
    Evidence(Tree(Path("/")), nowhere("r.json"), (), whole=True),
    None,
    Config(Path("/"), "c.toml", (stock("r.json"),), TrustTable(), (), "", "", Path("/")),
    datetime.date(2026, 6, 30),
)
