# SPDX-License-Identifier: Apache-2.0
"""The processes that judge large registries, and when they are worth starting.

This module does not import the rules: workers start loading while the main process does.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provenance.evidence.workers import TASK_ROWS
from provenance.frozen import dataclass

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from multiprocessing.context import BaseContext

LARGE: Final = 400
"""Minimum number of rows for workers: one process judges fewer rows before a worker has started."""

ROW: Final = 512
"""Minimum size in bytes of a row that names model, license and bundle."""

OBJECTS: Final = 100_000
"""New objects after which a worker collects garbage: about as many as one task creates."""


def prepare(registry: Path, processes: int) -> None:
    """Start loading what workers need, if the registry is large enough for them.

    Loading takes a quarter of a second. Meanwhile, this process loads the rules and the registry.
    """
    try:
        size = os.stat(registry).st_size
    except OSError:
        return  # reading the registry reports the reason
    if processes < 2 or size < LARGE * ROW:
        return
    if _context().get_start_method() == "forkserver":
        from multiprocessing import forkserver

        forkserver.ensure_running()


def _context() -> BaseContext:
    """Return the start method: a fork server that has no threads and has loaded what workers need.

    This process is not forked, because a fork of a process with threads could hang. On platforms
    without fork servers, each worker is spawned.
    """
    import multiprocessing

    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["provenance.gate.worker"])
    return context


def _begin() -> None:
    """Initialize a worker.

    Garbage is collected rarely: loaded modules never become garbage, and a task leaves little.
    Workers ignore Ctrl-C, which the main process handles: a pool of interrupted workers may hang.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
    gc.set_threshold(OBJECTS)


@dataclass(frozen=True)
class Workers:
    """The workers that read and judge the rows of a registry.

    Attributes:
        processes: The number of worker processes, if the registry has at least `LARGE` rows.
        executor: Used instead of processes, for a registry of any size.
        rows_of_a_task: The approximate number of rows that are sent to a worker at a time.
    """

    processes: int = 1
    executor: Executor | None = None
    rows_of_a_task: int = TASK_ROWS

    @contextmanager
    def running(self, rows: int) -> Iterator[Executor | None]:
        """Yield the executor for this number of rows, or None to judge them in this process.

        After an error or Ctrl-C, waiting tasks are cancelled, and each worker ends after its task.
        """
        if self.executor is not None or self.processes < 2 or rows < LARGE:
            yield self.executor
            return
        from concurrent.futures import ProcessPoolExecutor

        with ProcessPoolExecutor(self.processes, _context(), _begin) as pool:
            try:
                yield pool
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
