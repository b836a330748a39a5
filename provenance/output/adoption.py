# SPDX-License-Identifier: Apache-2.0
"""The result of `init`, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from provenance.evidence.found_license import TODO
from provenance.operations.adoption.first_registry import FirstRegistry
from provenance.operations.adoption.proposal import Proposal
from provenance.operations.adoption.template import Initialised, Recorded
from provenance.output.machine import members
from provenance.output.text import Style, count, joined, printable, some

_OTHERS: Final = 5

_SHOWN: Final = 20
"""The maximum number of skipped models that are listed."""


def render(done: Initialised, style: Style) -> str:
    """Return what was written, with a line for each part of the configuration."""
    lines = [f"{style.good('WRITTEN')}: {printable(done.path)}"]
    if done.first is None:
        lines += _index(done.found, style)
    else:
        lines += _first(done.first, style)
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


def _index(found: Proposal, style: Style) -> Iterator[str]:
    """Yield what was found of the index: its rows and files, and what proves the reading."""
    paths = some(map(printable, found.paths))
    yield f"  registry {paths}, {count(found.rows, 'row')}"
    counts = found.counts
    parts = [f"{counts.here:,} on disk"]
    for number, kind in (
        (counts.pointers, "Git LFS pointers"),
        (counts.missing, "missing"),
        (counts.remote, "with only an address"),
    ):
        parts += [f"{number:,} {kind}"] if number else []
    yield f"  files: {', '.join(parts)}"
    if counts.proved:
        yield f"  {style.good('proved')}: {count(counts.proved, 'file')} with the declared digest"
    if counts.differing:
        what = f"{count(counts.differing, 'file')} with another digest than declared"
        yield f"  {style.error('differs')}: {what}"
    if not counts.proved and not counts.differing:
        yield f"  {style.warning('not proved')}: no file on disk has a declared digest"
    yield from (f"  {style.warning('to do')}: {printable(text)}" for text in found.todo)
    yield from (f"  {style.warning('note')}: {printable(text)}" for text in found.notes)
    if found.unnamed:
        names = some(map(printable, found.unnamed))
        yield from style.wrapped(f"not named by any row: {names}", 2, 4)
    for other in found.others[:_OTHERS]:
        facts = f"{count(other.rows, 'row')}, {count(other.proved, 'file')} proved"
        yield f"  {style.quiet('not used')}: {printable(other.path)} ({facts})"
    if len(found.others) > _OTHERS:
        yield f"  {style.quiet('not used')}: {len(found.others) - _OTHERS:,} more files like these"


def _first(first: FirstRegistry, style: Style) -> Iterator[str]:
    """Yield what is in a registry that was written for models without an index."""
    rows = count(len(first.rows), "row")
    yield f"{style.good('WRITTEN')}: {printable(first.path)}, {rows}, one for each ONNX model"
    companions = list(dict.fromkeys(name for row in first.rows for name in row.companions))
    if companions:
        yield f"  further files of these rows: {printable(joined(companions))}"
    for (license, source), number in first.licenses.items():
        named = printable(license)
        named = style.warning(named) if license.startswith(TODO) else named
        yield f"  license {named}: {count(number, 'row')}, from {printable(source)}"
    for path, reason in first.skipped[:_SHOWN]:
        shown = reason.removeprefix(repr(path)).removeprefix(path).lstrip()
        yield f"  {style.warning('no row')}: {printable(path)}: {printable(shown)}"
    if len(first.skipped) > _SHOWN:
        yield f"  {style.warning('no row')}: {len(first.skipped) - _SHOWN:,} more models"


def advice(done: Initialised) -> Iterator[str]:
    """Yield what to check by hand, and what to do next."""
    if done.found.others:
        most = max(other.proved for other in done.found.others)
        why = "proves most files" if done.found.counts.proved > most else "was chosen"
        yield printable(
            f"Of several indexes, {done.found.path} {why}. To use another, remove {done.path} and "
            "run: provenance init --registry PATH"
        )
    if done.found.todo:
        yield printable(f'Replace each "TODO" of the registry in {done.path}.')
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
    if done.first is not None and (todo := sum(row.is_open for row in done.first.rows)):
        yield printable(
            f"Write the license of {count(todo, 'row')} in {done.first.path}: see TODO."
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
        **_index_as_json(done.found),
        "created": None if done.first is None else _created_as_json(done.first),
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


def _index_as_json(found: Proposal) -> dict[str, Any]:
    counts = found.counts
    return {
        "registry": found.path,
        "paths": list(found.paths),
        "mapped": not found.is_stock,
        "rows": found.rows,
        "files": {
            "here": counts.here,
            "pointers": counts.pointers,
            "missing": counts.missing,
            "remote": counts.remote,
            "proved": counts.proved,
            "differing": counts.differing,
        },
        "unnamed": list(found.unnamed),
        "others": [{"path": o.path, "rows": o.rows, "proved": o.proved} for o in found.others],
        "to_do": list(found.todo),
        "remarks": list(found.notes),
    }


def _created_as_json(first: FirstRegistry) -> dict[str, Any]:
    """Return what is in a registry that was written for models without an index."""
    return {
        "rows": [
            members(row, "id", "path", "license", "source") | {"companions": list(row.companions)}
            for row in first.rows
        ],
        "skipped": [{"path": path, "reason": why} for path, why in first.skipped],
    }
