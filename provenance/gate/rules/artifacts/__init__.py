# SPDX-License-Identifier: Apache-2.0
"""ART3xx: the model files of each row, and files that no row names."""

from __future__ import annotations

from collections.abc import Iterable

from provenance.gate.rules.artifacts import digests, external_data, models, strays, variants
from provenance.gate.rules.base import Rule

RULES: Iterable[type[Rule]] = (
    models.ModelMissing,
    digests.DigestMismatch,
    models.NotOnnx,
    external_data.ExternalDataMissing,
    external_data.ExternalDataUnsafe,
    external_data.ExternalDataUncovered,
    external_data.ExternalDataTruncated,
    variants.Int8Undeclared,
    models.NotARegularFile,
    models.OpsetMismatch,
    strays.StrayFile,
    external_data.ExternalDataUnused,
    models.SharedFile,
    variants.Int8Interface,
    variants.Int8NotQuantized,
)
