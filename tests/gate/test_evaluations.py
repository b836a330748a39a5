# SPDX-License-Identifier: Apache-2.0
"""The flat record of an evaluation: what its folds give, and in which places a gate is stated."""

from __future__ import annotations

import json
import math
import statistics
from typing import Any

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


def places(found: Any) -> list[str]:
    return [".".join(where) for where, _ in found]


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
def test_a_record_that_its_folds_give(changes: dict[str, Any]) -> None:
    for sidecar in (record(**evaluation(**changes)), record(training=evaluation(**changes))):
        assert places(wrong_statistics(sidecar)) == []
        assert places(wrong_gate(sidecar)) == []


@pytest.mark.parametrize("name", ["mean", "min", "max", "std"])
@pytest.mark.parametrize("value", [0.9, 0.9999, "0.99", True, 10**400, []])
def test_a_statistic_that_the_folds_do_not_give(name: str, value: Any) -> None:
    found = wrong_statistics(record(training=evaluation(**{f"loso_{name}_plcc": value})))
    assert places(found) == [f"training.loso_{name}_plcc"]


@pytest.mark.parametrize("value", [None, "0.99", True, 1.5, [], 10**400])
def test_a_fold_without_a_number_gives_nothing(value: Any) -> None:
    folds = [{"plcc": 0.99}, {"plcc": value}, {"plcc": 0.98}]
    sidecar = record(**evaluation(loso_folds=folds))
    assert len(places(wrong_statistics(sidecar))) == 4
    # The mean that decides is then the recorded one.
    assert places(wrong_gate(sidecar)) == []
    assert places(wrong_gate(record(**evaluation(loso_folds=folds, loso_mean_plcc=0.9))))


@pytest.mark.parametrize("folds", [[], {}, "0.99", 5, False])
def test_folds_that_are_no_list_of_folds(folds: Any) -> None:
    assert places(wrong_statistics(record(**evaluation(loso_folds=folds)))) == ["loso_folds"]


def test_folds_that_are_no_list_are_named_once_in_each_place() -> None:
    fields = evaluation(loso_folds=5)
    assert places(wrong_statistics(record(training=fields))) == ["training.loso_folds"]
    below = evaluation(loso_folds=7)
    found = places(wrong_statistics(record(**fields, training=below)))
    assert found == ["loso_folds", "training.loso_folds"]


@pytest.mark.parametrize(("name", "half_units"), [("mean", 1), ("min", 1), ("max", 1), ("std", 2)])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("exact", [0, 1, 2])
def test_a_statistic_is_as_exact_as_the_least_exact_of_its_folds(
    name: str, half_units: int, sign: int, exact: int
) -> None:
    """Folds of four decimals may each be half a unit off, and a deviation is moved by two."""
    folds = [0.9973, 0.9988, 0.9961]
    folds[exact] += 1e-9 * math.pi  # one of them was written in full
    given = {
        "mean": statistics.fmean(folds),
        "min": min(folds),
        "max": max(folds),
        "std": (statistics.stdev if sign > 0 else statistics.pstdev)(folds),
    }[name]
    limit = half_units * 0.5e-4

    def found(off: float) -> list[str]:
        fields = {
            f"loso_{name}_plcc": given + sign * off,
            "loso_folds": [{"plcc": v} for v in folds],
        }
        return places(wrong_statistics(record(**fields)))

    assert found(0.9 * limit) == []
    assert found(1.1 * limit) == [f"loso_{name}_plcc"]


@pytest.mark.parametrize("deviation", [statistics.stdev, statistics.pstdev])
def test_two_folds_have_a_deviation_of_either_kind(deviation: Any) -> None:
    two = [0.9973, 0.9873]
    fields = {"loso_std_plcc": deviation(two), "loso_folds": [{"plcc": v} for v in two]}
    assert places(wrong_statistics(record(**fields))) == []


