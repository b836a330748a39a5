# SPDX-License-Identifier: Apache-2.0
"""The results of `hash` and `restore`, for people."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from provenance.gate.finding import Verdict
from provenance.operations.hashing import HashedFile, Hashes
from provenance.operations.restore import Restoration, Restored
from provenance.output.text import Style, count, diff_lines, joined, printable, size
from provenance.registry.rows import is_blank


def hashes(result: Hashes, style: Style) -> str:
    """Return a line for each file, like `sha256sum`, with its state; the diff; and the verdict."""
    lines = [_line(f, style) for f in result.files]
    if result.diff:
        lines += ["", *diff_lines(result.diff, style)]
    lines.append("")
    if result.verdict is Verdict.NOTHING:
        lines.append(f"{style.error('NOTHING TO HASH')}: the registry has no rows")
    elif result.written:
        lines.append(f"{style.good('WRITTEN')}: {result.registry}")
    elif result.diff:
        lines.append(f"{printable(result.registry)} would change; use --write to change it")
    else:
        what = "every digest in the rows is correct"
        good = result.verdict is Verdict.VERIFIED
        lines.append(f"{style.good('OK')}: {what}" if good else "nothing to write")
    lines += _failures(result, style)
    return "\n".join(lines) + "\n"


def _failures(result: Hashes, style: Style) -> Iterator[str]:
    """Yield the reasons for exit code 1, each with the next step."""
    failed, step = style.error("FAILED"), style.quiet("  next: ")
    unhashed = sum(1 for f in result.files if f.problem)
    hashed = [f for f in result.files if f.wrong and not f.problem]
    wrong = [f for f in hashed if f.refused or not result.written]
    if wrong:
        yield f"{failed}: {count(len(wrong), 'file')} with another digest than the row"
    refused = [f for f in result.files if f.refused]
    for row in dict.fromkeys(f.row for f in refused):
        yield from _refused(row, [f for f in refused if f.row == row], step)
    if unhashed:
        yield f"{failed}: {count(unhashed, 'file')} could not be hashed"
    lacking = [f for f in result.files if f.missing]
    if lacking:
        number = count(len(lacking), "file")
        yield f"{failed}: {number} without a required digest in the row"
        for field in sorted({str(f.missing) for f in lacking}):
            rows = joined(dict.fromkeys(printable(f.row) for f in lacking if f.missing == field))
            yield f'{step}Add "{printable(field)}": "" to {rows}, then: provenance hash --write'


def _refused(row: str, files: list[HashedFile], step: str) -> Iterator[str]:
    """Yield the digests of a row that are kept although they differ from those of the files."""
    for file in files:
        reason = printable(file.refused or "")
        yield f"  {printable(row)}: `{printable(file.field)}` is kept: {reason}"
        if file.declared is not None:
            yield f"    row   {printable(file.declared[:160])}"
            yield f"    file  {file.sha256}"
    if any(f.acceptable for f in files):
        add = ("--add-external-data",) if any(f.declared is None for f in files) else ()
        again = shlex.join(("provenance", "hash", row, "--write", *add, "--accept", row))
        yield f"{step}Restore the file. If it was changed on purpose: {printable(again)}"
    if not all(f.acceptable for f in files):
        again = shlex.join(("provenance", "hash", row, "--write"))
        yield f'{step}If the field may hold a SHA-256, set it to "", then: {printable(again)}'


def _line(file: HashedFile, style: Style) -> str:
    path = printable(file.path if file.path is not None else f"(row {file.row})")
    if file.sha256 is None:
        problem = (file.problem or "unreadable").removeprefix(f"{file.path!r} ")
        return f"{'-' * 64}  {path}  {style.error(printable(problem))}"
    if file.problem:
        state = style.error(f"not ONNX: {printable(file.problem)}")
    elif file.matches:
        state = style.good("matches the row")
    elif file.declared is None or (file.wrong and is_blank(file.declared)):
        state = style.warning("no digest in the row")
    else:
        state = style.error("differs from the row")
    return f"{file.sha256}  {path}  {style.quiet(size(file.size))}  {state}"


def restoration(result: Restoration, style: Style) -> str:
    """Return the losses of each row, the diff, and the verdict."""
    head = printable(f"{result.registry}, compared with {result.baseline}")
    lines = [style.strong(head), ""]
    restored = [r for r in result.lost if r.refused is None]
    for subject, group in groupby(restored, lambda r: (r.row, r.field is None)):
        fields = ", ".join(r.field for r in group if r.field is not None)
        lines.append(_lost("lost", style.warning, subject[0], fields or "the whole row", style))
    for refused in result.refused:
        what = f"{refused.field} is not restored" if refused.field else "not restored"
        reason = f"{what}: {refused.refused}"
        lines.append(_lost("refused", style.error, refused.row, reason, style))
    reason = "a deferral declares the loss"
    lines += [_lost("declared", style.quiet, row, reason, style) for row in result.declared]
    reason = "its models were withdrawn"
    lines += [_lost("kept out", style.quiet, row, reason, style) for row in result.withdrawn]
    if result.diff:
        lines += ["", *diff_lines(result.diff, style)]
    if result.lost or result.declared or result.withdrawn:
        lines.append("")
    return "\n".join((*lines, *_restored(result, restored, style))) + "\n"


def _lost(word: str, paint: Callable[[str], str], row: str | None, text: str, style: Style) -> str:
    """Return one loss, wrapped to the right of its kind."""
    lines = style.wrapped(printable(f"{row or 'the registry'}: {text}"), 12)
    return f"  {paint(word.ljust(8))}  " + "\n".join(lines).lstrip()


def _restored(result: Restoration, restored: Sequence[Restored], style: Style) -> Iterator[str]:
    rows = sum(1 for r in restored if r.field is None)
    fields = len(restored) - rows
    counts = [count(n, what) for n, what in ((fields, "field"), (rows, "row")) if n]
    if result.written:
        yield f"{style.good('RESTORED')}: {' and '.join(counts)} in {printable(result.registry)}"
    elif restored:
        yield f"{' and '.join(counts)} would be restored in {printable(result.registry)}"
    elif not result.refused:
        yield f"{style.good('OK')}: nothing was lost"
    if result.refused:
        yield f"{style.error('FAILED')}: {count(len(result.refused), 'item')} not restored"
