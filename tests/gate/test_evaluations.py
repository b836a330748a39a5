# SPDX-License-Identifier: Apache-2.0
"""The flat record of an evaluation: what its folds give, and where it states an outcome."""

from __future__ import annotations

import json
import math
import statistics
from typing import Any, Final

import pytest

from provenance.artifacts import digest
from provenance.artifacts.sidecar import Sidecar
from provenance.evidence.evaluation import stated_outcomes
from provenance.gate.rules.ensembles.folds import wrong_statistics
from provenance.gate.rules.ensembles.verdicts import wrong_gate
from tests.support.repository import seed_gate

FOLDS = [0.9973, 0.9988, 0.9961]


def record(**fields: Any) -> Sidecar:
    return Sidecar("m.json", digest.of_bytes(b""), json.dumps(fields), fields)


def evaluation(**changes: Any) -> dict[str, Any]:
    """The flat record of an evaluation with three folds, as an exporter writes it."""
    return {
        "gate_passed": True,
        "loso_folds": [{"held_out": str(i), "plcc": v} for i, v in enumerate(FOLDS)],
        "loso_mean_plcc": statistics.fmean(FOLDS),
        "loso_min_plcc": min(FOLDS),
        "loso_max_plcc": max(FOLDS),
        "loso_std_plcc": statistics.stdev(FOLDS),
        "ship_gate_mean_plcc": 0.95,
    } | changes


def statistics_wrong(**fields: Any) -> list[str]:
    return [".".join(where) for where, _ in wrong_statistics(record(**fields))]


def gate_wrong(**fields: Any) -> list[str]:
    return [".".join(where) for where, _ in wrong_gate(record(**fields))]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"loso_std_plcc": statistics.pstdev(FOLDS)},
        {"loso_mean_plcc": round(statistics.fmean(FOLDS), 4)},
        {"loso_std_plcc": round(statistics.stdev(FOLDS), 5)},
        {"loso_mean_srocc": 0.1},  # the folds do not have it
        {"loso_mean_plcc": None},
        {"ship_gate_mean_plcc": statistics.fmean(FOLDS)},  # the limit itself passes
        {"gate_passed": False},  # there may be more to a gate than its mean
        {"gate_passed": None},
    ],
)
def test_record_that_its_folds_give_is_right(changes: dict[str, Any]) -> None:
    for fields in (evaluation(**changes), {"training": evaluation(**changes)}):
        assert statistics_wrong(**fields) == []
        assert gate_wrong(**fields) == []


@pytest.mark.parametrize("name", ["mean", "min", "max", "std"])
@pytest.mark.parametrize("value", [0.9, 0.9999, "0.99", True, 10**400, []])
def test_statistic_that_the_folds_do_not_give_is_named(name: str, value: Any) -> None:
    fields = evaluation(**{f"loso_{name}_plcc": value})
    assert statistics_wrong(training=fields) == [f"training.loso_{name}_plcc"]


NO_NUMBERS: Final[list[Any]] = [None, "0.99", True, 1.5, [], 10**400]


@pytest.mark.parametrize("fold", [*({"plcc": v} for v in NO_NUMBERS), 0.99, None, "x", []])
def test_fold_without_a_number_gives_no_statistics(fold: Any) -> None:
    folds = [{"plcc": 0.99}, fold, {"plcc": 0.98}]
    assert len(statistics_wrong(**evaluation(loso_folds=folds))) == 4
    # The recorded mean decides then.
    assert gate_wrong(**evaluation(loso_folds=folds)) == []
    assert gate_wrong(**evaluation(loso_folds=folds, loso_mean_plcc=0.9)) == ["gate_passed"]


@pytest.mark.parametrize("folds", [[], {}, "0.99", 5, False])
def test_folds_that_are_not_a_list_of_folds_are_named_once_in_each_place(folds: Any) -> None:
    fields = evaluation(loso_folds=folds)
    assert statistics_wrong(**fields) == ["loso_folds"]
    assert statistics_wrong(training=fields) == ["training.loso_folds"]
    both = statistics_wrong(**fields, training=evaluation(loso_folds=7))
    assert both == ["loso_folds", "training.loso_folds"]


