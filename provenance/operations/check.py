# SPDX-License-Identifier: Apache-2.0
"""`check`: everything that can be judged before signing."""

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
    """Judge the registry of `config`, or the rows with the given ids, without signatures.

    `baseline` is what it is compared with: `git:REF`, the path of a folder or of a registry file,
    or `none`. By default it is the configuration's, whose paths are relative to its root. With
    `run`, the models are also loaded and run.

    The rows of a large registry are judged by so many `processes`, or those of any registry through
    an `executor`. The report does not depend on which.

    Raises:
        InputError: The registry, the configuration or the baseline cannot be read.
        UnavailableError: The baseline is a commit that is not in this clone, or there is no git;
            or the models are to be run, and there is no runtime; or a worker was lost.
    """
    name = baseline_of(config, baseline)
    evidence = load_evidence(config, rows=rows, baseline=name, run=run)
    terms = Terms(trust=None, today=today or today_utc())
    return judge(evidence, config, terms, workers=Workers(processes, executor), progress=progress)
