# SPDX-License-Identifier: Apache-2.0
"""`check`: everything that can be judged before signing."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING

from provenance.config import Config
from provenance.evidence.progress import Progress
from provenance.gate.finding import Report
from provenance.gate.judge import judge
from provenance.operations.load_evidence import (
    baseline_of,
    load_evidence,
    today_utc,
    unread_from,
)

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

    A large registry is judged unit by unit, by so many `processes`, or through an `executor`, which
    is then used for any registry. The report does not depend on which.

    Raises:
        InputError: The registry, the configuration or the baseline cannot be read.
        UnavailableError: The baseline is a commit that is not in this clone, or there is no git;
            or the models are to be run, and there is no runtime; or a worker was lost.
    """
    name = baseline_of(config, baseline)
    evidence = load_evidence(
        config,
        rows=rows,
        baseline=name,
        run=run,
        unread_from=unread_from(executor),
        progress=progress,
    )
    return judge(
        evidence,
        config,
        trust=None,
        today=today or today_utc(),
        progress=progress,
        processes=processes,
        executor=executor,
    )
