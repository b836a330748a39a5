# SPDX-License-Identifier: Apache-2.0
"""The flat record of an evaluation: `loso_folds`, what is computed of them, and `gate_passed`.

A model that is no member of an ensemble keeps its gate like this, at the top of its sidecar, under
`training`, or in both.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from provenance.artifacts.sidecar import Document
from provenance.gate.rules.base import shown
from provenance.gate.rules.ensembles.recorded import close, correlation, number, same, unit
from provenance.gate.rules.forms import Place

RECORDS: Final[tuple[Place, ...]] = ((), ("training",))
"""Where a sidecar keeps such a record."""

_STATISTIC: Final = re.compile(r"loso_(mean|min|max|std)_([a-z0-9_]{1,20})")
_LIMIT: Final = "ship_gate_mean_plcc"
_NAMES: Final = ("source", "held_out", "fold", "name")
"""What exporters call the name of a fold."""

_CORRELATIONS: Final = ("plcc", "srocc", "krocc")


def wrong_statistics(document: Document) -> Iterator[tuple[Place, str]]:
    """Means, extremes and deviations that the folds do not give, or that two places have twice."""
    named: set[Place] = set()
    for where, message in (*_no_numbers(document), *_not_of_the_folds(document)):
        if where not in named:
            named.add(where)
            yield where, message
    top, below = RECORDS
    for name in _record(document, top):
        other = (*below, name)
        if not _is_statistic(name):
            continue
        mine, theirs = document.get(name), document.get(*other)
        if theirs is None or named & {(name,), other} or same(mine, theirs):
            continue
        yield (name,), f"`{name}` is {shown(mine)}, and `{'.'.join(other)}` is {shown(theirs)}"


def mean_of_folds(document: Document, record: Place) -> float | None:
    """The mean of the folds' correlations; None where there are none, or one has no number."""
    _, folds = _folds(document, record)
    known = [v for v in _measures(folds).get("plcc", []) if v is not None]
    if not known or len(known) < len(folds):
        return None
    return math.fsum(known) / len(known)


def plcc_of_folds(document: Document, record: Place) -> Mapping[str, float]:
    """The correlation of each fold that has one, by the fold's name or its place."""
    _, folds = _folds(document, record)
    found: dict[str, float] = {}
    for place, fold in enumerate(folds):
        value = correlation(fold.get("plcc")) if isinstance(fold, dict) else None
        if value is not None:
            names = (fold.get(key) for key in _NAMES)
            name = next((n for n in names if isinstance(n, str) and n), str(place))
            found[name if name not in found else f"{name} ({place})"] = value
    return found


def recorded_at(document: Document, record: Place, name: str) -> tuple[bool, Any]:
    """Whether `name` is in a record, or else in another one, and its value there."""
    for holder in (_record(document, r) for r in (record, *RECORDS)):
        if name in holder:
            return True, holder[name]
    return False, None


def _is_statistic(name: str) -> bool:
    return _STATISTIC.fullmatch(name) is not None or name == _LIMIT


def _no_numbers(document: Document) -> Iterator[tuple[Place, str]]:
    """The statistics that are no numbers; where a limit decides, the gate says so (ENS511)."""
    for record in RECORDS:
        told = {_LIMIT} if document.get(*record, "gate_passed") is True else set()
        for name, value in _record(document, record).items():
            is_no_number = value is not None and number(value) is None
            if is_no_number and _is_statistic(name) and name not in told:
                where = (*record, name)
                yield where, f"`{'.'.join(where)}` is {shown(value)}, not a number"


def _not_of_the_folds(document: Document) -> Iterator[tuple[Place, str]]:
    for record in RECORDS:
        at, folds = _folds(document, record)
        if at is None:
            return
        if not folds:
            found = shown(document.get(*at))
            yield at, f"`{'.'.join(at)}` is {found}, which is no list of folds"
            continue
        measures = _measures(folds)
        for name, found in _record(document, record).items():
            statistic = _STATISTIC.fullmatch(name)
            values = measures.get(statistic[2]) if statistic else None
            if statistic is None or values is None or found is None:
                continue
            where, says = (*record, name), f"`{'.'.join((*record, name))}` is {shown(found)}"
            known = [v for v in values if v is not None]
            if len(known) < len(folds):
                yield where, f"{says}; a fold has no number `{statistic[2]}`"
                continue
            slack = max(map(unit, known)) * (2 if statistic[1] == "std" else 1)
            try:
                given = _compute(statistic[1], known)
            except OverflowError:
                given = ()
            if not any(close(found, value, slack) for value in given):
                gives = repr(given[-1]) if given else "a number that no float holds"
                yield where, f"{says}; its folds give {gives}"


def _compute(statistic: str, values: Sequence[float]) -> tuple[float, ...]:
    """What a statistic may be. Exporters differ in which deviation they mean by "std".

    Raises:
        OverflowError: What is computed of these numbers is none that a float holds.
    """
    match statistic:
        case "mean":
            return (math.fsum(values) / len(values),)
        case "min":
            return (min(values),)
        case "max":
            return (max(values),)
    whole = statistics.pstdev(values)
    return (whole, statistics.stdev(values)) if len(values) > 1 else (whole,)


def _folds(document: Document, record: Place) -> tuple[Place | None, Sequence[Any]]:
    """Where the folds of a record are, or else those of another one, and what is listed there."""
    for place in (record, *RECORDS):
        at = (*place, "loso_folds")
        found = document.get(*at)
        if found is not None:
            return at, found if isinstance(found, list) else []
    return None, []


def _measures(folds: Sequence[Any]) -> Mapping[str, Sequence[float | None]]:
    """The values of each measure, in the order of the folds that have it."""
    found: dict[str, list[float | None]] = {}
    for fold in folds:
        for name, value in fold.items() if isinstance(fold, dict) else ():
            as_number = correlation if name in _CORRELATIONS else number
            found.setdefault(name, []).append(as_number(value))
    return found


def _record(document: Document, record: Place) -> Mapping[str, Any]:
    found = document.get(*record)
    return found if isinstance(found, dict) else {}
