# SPDX-License-Identifier: Apache-2.0
"""The statistics of an evaluation that a sidecar records beside its `loso_folds`.

A model outside an ensemble records its gate in this flat form, with `gate_passed`: at the top level
of its sidecar, under `training`, or in both places.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from provenance.artifacts.sidecar import Document
from provenance.config.gates import PLCC_NAMES as NAMES
from provenance.evidence.evaluation import RECORDS, folds_at, measures_of, record_at
from provenance.evidence.recorded import close, number, same, unit
from provenance.gate.rules.base import shown
from provenance.gate.rules.forms import Place

_STATISTIC: Final = re.compile(r"loso_(mean|min|max|std)_([a-z0-9_]{1,20})")
_LIMIT: Final = NAMES.flat_threshold
_BEGIN: Final = ("loso_", _LIMIT[:5])


def wrong_statistics(document: Document) -> Iterator[tuple[Place, str]]:
    """Yield the statistics that do not follow from the folds or differ between two places.

    Each comes with a message.
    """
    named: set[Place] = set()
    recorded = {record: _recorded(document, record) for record in RECORDS}
    if not any(recorded.values()):
        return
    wrong = (*_no_numbers(document, recorded), *_not_of_the_folds(document, recorded))
    for where, message in wrong:
        if where not in named:
            named.add(where)
            yield where, message
    top, below = RECORDS
    for name, mine in recorded[top].items():
        other = (*below, name)
        theirs = recorded[below].get(name)
        if not _is_statistic(name) or theirs is None:
            continue
        if not named & {(name,), other} and not same(mine, theirs):
            yield (name,), f"`{name}` is {shown(mine)}, but `{'.'.join(other)}` is {shown(theirs)}"


_Recorded = Mapping[Place, Mapping[str, Any]]


def _recorded(document: Document, record: Place) -> Mapping[str, Any]:
    """Return the members of a record whose names start like those of an evaluation."""
    return {k: value for k, value in record_at(document, record).items() if k[:5] in _BEGIN}


def _is_statistic(name: str) -> bool:
    return _STATISTIC.fullmatch(name) is not None or name == _LIMIT


def _no_numbers(document: Document, recorded: _Recorded) -> Iterator[tuple[Place, str]]:
    """Yield the statistics that are not numbers.

    A limit that decides whether the gate passed is left to ENS511.
    """
    for record, members in recorded.items():
        left_to_gate = {_LIMIT} if document.get(*record, "gate_passed") is True else set()
        for name, value in members.items():
            is_no_number = value is not None and number(value) is None
            if is_no_number and _is_statistic(name) and name not in left_to_gate:
                where = (*record, name)
                yield where, f"`{'.'.join(where)}` is {shown(value)}, not a number"


def _not_of_the_folds(document: Document, recorded: _Recorded) -> Iterator[tuple[Place, str]]:
    if not any(NAMES.folds in members for members in recorded.values()):
        return
    for record, members in recorded.items():
        at, folds = folds_at(document, record)
        if at is None:
            return
        if not folds:
            found = shown(document.get(*at))
            yield at, f"`{'.'.join(at)}` is {found}, not a list of folds"
            continue
        measures = measures_of(folds)
        for name, found in members.items():
            statistic = _STATISTIC.fullmatch(name)
            values = measures.get(statistic[2]) if statistic else None
            if statistic is None or values is None or found is None:
                continue
            where, says = (*record, name), f"`{'.'.join((*record, name))}` is {shown(found)}"
            known = [v for v in values if v is not None]
            if len(known) < len(folds):
                yield where, f"{says}, but a fold has no number `{statistic[2]}`"
                continue
            slack = max(map(unit, known)) * (2 if statistic[1] == "std" else 1)
            try:
                given = _compute(statistic[1], known)
            except OverflowError:
                given = ()
            if not any(close(found, value, slack) for value in given):
                gives = repr(given[-1]) if given else "a number too large for a float"
                yield where, f"{says}, but its folds give {gives}"


def _compute(statistic: str, values: Sequence[float]) -> tuple[float, ...]:
    """Return the values that a statistic may have.

    For "std", exporters record either the population or the sample deviation: both are returned.

    Raises:
        OverflowError: If the result is too large for a float.
    """
    match statistic:
        case "mean":
            return (math.fsum(values) / len(values),)
        case "min":
            return (min(values),)
        case "max":
            return (max(values),)
    import statistics

    population = statistics.pstdev(values)
    return (population, statistics.stdev(values)) if len(values) > 1 else (population,)
