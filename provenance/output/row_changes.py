# SPDX-License-Identifier: Apache-2.0
"""The results of `add` and `remove`, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from provenance.operations.add import AddedRow, Addition
from provenance.operations.remove import Removal
from provenance.output.machine import members
from provenance.output.text import Style, count, diff_lines, printable


def addition(done: Addition, style: Style) -> str:
    """Return a line for each row with its license, and the diff or the row to write by hand."""
    lines: list[str] = []
    if done.diff:
        lines += [*diff_lines(done.diff, style), ""]
    for proposal in done.proposals:
        where = f", among the rows of {proposal.where}" if proposal.where is not None else ""
        into = "Write a file like" if not where and proposal.is_file else "Write into"
        lines.append(style.strong(printable(f"{into} {proposal.path}{where}:")))
        lines += ["", *(printable(line) for line in proposal.text.splitlines()), ""]
        if proposal.left:
            lines += [f"  left to you: {printable(', '.join(proposal.left))}", ""]
    for row in done.rows:
        lines += _row(row, style, written=not done.proposals)
    if done.proposals:
        lines.append(f"{printable(done.registry)} has a shape of its own and was not changed")
    elif done.written:
        lines.append(f"{style.good('WRITTEN')}: {printable(done.registry)}")
    else:
        lines.append(f"{style.good('OK')}: nothing to change in {printable(done.registry)}")
    return "\n".join(lines) + "\n"


def _row(row: AddedRow, style: Style, *, written: bool) -> Iterator[str]:
    state = "new" if row.is_new else "updated" if row.changed else "unchanged"
    state = state if written else "proposed"
    yield f"  {style.strong(printable(row.id))}  {printable(row.path)}  {style.quiet(state)}"
    if row.source is not None:
        found = printable(row.license)
        found = style.warning(found) if "license" in row.todo else found
        yield f"    license {found}, from {printable(row.source)}"
    if row.left_out:
        names = ", ".join(f"`{name}`" for name in row.left_out)
        yield f"    {style.warning('left out')}: {names}, which the registry's schema does not have"


def after_addition(done: Addition) -> Iterator[str]:
    """Yield what the author has to write, and the next command."""
    for row in done.rows:
        if row.todo:
            fields = " and ".join(f"`{name}`" for name in row.todo)
            yield printable(f"Write {fields} of {row.id}: {count(len(row.todo), 'TODO')}.")
    yield "Next: provenance check"


def addition_as_json(done: Addition) -> dict[str, Any]:
    """Return the result of `add` as JSON, version 1."""
    names = ("id", "path", "is_new", "changed", "license", "source", "todo", "left_out")
    return {
        "version": 1,
        "registry": done.registry,
        "written": done.written,
        "rows": [
            {k: list(v) if isinstance(v, tuple) else v for k, v in members(row, *names).items()}
            for row in done.rows
        ],
        "diff": done.diff,
        "proposals": [
            {**members(p, "path", "where", "text"), "left": list(p.left)} for p in done.proposals
        ],
    }


def removal(done: Removal, style: Style) -> str:
    """Return the diff, or the row to delete by hand, and what is withdrawn."""
    lines: list[str] = []
    if done.diff:
        lines += [*diff_lines(done.diff, style), ""]
    if done.by_hand is not None:
        row = done.by_hand
        at = printable(f"{row.path}:{row.line}")
        lines += [style.strong(f"Delete the row at {at} ({printable(row.location)}):"), ""]
        lines += [*(f"  {printable(line)}" for line in row.text.splitlines()), ""]
    entry = done.entry
    lines.append(f"  {style.strong(printable(entry.id))}  {printable(entry.reason)}")
    for name, sha256 in entry.digests.items():
        lines.append(f"    {style.quiet(sha256)}  {printable(name)}")
    for name, label in done.kept:
        also = f"row {label!r} has it, too"
        lines.append(f"    {style.warning('not withdrawn')}: {printable(name)}: {printable(also)}")
    if done.by_hand is None:
        lines.append(f"{style.good('REMOVED')}: {printable(entry.id)} from {done.registry}")
    if entry.digests:
        lines.append(f"{style.good('WITHDRAWN')}: {count(len(entry.digests), 'digest')}")
    return "\n".join(lines) + "\n"


def after_removal(done: Removal) -> Iterator[str]:
    """Yield the next steps."""
    if done.command is not None:
        yield printable(f"Remove the files of this row as well: {done.command}")
    yield "Next: provenance check, and then provenance release"


def removal_as_json(done: Removal) -> dict[str, Any]:
    """Return the result of `remove` as JSON, version 1."""
    return {
        "version": 1,
        "registry": done.registry,
        "entry": done.entry.as_json(),
        "diff": done.diff,
        "kept": [{"name": name, "row": label} for name, label in done.kept],
        "left": list(done.left),
        "by_hand": None
        if done.by_hand is None
        else members(done.by_hand, "path", "line", "location", "text"),
    }
