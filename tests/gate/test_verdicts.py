# SPDX-License-Identifier: Apache-2.0
"""What follows from the numbers of a gate, and which members of a record are named as wrong."""

from __future__ import annotations

import json
import math
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.artifacts import digest
from provenance.artifacts.ensemble import GateVerdict, Manifest
from provenance.artifacts.sidecar import Sidecar
from provenance.evidence.recorded import TOLERANCE
from provenance.gate.rules.base import shown
from provenance.gate.rules.ensembles.verdicts import wrong_gate, wrong_verdict
from tests.support.repository import seed_gate, verdict_gate

MEAN, SEED, SPREAD = "mean_plcc_threshold", "per_seed_min", "plcc_spread_max"
GOOD = {"0": 0.9975056856587572, "1": 0.9971592269106849, "2": 0.9978134265425399}


def verdict(gate: Any, word: str = "PROMOTE", **more: Any) -> GateVerdict:
    value = {"gate": gate, "verdict": word} | more
    return GateVerdict("e_PROMOTE.json", digest.of_bytes(b""), json.dumps(value), value)


def named(gate: Any, word: str = "PROMOTE", **more: Any) -> set[str]:
    """The last steps of the members that are named."""
    return {where[-1] for where, _ in wrong_verdict(verdict(gate, word, **more))}


def judged(per_seed: dict[str, Any], **changes: Any) -> tuple[dict[str, Any], str]:
    """The gate of an honest evaluation and its verdict, as an exporter computes them."""
    values = list(per_seed.values())
    gate = verdict_gate(per_seed) | changes
    gate["failing_seeds"] = [s for s, v in sorted(per_seed.items()) if not v >= gate[SEED]]
    gate["mean_plcc"] = math.fsum(values) / len(values)
    gate["mean_plcc_pass"] = gate["mean_plcc"] >= gate[MEAN]
    gate["per_seed_pass"] = not gate["failing_seeds"]
    gate["plcc_spread_pass"] = gate["plcc_spread"] <= gate[SPREAD]
    gate["passed"] = all(gate[f"{n}_pass"] for n in ("mean_plcc", "per_seed", "plcc_spread"))
    return gate, "PROMOTE" if gate["passed"] else "HOLD"


def without(gate: dict[str, Any], *names: str) -> dict[str, Any]:
    return {k: v for k, v in gate.items() if k not in names}


plccs = st.floats(-1, 1) | st.floats(0.94, 1)
seeds = st.dictionaries(st.integers(0, 9).map(str), plccs, min_size=1, max_size=6)
limits = st.fixed_dictionaries(
    {MEAN: st.floats(0, 1), SEED: st.floats(0, 1), SPREAD: st.floats(0, 0.1)}
)


@given(seeds, limits)
def test_what_an_exporter_computes_is_right(
    per_seed: dict[str, float], limit: dict[str, float]
) -> None:
    gate, word = judged(per_seed, **limit)
    assert named(gate, word, seeds=[int(s) for s in per_seed]) == set()


@given(seeds, limits)
def test_the_other_verdict_is_wrong(per_seed: dict[str, float], limit: dict[str, float]) -> None:
    gate, word = judged(per_seed, **limit)
    other = "HOLD" if word == "PROMOTE" else "PROMOTE"
    assert {"verdict", "passed"} & named(gate, other)


@given(seeds, limits, st.data())
def test_a_number_that_flips_a_condition_is_named(
    per_seed: dict[str, float], limit: dict[str, float], data: st.DataObject
) -> None:
    gate, word = judged(per_seed, **limit)
    flags = ("mean_plcc_pass", "per_seed_pass", "plcc_spread_pass")
    changed = deepcopy(gate)
    if data.draw(st.booleans()):
        changed["per_seed_plccs"][data.draw(st.sampled_from(sorted(per_seed)))] = data.draw(plccs)
    else:
        changed[data.draw(st.sampled_from([MEAN, SEED, SPREAD]))] = data.draw(st.floats(0, 1))
    honest, _ = judged(changed["per_seed_plccs"], **{n: changed[n] for n in (MEAN, SEED, SPREAD)})
    spread = max(changed["per_seed_plccs"].values()) - min(changed["per_seed_plccs"].values())
    honest["plcc_spread_pass"] = spread <= changed[SPREAD]
    # Closer to its limit than the order of a sum can move it, a record may say either.
    unclear = {
        "mean_plcc_pass": abs(honest["mean_plcc"] - changed[MEAN]) <= TOLERANCE,
        "plcc_spread_pass": abs(spread - changed[SPREAD]) <= TOLERANCE,
    }
    for flag in flags:
        if honest[flag] is not gate[flag] and not unclear.get(flag):
            assert flag in named(changed, word)


