# SPDX-License-Identifier: Apache-2.0
"""The processes that judge large registries, and when it is worth to begin them.

This module loads nothing of the rules: the sooner it begins, the more is done meanwhile.
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
"""Rows from which on workers pay: fewer are read and judged before one begins."""

ROW: Final = 512
"""Bytes of a row in the registry's text, at least, if it names model, license and bundle."""

OBJECTS: Final = 100_000
"""New objects after which a worker looks for garbage: about those of one task."""


def prepare(registry: Path, processes: int) -> None:
    """Begin to load what workers load, if the size of a registry says that they will judge it.

    It takes a quarter of a second, in which this process loads the rules and reads the registry.
    """
    try:
        size = os.stat(registry).st_size
    except OSError:
        return  # reading the registry says why
    if processes < 2 or size < LARGE * ROW:
        return
    if _context().get_start_method() == "forkserver":
        from multiprocessing import forkserver

        forkserver.ensure_running()


def _context() -> BaseContext:
    """How workers begin: forked from a server that has no threads and has loaded what they need.

    A fork of this process may hang where it has threads. Where there is no such server, each worker
    begins as a process of its own.
    """
    import multiprocessing

    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["provenance.gate.worker"])
    return context


def _begin() -> None:
    """Begin a worker: what it has loaded is never garbage, and what a task leaves is little.

    Ctrl-C is for the process that began it: a pool whose workers are interrupted may hang.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
    gc.set_threshold(OBJECTS)


@dataclass(frozen=True)
class Workers:
    """What reads and judges the rows of a registry.

    Attributes:
        processes: How many processes do, where the registry is large enough to pay.
        executor: What does instead, however large it is.
        rows_of_a_task: How many rows are sent to a worker at a time, about.
    """

    processes: int = 1
    executor: Executor | None = None
    rows_of_a_task: int = TASK_ROWS

    @contextmanager
    def running(self, rows: int) -> Iterator[Executor | None]:
        """What judges so many rows; None is this process.

        Ctrl-C reaches this process alone, which then ends its workers.
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
