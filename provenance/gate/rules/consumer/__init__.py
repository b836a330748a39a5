# SPDX-License-Identifier: Apache-2.0
"""USE0xx: what a consumer requires before a model is used (`verify --require`, `open_model`).

Each is judged on what trusted signers have signed, never on what lies beside it.
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
)
