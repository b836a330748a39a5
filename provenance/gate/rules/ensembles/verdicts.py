# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of a gate: what its own numbers say of its verdict, wherever that is stated.

Pure functions of one document. Each yields the members that do not follow from the others, and why.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from provenance.artifacts.ensemble import GateVerdict, Manifest
from provenance.artifacts.forms import FLAG, OBJECT, STRING
from provenance.artifacts.sidecar import Document, once
from provenance.evidence.evaluation import (
    CONDITIONS,
    FLAGS,
    HOLD,
    OUTCOMES,
    PASSED,
    PROMOTE,
    RECORDS,
    mean_of_folds,
    recorded_at,
    stated_outcomes,
)
from provenance.evidence.recorded import close, correlation, number, reaches, unit
from provenance.gate.rules.base import shown, some
from provenance.gate.rules.forms import Forms, Place, misfits

Named = tuple[Place, str]
"""A member of a document that does not follow from the others, and why."""

_FORMS: Final[Forms] = {
    ("gate",): OBJECT,
    **dict.fromkeys(OUTCOMES, STRING),
    **dict.fromkeys(FLAGS, FLAG),
}

_OF_A_GATE: Final = frozenset((*OUTCOMES, FLAGS[0]))
_SAYING: Final = frozenset(place[0] for place in _FORMS)
"""The members of a document without which it says nothing of a gate."""


@once
def wrong_verdict(verdict: GateVerdict) -> Sequence[Named]:
    """What does not follow from the numbers of a verdict file."""
    return tuple(_wrong_verdict(verdict))


def _wrong_verdict(verdict: GateVerdict) -> Iterator[Named]:
    per_seed = verdict.get("gate", "per_seed_plccs")
    if not isinstance(per_seed, dict) or not per_seed:
        if verdict.verdict != HOLD:  # which needs no evidence
            says = f"the verdict is {shown(verdict.verdict)}, and it records no `per_seed_plccs`"
            yield ("verdict",), says
        return
    seeds = verdict.value.get("seeds")
    if seeds is not None and _texts(seeds) != sorted(per_seed):
        yield ("seeds",), f"`seeds` is {shown(seeds)}; `per_seed_plccs` has {_listed(per_seed)}"
    yield from _wrong_numbers(verdict.value["gate"], per_seed, verdict.verdict, ("verdict",))


@once
def wrong_gate(document: Document) -> Sequence[Named]:
    """What does not follow from the gate that a sidecar or a manifest repeats.

    A sidecar has only its own seed's number: it can refute a pass, and never a failure. What it
    does not repeat is for the verdict file to show.
    """
    if document.value.keys().isdisjoint(_SAYING):
        return ()
    wrong_forms = tuple((place, message) for place, message, _ in misfits(document, _FORMS))
    if wrong_forms:
        return wrong_forms
    per_seed = document.get("gate", "per_seed_plccs")
    if isinstance(per_seed, dict) and per_seed:
        where = next((w for w in OUTCOMES if document.text_at(*w) is not None), OUTCOMES[0])
        word = document.text_at(*where)
        return tuple(_wrong_numbers(document.value["gate"], per_seed, word, where))
    return tuple(_refuted(document)) or tuple(_contradiction(document))


def not_passed(document: Document) -> Place | None:
    """The first place in which it says that its gate was not passed."""
    return next((where for where, passed in stated_outcomes(document) if not passed), None)


def _refuted(document: Document) -> Iterator[Named]:
    """The passes that the numbers beside them refute."""
    gate = document.get("gate")
    passes = (where for where, passed in stated_outcomes(document) if passed)
    claim = next((where for where in passes if where in _OF_A_GATE), None)
    if isinstance(gate, dict) and claim is not None:
        failed = list(_failed_conditions(document, gate))
        if failed:
            says = PROMOTE if claim in OUTCOMES else "passed"
            yield claim, f"the gate says {says}; {'; '.join(failed)}"
    for record in RECORDS:
        where = (*record, "gate_passed")
        passed = document.get(*where) is True
        reason = _below_ship_gate(document, record) if passed else None
        if reason is not None:
            yield where, f"`{'.'.join(where)}` is True; {reason}"


def _contradiction(document: Document) -> Iterator[Named]:
    """Two places of one document that state two outcomes."""
    outcomes = stated_outcomes(document)
    for where, passed in outcomes:
        if passed != outcomes[0][1]:
            first = outcomes[0][0]
            yield (
                first,
                f"`{'.'.join(first)}` is {shown(document.get(*first))} and "
                f"`{'.'.join(where)}` is {shown(document.get(*where))}",
            )
            return


def _failed_conditions(document: Document, gate: Mapping[str, Any]) -> Iterator[str]:
    for name, limit_name in CONDITIONS:
        if limit_name not in gate and (name not in gate or correlation(gate[name]) is not None):
            continue
        if name not in gate and isinstance(document, Manifest):
            continue  # a manifest is of no single seed
        spread = name == "plcc_spread"
        value = number(gate.get(name)) if spread else correlation(gate.get(name))
        limit = number(gate.get(limit_name))
        if value is None or limit is None:
            yield f"`{name}` or `{limit_name}` is not a number"
        elif (reaches(limit, value) if spread else reaches(value, limit)) is False:
            yield f"`{name}` {value!r} fails `{limit_name}` {limit!r}"


def _below_ship_gate(document: Document, record: Place) -> str | None:
    """Why the mean does not reach the ship gate; None where it does, or where there is none."""
    found, limit = recorded_at(document, record, "ship_gate_mean_plcc")
    if not found:
        return None
    name, mean = "the mean of its folds", mean_of_folds(document, record)
    if mean is None:
        name, mean = "`loso_mean_plcc`", recorded_at(document, record, "loso_mean_plcc")[1]
    value, least = correlation(mean), number(limit)
    if value is None or least is None:
        return f"{name} or `ship_gate_mean_plcc` is not a number"
    if reaches(value, least) is False:
        return f"{name} {value!r} fails `ship_gate_mean_plcc` {least!r}"
    return None


