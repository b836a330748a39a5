# SPDX-License-Identifier: Apache-2.0
"""Recompute the outcome of a gate from the recorded numbers.

Only the numbers decide. The rules in `verdicts` compare them with the outcome in the record.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from provenance.artifacts.sidecar import Document, once
from provenance.config.gates import PLCC, Direction
from provenance.config.gates import PLCC_NAMES as NAMES
from provenance.evidence.recorded import correlation, least, most, number, reaches, spread
from provenance.frozen import dataclass

Place = tuple[str, ...]
"""The path of a member through nested objects."""

PROMOTE: Final = "PROMOTE"
HOLD: Final = "HOLD"

PASSED: Final[Mapping[str | None, bool]] = {PROMOTE: True, HOLD: False}

RECORDS: Final[tuple[Place, ...]] = ((), ("training",))
"""Where a sidecar keeps the record of a gate."""

OUTCOMES: Final[tuple[Place, ...]] = (
    *(("gate", "verdict"), ("verdict",)),
    *(("training", "gate", "verdict"), ("training", "verdict")),
)
"""Where the outcome of a gate is written in words."""

FLAGS: Final[tuple[Place, ...]] = (
    *((*r, "gate", "passed") for r in RECORDS),
    *((*r, "gate_passed") for r in RECORDS),
)

CONDITIONS: Final = (
    (NAMES.mean, NAMES.threshold),
    (NAMES.own, NAMES.own_least),
    (NAMES.spread, NAMES.most),
)
"""The numbers of a gate that a sidecar may repeat, each with its limit."""

_SPREAD: Final = NAMES.spread
_SHIP: Final = NAMES.flat_threshold
_LEAST: Final = (NAMES.threshold, NAMES.own_least, NAMES.least)
_MOST: Final = (NAMES.most,)
"""The lower and the upper limits of a gate."""

_NAMES: Final = ("source", "held_out", "fold", "name")
"""The keys under which exporters write the name of a fold."""

_CORRELATIONS: Final = (NAMES.fold, "srocc", "krocc")

SIGNED_AS: Final[Mapping[Direction, str]] = {
    Direction.HIGHER: "at-least",
    Direction.LOWER: "at-most",
}
"""The directions as they are signed: how a value has to compare with its limit."""

MAX_VALUES: Final = 100
"""How many values of folds or seeds are kept. The outcome considers all of them."""

_MAX_NAME: Final = 100


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of a gate.

    Attributes:
        threshold: The limit that the value has to reach.
        value: The value that was compared with it: that of a model, or of an ensemble as a whole.
        values: The value of each seed or fold, by its name; at most `MAX_VALUES` of them.
        count: The number of all values.
        member_limit: The limit that each single value has to reach, or None.
        spread: The difference of the highest and the lowest value, or None if it is not known.
        spread_limit: The largest spread that passes, or None if there is no such limit.
        passed: Whether every condition holds.
        metric: The name of the metric.
        direction: Whether higher or lower values are better.
    """

    threshold: float
    value: float
    values: Mapping[str, float]
    count: int
    member_limit: float | None
    spread: float | None
    spread_limit: float | None
    passed: bool
    metric: str = PLCC.metric
    direction: Direction = PLCC.direction

    def as_json(self) -> dict[str, Any]:
        """Return the evaluation as it is signed."""
        return {
            "metric": self.metric,
            "direction": SIGNED_AS[self.direction],
            "threshold": self.threshold,
            "value": self.value,
            "values": dict(self.values),
            "count": self.count,
            "least" if self.direction is Direction.HIGHER else "most": self.member_limit,
            "spread": self.spread,
            "spread_limit": self.spread_limit,
            "result": PROMOTE if self.passed else HOLD,
        }


@once
def evaluate(document: Document) -> Evaluation | None:
    """Recompute the built-in gate in a verdict file, a manifest or a sidecar.

    Returns:
        The outcome by the numbers alone, or None if there is no mean with a threshold. If a value
        equals its limit within rounding errors, the outcome is the recorded one.
    """
    gate = document.get("gate")
    if isinstance(gate, dict):
        per_seed = gate.get(NAMES.values)
        if isinstance(per_seed, dict) and per_seed:
            return _evaluate_seeds(document, gate, per_seed)
        found = _evaluate_sidecar(document, gate)
        if found is not None:
            return found
    return next(_evaluate_folds(document), None)


