# SPDX-License-Identifier: Apache-2.0
"""Work on many things, several at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from threading import Event, Lock, Thread
from typing import Any, Final, TypeVar

TASK_ROWS: Final = 50
"""Rows of a task, about: what is sent with it is then little against what is read for it."""

_Item = TypeVar("_Item")
_Done = TypeVar("_Done")


def map_in_threads(
    work: Callable[[_Item], _Done],
    items: Sequence[_Item],
    *,
    most: int | None = None,
    stop: Event | None = None,
) -> list[_Done]:
    """What `work`, which is called from up to `most` threads, gives for each item, in their order.

    `Executor.map` would hold a future for every item that is to come, 2 KB each, and take 4 ms to
    load. An exception ends the work and is raised here; `stop` is then set, for work that takes so
    long that it should look.
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
            ended = True  # all are taken, or something is wrong

    # One thread a core: hashing saturates a core, and more would only compete.
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
