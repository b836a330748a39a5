# SPDX-License-Identifier: Apache-2.0
"""Recompute a gate from its numbers, and compare the result with the verdict and flags recorded.

All functions are pure functions of one document. They return the fields that do not follow from the
others, each with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from provenance.artifacts.ensemble import GateVerdict, Manifest
from provenance.artifacts.forms import FLAG, OBJECT, STRING
from provenance.artifacts.sidecar import Document, once
from provenance.config.gates import PLCC_NAMES as NAMES
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
from provenance.frozen import dataclass
from provenance.gate.rules.base import shown, some
from provenance.gate.rules.forms import Forms, Place, misfits

Named = tuple[Place, str]
"""The path of a field that does not follow from the others, and the reason."""

_FORMS: Final[Forms] = {
    ("gate",): OBJECT,
    **dict.fromkeys(OUTCOMES, STRING),
    **dict.fromkeys(FLAGS, FLAG),
}

_OF_A_GATE: Final = frozenset((*OUTCOMES, FLAGS[0]))
_GATE_MEMBERS: Final = frozenset(place[0] for place in _FORMS)
"""The top-level members that record a gate. A document without any of them is skipped."""


@once
def wrong_verdict(verdict: GateVerdict, by_configuration: bool = False) -> Sequence[Named]:
    """Return the fields of a verdict file that do not follow from its numbers.

    Args:
        verdict: The verdict file.
        by_configuration: Whether a gate of the configuration decides. Then the file need not have
            the numbers of the built-in gate; if it has them, they must agree.
    """
    return tuple(_wrong_verdict(verdict, by_configuration=by_configuration))


def _wrong_verdict(verdict: GateVerdict, *, by_configuration: bool) -> Iterator[Named]:
    per_seed = verdict.get("gate", NAMES.values)
    if not isinstance(per_seed, dict) or not per_seed:
        if verdict.verdict != HOLD and not by_configuration:  # HOLD needs no evidence
            says = f"the verdict is {shown(verdict.verdict)}, but it has no `{NAMES.values}`"
            yield ("verdict",), says
        return
    seeds = verdict.value.get("seeds")
    if seeds is not None and _texts(seeds) != sorted(per_seed):
        says = f"`seeds` is {shown(seeds)}, but `{NAMES.values}` has {_listed(per_seed)}"
        yield ("seeds",), says
    yield from _wrong_numbers(verdict.value["gate"], per_seed, verdict.verdict, ("verdict",))


@once
def wrong_gate(document: Document) -> Sequence[Named]:
    """Return the fields of a sidecar's or manifest's gate that do not follow from its numbers.

    A sidecar has only the number of its own seed, so it can refute a pass but never a failure.
    Conditions that it does not record are checked in the verdict file only.
    """
    if document.value.keys().isdisjoint(_GATE_MEMBERS):
        return ()
    wrong_forms = tuple((place, message) for place, message, _ in misfits(document, _FORMS))
    if wrong_forms:
        return wrong_forms
    per_seed = document.get("gate", NAMES.values)
    if isinstance(per_seed, dict) and per_seed:
        where = next((w for w in OUTCOMES if document.text_at(*w) is not None), OUTCOMES[0])
        word = document.text_at(*where)
        return tuple(_wrong_numbers(document.value["gate"], per_seed, word, where))
    return tuple(_refuted(document)) or tuple(_contradiction(document))


def not_passed(document: Document) -> Place | None:
    """Return the first field that says that the gate was not passed, or None."""
    return next((where for where, passed in stated_outcomes(document) if not passed), None)


def _refuted(document: Document) -> Iterator[Named]:
    """Yield the claims of a pass that the recorded numbers refute."""
    gate = document.get("gate")
    passes = (where for where, passed in stated_outcomes(document) if passed)
    claim = next((where for where in passes if where in _OF_A_GATE), None)
    if isinstance(gate, dict) and claim is not None:
        failed = list(_failed_conditions(document, gate))
        if failed:
            says = PROMOTE if claim in OUTCOMES else "passed"
            yield claim, f"the gate says {says}, but {'; '.join(failed)}"
    for record in RECORDS:
        where = (*record, "gate_passed")
        passed = document.get(*where) is True
        reason = _below_ship_gate(document, record) if passed else None
        if reason is not None:
            yield where, f"`{'.'.join(where)}` is True, but {reason}"


def _contradiction(document: Document) -> Iterator[Named]:
    """Yield the first field of a document whose outcome another field contradicts."""
    outcomes = stated_outcomes(document)
    for where, passed in outcomes:
        if passed != outcomes[0][1]:
            first = outcomes[0][0]
            yield (
                first,
                f"`{'.'.join(first)}` is {shown(document.get(*first))}, but "
                f"`{'.'.join(where)}` is {shown(document.get(*where))}",
            )
            return


def _failed_conditions(document: Document, gate: Mapping[str, Any]) -> Iterator[str]:
    for name, limit_name in CONDITIONS:
        if limit_name not in gate and (name not in gate or correlation(gate[name]) is not None):
            continue
        if name not in gate and isinstance(document, Manifest):
            continue  # a manifest does not describe a single seed
        spread = name == NAMES.spread
        value = number(gate.get(name)) if spread else correlation(gate.get(name))
        limit = number(gate.get(limit_name))
        if value is None or limit is None:
            yield f"`{name}` or `{limit_name}` is not a number"
        elif (reaches(limit, value) if spread else reaches(value, limit)) is False:
            yield f"`{name}` {value!r} fails `{limit_name}` {limit!r}"


def _below_ship_gate(document: Document, record: Place) -> str | None:
    """Return why the mean is below the ship gate, or None if it is not or no ship gate is set."""
    found, limit = recorded_at(document, record, NAMES.flat_threshold)
    if not found:
        return None
    name, mean = "the mean of its folds", mean_of_folds(document, record)
    if mean is None:
        name, mean = f"`{NAMES.flat_mean}`", recorded_at(document, record, NAMES.flat_mean)[1]
    value, least = correlation(mean), number(limit)
    if value is None or least is None:
        return f"{name} or `{NAMES.flat_threshold}` is not a number"
    if reaches(value, least) is False:
        return f"{name} {value!r} fails `{NAMES.flat_threshold}` {least!r}"
    return None


@dataclass(frozen=True)
class _Condition:
    """One of the three conditions of a gate, recomputed.

    Attributes:
        flag: The name of the field that records whether the condition holds.
        name: The value that is compared, for a message.
        limit_name: The name of the field with the threshold.
        limit: The threshold, or None if it is not a number.
        counted: Whether every value that is compared with the threshold is a number.
        reached: Whether the threshold is reached, or None if rounding leaves that open.
    """

    flag: str
    name: str
    limit_name: str
    limit: float | None
    counted: bool
    reached: bool | None

    @property
    def known(self) -> bool:
        """Return whether all numbers are present that the decision needs."""
        return self.limit is not None and self.counted

    def passed(self, recorded: object) -> bool | None:
        """Return whether the condition holds, or None if that is unknown.

        If the value equals the limit up to rounding, the order of summation decides, so the
        `recorded` flag counts.
        """
        undecided = self.reached is None and isinstance(recorded, bool)
        return bool(recorded) if undecided else self.reached

    @property
    def why(self) -> str | None:
        """Return why the condition fails, or None if the reason is a seed without a number."""
        if self.limit is None:
            return f"`{self.limit_name}` is not a number"
        return f"{self.name} fails `{self.limit_name}`" if self.counted and self.name else None


def _wrong_numbers(
    gate: Mapping[str, Any], per_seed: Mapping[str, Any], word: str | None, at: Place
) -> Iterator[Named]:
    """Yield the mean, spread, flags and verdict that do not follow from the seeds' numbers."""
    by_seed = {seed: correlation(value) for seed, value in per_seed.items()}
    values = [v for v in by_seed.values() if v is not None]
    mean = spread = None
    if None not in by_seed.values():
        mean, spread = math.fsum(values) / len(values), max(values) - min(values)
        slack = max(map(unit, values))
        for name, value, give in ((NAMES.mean, mean, slack), (NAMES.spread, spread, 2 * slack)):
            found = gate.get(name)
            if found is not None and not close(found, value, give):
                yield ("gate", name), f"`{name}` is {shown(found)}, but its numbers give {value!r}"
    lowest = number(gate.get(NAMES.least))
    failing = sorted(
        seed for seed, v in by_seed.items() if v is None or lowest is None or v < lowest
    )
    listed = gate.get(NAMES.failing)
    if lowest is not None and listed is not None and _texts(listed) != failing:
        says = f"`{NAMES.failing}` is {shown(listed)}, but its numbers give {_listed(failing)}"
        yield ("gate", NAMES.failing), says
    holds, certain = _no_correlations(per_seed, by_seed), True
    below = [seed for seed in failing if by_seed[seed] is not None]
    for condition in _conditions(gate, mean, spread, failing, below):
        found = gate.get(condition.flag)
        passed = condition.passed(found)
        if passed is None:
            certain = False
        elif found is not None and condition.known and found is not passed:
            flag = condition.flag
            yield ("gate", flag), f"`{flag}` is {shown(found)}, but its numbers give {passed}"
        if passed is False or not condition.known:
            holds += [condition.why] if condition.why else []
    yield from _wrong_outcome(gate.get("passed"), word, at, holds, certain=certain)


