# SPDX-License-Identifier: Apache-2.0
"""Process many items in threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from threading import Event, Lock, Thread
from typing import Any, Final, TypeVar

TASK_ROWS: Final = 50
"""Approximate number of rows per task, so that sending a task costs little compared to reading."""

_Item = TypeVar("_Item")
_Done = TypeVar("_Done")


def map_in_threads(
    work: Callable[[_Item], _Done],
    items: Sequence[_Item],
    *,
    most: int | None = None,
    stop: Event | None = None,
) -> list[_Done]:
    """Return the result of `work` for each item, in order, computed in up to `most` threads.

    `Executor.map` would hold a future of 2 KB for every remaining item, and take 4 ms to import. An
    exception in `work` ends the work and is raised. `stop` is then set, so that long-running work
    can check it.
    """
    done: list[Any] = [None] * len(items)
    left = iter(range(len(items)))
    errors: list[BaseException] = []
    lock = Lock()
    ended = False

    def run() -> None:
        nonlocal ended
        try:
            while not ended:
                with lock:
                    at = next(left, None)
                if at is None:
                    return
                done[at] = work(items[at])
        except BaseException as e:
            errors.append(e)
            if stop is not None:
                stop.set()
        finally:
            ended = True  # all items are taken, or an error occurred

    # One thread per core: hashing saturates a core, so more threads would only compete.
    count = min(len(items), max(2, os.cpu_count() or 1), most or len(items))
    threads = [Thread(target=run) for _ in range(count)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except BaseException:  # the user interrupts
        ended = True
        if stop is not None:
            stop.set()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
        raise
    if errors:
        raise errors[0]
    return done
