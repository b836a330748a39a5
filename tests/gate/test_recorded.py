# SPDX-License-Identifier: Apache-2.0
"""How exactly a recorded number is meant, at the very edge of what is still the same number."""

from __future__ import annotations

import math
from typing import Any

import pytest

from provenance.evidence.recorded import (
    TOLERANCE,
    close,
    correlation,
    reaches,
    same,
    same_statistic,
    unit,
)


@pytest.mark.parametrize("value", [1 + TOLERANCE, -1 - TOLERANCE])
def test_a_correlation_is_at_most_one_and_what_a_sum_adds(value: float) -> None:
    assert correlation(value) == value
    assert correlation(math.nextafter(value, 2 * value)) is None


@pytest.mark.parametrize("value", [TOLERANCE, -TOLERANCE])
def test_a_number_that_the_order_of_a_sum_moves_over_its_limit_is_undecided(value: float) -> None:
    assert reaches(value, 0.0) is None
    assert reaches(math.nextafter(value, 2 * value), 0.0) is (value > 0)


def test_a_number_on_its_limit_reaches_it() -> None:
    assert reaches(0.95, 0.95) is True


@pytest.mark.parametrize(("value", "limit"), [(None, 0.95), (0.95, None), (None, None)])
def test_nothing_is_reached_without_a_number_or_without_a_limit(
    value: float | None, limit: float | None
) -> None:
    assert reaches(value, limit) is False


@pytest.mark.parametrize(
    ("value", "half"), [(0.997512, 0.5e-6), (0.9975, 0.5e-4), (0.9, 0.5e-4), (1.0, 0.5e-4)]
)
def test_a_number_is_exact_to_half_its_last_decimal_and_at_least_to_four(
    value: float, half: float
) -> None:
    assert unit(value) == pytest.approx(half)


def test_a_recorded_number_is_close_up_to_and_with_its_last_half_decimal() -> None:
    # At 0 the difference is the number itself, so that nothing is lost in computing it.
    edge = TOLERANCE + unit(0.0) + 0.25
    assert close(0.0, edge, 0.25)
    assert not close(0.0, math.nextafter(edge, 1), 0.25)


@pytest.mark.parametrize(
    ("found", "expected", "agree"),
    [
        ("HOLD", "HOLD", True),
        ("HOLD", "PROMOTE", False),
        ("PROMOTE", "HOLD", False),
        ([1], [1], True),
        (True, 1, False),
        (1, True, False),
        (1, 1.0, True),
        (None, None, True),
        (None, 0, False),
        (0.1234, 0.12343, True),
        (0.1234, 0.12361, False),
    ],
)
def test_two_records_agree_in_kind_and_value(found: Any, expected: Any, agree: bool) -> None:
    assert same(found, expected) is agree


@pytest.mark.parametrize(
    ("found", "expected", "agree"),
    [
        (0.1234, 0.12343, True),  # rounded
        (8.9168123456789, 8.91681289, True),  # 32 bits
        (8.9168123456789, 8.91683, False),
    ],
)
def test_a_statistic_may_have_been_rounded_or_held_in_32_bits(
    found: float, expected: float, agree: bool
) -> None:
    assert same_statistic(found, expected) is agree