@given(st.lists(st.floats(0.9951, 0.9999), min_size=2, max_size=6), st.integers(4, 9))
def test_records_that_were_rounded_are_right(values: list[float], decimals: int) -> None:
    gate, word = judged({str(i): v for i, v in enumerate(values)})
    for name in ("mean_plcc", "plcc_spread"):
        gate[name] = round(gate[name], decimals)
    gate["per_seed_plccs"] = {s: round(v, decimals) for s, v in gate["per_seed_plccs"].items()}
    assert named(gate, word) == set()


@pytest.mark.parametrize(
    ("name", "value"), [("mean_plcc", 1.0), ("mean_plcc", 0.998), ("plcc_spread", 0.0)]
)
def test_a_short_number_is_not_taken_for_a_rounded_one(name: str, value: float) -> None:
    assert named(verdict_gate(dict(GOOD)) | {name: value}) == {name}


@pytest.mark.parametrize("name", ["mean_plcc", "plcc_spread"])
@pytest.mark.parametrize("value", [True, "0.99", [], {}, math.inf, -math.inf, math.nan, 10**400])
def test_a_record_that_is_no_number_is_named(name: str, value: Any) -> None:
    assert name in named(verdict_gate(dict(GOOD)) | {name: value})


@pytest.mark.parametrize(
    ("per_seed", "word"),
    [
        ({"0": 0.95, "1": 0.95}, "PROMOTE"),  # each limit is one that passes
        ({"0": 0.95, "1": math.nextafter(0.95, 0)}, "HOLD"),
        ({"0": 0.96, "1": 0.9550001}, "PROMOTE"),
        ({"0": 0.96, "1": 0.9549}, "HOLD"),
        ({"0": 1.0000000000000002, "1": 0.999}, "PROMOTE"),  # what a correlation rounds to
    ],
)
def test_at_the_thresholds(per_seed: dict[str, float], word: str) -> None:
    other = {"PROMOTE": "HOLD", "HOLD": "PROMOTE"}[word]
    bare = {"per_seed_plccs": per_seed, MEAN: 0.95, SEED: 0.95, SPREAD: 0.005}
    assert named(bare, word) == set()
    assert named(bare, other) == {"verdict"}


def test_a_spread_on_its_limit_is_what_the_record_says() -> None:
    # 0.998 - 0.993 is a little more than 0.005, though nobody who reads it would say so.
    gate = verdict_gate({"0": 0.998, "1": 0.993})
    assert named(gate) == set()
    held = gate | {"plcc_spread_pass": False, "passed": False}
    assert named(held, "HOLD") == set()
    assert named(without(gate, "plcc_spread_pass", "passed")) == set()
    assert named(without(gate, "plcc_spread_pass", "passed"), "HOLD") == set()
    assert named(held, "PROMOTE") == {"verdict"}
    assert named(held | {"passed": True}, "HOLD") == {"passed"}


@pytest.mark.parametrize(
    "value", [None, "0.99", True, math.nan, math.inf, [], 10**400, 1.5, -2, 99.7]
)
def test_a_seed_without_a_correlation_never_passes(value: Any) -> None:
    gate = verdict_gate(dict(GOOD)) | {"per_seed_plccs": GOOD | {"1": value}}
    assert {"verdict", "per_seed_pass", "failing_seeds"} <= named(gate)
    says = [message for where, message in wrong_verdict(verdict(gate)) if where == ("verdict",)]
    assert says == [
        f"the verdict is 'PROMOTE', but its numbers give HOLD: "
        f"seed 1 has no correlation: {shown(value, 40)}"
    ]
    held = gate | {"failing_seeds": [1], "per_seed_pass": False, "passed": False}
    assert named(held | {"mean_plcc": None, "mean_plcc_pass": False}, "HOLD") == set()