@pytest.mark.parametrize(("name", "half_units"), [("mean", 1), ("min", 1), ("max", 1), ("std", 2)])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("exact", [0, 1, 2])
def test_statistic_is_as_exact_as_the_least_exact_of_its_folds(
    name: str, half_units: int, sign: int, exact: int
) -> None:
    """Folds of four decimals may each be half a unit off, and a deviation is moved by two."""
    folds = list(FOLDS)
    folds[exact] += 1e-9 * math.pi  # the other two are rounded
    deviation = statistics.stdev if sign > 0 else statistics.pstdev
    compute: Any = {"mean": statistics.fmean, "min": min, "max": max, "std": deviation}[name]
    for off, expected in ((0.9, []), (1.1, [f"loso_{name}_plcc"])):
        value = compute(folds) + sign * off * half_units * 0.5e-4
        fields = {f"loso_{name}_plcc": value, "loso_folds": [{"plcc": v} for v in folds]}
        assert statistics_wrong(**fields) == expected


SAME: Final = {"loso_mean_plcc": 0.99, "loso_min_plcc": 0.99, "loso_max_plcc": 0.99}
TWO: Final = [{"plcc": 0.9973}, {"plcc": 0.9873}]
MEAN: Final = statistics.fmean(FOLDS)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"loso_std_plcc": statistics.stdev([0.9973, 0.9873]), "loso_folds": TWO}, []),
        ({"loso_std_plcc": statistics.pstdev([0.9973, 0.9873]), "loso_folds": TWO}, []),
        ({"loso_folds": [{"plcc": 0.99}], "loso_std_plcc": 0.0, **SAME}, []),
        ({"loso_folds": [{"plcc": 0.99}], "loso_std_plcc": 0.01, **SAME}, ["loso_std_plcc"]),
        # Folds count for both places, and so does each number.
        (
            {"loso_mean_plcc": MEAN, "loso_min_plcc": 0.5, "training": evaluation()},
            ["loso_min_plcc"],
        ),
        (
            {"loso_mean_plcc": 0.5, "loso_min_plcc": 0.5, "training": evaluation()},
            ["loso_mean_plcc", "loso_min_plcc"],
        ),
        *(
            ({name: top, "training": {name: below}}, expected)
            for name in ("loso_mean_plcc", "loso_std_srocc", "ship_gate_mean_plcc")
            for top, below, expected in (
                (0.9712345, 0.97123, []),
                (0.97, 0.96, [name]),
                (0.97, None, []),
                (True, 1, [name]),
            )
        ),
        *(
            ({name: 0.97, "training": {name: 0.96}}, [])  # not a number of an evaluation
            for name in ("a", "loso_mean", "loso_sum_plcc", "ship_gate", "zeta")
        ),
        (
            {
                "loso_mean_plcc": 0.97,
                "loso_min_plcc": 0.9,
                "loso_max_plcc": 0.99,
                "note": 1,
                "training": {"loso_mean_plcc": 0.97, "loso_max_plcc": 0.98, "note": 2},
            },
            ["loso_max_plcc"],
        ),
        # A limit that is not a number belongs to the gate if it decides a pass.
        (evaluation(ship_gate_mean_plcc="0.95"), []),
        *(
            (evaluation(ship_gate_mean_plcc="0.95", gate_passed=passed), ["ship_gate_mean_plcc"])
            for passed in (False, None, 1)
        ),
        ({"training": evaluation(ship_gate_mean_plcc="0.95")}, []),
        (
            {"training": evaluation(ship_gate_mean_plcc="0.95", gate_passed=1)},
            ["training.ship_gate_mean_plcc"],
        ),
    ],
)
def test_statistics_are_compared_with_folds_and_each_other(
    fields: dict[str, Any], expected: list[str]
) -> None:
    assert statistics_wrong(**fields) == expected


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        *(
            (
                {"loso_folds": [{"rmse": 1.7e308}, {"rmse": second}], f"loso_{name}_rmse": 1},
                "its folds give a number too large for a float",
            )
            for name, second in (("mean", 1.7e308), ("std", -1.7e308))
        ),
        (evaluation(loso_std_plcc=0.5), f"its folds give {statistics.stdev(FOLDS)!r}"),
    ],
)
def test_message_states_what_the_folds_give(fields: dict[str, Any], says: str) -> None:
    ((_, message),) = wrong_statistics(record(**fields))
    assert message.endswith(says)