@pytest.mark.parametrize("fold", [0.99, None, "x", []])
def test_a_fold_that_is_no_object_has_no_number(fold: Any) -> None:
    found = wrong_statistics(record(**evaluation(loso_folds=[fold, {"plcc": 0.99}])))
    assert len(places(found)) == 4


def test_one_fold_has_no_deviation() -> None:
    one = evaluation(loso_folds=[{"plcc": 0.99}])
    one |= {f"loso_{n}_plcc": 0.99 for n in ("mean", "min", "max")} | {"loso_std_plcc": 0.0}
    assert places(wrong_statistics(record(**one))) == []
    assert places(wrong_statistics(record(**one | {"loso_std_plcc": 0.01}))) == ["loso_std_plcc"]


def test_folds_count_for_both_places() -> None:
    top = {"loso_mean_plcc": statistics.fmean(FOLDS), "loso_min_plcc": 0.5}
    assert places(wrong_statistics(record(**top, training=evaluation()))) == ["loso_min_plcc"]


@pytest.mark.parametrize("name", ["loso_mean_plcc", "loso_std_srocc", "ship_gate_mean_plcc"])
def test_two_places_have_one_number(name: str) -> None:
    def both(top: Any, below: Any) -> list[str]:
        return places(wrong_statistics(record(**{name: top, "training": {name: below}})))

    assert both(0.9712345, 0.97123) == []
    assert both(0.97, 0.96) == [name]
    assert both(0.97, None) == []
    assert both(True, 1) == [name]


@pytest.mark.parametrize("name", ["a", "loso_mean", "loso_sum_plcc", "ship_gate", "zeta"])
def test_what_is_no_number_of_an_evaluation_may_differ_in_two_places(name: str) -> None:
    fields = {name: 0.97, "training": {name: 0.96}}
    assert places(wrong_statistics(record(**fields))) == []


def test_a_number_that_differs_is_named_behind_those_that_agree() -> None:
    top = {"loso_mean_plcc": 0.97, "loso_min_plcc": 0.9, "loso_max_plcc": 0.99}
    below = {"loso_mean_plcc": 0.97, "loso_max_plcc": 0.98}
    found = wrong_statistics(record(**top, note="x", training=below | {"note": "y"}))
    assert places(found) == ["loso_max_plcc"]


def test_a_number_that_its_folds_refute_is_not_held_against_the_other_place_too() -> None:
    top = {"loso_mean_plcc": 0.5, "loso_min_plcc": 0.5}
    found = wrong_statistics(record(**top, training=evaluation()))
    assert places(found) == ["loso_mean_plcc", "loso_min_plcc"]


@pytest.mark.parametrize(
    "changes",
    [
        {"ship_gate_mean_plcc": 0.9975},
        {"ship_gate_mean_plcc": "0.95"},
        {"ship_gate_mean_plcc": None},
        {"loso_folds": [{"plcc": 0.9}], "loso_mean_plcc": 0.99},  # the folds decide
        {"loso_folds": None, "loso_mean_plcc": 0.94},
        {"loso_folds": None, "loso_mean_plcc": None},
        {"loso_folds": None, "loso_mean_plcc": 99.7},
        {"gate_passed": "true"},
        {"gate_passed": 1},
    ],
)
def test_a_gate_that_was_not_passed(changes: dict[str, Any]) -> None:
    assert places(wrong_gate(record(**evaluation(**changes)))) == ["gate_passed"]
    below = record(training=evaluation(**changes))
    assert places(wrong_gate(below)) == ["training.gate_passed"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"ship_gate_mean_plcc": "0.95"},
            "the mean of its folds or `ship_gate_mean_plcc` is",
        ),
        ({"loso_folds": None, "loso_mean_plcc": None}, "`loso_mean_plcc` or `ship_gate_mean_plcc`"),
        ({"ship_gate_mean_plcc": 0.999}, "the mean of its folds 0.99"),
        ({"loso_folds": None, "loso_mean_plcc": 0.9}, "`loso_mean_plcc` 0.9 fails `ship_gate"),
    ],
)
def test_why_a_gate_was_not_passed(changes: dict[str, Any], says: str) -> None:
    ((_, message),) = wrong_gate(record(**evaluation(**changes)))
    assert message.startswith(f"`gate_passed` is True, but {says}")


