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
    run: bool = False,
    progress: Progress | None = None,
    today: datetime.date | None = None,
) -> Report:
    """Judge the registry of `config`, or the rows with the given ids, without signatures.

    With `run`, the models are also loaded and run.

    Raises:
        InputError: The registry or the configuration cannot be read.
        UnavailableError: The models are to be run, and there is no runtime.
    """
    evidence = examine(config, rows=rows, run=run, progress=progress)
    return judge(evidence, config, trust=None, today=today or today_utc(), progress=progress)
