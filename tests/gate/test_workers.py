# SPDX-License-Identifier: Apache-2.0
"""Work in threads: every item once, in order, and an end as soon as something is wrong."""

from __future__ import annotations

import threading
import time

import pytest

from provenance.evidence.workers import map_in_threads
from tests.support.command import time_limit


def test_every_item_is_done_once_and_results_stand_in_order() -> None:
    done: list[int] = []

    def work(item: int) -> int:
        done.append(item)
        return item * item

    items = list(range(500))
    assert map_in_threads(work, items) == [i * i for i in items]
    assert sorted(done) == items


def test_of_nothing_there_is_nothing() -> None:
    assert map_in_threads(lambda item: item, []) == []


def test_several_are_done_at_once() -> None:
    both = threading.Barrier(2, timeout=20)
    map_in_threads(lambda _: both.wait(), [0, 1])


def test_an_error_is_raised_and_ends_the_work() -> None:
    done: list[int] = []

    def work(item: int) -> None:
        if item == 3:
            raise ValueError(item)
        done.append(item)
        time.sleep(0.001)

    with pytest.raises(ValueError, match="3"):
        map_in_threads(work, range(100_000))
    assert len(done) < 1000


def test_an_interrupt_ends_the_work() -> None:
    with pytest.raises(TimeoutError), time_limit(0.2):
        map_in_threads(lambda _: time.sleep(0.01), range(100_000))
