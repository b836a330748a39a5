# SPDX-License-Identifier: Apache-2.0
"""Judge the tasks of a run: in a loop, in processes, or through any executor.

The result is the same in each case, because results are taken in the order of the tasks.
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from provenance.errors import UnavailableError
from provenance.gate.units import Context, Judged, Local, Task, judge_task, read_result, step
from provenance.registry.registry import Registry

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

IN_FLIGHT: Final = 8
"""Tasks in flight: enough that no worker waits, and few enough that they need little memory."""


def judge_tasks(
    context: Context,
    tasks: Iterable[Task],
    executor: Executor | None,
    shared: Iterable[str] = (),
    local: Local = Local(),  # noqa: B008 (frozen)
) -> Generator[tuple[Task, Judged], None, None]:
    """Yield each task with its result, in order.

    Args:
        context: What is the same for all tasks.
        tasks: The tasks.
        executor: Judges the tasks; without one, they are judged in a loop.
        shared: Strings that are in memory already, so that results need not hold them again.
        local: The state of this process, for a loop only.

    Raises:
        InputError: The error of the first task that has one.
        UnavailableError: If a worker was lost, or its result does not belong to its task.
    """
    if executor is None:
        context = context.opened()
        for task in tasks:
            yield task, judge_task(context, task, local)
        return
    sent, registry = pickle.dumps(context), context.case.evidence.registry
    texts = {text: text for text in shared}
    waiting: deque[tuple[Task, Future[bytes]]] = deque()
    try:
        for task in tasks:
            with _lost_workers():
                future = executor.submit(step, sent, pickle.dumps(task))
            waiting.append((task, future))
            if len(waiting) >= IN_FLIGHT:
                yield _result(*waiting.popleft(), registry, texts)
        while waiting:
            yield _result(*waiting.popleft(), registry, texts)
    finally:
        for _, future in waiting:
            future.cancel()


def _result(
    task: Task, future: Future[bytes], registry: Registry, texts: Mapping[str, str]
) -> tuple[Task, Judged]:
    with _lost_workers():
        data = future.result()
    return task, read_result(data, task, registry, texts)


@contextmanager
def _lost_workers() -> Iterator[None]:
    """Turn the errors of an executor into UnavailableError: they allow no verdict."""
    from concurrent.futures import BrokenExecutor, CancelledError

    try:
        yield
    except (BrokenExecutor, CancelledError, OSError) as e:
        raise UnavailableError(
            f"a worker was lost: {e or type(e).__name__}",
            help="Run it again, on a machine with more memory if that was the cause.",
        ) from e
