# SPDX-License-Identifier: Apache-2.0
"""`check --fix`: make the edits that findings carry, and judge again.

A finding carries an edit only where there is one right way to make it go away.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import replace

from provenance.artifacts import writing
from provenance.artifacts.documents import json_edit
from provenance.artifacts.documents.json_edit import Edit
from provenance.artifacts.documents.source_map import SourceMap
from provenance.artifacts.writing import Change
from provenance.config import Config
from provenance.evidence.evidence import Evidence
from provenance.evidence.progress import Progress
from provenance.frozen import dataclass
from provenance.gate.finding import Finding, Report
from provenance.gate.judge import judge
from provenance.operations.load_evidence import baseline_of, load_evidence, today_utc


def fix(
    config: Config,
    *,
    rows: Sequence[str] = (),
    baseline: str | None = None,
    run: bool = False,
    progress: Progress | None = None,
    today: datetime.date | None = None,
) -> Report:
    """As `check`, after every edit that its findings carry is made: the findings that remain.

    What is deferred is left as it is. All files are written or none, and only where their text is
    still the one that was judged.

    Raises:
        InputError: The registry or the configuration cannot be read, or a file not be written.
    """
    today = today or today_utc()
    name = baseline_of(config, baseline)
    evidence = load_evidence(config, rows=rows, baseline=name, run=run, progress=progress)
    report = judge(evidence, config, trust=None, today=today, progress=progress)
    repair = plan(evidence, report.findings)
    if not repair.changes:
        return replace(report, notes=(*report.notes, *repair.notes))
    writing.write_changes(evidence.root, repair.changes)
    evidence = load_evidence(config, rows=rows, baseline=name, run=run, progress=progress)
    left = judge(evidence, config, trust=None, today=today, progress=progress)
    return replace(
        left,
        fixed=repair.fixed,
        diff="".join(c.diff for c in repair.changes),
        notes=(*left.notes, *repair.notes),
    )


@dataclass(frozen=True)
class Repair:
    """What is to be edited, which findings that makes go away, and what cannot be edited."""

    changes: tuple[Change, ...]
    fixed: tuple[Finding, ...]
    notes: tuple[str, ...]


def plan(evidence: Evidence, findings: Sequence[Finding]) -> Repair:
    """The edits that `findings` carry, a change for each file."""
    fixable = [f for f in findings if f.fixes and f.deferred is None]
    sources = _sources(evidence)
    edits: dict[str, dict[tuple[object, ...], Edit]] = {}
    fixed: list[Finding] = []
    left: dict[str, int] = {}
    for finding in fixable:
        if all(_possible(sources, f.path, f.edit) for f in finding.fixes):
            fixed.append(finding)
            for found in finding.fixes:
                key = (type(found.edit), found.edit.path)  # two findings may ask for one edit
                edits.setdefault(found.path, {}).setdefault(key, found.edit)
        else:
            left[finding.fixes[0].path] = left.get(finding.fixes[0].path, 0) + 1
    return Repair(
        tuple(
            Change(path, sources[path].text, json_edit.edit(sources[path], wanted.values(), path))
            for path, wanted in edits.items()
        ),
        tuple(fixed),
        tuple(
            f"{path}: not fixed: {count} {'finding' if count == 1 else 'findings'}; where a "
            "key stands twice no edit is certain"
            for path, count in left.items()
        ),
    )


def _sources(evidence: Evidence) -> Mapping[str, SourceMap]:
    """The texts that were judged and can be edited, by path: none that has a key twice."""
    registry = evidence.registry
    documents = [*evidence.documents, *(s.sidecar for s in evidence.sidecars if s.sidecar)]
    sources = {d.path: SourceMap(d.text) for d in documents}
    return sources if registry.repeated_keys else {**sources, registry.path: registry.source}


def _possible(sources: Mapping[str, SourceMap], path: str, edit: Edit) -> bool:
    source = sources.get(path)
    return source is not None and json_edit.reaches(source, edit)