PASSED: Final = "`gate_passed` is True, but"
NO_LIMIT: Final = f"{PASSED} the mean of its folds or `ship_gate_mean_plcc` is"
NO_MEAN: Final = f"{PASSED} `loso_mean_plcc` or `ship_gate_mean_plcc`"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ship_gate_mean_plcc": 0.9975}, f"{PASSED} the mean of its folds 0.997"),
        ({"ship_gate_mean_plcc": "0.95"}, NO_LIMIT),
        ({"ship_gate_mean_plcc": None}, NO_LIMIT),
        # The folds decide, not the recorded mean.
        (
            {"loso_folds": [{"plcc": 0.9}], "loso_mean_plcc": 0.99},
            f"{PASSED} the mean of its folds 0.9",
        ),
        (
            {"loso_folds": None, "loso_mean_plcc": 0.94},
            f"{PASSED} `loso_mean_plcc` 0.94 fails `ship_gate_mean_plcc`",
        ),
        ({"loso_folds": None, "loso_mean_plcc": None}, NO_MEAN),
        ({"loso_folds": None, "loso_mean_plcc": 99.7}, NO_MEAN),
        ({"gate_passed": "true"}, "`gate_passed`: expected true or false, found 'true'"),
        ({"gate_passed": 1, "ship_gate_mean_plcc": 0.999}, "`gate_passed`: expected true or false"),
    ],
)
def test_gate_that_was_not_passed_is_refuted_once(changes: dict[str, Any], says: str) -> None:
    ((where, message),) = wrong_gate(record(**evaluation(**changes)))
    assert where == ("gate_passed",)
    assert message.startswith(says)
    assert gate_wrong(training=evaluation(**changes)) == ["training.gate_passed"]


UNDECIDED: Final = {k: v for k, v in evaluation().items() if k != "gate_passed"}


@pytest.mark.parametrize(
    ("fields", "first"),
    [
        ({"gate_passed": True, "loso_mean_plcc": 0.1}, None),  # without a limit
        (
            {"gate_passed": True, "training": UNDECIDED | {"ship_gate_mean_plcc": 0.9975}},
            "gate_passed",
        ),
        ({"gate_passed": True, "training": {"gate_passed": False}}, "gate_passed"),
        ({"gate": {"verdict": "PROMOTE"}, "gate_passed": False}, "gate.verdict"),
        ({"gate": {"passed": True}, "verdict": "HOLD"}, "verdict"),
        ({"gate": {"passed": True, "verdict": "PASS"}}, None),  # not a word for an outcome
        ({"verdict": "HOLD", "training": {"gate_passed": False}}, None),
    ],
)
def test_all_places_state_one_outcome(fields: dict[str, Any], first: str | None) -> None:
    assert gate_wrong(**fields) == ([first] if first else [])


def test_first_contradicting_outcome_is_reported() -> None:
    fields = {"gate": {"verdict": "PROMOTE", "passed": True}, "verdict": "PROMOTE"}
    ((_, message),) = wrong_gate(record(**fields, gate_passed=False))
    assert message == "`gate.verdict` is 'PROMOTE', but `gate_passed` is False"


def test_outcome_may_be_stated_in_four_places() -> None:
    stated = dict(stated_outcomes(record(**evaluation(), gate=seed_gate(0.99), verdict="HOLD")))
    assert {".".join(where): passed for where, passed in stated.items()} == {
        "gate.verdict": True,
        "verdict": False,
        "gate.passed": True,
        "gate_passed": True,
    }
