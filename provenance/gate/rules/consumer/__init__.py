# SPDX-License-Identifier: Apache-2.0
"""USE0xx: requirements of a consumer before a model is used (`verify --require`, `open_model`).

They are checked against signed statements only, never against the unsigned files beside them.
"""

from __future__ import annotations

from collections.abc import Iterable

from provenance.gate.rules.base import Rule
from provenance.gate.rules.consumer.release import (
    AnotherHistory,
    ReleaseAmbiguous,
    ReleaseRolledBack,
    ReleaseTooOld,
    SummaryRequired,
)
from provenance.gate.rules.consumer.rows import (
    DeferralRefused,
    FilesRequired,
    LicenseRefused,
    NotInRelease,
    ProductionRequired,
    RowRequired,
)
from provenance.gate.rules.consumer.withdrawn import ModelWithdrawn

RULES: Iterable[type[Rule]] = (
    RowRequired,
    ProductionRequired,
    DeferralRefused,
    LicenseRefused,
    SummaryRequired,
    NotInRelease,
    ReleaseTooOld,
    ReleaseRolledBack,
    ReleaseAmbiguous,
    AnotherHistory,
    FilesRequired,
    ModelWithdrawn,
)
