# SPDX-License-Identifier: Apache-2.0
"""Numbers as a record holds them: which are numbers at all, and how exactly they are meant."""

from __future__ import annotations

import math
from typing import Final

TOLERANCE: Final = 1e-9
"""How far a recomputed mean or spread may be from the recorded one: summation order, no more."""

ROUNDED_TO: Final = 4
"""The fewest decimals of a number that may have been rounded for the record."""

_COARSEST: Final = 0.5 * 10.0**-ROUNDED_TO
_FARTHEST: Final = TOLERANCE + _COARSEST + _COARSEST
"""How far two records of one number may be apart at most, however either is rounded."""

SINGLE: Final = 1e-6
"""How far two records of one number may be apart, as a part of it, where one held 32 bits."""


def number(value: object) -> float | None:
    """A finite number, None for anything else."""
    if type(value) is int:
        try:
            value = float(value)
        except OverflowError:  # JSON's integers have no end
            return None
    return value if type(value) is float and math.isfinite(value) else None


def correlation(value: object) -> float | None:
    """A number that a correlation can be, None for anything else."""
    found = number(value)
    return found if found is not None and abs(found) <= 1 + TOLERANCE else None


def least(value: object) -> float | None:
    """The least correlation that passes, None for what is no limit: every model reaches 0."""
    found = number(value)
    return found if found is not None and found > TOLERANCE else None


def most(value: object) -> float | None:
    """The largest spread that passes, None for what is no limit: seeds that pass never reach 1."""
    found = number(value)
    return found if found is not None and found < 1 else None


def spread(value: object) -> float | None:
    """A number that a difference of two correlations can be, None for anything else."""
    found = number(value)
    return found if found is not None and 0 <= found <= 2 + TOLERANCE else None


def reaches(value: float | None, limit: float | None) -> bool | None:
    """Whether `value` is at least `limit`; None where the two cannot be told apart."""
    if value is None or limit is None:
        return False
    undecided = value != limit and abs(value - limit) <= TOLERANCE
    return None if undecided else value >= limit


def unit(value: float) -> float:
    """Half a unit in the last decimal of a number, where that may have been rounded."""
    digits, _, exponent = repr(value).partition("e")
    decimals = len(digits.partition(".")[2]) - int(exponent or 0)
    return float(0.5 * 10.0 ** -max(decimals, ROUNDED_TO))


def close(found: object, value: float, slack: float) -> bool:
    """Whether a recorded number is `value`, give or take how exactly both were written."""
    recorded = number(found)
    return recorded is not None and abs(recorded - value) <= TOLERANCE + unit(recorded) + slack


def same(found: object, expected: object) -> bool:
    """Whether two records of one value agree; `True` and 1 are two values."""
    value = number(expected)
    if value is None:
        return type(found) is type(expected) and found == expected
    recorded = number(found)
    if recorded is None or abs(recorded - value) > _FARTHEST:
        return False
    return recorded == value or close(found, value, unit(value))


def same_statistic(found: float, expected: float) -> bool:
    """Whether two records of one statistic agree; one may have been computed in 32 bits."""
    return same(found, expected) or math.isclose(found, expected, rel_tol=SINGLE)
