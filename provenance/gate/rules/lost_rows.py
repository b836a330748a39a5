# SPDX-License-Identifier: Apache-2.0
"""What belongs to rows that are gone since the baseline: BAS801 reports it, and no other rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from provenance.artifacts.registry import Row
from provenance.evidence.registry_diff import LostRow
from provenance.evidence.strays import stems
from provenance.gate.rules.case import Case


def files_of_lost_rows(case: Case) -> Callable[[str], bool]:
    """Whether a file, by its name relative to the registry's folder, is that of a lost row.

    Also whether it is the former file of a row that names none now, or one that another rule says
    is not there: to remove it would lose the model. Where a deferral says that the row was removed
    on purpose, what it left behind is a stray.
    """
    lost = [lost.row.onnx for lost in undeclared(case)]
    models = {name.removesuffix(".onnx") for name in (*lost, *_misnamed(case)) if name}
    return lambda name: not models.isdisjoint(stems(name))


def undeclared(case: Case) -> Iterator[LostRow]:
    """The rows that are gone since the baseline, unless a deferral says that this was meant."""
    baseline = case.evidence.baseline
    if baseline is not None:
        for lost in baseline.comparison.lost_rows():
            if case.deferrals.covering("BAS801", lost.row.label) is None:
                yield lost


def is_lost(case: Case, onnx: str | None, id: str | None) -> bool:
    """Whether BAS801 reports that the row with this file and this id is gone."""
    baseline = case.evidence.baseline
    lost = baseline.comparison.lost.get(id or "") if baseline is not None else None
    if lost is None or lost.row.onnx != onnx:
        return False
    return case.deferrals.covering("BAS801", lost.row.label) is None


def is_renamed(case: Case, row: Row, id: str) -> bool:
    """Whether BAS801 reports that a row had this id at the baseline."""
    baseline = case.evidence.baseline
    former = baseline.comparison.renamed.get(row.index) if baseline is not None else None
    renamed = former is not None and former.label == id
    return renamed and case.deferrals.covering("BAS801", id) is None


def _misnamed(case: Case) -> Iterator[str | None]:
    """The former files of rows whose `onnx` is now no file, or that of another row."""
    baseline = case.evidence.baseline
    shared = Counter(facts.row.onnx for facts in case.facts)
    for facts in case.facts if baseline is not None else ():
        former = baseline.rows.get(facts.row.index) if baseline is not None else None
        now, onnx = facts.row.onnx, facts.onnx
        if former is not None and former.row.onnx != now:
            wrong = onnx is None or onnx.problem is not None or shared[now] > 1
            yield former.row.onnx if wrong else None
