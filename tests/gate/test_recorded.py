# SPDX-License-Identifier: Apache-2.0
"""How exact a recorded number is: at the edge of what is still the same number."""

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
def test_correlation_is_at_most_one_and_the_error_of_a_sum(value: float) -> None:
    assert correlation(value) == value
    assert correlation(math.nextafter(value, 2 * value)) is None


@pytest.mark.parametrize("value", [TOLERANCE, -TOLERANCE])
def test_number_within_the_error_of_a_sum_from_its_limit_is_undecided(value: float) -> None:
    assert reaches(value, 0.0) is None
    assert reaches(math.nextafter(value, 2 * value), 0.0) is (value > 0)


@pytest.mark.parametrize(
    ("value", "limit", "reached"),
    [(0.95, 0.95, True), (None, 0.95, False), (0.95, None, False), (None, None, False)],
)
def test_number_reaches_its_limit(value: float | None, limit: float | None, reached: bool) -> None:
    assert reaches(value, limit) is reached


@pytest.mark.parametrize(
    ("value", "half"), [(0.997512, 0.5e-6), (0.9975, 0.5e-4), (0.9, 0.5e-4), (1.0, 0.5e-4)]
)
def test_number_is_exact_to_half_its_last_decimal_of_at_least_four(
    value: float, half: float
) -> None:
    assert unit(value) == pytest.approx(half)


def test_recorded_number_may_differ_by_half_its_last_decimal() -> None:
    # At 0 the difference is the number itself, and its computation loses nothing.
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
def test_records_agree_in_kind_and_value(found: Any, expected: Any, agree: bool) -> None:
    assert same(found, expected) is agree


@pytest.mark.parametrize(
    ("expected", "agree"),
    [(8.9168, True), (8.91681289, True), (8.91683, False)],  # rounded, in 32 bits, another number
)
def test_statistic_may_be_rounded_or_of_32_bits(expected: float, agree: bool) -> None:
    assert same_statistic(8.9168123456789, expected) is agree