@dataclass(frozen=True)
class _Condition:
    """One of the three conditions of a gate, recomputed.

    Attributes:
        limit: The threshold, None where it is no number.
        counted: Whether every number that it limits is one.
        reached: None where number and limit cannot be told apart.
    """

    flag: str
    name: str
    limit_name: str
    limit: float | None
    counted: bool
    reached: bool | None

    @property
    def known(self) -> bool:
        """Whether there is all that it takes to decide."""
        return self.limit is not None and self.counted

    def passed(self, recorded: object) -> bool | None:
        """On the limit itself, the order of a sum decides: the record does then."""
        undecided = self.reached is None and isinstance(recorded, bool)
        return bool(recorded) if undecided else self.reached

    @property
    def why(self) -> str | None:
        """Why it does not hold; None where a seed without a number is the reason."""
        if self.limit is None:
            return f"`{self.limit_name}` is no number"
        return f"{self.name} fails `{self.limit_name}`" if self.counted and self.name else None


def _wrong_numbers(
    gate: Mapping[str, Any], per_seed: Mapping[str, Any], word: str | None, at: Place
) -> Iterator[Named]:
    """What does not follow from the number of each seed: mean, spread, flags, and the verdict."""
    by_seed = {seed: correlation(value) for seed, value in per_seed.items()}
    values = [v for v in by_seed.values() if v is not None]
    mean = spread = None
    if None not in by_seed.values():
        mean, spread = math.fsum(values) / len(values), max(values) - min(values)
        slack = max(map(unit, values))
        for name, value, give in (("mean_plcc", mean, slack), ("plcc_spread", spread, 2 * slack)):
            found = gate.get(name)
            if found is not None and not close(found, value, give):
                yield ("gate", name), f"`{name}` is {shown(found)}; its numbers give {value!r}"
    lowest = number(gate.get("per_seed_min"))
    failing = sorted(
        seed for seed, v in by_seed.items() if v is None or lowest is None or v < lowest
    )
    listed = gate.get("failing_seeds")
    if lowest is not None and listed is not None and _texts(listed) != failing:
        says = f"`failing_seeds` is {shown(listed)}; they are {_listed(failing)}"
        yield ("gate", "failing_seeds"), says
    holds, certain = _no_correlations(per_seed, by_seed), True
    below = [seed for seed in failing if by_seed[seed] is not None]
    for condition in _conditions(gate, mean, spread, failing, below):
        found = gate.get(condition.flag)
        passed = condition.passed(found)
        if passed is None:
            certain = False
        elif found is not None and condition.known and found is not passed:
            flag = condition.flag
            yield ("gate", flag), f"`{flag}` is {shown(found)}; its numbers give {passed}"
        if passed is False or not condition.known:
            holds += [condition.why] if condition.why else []
    yield from _wrong_outcome(gate.get("passed"), word, at, holds, certain=certain)


def _wrong_outcome(
    passed: object, word: str | None, at: Place, holds: Sequence[str], *, certain: bool
) -> Iterator[Named]:
    """What does not follow of the verdict and of `passed`; of both, the verdict is named."""
    expected = HOLD if holds else PROMOTE
    right = (expected,) if certain else (expected, HOLD)
    why = f"its numbers give {expected}{': ' if holds else ''}{'; '.join(holds)}"
    if word is not None and word not in right:
        yield at, f"the verdict is {shown(word)}; {why}"[:400]
    elif passed is None:
        return
    elif word is None:
        if not any(passed is PASSED[one] for one in right):
            yield ("gate", "passed"), f"`passed` is {shown(passed)}; {why}"[:400]
    elif passed is not PASSED[word]:
        yield ("gate", "passed"), f"`passed` is {shown(passed)}; the verdict is {shown(word)}"


def _no_correlations(per_seed: Mapping[str, Any], by_seed: Mapping[str, float | None]) -> list[str]:
    """The seeds whose number is none, each with what stands there."""
    unknown = sorted(seed for seed, value in by_seed.items() if value is None)
    if not unknown:
        return []
    values = some([shown(per_seed[seed], 40) for seed in unknown], 3)
    return [f"{_seeds(unknown)} no correlation: {values}"]


def _seeds(seeds: Sequence[str]) -> str:
    one = len(seeds) == 1
    return f"seed {seeds[0][:40]} has" if one else f"seeds {some(seeds, 10)[:200]} have"


def _conditions(
    gate: Mapping[str, Any],
    mean: float | None,
    spread: float | None,
    failing: Sequence[str],
    below: Sequence[str],
) -> tuple[_Condition, ...]:
    names = ("mean_plcc_threshold", "per_seed_min", "plcc_spread_max")
    least, lowest, most = (number(gate.get(name)) for name in names)
    all_known = mean is not None
    each = f"{'each of the seeds' if below[1:] else 'seed'} {', '.join(below)}" if below else ""
    return (
        _Condition("mean_plcc_pass", "the mean", names[0], least, all_known, reaches(mean, least)),
        _Condition("per_seed_pass", each, names[1], lowest, True, not failing),
        _Condition(
            "plcc_spread_pass", "the spread", names[2], most, all_known, reaches(most, spread)
        ),
    )


def _texts(listed: object) -> list[str] | None:
    """Seeds as the keys of `per_seed_plccs` spell them, sorted; None for what is no list."""
    return sorted(map(str, listed)) if isinstance(listed, list) else None


def _listed(seeds: Iterable[str]) -> str:
    return shown(sorted(seeds), 200)
