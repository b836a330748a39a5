# SPDX-License-Identifier: Apache-2.0
"""The result of `init`, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from provenance.operations.adoption.template import Initialised, Recorded
from provenance.output.text import Style, count, printable


def render(done: Initialised, style: Style) -> str:
    """Return what was written, with a line for each part of the configuration."""
    shape = done.shape
    lines = [f"{style.good('WRITTEN')}: {printable(done.path)}"]
    lines.append(f"  registry {printable(shape.path)}, {count(shape.rows, 'row')}")
    for known, name in _unread(done):
        lines.append(
            f"  {style.warning('not read')}: `{printable(name)}`; if it is meant as `{known}`, "
            "rename it in the registry"
        )
    lines += [f"  trusts the key {printable(key)}" for key in done.keys]
    for signer in done.signers:
        if signer.unsure is None:
            of = f"{signer.workflow.path} of {signer.repository} for {signer.ref}"
            lines.append(f"  trusts the workflow {printable(of)}")
        else:
            what = f"{signer.workflow.path} for {signer.ref}: {signer.unsure}"
            lines.append(f"  {style.warning('not trusted yet')}: {printable(what)}")
    lines += [f"  {style.warning('note')}: {printable(n)}" for n in done.workflows.notes]
    for recorded in done.recorded:
        lines.append(
            f"  deferral {style.strong(recorded.rule)} {recorded.slug}: "
            f"{count(recorded.findings, 'finding')}"
        )
    return "\n".join(lines) + "\n"


def advice(done: Initialised) -> Iterator[str]:
    """Yield what to check by hand, and what to do next."""
    for key in done.keys:
        yield printable(f"The configuration trusts {key}: make sure that it is the release key.")
    if any(signer.unsure is None for signer in done.signers):
        yield (
            "The configuration trusts workflows: make sure that each of them makes releases, and "
            "that no other does."
        )
    if done.recorded:
        yield printable(
            f"Explain each deferral in {done.path}: {count(done.todo, 'TODO')} to replace."
        )
    if done.left:
        number = count(sum(done.left.values()), "finding")
        which = ", ".join(f"{code} {slug} ({n})" for (code, slug), n in done.left.items())
        yield f"Still to fix: {number}, {which}."
        if done.fixable:
            fixable = count(done.fixable, "finding")
            yield f"Of these, {fixable} can be fixed with: provenance check --fix"
    yield "Next: provenance check"


def question(recorded: Sequence[Recorded]) -> str:
    """Return the question that is asked before findings are recorded as deferrals."""
    findings = count(sum(r.findings for r in recorded), "finding")
    which = ", ".join(f"{r.rule} {r.slug} ({r.findings})" for r in recorded)
    return (
        f"{findings} can be recorded as deferrals: {which}.\n"
        "Each gets a TODO that fails until you explain the deferral. Record them?"
    )


def as_json(done: Initialised) -> dict[str, Any]:
    """Return the result as JSON, version 1. `left` is null if no check was run."""
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
    """Yield the known fields that no row has, each with a field that could be meant as it."""
    yield from done.shape.names.renamed.items()
    for known, candidates in done.shape.unsure.items():
        yield from ((known, name) for name in candidates)
