# SPDX-License-Identifier: Apache-2.0
"""Read and compare recorded numbers, with the precision in which they were written."""

from __future__ import annotations

import math
from typing import Final

TOLERANCE: Final = 1e-9
"""How far a recomputed mean or spread may differ from the recorded one, by summation order."""

ROUNDED_TO: Final = 4
"""Recorded numbers may have been rounded to this many decimals, but not to fewer."""

_COARSEST: Final = 0.5 * 10.0**-ROUNDED_TO
_FARTHEST: Final = TOLERANCE + _COARSEST + _COARSEST
"""The largest difference of two records of the same number, however each is rounded."""

SINGLE: Final = 1e-6
"""The largest relative difference of two records of the same number if one had 32 bits."""


def number(value: object) -> float | None:
    """Return a finite number, or None for anything else."""
    if type(value) is int:
        try:
            value = float(value)
        except OverflowError:  # integers in JSON have any size
            return None
    return value if type(value) is float and math.isfinite(value) else None


def correlation(value: object) -> float | None:
    """Return a possible correlation, or None for anything else."""
    found = number(value)
    return found if found is not None and abs(found) <= 1 + TOLERANCE else None


def least(value: object) -> float | None:
    """Return a lower limit of a correlation, or None if every model reaches it."""
    found = number(value)
    return found if found is not None and found > TOLERANCE else None


def most(value: object) -> float | None:
    """Return an upper limit of a spread, or None if no passing seeds exceed it."""
    found = number(value)
    return found if found is not None and found < 1 else None


def spread(value: object) -> float | None:
    """Return a possible difference of two correlations, or None for anything else."""
    found = number(value)
    return found if found is not None and 0 <= found <= 2 + TOLERANCE else None


def reaches(value: float | None, limit: float | None) -> bool | None:
    """Return whether `value` is at least `limit`, or None if they are equal within rounding."""
    if value is None or limit is None:
        return False
    undecided = value != limit and abs(value - limit) <= TOLERANCE
    return None if undecided else value >= limit


def unit(value: float) -> float:
    """Return half a unit in the last decimal of a number, which may have been rounded."""
    digits, _, exponent = repr(value).partition("e")
    decimals = len(digits.partition(".")[2]) - int(exponent or 0)
    return float(0.5 * 10.0 ** -max(decimals, ROUNDED_TO))


def close(found: object, value: float, slack: float) -> bool:
    """Whether a recorded number equals `value` within the precision of both."""
    recorded = number(found)
    return recorded is not None and abs(recorded - value) <= TOLERANCE + unit(recorded) + slack


def same(found: object, expected: object) -> bool:
    """Whether two records of the same value agree. `True` and 1 are different values."""
    value = number(expected)
    if value is None:
        return type(found) is type(expected) and found == expected
    recorded = number(found)
    if recorded is None or abs(recorded - value) > _FARTHEST:
        return False
    return recorded == value or close(found, value, unit(value))


def same_statistic(found: float, expected: float) -> bool:
    """Whether two records of the same statistic agree. One may have been computed in 32 bits."""
    return same(found, expected) or math.isclose(found, expected, rel_tol=SINGLE)
