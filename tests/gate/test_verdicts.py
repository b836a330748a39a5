# SPDX-License-Identifier: Apache-2.0
"""What follows from the numbers of a gate, and which members of a record are wrong."""

from __future__ import annotations

import json
import math
from copy import deepcopy
from typing import Any, Final

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


def good(**changes: Any) -> dict[str, Any]:
    """The gate of three seeds that pass, with changes."""
    return verdict_gate(dict(GOOD)) | changes


def verdict_message(gate: Any) -> str:
    return dict(wrong_verdict(verdict(gate)))[("verdict",)]


plccs = st.floats(-1, 1) | st.floats(0.94, 1)
seeds = st.dictionaries(st.integers(0, 9).map(str), plccs, min_size=1, max_size=6)
limits = st.fixed_dictionaries(
    {MEAN: st.floats(0, 1), SEED: st.floats(0, 1), SPREAD: st.floats(0, 0.1)}
)


@given(seeds, limits)
def test_computed_verdict_is_right(per_seed: dict[str, float], limit: dict[str, float]) -> None:
    gate, word = judged(per_seed, **limit)
    assert named(gate, word, seeds=[int(s) for s in per_seed]) == set()


@given(seeds, limits)
def test_opposite_verdict_is_wrong(per_seed: dict[str, float], limit: dict[str, float]) -> None:
    gate, word = judged(per_seed, **limit)
    other = "HOLD" if word == "PROMOTE" else "PROMOTE"
    assert {"verdict", "passed"} & named(gate, other)


@given(seeds, limits, st.data())
def test_flag_of_a_changed_number_is_named(
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
def test_rounded_records_are_right(values: list[float], decimals: int) -> None:
    gate, word = judged({str(i): v for i, v in enumerate(values)})
    for name in ("mean_plcc", "plcc_spread"):
        gate[name] = round(gate[name], decimals)
    gate["per_seed_plccs"] = {s: round(v, decimals) for s, v in gate["per_seed_plccs"].items()}
    assert named(gate, word) == set()


NOT_NUMBERS: Final[list[Any]] = [None, "0.99", True, math.nan, math.inf, [], 10**400]
NO_NUMBERS: Final[list[Any]] = [None, {}, [], "x", 0.99]
NO_FLAGS: Final[list[Any]] = [1, 0, "true", [], 1.0]
ON_LIMIT: Final = verdict_gate({"0": 0.998, "1": 0.993})
"""The spread is a little more than its limit of 0.005, though it does not look so."""
HELD: Final = ON_LIMIT | {"plcc_spread_pass": False, "passed": False}
UNDECIDED: Final = {k: v for k, v in ON_LIMIT.items() if k not in ("plcc_spread_pass", "passed")}


@pytest.mark.parametrize(
    ("gate", "word", "wrong"),
    [
        *((good(mean_plcc=value), "PROMOTE", "mean_plcc") for value in (1.0, 0.998)),
        (good(plcc_spread=0.0), "PROMOTE", "plcc_spread"),
        *(
            (good(**{flag: value}), "PROMOTE", flag)
            for flag in ("mean_plcc_pass", "per_seed_pass", "plcc_spread_pass", "passed")
            for value in (False, 1, "true")
        ),
        *((good(failing_seeds=v), "PROMOTE", "failing_seeds") for v in ([1], ["x"], [None])),
        (ON_LIMIT, "PROMOTE", ""),
        (HELD, "HOLD", ""),
        (UNDECIDED, "PROMOTE", ""),
        (UNDECIDED, "HOLD", ""),
        (HELD, "PROMOTE", "verdict"),
        (HELD | {"passed": True}, "HOLD", "passed"),
        *(
            (good(per_seed_plccs=numbers), word, "verdict")
            for numbers in NO_NUMBERS
            for word in ("PROMOTE", "APPROVED", "hold")
        ),
        *((good(per_seed_plccs=numbers, passed=False), "HOLD", "") for numbers in NO_NUMBERS),
        ({"per_seed_plccs": GOOD, MEAN: 0.95, SEED: 0.95, SPREAD: 0.005}, "PROMOTE", ""),
    ],
)
def test_member_that_the_numbers_refute_is_named(gate: Any, word: str, wrong: str) -> None:
    assert named(gate, word) == ({wrong} if wrong else set())


@pytest.mark.parametrize("name", ["mean_plcc", "plcc_spread"])
@pytest.mark.parametrize("value", [*NOT_NUMBERS[1:], {}, -math.inf])
def test_record_that_is_not_a_number_is_named(name: str, value: Any) -> None:
    assert name in named(good(**{name: value}))


@pytest.mark.parametrize(
    ("per_seed", "word"),
    [
        ({"0": 0.95, "1": 0.95}, "PROMOTE"),  # a number on its limit passes
        ({"0": 0.95, "1": math.nextafter(0.95, 0)}, "HOLD"),
        ({"0": 0.96, "1": 0.9550001}, "PROMOTE"),
        ({"0": 0.96, "1": 0.9549}, "HOLD"),
        ({"0": 1.0000000000000002, "1": 0.999}, "PROMOTE"),  # a rounded correlation
    ],
)
def test_verdict_at_the_thresholds(per_seed: dict[str, float], word: str) -> None:
    other = {"PROMOTE": "HOLD", "HOLD": "PROMOTE"}[word]
    bare = {"per_seed_plccs": per_seed, MEAN: 0.95, SEED: 0.95, SPREAD: 0.005}
    assert named(bare, word) == set()
    assert named(bare, other) == {"verdict"}


@pytest.mark.parametrize("value", [*NOT_NUMBERS, 1.5, -2, 99.7])
def test_seed_without_a_correlation_never_passes(value: Any) -> None:
    gate = good(per_seed_plccs=GOOD | {"1": value})
    assert {"verdict", "per_seed_pass", "failing_seeds"} <= named(gate)
    assert verdict_message(gate) == (
        "the verdict is 'PROMOTE', but its numbers give HOLD: "
        f"seed 1 has no correlation: {shown(value, 40)}"
    )
    held = gate | {"failing_seeds": [1], "per_seed_pass": False, "passed": False}
    assert named(held | {"mean_plcc": None, "mean_plcc_pass": False}, "HOLD") == set()


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        (
            {"0": "nan", "1": 0.5, "2": 0.4, "3": 1.5},
            "seeds 0, 3 have no correlation: 'nan', 1.5; "
            "each of the seeds 1, 2 fails `per_seed_min`",
        ),
        (
            {str(seed): seed + 2 for seed in range(5)},
            "seeds 0, 1, 2, 3, 4 have no correlation: 2, 3, 4 and 2 more",
        ),
    ],
)
def test_seeds_without_a_correlation_are_listed(numbers: Any, message: str) -> None:
    gate = verdict_gate(dict.fromkeys(numbers, 0.99)) | {"per_seed_plccs": numbers}
    assert verdict_message(gate).partition("HOLD: ")[2] == message