def _wrong_outcome(
    passed: object, word: str | None, at: Place, holds: Sequence[str], *, certain: bool
) -> Iterator[Named]:
    """Yield the verdict or `passed` if it does not follow; if neither does, only the verdict."""
    expected = HOLD if holds else PROMOTE
    right = (expected,) if certain else (expected, HOLD)
    why = f"its numbers give {expected}{': ' if holds else ''}{'; '.join(holds)}"
    if word is not None and word not in right:
        yield at, f"the verdict is {shown(word)}, but {why}"[:400]
    elif passed is None:
        return
    elif word is None:
        if not any(passed is PASSED[one] for one in right):
            yield ("gate", "passed"), f"`passed` is {shown(passed)}, but {why}"[:400]
    elif passed is not PASSED[word]:
        yield ("gate", "passed"), f"`passed` is {shown(passed)}, but the verdict is {shown(word)}"


def _no_correlations(per_seed: Mapping[str, Any], by_seed: Mapping[str, float | None]) -> list[str]:
    """Return a message about the seeds whose value is not a correlation, if there are any."""
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
    names = (NAMES.threshold, NAMES.least, NAMES.most)
    least, lowest, most = (number(gate.get(name)) for name in names)
    all_known = mean is not None
    each = f"{'each of the seeds' if below[1:] else 'seed'} {', '.join(below)}" if below else ""
    return (
        _Condition(NAMES.mean_holds, "the mean", names[0], least, all_known, reaches(mean, least)),
        _Condition(NAMES.least_holds, each, names[1], lowest, True, not failing),
        _Condition(
            NAMES.spread_holds, "the spread", names[2], most, all_known, reaches(most, spread)
        ),
    )


def _texts(listed: object) -> list[str] | None:
    """Return seeds as strings, sorted, like the keys of `per_seed_plccs`; or None if not a list."""
    return sorted(map(str, listed)) if isinstance(listed, list) else None


def _listed(seeds: Iterable[str]) -> str:
    return shown(sorted(seeds), 200)
