# SPDX-License-Identifier: Apache-2.0
"""Work in threads: each item once, in order, until the first error."""

from __future__ import annotations

import threading
import time

import pytest

from provenance.evidence.workers import map_in_threads
from tests.support.command import time_limit


@pytest.mark.parametrize("count", [0, 500])
def test_every_item_is_processed_once_and_results_are_in_order(count: int) -> None:
    done: list[int] = []

    def work(item: int) -> int:
        done.append(item)
        return item * item

    assert map_in_threads(work, range(count)) == [i * i for i in range(count)]
    assert sorted(done) == list(range(count))


def test_two_items_are_processed_at_once() -> None:
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
