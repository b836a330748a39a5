# SPDX-License-Identifier: Apache-2.0
"""`check`: judge a registry, without its signatures."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING

from provenance.config import Config
from provenance.evidence.progress import Progress
from provenance.gate.finding import Report
from provenance.gate.judge import Terms, judge
from provenance.gate.pool import Workers
from provenance.operations.load_evidence import baseline_of, load_evidence, today_utc

if TYPE_CHECKING:
    from concurrent.futures import Executor


def check(
    config: Config,
    *,
    rows: Sequence[str] = (),
    baseline: str | None = None,
    run: bool = False,
    progress: Progress | None = None,
    today: datetime.date | None = None,
    processes: int = 1,
    executor: Executor | None = None,
) -> Report:
    """Judge the registry of `config`, without signatures.

    Args:
        config: The configuration.
        rows: The ids of the rows; by default all.
        baseline: What the registry is compared with: `git:REF`, the path of a folder or of a
            registry file, or `none`. By default the baseline of the configuration, whose paths
            are relative to its root.
        run: Also load and run the models.
        progress: Receives what is being done.
        today: The date on which deferrals expire; by default today, UTC.
        processes: The number of processes that judge a large registry.
        executor: Judges the rows of a registry of any size instead. The report is the same.

    Raises:
        InputError: If the registry, the configuration or the baseline cannot be read.
        UnavailableError: If git is missing, the baseline is a commit that this clone does not have,
            models are to be run without a runtime, or a worker was lost.
    """
    name = baseline_of(config, baseline)
    evidence = load_evidence(config, rows=rows, baseline=name, run=run)
    terms = Terms(trust=None, today=today or today_utc())
    return judge(evidence, config, terms, workers=Workers(processes, executor), progress=progress)