def _evaluate_seeds(
    document: Document, gate: Mapping[str, Any], per_seed: Mapping[str, Any]
) -> Evaluation | None:
    known = {seed: correlation(value) for seed, value in per_seed.items()}
    values = {seed: value for seed, value in known.items() if value is not None}
    threshold, lowest = least(gate.get(NAMES.threshold)), least(gate.get(NAMES.least))
    limit = most(gate.get(NAMES.most))
    if threshold is None or not values:
        return None
    mean, between = math.fsum(values.values()) / len(values), difference(values)
    holds = [
        reaches(mean, threshold),
        len(values) == len(known),
        lowest is not None and min(values.values()) >= lowest,
        reaches(limit, between),
    ]
    return Evaluation(
        threshold,
        mean,
        first_values(values),
        len(values),
        lowest,
        between,
        limit,
        _all_hold(document, holds),
    )


def _evaluate_sidecar(document: Document, gate: Mapping[str, Any]) -> Evaluation | None:
    """Recompute the gate that a sidecar repeats. It has only the value of its own seed."""
    found: dict[str, tuple[float | None, float | None]] = {}
    for name, limit_name in CONDITIONS:
        as_number, as_limit = (spread, most) if name == NAMES.spread else (correlation, least)
        found[name] = as_number(gate.get(name)), as_limit(gate.get(limit_name))
    mean, threshold = found[NAMES.mean]
    own, lowest = found[NAMES.own]
    between, limit = found[NAMES.spread]
    if mean is None or threshold is None:
        return None
    holds = [reaches(mean, threshold)]
    holds += [reaches(own, lowest)] if NAMES.own_least in gate else []
    holds += [reaches(limit, between)] if NAMES.most in gate else []
    values = {} if own is None else {"this_seed": own}
    return Evaluation(
        threshold, mean, values, len(values), lowest, between, limit, _all_hold(document, holds)
    )


def _evaluate_folds(document: Document) -> Iterator[Evaluation]:
    """Yield the evaluations of flat records, at the top of a sidecar and under `training`."""
    for record in RECORDS:
        found, limit = recorded_at(document, record, NAMES.flat_threshold)
        threshold = least(limit)
        mean = mean_of_folds(document, record)
        if mean is None:
            mean = correlation(recorded_at(document, record, NAMES.flat_mean)[1])
        if not found or threshold is None or mean is None:
            continue
        values = plcc_of_folds(document, record)
        between = difference(values) if values else None
        passed = _all_hold(document, [reaches(mean, threshold)])
        yield Evaluation(
            threshold, mean, first_values(values), len(values), None, between, None, passed
        )


def _all_hold(document: Document, holds: list[bool | None]) -> bool:
    """Whether all conditions hold. If the numbers leave one open, the record decides."""
    if None in holds and False not in holds:
        outcomes = [passed for _, passed in stated_outcomes(document)]
        return bool(outcomes) and all(outcomes)
    return all(holds)


def difference(values: Mapping[str, float]) -> float:
    """Return the difference of the highest and the lowest value."""
    return max(values.values()) - min(values.values())


def first_values(values: Mapping[str, float]) -> Mapping[str, float]:
    """Return the values that are kept, with names of limited length."""
    return {name[:_MAX_NAME]: values[name] for name in sorted(values)[:MAX_VALUES]}


LIMITS: Final[Mapping[str, Sequence[Place]]] = {
    "threshold": (
        ("gate", NAMES.threshold),
        *((*record, NAMES.flat_threshold) for record in RECORDS),
    ),
    "member_limit": (("gate", NAMES.least), ("gate", NAMES.own_least)),
    "spread_limit": (("gate", NAMES.most),),
}
"""The limits of an evaluation, by attribute, and the places where a document may record each."""


def looser_limits(
    then: Document, now: Document
) -> Sequence[tuple[Place, float | None, float | None]]:
    """Return the limits in a document that are looser than in its former state.

    Each has its place, its present and its former value. A limit that is missing is looser than any
    other. The result is empty if one of the two has no evaluation by the built-in gate.
    """
    was, found = evaluate(then), evaluate(now)
    if was is None or found is None:
        return ()
    looser = []
    for name, places in LIMITS.items():
        former, limit = getattr(was, name), getattr(found, name)
        if former is None or limit == former:
            continue
        is_upper = name == "spread_limit"
        if limit is None or (limit > former if is_upper else limit < former):
            known = (place for place in places if now.get(*place) is not None)
            looser.append((next(known, places[0]), limit, former))
    return tuple(looser)