@pytest.mark.parametrize("limit", [MEAN, SEED, SPREAD])
@pytest.mark.parametrize("value", ["absent", *NOT_NUMBERS])
def test_condition_without_a_threshold_never_passes(limit: str, value: Any) -> None:
    gate = without(good(), limit) if value == "absent" else good(**{limit: value})
    assert named(gate) == {"verdict"}
    assert verdict_message(gate).endswith(f"its numbers give HOLD: `{limit}` is not a number")
    assert named(without(gate, "passed"), "HOLD") == set()


@pytest.mark.parametrize("word", ["promote", "PASS", "", "PROMOTED", "APPROVED", "hold", "HOLDS"])
@pytest.mark.parametrize("numbers", [GOOD, {"0": 0.9, "1": 0.9}, {"0": 0.998, "1": 0.993}])
def test_verdict_is_promote_or_hold(numbers: dict[str, float], word: str) -> None:
    assert "verdict" in named(without(verdict_gate(numbers), "passed"), word)


@pytest.mark.parametrize("listed", [[1], ["1"]])
def test_failing_seeds_are_numbers_or_strings(listed: list[Any]) -> None:
    gate, word = judged({"0": 0.99, "1": 0.9})
    assert named(gate | {"failing_seeds": listed}, word) == set()
    assert named(gate | {"failing_seeds": []}, word) == {"failing_seeds"}


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ([0, 1, 2], [0, 1]),
        (["2", "1", "0"], [0, 1, 2, 3]),
        (None, [0, 0, 1]),
        ([0, 1, 2], [[], {}, None]),
    ],
)
def test_seeds_are_those_with_numbers(right: Any, wrong: Any) -> None:
    assert named(good(), seeds=right) == set()
    assert named(good(), seeds=wrong) == {"seeds"}


def test_messages_about_long_values_are_short() -> None:
    gate = good(mean_plcc=["x" * 10_000] * 100)
    for _, message in wrong_verdict(verdict(gate, "y" * 10_000)):
        assert len(message) <= 400


def wrong(gate: Any, **beside: Any) -> list[str]:
    value = {"gate": gate} | beside
    document = Manifest if "members" in beside else Sidecar
    made = document("e.json", digest.of_bytes(b""), json.dumps(value), value)
    return [message for _, message in wrong_gate(made)]


NUMBER: Final = "this_seed_loso_plcc"
REPORTED: Final = good(verdict="PROMOTE")
"""A record that repeats the numbers of all seeds."""


@pytest.mark.parametrize(
    "gate",
    [
        None,
        {},
        {"verdict": "PROMOTE"},  # a reference to the verdict file
        {"passed": True},
        {"verdict": "PROMOTE", "passed": True, "mean_plcc": 0.99},  # the file has the thresholds
        {"verdict": "HOLD", "passed": False, "mean_plcc": 0.5, MEAN: 0.95},
        seed_gate(0.99),
        seed_gate(0.95),  # a number on its limit passes
        seed_gate(0.99) | {"plcc_spread": 0.005},
        seed_gate(0.99) | {"plcc_spread": 0.998 - 0.993},
        seed_gate(0.99) | {"verdict": "HOLD", "passed": False},  # another seed may have failed
        *(
            seed_gate(0.99) | {"per_seed_plccs": value}  # not a number of each seed
            for value in (*NO_NUMBERS[1:], [0.5], True)
        ),
        REPORTED,
        without(good(), "passed"),
        without(ON_LIMIT, "plcc_spread_pass") | {"passed": True},
        without(ON_LIMIT, "plcc_spread_pass") | {"passed": False},
    ],
)
def test_gate_of_a_sidecar_is_right(gate: Any) -> None:
    assert wrong(gate) == []


