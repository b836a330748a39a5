# SPDX-License-Identifier: Apache-2.0
"""Rows that are gone since the baseline, and their files. Only BAS801 reports them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from provenance.evidence.registry_diff import LostRow
from provenance.evidence.strays import stems
from provenance.gate.rules.case import Case
from provenance.registry.rows import Row


def files_of_lost_rows(case: Case) -> Callable[[str], bool]:
    """Return a function that says whether a file belongs to a lost row.

    The function takes the name of the file relative to the registry's folder. It is also true for
    the former file of a row that now names no file or a wrong one: removing that file would lose
    the model. If the row was withdrawn, or a deferral declares that it was removed on purpose, its
    files are strays.
    """
    lost = [lost.row.onnx for lost in undeclared(case)]
    models = {name.removesuffix(".onnx") for name in (*lost, *_misnamed(case)) if name}
    return lambda name: not models.isdisjoint(stems(name))


def undeclared(case: Case) -> Iterator[LostRow]:
    """Yield the rows that are gone since the baseline.

    Rows that were withdrawn are left out, and those whose removal a deferral declares.
    """
    baseline = case.evidence.baseline
    if baseline is not None:
        for lost in baseline.comparison.lost_rows():
            if not is_withdrawn(case, lost.row) and (
                case.deferrals.covering("BAS801", lost.row.label) is None
            ):
                yield lost


def is_lost(case: Case, onnx: str | None, id: str | None) -> bool:
    """Whether BAS801 reports that the row with this file and this id is gone."""
    baseline = case.evidence.baseline
    lost = baseline.comparison.lost.get(id or "") if baseline is not None else None
    if lost is None or lost.row.onnx != onnx or is_withdrawn(case, lost.row):
        return False
    return case.deferrals.covering("BAS801", lost.row.label) is None


def is_renamed(case: Case, row: Row, id: str) -> bool:
    """Whether BAS801 reports that a row had this id at the baseline."""
    baseline = case.evidence.baseline
    former = baseline.comparison.renamed.get(row.index) if baseline is not None else None
    if former is None or former.label != id or is_withdrawn(case, former):
        return False
    return case.deferrals.covering("BAS801", id) is None


def is_withdrawn(case: Case, row: Row) -> bool:
    """Whether a row of the baseline is gone because its models were withdrawn."""
    withdrawn = case.evidence.withdrawn
    return withdrawn is not None and withdrawn.covers(row, case.evidence.registry)


def _misnamed(case: Case) -> Iterator[str | None]:
    """Yield the former files of rows whose `onnx` is now missing, wrong, or another row's file."""
    baseline = case.evidence.baseline
    shared = Counter(facts.row.onnx for facts in case.facts)
    for facts in case.facts if baseline is not None else ():
        former = baseline.rows.get(facts.row.index) if baseline is not None else None
        now, onnx = facts.row.onnx, facts.onnx
        if former is not None and former.row.onnx != now:
            is_wrong = onnx is None or onnx.problem is not None or shared[now] > 1
            yield former.row.onnx if is_wrong else None