def no_evidence(document: Document) -> Iterator[str]:
    """Yield why a gate is not evidence: limits that every model passes, and unreadable values.

    The rules about gates accept these, because exporters write them. For production they do not
    count.
    """
    gate = record_at(document, ("gate",))
    limits = [(name, gate[name]) for name in (*_LEAST, *_MOST) if name in gate]
    limits += [(_SHIP, record_at(document, record).get(_SHIP)) for record in RECORDS]
    for name, value in limits:
        limit = number(value)
        if limit is not None and (most if name in _MOST else least)(limit) is None:
            yield f"`{name}` is {limit:g}, which limits nothing"
    if number(gate.get(_SPREAD)) is not None and spread(gate[_SPREAD]) is None:
        yield f"`{_SPREAD}` is {number(gate[_SPREAD]):g}, which cannot be a spread"
    per_seed = gate.get(NAMES.values)
    if per_seed is not None and not (isinstance(per_seed, dict) and per_seed):
        yield f"`{NAMES.values}` has no values"
    for where in OUTCOMES:
        word = document.text_at(*where) if where[0] in document.value else None
        if word is not None and word not in PASSED:
            yield f"`{'.'.join(where)}` is {word[:40]!r}, expected {PROMOTE} or {HOLD}"


@once
def stated_outcomes(document: Document) -> Sequence[tuple[Place, bool]]:
    """Return each place where a document records the outcome of its gate, and whether it passed."""
    top, found = document.value, []
    for where in OUTCOMES:
        if where[0] in top and (word := document.text_at(*where)) in PASSED:
            found.append((where, PASSED[word]))
    for where in FLAGS:
        if where[0] in top and isinstance(passed := document.get(*where), bool):
            found.append((where, passed))
    return tuple(found)


def mean_of_folds(document: Document, record: Place) -> float | None:
    """Return the mean correlation of the folds, or None if any is missing."""
    _, folds = folds_at(document, record)
    known = [v for v in measures_of(folds).get(NAMES.fold, []) if v is not None]
    if not known or len(known) < len(folds):
        return None
    return math.fsum(known) / len(known)


def plcc_of_folds(document: Document, record: Place) -> Mapping[str, float]:
    """Return the correlation of each fold that has one, by the fold's name or its place."""
    _, folds = folds_at(document, record)
    found: dict[str, float] = {}
    for place, fold in enumerate(folds):
        value = correlation(fold.get(NAMES.fold)) if isinstance(fold, dict) else None
        if value is not None:
            names = (fold.get(key) for key in _NAMES)
            name = next((n for n in names if isinstance(n, str) and n), str(place))
            found[name if name not in found else f"{name} ({place})"] = value
    return found


def recorded_at(document: Document, record: Place, name: str) -> tuple[bool, Any]:
    """Return whether `name` is in a record, or else in another record, and its value."""
    for holder in (record_at(document, r) for r in (record, *RECORDS)):
        if name in holder:
            return True, holder[name]
    return False, None


def folds_at(document: Document, record: Place) -> tuple[Place | None, Sequence[Any]]:
    """Return the place of the folds in a record, or else in another record, and the folds."""
    for place in (record, *RECORDS):
        at = (*place, NAMES.folds)
        found = document.get(*at)
        if found is not None:
            return at, found if isinstance(found, list) else []
    return None, []


def measures_of(folds: Sequence[Any]) -> Mapping[str, Sequence[float | None]]:
    """Return the values of each measure, in the order of the folds that have it."""
    found: dict[str, list[float | None]] = {}
    for fold in folds:
        for name, value in fold.items() if isinstance(fold, dict) else ():
            as_number = correlation if name in _CORRELATIONS else number
            found.setdefault(name, []).append(as_number(value))
    return found


def record_at(document: Document, record: Place) -> Mapping[str, Any]:
    """Return the object at a record's place, or an empty one."""
    found = document.get(*record)
    return found if isinstance(found, dict) else {}