@pytest.mark.parametrize(
    "gate",
    [
        *(
            without(seed_gate(0.99) | failing, *absent)  # conditions that are not repeated
            for absent, failing in (
                (("mean_plcc", MEAN), {NUMBER: 0.9}),
                (("mean_plcc", MEAN), {"plcc_spread": 0.1}),
                ((NUMBER, "per_seed_min_threshold"), {"plcc_spread": 0.1}),
            )
        ),
        *(without(seed_gate(0.99), name) for name in ("mean_plcc", NUMBER, "plcc_spread")),
        seed_gate(0.99) | {"verdict": "HOLD", "passed": True},
        seed_gate(0.99) | {"verdict": "PROMOTE", "passed": False},
        *(good(passed=passed) for passed in NO_FLAGS),
        *(REPORTED | {"passed": passed} for passed in NO_FLAGS),
        REPORTED | {"verdict": "HOLD"},  # one seed alone could not refute this
        good(mean_plcc=0.99),
        good(passed=False),
        judged({"0": 0.9, "1": 0.9})[0] | {"passed": True},
    ],
)
def test_gate_of_a_sidecar_is_refuted_once(gate: Any) -> None:
    assert len(wrong(gate)) == 1


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ("PROMOTE", "`gate`: expected an object, found 'PROMOTE'"),
        ([], "`gate`: expected an object, found []"),
        ({"verdict": True}, "`gate.verdict`: expected a string, found True"),
        ({"passed": "true"}, "`gate.passed`: expected true or false, found 'true'"),
        ({"passed": 1, "per_seed_plccs": GOOD}, "`gate.passed`: expected true or false, found 1"),
        (seed_gate(0.9), "the gate says PROMOTE, but `mean_plcc` 0.9 fails"),
        (without(seed_gate(0.9), "verdict"), "the gate says passed, but "),
    ],
)
def test_gate_is_quoted_as_written(gate: Any, message: str) -> None:
    (first,) = wrong(gate)
    assert first.startswith(message)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("mean_plcc", value) for value in (0.9499, 99.7)),
        *((NUMBER, value) for value in (0.9499, 1.5)),
        *(("plcc_spread", 0.0051), ("plcc_spread_max", -0.1)),
        *((name, 0.995) for name in (MEAN, "per_seed_min_threshold")),
    ],
)
def test_pass_that_its_numbers_refute(name: str, value: float) -> None:
    gate = seed_gate(0.99) | {name: value}
    assert len(wrong(gate)) == 1
    assert len(wrong(without(gate, "verdict"))) == 1
    assert len(wrong(without(gate, "passed"))) == 1
    assert wrong(gate | {"verdict": "HOLD", "passed": False}) == []


@pytest.mark.parametrize("name", sorted(without(seed_gate(0.99), "verdict", "passed")))
@pytest.mark.parametrize("value", NOT_NUMBERS)
def test_pass_on_a_value_that_is_not_a_number(name: str, value: Any) -> None:
    (message,) = wrong(seed_gate(0.99) | {name: value})
    assert message.startswith("the gate says PROMOTE, but `")
    assert f"`{name}`" in message
    assert message.endswith("` is not a number")


def test_manifest_has_no_number_of_a_seed() -> None:
    gate = without(seed_gate(0.99), NUMBER)
    assert wrong(gate, members=[]) == []
    assert len(wrong(gate | {"plcc_spread": 0.1}, members=[])) == 1


@pytest.mark.parametrize("name", ["mean_plcc", "plcc_spread"])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("exact", ["0", "1", "2"])
def test_record_is_as_exact_as_the_least_exact_of_its_numbers(
    name: str, sign: int, exact: str
) -> None:
    """Numbers of four decimals may each be half a unit off; a spread is that of two of them."""
    numbers = {"0": 0.9973, "1": 0.9988, "2": 0.9961}
    numbers[exact] += 1e-9 * math.pi
    gate = verdict_gate(numbers)
    limit = 0.5e-4 * (2 if name == "plcc_spread" else 1)
    assert wrong(gate | {name: gate[name] + sign * 0.9 * limit}) == []
    assert len(wrong(gate | {name: gate[name] + sign * 1.1 * limit})) == 1


def test_verdict_may_be_at_the_top_of_a_sidecar() -> None:
    value = {"verdict": "HOLD", "gate": without(good(), "passed")}
    document = Sidecar("e.json", digest.of_bytes(b""), json.dumps(value), value)
    assert [where for where, _ in wrong_gate(document)] == [("verdict",)]
    assert wrong(good(), verdict="PROMOTE") == []
