# SPDX-License-Identifier: Apache-2.0
"""Files of rows that are gone since the baseline: BAS801 tells of them, and no other rule."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from provenance.gate.deferring import Deferrals
from provenance.gate.rules.base import Case


def files_of_lost_rows(case: Case) -> Callable[[str], bool]:
    """Whether a file, by its name relative to the registry's folder, is that of a lost row.

    Where a deferral says that the row was removed on purpose, what it left behind is a stray.
    """
    baseline = case.evidence.baseline
    if baseline is None:
        return lambda _name: False
    meant = Deferrals(case.config.deferrals)
    lost = (r.row for r in baseline.comparison.lost_rows())
    models = frozenset(
        row.onnx.removesuffix(".onnx")
        for row in lost
        if row.onnx and meant.covering("BAS801", row.label) is None
    )
    return lambda name: not models.isdisjoint(stems(name))


def stems(name: str) -> Iterator[str]:
    """Everything that a file may be named after: `m` and `m.onnx` for `m.onnx.data`."""
    for dot in re.finditer(r"\.", name):
        yield name[: dot.start()]
