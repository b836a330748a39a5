# SPDX-License-Identifier: Apache-2.0
"""What was lost since a baseline and put back, for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from provenance.operations.restore import Restoration, Restored
from provenance.output.text import Style, count, diff_lines, printable


def restoration(result: Restoration, style: Style) -> str:
    """What was lost, row by row; the difference; and what was done."""
    head = printable(f"{result.registry}, compared with {result.baseline}")
    lines = [style.strong(head), ""]
    back = [r for r in result.lost if r.refused is None]
    for subject, group in groupby(back, lambda r: (r.row, r.field is None)):
        fields = ", ".join(r.field for r in group if r.field is not None)
        lines.append(_line("lost", style.warning, subject[0], fields or "the whole row", style))
    for refused in result.refused:
        what = f"{refused.field} is not put back" if refused.field else "not put back"
        told = f"{what}: {refused.refused}"
        lines.append(_line("refused", style.error, refused.row, told, style))
    told = "a deferral says that it is meant"
    lines += [_line("declared", style.quiet, row, told, style) for row in result.declared]
    if result.diff:
        lines += ["", *diff_lines(result.diff, style)]
    if result.lost or result.declared:
        lines.append("")
    return "\n".join((*lines, *_outcome(result, back, style))) + "\n"


def _line(word: str, paint: Callable[[str], str], row: str | None, text: str, style: Style) -> str:
    """One thing, with its kind before it; wrapped so that the kind stands alone."""
    filled = style.fill(printable(f"{row or 'the registry'}: {text}"), 12)
    return f"  {paint(word.ljust(8))}  {filled.lstrip()}"


def _outcome(result: Restoration, back: Sequence[Restored], style: Style) -> Iterator[str]:
    rows = sum(1 for r in back if r.field is None)
    fields = len(back) - rows
    counts = [count(n, what) for n, what in ((fields, "field"), (rows, "row")) if n]
    if result.written:
        yield f"{style.good('RESTORED')}: {' and '.join(counts)} in {printable(result.registry)}"
    elif back:
        yield f"{printable(result.registry)} would get {' and '.join(counts)} back"
    elif not result.refused:
        yield f"{style.good('OK')}: nothing was lost"
    if result.refused:
        what = count(len(result.refused), "thing")
        yield f"{style.error('FAILED')}: {what} not put back"
