# SPDX-License-Identifier: Apache-2.0
"""`check --fix`: apply the edits that findings carry, and judge again.

A finding carries an edit only if there is exactly one right way to fix it.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from provenance.artifacts import digest, limits, writing
from provenance.artifacts.documents import json_edit
from provenance.artifacts.documents.json_edit import Edit
from provenance.artifacts.documents.source_map import SourceMap
from provenance.artifacts.documents.strict_json import decode
from provenance.artifacts.writing import Change
from provenance.config import Config
from provenance.evidence.progress import Progress
from provenance.frozen import dataclass
from provenance.gate.finding import Finding, Report
from provenance.gate.judge import Terms, conclude
from provenance.gate.pool import Workers
from provenance.gate.reporting import report
from provenance.gate.rules import Case
from provenance.operations.load_evidence import baseline_of, load_evidence, today_utc
from provenance.registry.index_file import IndexFile


def fix(
    config: Config,
    *,
    rows: Sequence[str] = (),
    baseline: str | None = None,
    run: bool = False,
    progress: Progress | None = None,
    today: datetime.date | None = None,
    processes: int = 1,
) -> Report:
    """Apply the edits of all findings of `check`, and return the report of what remains.

    Deferred findings are not fixed. Either all files are written or none, and only if each still
    has the text that was judged. The arguments are those of `check`.

    Raises:
        InputError: If the registry or the configuration cannot be read, a file changed, or a file
            cannot be written.
        UnavailableError: As `check`.
    """
    name = baseline_of(config, baseline)
    terms, workers = Terms(trust=None, today=today or today_utc()), Workers(processes)

    def judged() -> Case:
        evidence = load_evidence(config, rows=rows, baseline=name, run=run)
        return conclude(evidence, config, terms, workers=workers, progress=progress)

    case = judged()
    repair = plan(case)
    if not repair.changes:
        found = report(case)
        return replace(found, notes=(*found.notes, *repair.notes))
    writing.write_changes(case.evidence.root, repair.changes)
    left = report(judged())
    return replace(
        left,
        fixed=repair.fixed,
        diff="".join(c.diff for c in repair.changes),
        notes=(*left.notes, *repair.notes),
    )


@dataclass(frozen=True)
class Repair:
    """The edits to make.

    Attributes:
        changes: The new text of each file.
        fixed: The findings that the edits fix.
        notes: For each file with findings that cannot be fixed, their number and the reason.
    """

    changes: tuple[Change, ...]
    fixed: tuple[Finding, ...]
    notes: tuple[str, ...]


def plan(case: Case) -> Repair:
    """Return the edits that findings carry, one change per file.

    Raises:
        InputError: If a file to be edited has changed since it was judged.
    """
    fixable = [f for f in case.findings if f.fixes and f.deferred is None]
    sources = _sources(case, {fix.path for finding in fixable for fix in finding.fixes})
    edits: dict[str, dict[tuple[object, ...], Edit]] = {}
    fixed: list[Finding] = []
    left: dict[str, int] = {}
    for finding in fixable:
        if all(_possible(sources, f.path, f.edit) for f in finding.fixes):
            fixed.append(finding)
            for found in finding.fixes:
                key = (type(found.edit), found.edit.path)  # two findings may carry the same edit
                edits.setdefault(found.path, {}).setdefault(key, found.edit)
        else:
            left[finding.fixes[0].path] = left.get(finding.fixes[0].path, 0) + 1
    return Repair(
        tuple(
            Change(path, sources[path].text, _edited(sources[path], wanted.values(), path))
            for path, wanted in edits.items()
        ),
        tuple(fixed),
        tuple(
            f"{path}: not fixed: {count} {'finding' if count == 1 else 'findings'}; a key is "
            "repeated, so it is not clear which one to edit"
            for path, count in left.items()
        ),
    )


def _edited(source: SourceMap | IndexFile, edits: Iterable[Edit], path: str) -> str:
    if isinstance(source, IndexFile):
        return source.edited(edits)
    return json_edit.edit(source, edits, path)


def _sources(case: Case, paths: Collection[str]) -> Mapping[str, SourceMap | IndexFile]:
    """Return the texts to edit, by path. An index file that repeats a key is left out.

    Raises:
        InputError: If a sidecar has changed since it was judged.
    """
    evidence, registry = case.evidence, case.evidence.registry
    sources: dict[str, SourceMap | IndexFile] = {
        d.path: SourceMap(d.text) for d in evidence.documents if d.path in paths
    }
    for sidecar in (s for facts in case.facts for s in facts.sidecars if s.path in paths):
        data = evidence.root.read(sidecar.path, limits.DOCUMENT)
        if digest.of_bytes(data).sha256 != sidecar.sha256:
            raise writing.changed(sidecar.path)
        sources[sidecar.path] = SourceMap(decode(data))
    return sources | {file.path: file for file in registry.files if not file.repeated_keys}


def _possible(sources: Mapping[str, SourceMap | IndexFile], path: str, edit: Edit) -> bool:
    source = sources.get(path)
    if isinstance(source, IndexFile):
        return source.reaches(edit)
    return source is not None and json_edit.reaches(source, edit)