def test_seeds_without_a_correlation_are_reported_beside_failing_seeds() -> None:
    gate = verdict_gate({"0": 0.99, "1": 0.5, "2": 0.4, "3": 0.99})
    gate["per_seed_plccs"] |= {"0": "nan", "3": 1.5}
    says = dict(wrong_verdict(verdict(gate)))[("verdict",)]
    assert says.partition("HOLD: ")[2] == (
        "seeds 0, 3 have no correlation: 'nan', 1.5; each of the seeds 1, 2 fails `per_seed_min`"
    )


def test_of_many_seeds_without_a_correlation_the_values_of_three_are_shown() -> None:
    gate = verdict_gate({str(seed): 0.99 for seed in range(5)})
    gate["per_seed_plccs"] = {str(seed): seed + 2 for seed in range(5)}
    says = dict(wrong_verdict(verdict(gate)))[("verdict",)]
    assert "seeds 0, 1, 2, 3, 4 have no correlation: 2, 3, 4 and 2 more" in says


@pytest.mark.parametrize("limit", [MEAN, SEED, SPREAD])
@pytest.mark.parametrize("value", ["absent", None, "0.95", True, math.nan, math.inf, 10**400])
def test_a_condition_without_a_threshold_never_passes(limit: str, value: Any) -> None:
    gate = verdict_gate(dict(GOOD)) | {limit: value}
    gate = without(gate, limit) if value == "absent" else gate
    assert named(gate) == {"verdict"}
    messages = [message for _, message in wrong_verdict(verdict(gate))]
    assert messages[0].endswith(f"its numbers give HOLD: `{limit}` is not a number")
    assert named(without(gate, "passed"), "HOLD") == set()


@pytest.mark.parametrize("numbers", [None, {}, [], "x", 0.99])
def test_nothing_is_promoted_without_numbers(numbers: Any) -> None:
    gate = verdict_gate(dict(GOOD)) | {"per_seed_plccs": numbers}
    for word in ("PROMOTE", "APPROVED", "hold"):
        assert named(gate, word) == {"verdict"}
    assert named(gate | {"passed": False}, "HOLD") == set()


def test_only_the_numbers_and_the_thresholds_have_to_be_there() -> None:
    bare = {k: v for k, v in verdict_gate(dict(GOOD)).items() if k in (MEAN, SEED, SPREAD)}
    assert named(bare | {"per_seed_plccs": GOOD}) == set()


@pytest.mark.parametrize("word", ["promote", "PASS", "", "PROMOTED", "APPROVED", "hold", "HOLDS"])
@pytest.mark.parametrize(
    "per_seed",
    [GOOD, {"0": 0.9, "1": 0.9}, {"0": 0.998, "1": 0.993}],
    ids=["passes", "fails", "is on a limit"],
)
def test_a_verdict_is_one_of_two_words(per_seed: dict[str, float], word: str) -> None:
    assert "verdict" in named(without(verdict_gate(per_seed), "passed"), word)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((f, v) for f in ("mean_plcc_pass", "per_seed_pass") for v in (False, 1, "true")),
        *(("plcc_spread_pass", v) for v in (False, 1, "true")),
        *(("passed", v) for v in (False, 1, "true")),
        *(("failing_seeds", v) for v in ([1], ["x"], [None])),
    ],
)
def test_a_flag_that_does_not_follow_is_named(field: str, value: Any) -> None:
    assert named(verdict_gate(dict(GOOD)) | {field: value}) == {field}


@pytest.mark.parametrize("listed", [[1], ["1"]])
def test_failing_seeds_are_numbers_or_text(listed: list[Any]) -> None:
    gate, word = judged({"0": 0.99, "1": 0.9})
    assert named(gate | {"failing_seeds": listed}, word) == set()
    assert named(gate | {"failing_seeds": []}, word) == {"failing_seeds"}


@pytest.mark.parametrize(
    ("listed", "right"),
    [
        ([0, 1, 2], True),
        (["2", "1", "0"], True),
        (None, True),
        ([0, 1], False),
        ([0, 1, 2, 3], False),
        ([0, 0, 1], False),
        ([[], {}, None], False),
    ],
)
def test_the_seeds_are_those_with_numbers(listed: Any, right: bool) -> None:
    found = named(verdict_gate(dict(GOOD)), seeds=listed)
    assert found == (set() if right else {"seeds"})


