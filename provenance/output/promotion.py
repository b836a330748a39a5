# SPDX-License-Identifier: Apache-2.0
"""The result of `promote`, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from provenance.gate.finding import Finding, Verdict
from provenance.operations.promote import Promotion
from provenance.output import human, machine
from provenance.output.text import Style, count, diff_lines, joined, printable


def render(done: Promotion, style: Style) -> str:
    """Return the edits, the deferrals to remove, and the outcome in the last line."""
    lines = []
    if done.report.failing:
        lines += [human.render(done.report, style)]
    if done.missing:
        missing = [(f"{_few(m.rows)}: {m.obstacle.message}", m.obstacle.help) for m in done.missing]
        lines += [style.error("missing evidence"), *_problems(missing, style), ""]
    if done.diff:
        lines += [*diff_lines(done.diff, style), ""]
    if done.deferrals and done.verdict is Verdict.VERIFIED:
        obsolete = [(f"{_line(f)}: {f.message}", f.help) for f in done.deferrals]
        lines += [style.warning("deferrals to remove"), *_problems(obsolete, style), ""]
    if done.unvouched and done.verdict is Verdict.VERIFIED:
        paths = joined(printable(p) for p in done.unvouched)
        note = (
            f"note: only the row claims that {paths} holds the evaluated weights; a baseline "
            "(--baseline), or their digest in the sidecar, would confirm it"
        )
        lines += style.wrapped(note, 0, 6)
    return "\n".join((*lines, _outcome(done, style))) + "\n"


def as_json(done: Promotion) -> dict[str, Any]:
    """Return the result as JSON, version 1."""
    report = machine.report(done.report)
    return {
        "version": 1,
        "verdict": done.verdict.value,
        "registry": done.report.registry,
        "ensemble": done.ensemble,
        "rows": report["rows"],
        "flipped": list(done.flipped),
        "findings": report["findings"],
        "missing": [
            {"rows": list(m.rows), **machine.members(m.obstacle, "path", "message", "help")}
            for m in done.missing
        ],
        "unvouched": list(done.unvouched),
        "deferrals": [
            {
                "path": f.path,
                "line": f.position.line if f.position else None,
                **machine.members(f, "message", "help"),
            }
            for f in done.deferrals
        ],
        "diff": done.diff,
        "written": done.written,
    }


def _few(rows: Sequence[str]) -> str:
    return ", ".join(rows[:5]) + (" …" if len(rows) > 5 else "")


def _line(finding: Finding) -> str:
    return f"{finding.path}:{finding.position.line}" if finding.position else finding.path


def _problems(problems: Iterable[tuple[str, str]], style: Style) -> Iterator[str]:
    """Yield each problem with its next step."""
    for problem, help in problems:
        yield from style.wrapped(printable(problem), 2, 4)
        yield style.quiet("    next: ") + printable(help)


def _outcome(done: Promotion, style: Style) -> str:
    rows = count(len(done.report.rows), "row")
    ids = ", ".join(r.id for r in done.report.rows)
    what = printable(f"{done.ensemble}, {rows}" if done.ensemble else ids)
    if done.verdict is Verdict.FAILED and done.report.rows and not done.flipped:
        return f"{style.error('FAILED')}: {what}: already production, without complete evidence"
    if done.verdict is Verdict.FAILED:
        return f"{style.error('REFUSED')}: {what}; nothing was written"
    if done.verdict is Verdict.NOTHING:
        member = f"no row has a member of {printable(done.ensemble or '')}"
        return f"{style.error('NOTHING TO PROMOTE')}: {member}"
    deferred = done.report.deferred
    tail = f"; {count(len(deferred), 'finding')} deferred" if deferred else ""
    if done.written:
        return f"{style.good('PROMOTED')}: {what}{tail}"
    if done.diff:
        return f"{style.good('OK')}: {what} can be promoted{tail}; nothing was written"
    return f"{style.good('OK')}: {what}: already production, with complete evidence{tail}"
