# SPDX-License-Identifier: Apache-2.0
"""The promotion gate of the ensemble: numbers in, verdict out, nothing decided by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MEAN_PLCC_THRESHOLD: Final = 0.95
PER_SEED_MIN: Final = 0.95
PLCC_SPREAD_MAX: Final = 0.005


@dataclass(frozen=True)
class Gate:
    """The evaluation of one production run, seed by seed."""

    per_seed_plcc: Mapping[int, float]

    @property
    def mean_plcc(self) -> float:
        """The mean over the seeds."""
        return math.fsum(self.per_seed_plcc.values()) / len(self.per_seed_plcc)

    @property
    def spread(self) -> float:
        """The best seed minus the worst."""
        return max(self.per_seed_plcc.values()) - min(self.per_seed_plcc.values())

    @property
    def failing_seeds(self) -> list[int]:
        """The seeds below the threshold; a seed without a number (NaN) fails too."""
        return [s for s, value in sorted(self.per_seed_plcc.items()) if not value >= PER_SEED_MIN]

    @property
    def mean_passes(self) -> bool:
        """Whether the mean reaches its threshold."""
        return self.mean_plcc >= MEAN_PLCC_THRESHOLD

    @property
    def spread_passes(self) -> bool:
        """Whether the seeds agree closely enough."""
        return self.spread <= PLCC_SPREAD_MAX

    @property
    def passed(self) -> bool:
        """Whether all three conditions hold."""
        return self.mean_passes and not self.failing_seeds and self.spread_passes

    @property
    def verdict(self) -> str:
        """``PROMOTE`` or ``HOLD``."""
        return "PROMOTE" if self.passed else "HOLD"


def judge_gate(per_seed_plcc: Mapping[int, float]) -> Gate:
    """Judge the leave-one-source-out correlation of every seed.

    Raises:
        ValueError: no seed was evaluated. An empty evaluation must never read as a passed one.
    """
    if not per_seed_plcc:
        raise ValueError("the gate needs the PLCC of at least one seed, and got none")
    return Gate(dict(sorted(per_seed_plcc.items())))
