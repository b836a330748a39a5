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
"""Rows from which workers pay off: fewer rows are judged before the first worker has started."""

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
    """Return how workers start: forked from a server without threads that has loaded all they need.

    A fork of this process could hang if it has threads. On platforms without fork servers, each
    worker is spawned.
    """
    import multiprocessing

    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["provenance.gate.worker"])
    return context


def _begin() -> None:
    """Initialize a worker.

    What it has loaded is never garbage, and a task leaves little garbage. Ctrl-C is ignored,
    because a pool whose workers are interrupted may hang: the main process handles it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
    gc.set_threshold(OBJECTS)


@dataclass(frozen=True)
class Workers:
    """The workers that read and judge the rows of a registry.

    Attributes:
        processes: The number of processes, if the registry is large enough for them.
        executor: Used instead of processes, for a registry of any size.
        rows_of_a_task: The approximate number of rows that are sent to a worker at a time.
    """

    processes: int = 1
    executor: Executor | None = None
    rows_of_a_task: int = TASK_ROWS

    @contextmanager
    def running(self, rows: int) -> Iterator[Executor | None]:
        """Yield the executor that judges so many rows, or None for this process.

        On Ctrl-C, this process ends its workers.
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
