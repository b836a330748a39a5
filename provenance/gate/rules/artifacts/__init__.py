# SPDX-License-Identifier: Apache-2.0
"""ART3xx: the model files of each row, and the files that no row names."""

from __future__ import annotations

from typing import Final

from provenance.gate.rules.artifacts.digests import DigestMismatch
from provenance.gate.rules.artifacts.external_data import (
    ExternalDataMissing,
    ExternalDataTruncated,
    ExternalDataUncovered,
    ExternalDataUnsafe,
    ExternalDataUnused,
)
from provenance.gate.rules.artifacts.models import (
    ModelMissing,
    NotARegularFile,
    NotOnnx,
    OpsetMismatch,
    SharedFile,
)
from provenance.gate.rules.artifacts.strays import StrayFile
from provenance.gate.rules.artifacts.variants import (
    Int8Interface,
    Int8NotQuantized,
    Int8Undeclared,
)
from provenance.gate.rules.base import Rule

RULES: Final[tuple[type[Rule], ...]] = (
    ModelMissing,
    DigestMismatch,
    NotOnnx,
    ExternalDataMissing,
    ExternalDataUnsafe,
    ExternalDataUncovered,
    ExternalDataTruncated,
    Int8Undeclared,
    NotARegularFile,
    OpsetMismatch,
    StrayFile,
    ExternalDataUnused,
    SharedFile,
    Int8Interface,
    Int8NotQuantized,
)
