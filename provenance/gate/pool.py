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

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from multiprocessing.context import BaseContext

LARGE: Final = 400
"""Rows from which on a registry is judged unit by unit: fewer are read before a worker begins."""

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


@contextmanager
def processes(count: int) -> Iterator[Executor | None]:
    """So many processes that judge; None for one, which is this one.

    Ctrl-C reaches this process alone, which then ends them.
    """
    if count < 2:
        yield None
        return
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(count, _context(), _begin) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
