# SPDX-License-Identifier: Apache-2.0
"""`check`: everything that can be judged before signing."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from provenance.config import Config
from provenance.gate.finding import Report
from provenance.gate.judge import judge
from provenance.gate.progress import Progress
from provenance.journeys.examine import examine


def today_utc() -> datetime.date:
    """Today's date, by which deferrals expire."""
    return datetime.datetime.now(datetime.UTC).date()


def check(
    config: Config,
    *,
    rows: Sequence[str] = (),
    progress: Progress | None = None,
    today: datetime.date | None = None,
) -> Report:
    """Judge the registry of `config`, or the rows with the given ids, without signatures.

    Raises:
        InputError: The registry or the configuration cannot be read.
    """
    evidence = examine(config, rows=rows, progress=progress)
    return judge(evidence, config, trust=None, today=today or today_utc(), progress=progress)
