# SPDX-License-Identifier: Apache-2.0
"""Digests for people."""

from __future__ import annotations

from provenance.gate.finding import Verdict
from provenance.journeys.hashing import HashedFile, Hashes
from provenance.output import difference
from provenance.output.names import joined
from provenance.output.text import Style, count, printable, size


def hashes(result: Hashes, style: Style) -> str:
    """A line a file, as `sha256sum` prints it, with what the row says; then the difference."""
    lines = [_line(f, style) for f in result.files]
    if result.diff:
        lines += ["", *difference.lines(result.diff, style)]
    lines.append("")
    unhashed = sum(1 for f in result.files if f.problem)
    if result.verdict is Verdict.NOTHING:
        lines.append(f"{style.error('NOTHING TO HASH')}: the registry has no rows")
    elif result.written:
        lines.append(f"{style.good('WRITTEN')}: {result.registry}")
    elif result.diff:
        lines.append(f"{printable(result.registry)} would change; --write changes it")
        wrong = sum(1 for f in result.files if f.wrong)
        if wrong:
            lines.append(f"{style.error('FAILED')}: {count(wrong, 'file')} not as declared")
    else:
        what = "every digest that the rows declare is right"
        good = result.verdict is Verdict.VERIFIED
        lines.append(f"{style.good('OK')}: {what}" if good else "nothing to write")
    if unhashed:
        lines.append(f"{style.error('FAILED')}: {count(unhashed, 'file')} could not be hashed")
    lacking = [f for f in result.files if f.missing]
    if lacking:
        number = count(len(lacking), "file")
        lines.append(f"{style.error('FAILED')}: {number} without the digest that a row has to have")
        for field in sorted({str(f.missing) for f in lacking}):
            rows = joined(dict.fromkeys(printable(f.row) for f in lacking if f.missing == field))
            step = f'Add "{printable(field)}": "" to {rows}, then: provenance hash --write'
            lines += [style.quiet("  next: ") + step]
    return "\n".join(lines) + "\n"


def _line(file: HashedFile, style: Style) -> str:
    path = printable(file.path)
    if file.sha256 is None:
        problem = (file.problem or "unreadable").removeprefix(f"{file.path!r} ")
        return f"{'-' * 64}  {path}  {style.error(printable(problem))}"
    if file.problem:
        state = style.error(f"not ONNX: {printable(file.problem)}")
    elif file.matches:
        state = style.good("as declared")
    elif file.declared is None:
        state = style.warning("no digest in the row")
    else:
        state = style.error("not as declared")
    return f"{file.sha256}  {path}  {style.quiet(size(file.size))}  {state}"