def test_messages_are_short_whatever_the_document_holds() -> None:
    gate = verdict_gate({str(i): 0.99 for i in range(2)}) | {"mean_plcc": ["x" * 10_000] * 100}
    for _, message in wrong_verdict(verdict(gate, "y" * 10_000)):
        assert len(message) <= 400


def sidecar(**value: Any) -> Sidecar:
    return Sidecar("e_seed0.json", digest.of_bytes(b""), json.dumps(value), value)


def wrong(gate: Any) -> list[str]:
    return [message for _, message in wrong_gate(sidecar(gate=gate))]


@pytest.mark.parametrize(
    "gate",
    [
        None,
        {},
        {"verdict": "PROMOTE"},  # a reference to the verdict file
        {"passed": True},
        {"verdict": "PROMOTE", "passed": True, "mean_plcc": 0.99},  # the thresholds are there
        {"verdict": "HOLD", "passed": False, "mean_plcc": 0.5, MEAN: 0.95},
        seed_gate(0.99),
        seed_gate(0.95),  # each limit is one that passes
        seed_gate(0.99) | {"plcc_spread": 0.005},
        seed_gate(0.99) | {"plcc_spread": 0.998 - 0.993},
        seed_gate(0.99) | {"verdict": "HOLD", "passed": False},  # another seed may have failed
    ],
)
def test_a_gate_in_a_sidecar_that_nothing_refutes(gate: Any) -> None:
    assert wrong(gate) == []


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ("PROMOTE", "`gate`: expected an object, found 'PROMOTE'"),
        ([], "`gate`: expected an object, found []"),
        ({"verdict": True}, "`gate.verdict`: expected a string, found True"),
        ({"passed": "true"}, "`gate.passed`: expected true or false, found 'true'"),
        (
            {"passed": 1, "per_seed_plccs": {"0": 0.99}},
            "`gate.passed`: expected true or false, found 1",
        ),
    ],
)
def test_a_gate_in_another_form_is_not_passed_over(gate: Any, message: str) -> None:
    assert wrong(gate) == [message]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mean_plcc", 0.9499),
        ("this_seed_loso_plcc", 0.9499),
        ("plcc_spread", 0.0051),
        ("mean_plcc_threshold", 0.995),
        ("per_seed_min_threshold", 0.995),
        ("plcc_spread_max", -0.1),
        ("mean_plcc", 99.7),
        ("this_seed_loso_plcc", 1.5),
    ],
)
def test_a_pass_that_its_numbers_refute(name: str, value: float) -> None:
    gate = seed_gate(0.99) | {name: value}
    assert len(wrong(gate)) == 1
    assert len(wrong(without(gate, "verdict"))) == 1
    assert len(wrong(without(gate, "passed"))) == 1
    assert wrong(gate | {"verdict": "HOLD", "passed": False}) == []


@pytest.mark.parametrize("name", sorted(without(seed_gate(0.99), "verdict", "passed")))
@pytest.mark.parametrize("value", [None, "0.99", True, math.nan, math.inf, [], 10**400])
def test_a_pass_on_what_is_no_number(name: str, value: Any) -> None:
    (says,) = wrong(seed_gate(0.99) | {name: value})
    assert says.startswith("the gate says PROMOTE, but `")
    assert f"`{name}`" in says
    assert says.endswith("` is not a number")


def test_a_refuted_pass_is_quoted_as_written() -> None:
    failing = seed_gate(0.9)
    assert wrong(failing)[0].startswith("the gate says PROMOTE, but `mean_plcc` 0.9 fails")
    assert wrong(without(failing, "verdict"))[0].startswith("the gate says passed, but ")


@pytest.mark.parametrize(
    ("absent", "failing"),
    [
        (("mean_plcc", MEAN), {"this_seed_loso_plcc": 0.9}),
        (("mean_plcc", MEAN), {"plcc_spread": 0.1}),
        (("this_seed_loso_plcc", "per_seed_min_threshold"), {"plcc_spread": 0.1}),
    ],
)
def test_a_condition_is_judged_behind_one_that_is_not_repeated(
    absent: tuple[str, ...], failing: dict[str, float]
) -> None:
    assert len(wrong(without(seed_gate(0.99) | failing, *absent))) == 1


