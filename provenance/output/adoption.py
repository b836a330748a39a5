# SPDX-License-Identifier: Apache-2.0
"""What `init` found and wrote, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from provenance.operations.adoption.template import Initialised, Recorded
from provenance.output.text import Style, count, printable


def render(done: Initialised, style: Style) -> str:
    """What was written, in words; a line for each thing that it was made of."""
    shape = done.shape
    lines = [f"{style.good('WRITTEN')}: {printable(done.path)}"]
    lines.append(f"  registry {printable(shape.path)}, {count(shape.rows, 'row')}")
    for known, name in _unread(done):
        lines.append(
            f"  {style.warning('not read')}: `{printable(name)}`; if it is the `{known}` of a row, "
            "rename it in the registry"
        )
    lines += [f"  it trusts the key {printable(key)}" for key in done.keys]
    for signer in done.signers:
        if signer.unsure is None:
            of = f"{signer.workflow.path} of {signer.repository} for {signer.ref}"
            lines.append(f"  it trusts the workflow {printable(of)}")
        else:
            what = f"{signer.workflow.path} for {signer.ref}: {signer.unsure}"
            lines.append(f"  {style.warning('not in force')}: {printable(what)}")
    lines += [f"  {style.warning('note')}: {printable(n)}" for n in done.workflows.notes]
    for recorded in done.recorded:
        lines.append(
            f"  deferral {style.strong(recorded.rule)} {recorded.slug}: "
            f"{count(recorded.findings, 'finding')}"
        )
    return "\n".join(lines) + "\n"


def advice(done: Initialised) -> Iterator[str]:
    """What to look at, and what to do next."""
    for key in done.keys:
        yield printable(f"It trusts {key}: look whether that is the release key.")
    if any(signer.unsure is None for signer in done.signers):
        yield "It trusts workflows: look whether each of them releases, and no other does."
    if done.recorded:
        yield printable(
            f"Explain each deferral in {done.path}: {count(done.todo, 'TODO')} to be written."
        )
    if done.left:
        number = count(sum(done.left.values()), "finding")
        which = ", ".join(f"{code} {slug} ({n})" for (code, slug), n in done.left.items())
        yield f"To be corrected: {number}, {which}."
        if done.fixable:
            fixable = count(done.fixable, "finding")
            yield f"Of these, {fixable} can be corrected by: provenance check --fix"
    yield "Next: provenance check"


def question(recorded: Sequence[Recorded]) -> str:
    """What is asked before findings are recorded."""
    findings = count(sum(r.findings for r in recorded), "finding")
    which = ", ".join(f"{r.rule} {r.slug} ({r.findings})" for r in recorded)
    return (
        f"{findings} can be recorded as deferrals: {which}.\n"
        "Each gets a TODO that fails until you have explained it. Record them?"
    )


def as_json(done: Initialised) -> dict[str, Any]:
    """The same as JSON, version 1. `left` is null where no check was run."""
    return {
        "version": 1,
        "path": done.path,
        "registry": done.shape.path,
        "rows": done.shape.rows,
        "unread": [{"field": known, "called": name} for known, name in _unread(done)],
        "keys": list(done.keys),
        "repository": done.remote.github,
        "workflows": [
            {"path": w.path, "tools": list(w.tools), "refs": list(w.refs)}
            for w in done.workflows.workflows
        ],
        "trusted": [
            {"repository": s.repository, "workflow": s.workflow.path, "ref": s.ref}
            for s in done.signers
            if s.unsure is None
        ],
        "deferrals": [
            {"rule": r.rule, "rows": list(r.rows), "findings": r.findings} for r in done.recorded
        ],
        "todo": done.todo,
        "left": None
        if done.left is None
        else {code: number for (code, _), number in done.left.items()},
        "notes": list(done.workflows.notes),
    }


def _unread(done: Initialised) -> Iterator[tuple[str, str]]:
    """Fields of this project that no row has, each with a field that could be it."""
    yield from done.shape.names.renamed.items()
    for known, could in done.shape.unsure.items():
        yield from ((known, name) for name in could)