@pytest.mark.parametrize("passed", [True, False, None, 1])
def test_a_limit_that_is_not_a_number_is_reported_once(passed: Any) -> None:
    """By the gate, where it decides a pass; else as a number of the record."""
    fields = evaluation(gate_passed=passed, ship_gate_mean_plcc="0.95")
    where = ["ship_gate_mean_plcc"]
    assert places(wrong_statistics(record(**fields))) == ([] if passed is True else where)
    below = record(training=fields)
    assert places(wrong_statistics(below)) == ([] if passed is True else ["training." + where[0]])


def test_a_pass_that_is_not_a_boolean_is_reported_once() -> None:
    """1 is not true, whatever it would be taken for: the folds are not held against it too."""
    fields = evaluation(gate_passed=1, ship_gate_mean_plcc=0.999)
    assert places(wrong_gate(record(**fields))) == ["gate_passed"]


def test_the_first_contradicting_outcome_is_reported() -> None:
    fields = {"gate": {"verdict": "PROMOTE", "passed": True}, "verdict": "PROMOTE"}
    ((_, message),) = wrong_gate(record(**fields, gate_passed=False))
    assert message == "`gate.verdict` is 'PROMOTE', but `gate_passed` is False"


def test_a_pass_without_a_limit_is_not_refuted() -> None:
    assert places(wrong_gate(record(gate_passed=True, loso_mean_plcc=0.1))) == []


def test_a_flag_at_the_top_is_judged_by_the_record_below() -> None:
    below = evaluation(ship_gate_mean_plcc=0.9975)
    del below["gate_passed"]
    assert places(wrong_gate(record(gate_passed=True, training=below))) == ["gate_passed"]


@pytest.mark.parametrize(
    ("fields", "first"),
    [
        ({"gate_passed": True, "training": {"gate_passed": False}}, "gate_passed"),
        ({"gate": {"verdict": "PROMOTE"}, "gate_passed": False}, "gate.verdict"),
        ({"gate": {"passed": True}, "verdict": "HOLD"}, "verdict"),
        ({"gate": {"passed": True, "verdict": "PASS"}}, None),  # a word of their own
        ({"verdict": "HOLD", "training": {"gate_passed": False}}, None),
    ],
)
def test_all_places_state_one_outcome(fields: dict[str, Any], first: str | None) -> None:
    assert places(wrong_gate(record(**fields))) == ([first] if first else [])


def test_where_an_outcome_is_stated() -> None:
    stated = dict(stated_outcomes(record(**evaluation(), gate=seed_gate(0.99), verdict="HOLD")))
    assert {".".join(where): passed for where, passed in stated.items()} == {
        "gate.verdict": True,
        "verdict": False,
        "gate.passed": True,
        "gate_passed": True,
    }


@pytest.mark.parametrize("statistic", ["mean", "std"])
def test_folds_whose_sum_overflows_are_reported(statistic: str) -> None:
    folds = [{"rmse": 1.7e308}, {"rmse": 1.7e308 if statistic == "mean" else -1.7e308}]
    found = list(wrong_statistics(record(loso_folds=folds, **{f"loso_{statistic}_rmse": 1})))
    assert places(found) == [f"loso_{statistic}_rmse"]
    assert found[0][1].endswith("its folds give a number too large for a float")


def test_a_wrong_deviation_is_reported_with_that_of_a_sample() -> None:
    found = list(wrong_statistics(record(**evaluation(loso_std_plcc=0.5))))
    assert places(found) == ["loso_std_plcc"]
    assert found[0][1].endswith(f"its folds give {statistics.stdev(FOLDS)!r}")