def test_a_spread_is_judged_in_a_manifest_that_has_no_number_of_a_seed() -> None:
    gate = without(seed_gate(0.99), "this_seed_loso_plcc") | {"plcc_spread": 0.1}
    value = {"members": [], "gate": gate}
    document = Manifest("e.json", digest.of_bytes(b""), json.dumps(value), value)
    assert len(list(wrong_gate(document))) == 1


@pytest.mark.parametrize("name", ["mean_plcc", "this_seed_loso_plcc", "plcc_spread"])
def test_a_pass_on_a_threshold_without_its_number(name: str) -> None:
    assert len(wrong(without(seed_gate(0.99), name))) == 1


def test_a_manifest_has_no_number_of_its_own_seed() -> None:
    value = {"members": [], "gate": without(seed_gate(0.99), "this_seed_loso_plcc")}
    document = Manifest("e.json", digest.of_bytes(b""), json.dumps(value), value)
    assert list(wrong_gate(document)) == []


@pytest.mark.parametrize("value", [{}, [], [0.5], "0.5", 0.5, True])
def test_what_is_no_number_of_each_seed_is_not_computed_again(value: Any) -> None:
    assert wrong(seed_gate(0.99) | {"per_seed_plccs": value}) == []


@pytest.mark.parametrize(("word", "passed"), [("HOLD", True), ("PROMOTE", False)])
def test_verdict_and_passed_are_one(word: str, passed: bool) -> None:
    assert len(wrong(seed_gate(0.99) | {"verdict": word, "passed": passed})) == 1


def with_numbers(**more: Any) -> dict[str, Any]:
    return verdict_gate(dict(GOOD)) | more


def test_a_sidecar_that_repeats_the_numbers_of_all_seeds_is_computed_again() -> None:
    assert wrong(with_numbers(verdict="PROMOTE")) == []
    assert wrong(with_numbers(verdict="HOLD"))  # what one seed alone could not refute
    assert wrong(with_numbers(mean_plcc=0.99))
    assert wrong(without(with_numbers(), "passed")) == []
    assert wrong(with_numbers(passed=False))


@pytest.mark.parametrize("passed", [1, 0, "true", [], 1.0])
def test_passed_is_true_or_false(passed: Any) -> None:
    assert wrong(with_numbers(passed=passed)) != []
    assert wrong(with_numbers(passed=passed, verdict="PROMOTE")) != []


@pytest.mark.parametrize("passed", [True, False])
def test_passed_alone_follows_from_the_numbers(passed: bool) -> None:
    good, bad = with_numbers(), verdict_gate({"0": 0.9, "1": 0.9})
    held = {"mean_plcc_pass": False, "per_seed_pass": False, "failing_seeds": [0, 1]}
    assert (wrong(good | {"passed": passed}) == []) is passed
    assert (wrong(bad | held | {"passed": passed}) == []) is not passed
    on_its_limit = without(verdict_gate({"0": 0.998, "1": 0.993}), "plcc_spread_pass")
    assert wrong(on_its_limit | {"passed": passed}) == []


@pytest.mark.parametrize("name", ["mean_plcc", "plcc_spread"])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("exact", ["0", "1", "2"])
def test_a_record_is_as_exact_as_the_least_exact_of_its_numbers(
    name: str, sign: int, exact: str
) -> None:
    """Numbers of four decimals may each be half a unit off; a spread is that of two of them."""
    numbers = {"0": 0.9973, "1": 0.9988, "2": 0.9961}
    numbers[exact] += 1e-9 * math.pi
    gate = verdict_gate(numbers)
    limit = 0.5e-4 * (2 if name == "plcc_spread" else 1)
    assert wrong(gate | {name: gate[name] + sign * 0.9 * limit}) == []
    assert len(wrong(gate | {name: gate[name] + sign * 1.1 * limit})) == 1


def test_the_verdict_of_a_sidecar_may_stand_at_its_top() -> None:
    found = list(wrong_gate(sidecar(verdict="HOLD", gate=without(with_numbers(), "passed"))))
    assert [where for where, _ in found] == [("verdict",)]
    assert list(wrong_gate(sidecar(verdict="PROMOTE", gate=with_numbers()))) == []
