# SPDX-License-Identifier: Apache-2.0
"""How what was lost since the baseline is put back: said by every rule that misses it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from provenance.artifacts.ensemble import Documents, GateVerdict, Manifest
from provenance.gate.comparison import LostField, changed_digests
from provenance.gate.evidence import BaselineEvidence, RowEvidence
from provenance.gate.rules.base import Case, command, shown


@dataclass(frozen=True, slots=True)
class Lost:
    """What the baseline has: `said` is a clause for the message, `help` the step that puts it back.

    `field` is the field that was lost; None where it is a file.
    """

    said: str
    help: str
    field: LostField | None = None


def restore_rows(baseline: BaselineEvidence, *rows: str) -> str:
    """How the rows, or what they lost, are put back."""
    return f"Put it back: {command('restore', *rows, '--baseline', baseline.name)}"


def put_back(baseline: BaselineEvidence, path: str) -> str:
    """How a file is put back that `restore`, which edits the registry alone, does not."""
    if not baseline.name.startswith("git:"):
        return f"Copy it back from {baseline.name}"
    ref, was = baseline.name.removeprefix("git:"), baseline.former_path(path)
    if was != path:
        return f"Put it back: {shlex.join(('git', 'show', f'{ref}:./{was}'))} > {shlex.quote(path)}"
    return f"Put it back: {shlex.join(('git', 'restore', f'--source={ref}', '--', path))}"


def lost_field(case: Case, row: RowEvidence, field: str) -> Lost | None:
    """What the baseline has for a field that the row has lost; None where it has not lost it."""
    baseline = case.evidence.baseline
    if baseline is None:
        return None
    for lost in baseline.comparison.lost_fields(row.row):
        if lost.field == field:
            said = f"; {baseline.name} has {shown(lost.was)}"
            return Lost(said, restore_rows(baseline, row.row.label), lost)
    return None


def lost_sidecar(case: Case, row: RowEvidence) -> Lost | None:
    """The baseline's sidecar of a row that has none; None where it is of other bytes."""
    baseline = case.evidence.baseline
    former = baseline.former(row) if baseline is not None else None
    if baseline is None or former is None or former.sidecar is None or row.sidecar is None:
        return None
    same = row.row.onnx == former.row.onnx and not changed_digests(row.row, former.row)
    return _file(baseline, row.sidecar.path) if same else None


def lost_manifest(case: Case, row: RowEvidence) -> Lost | None:
    """The baseline's manifest of the ensemble that a row belongs to, where that is gone."""
    baseline = case.evidence.baseline
    if baseline is None or row.row.onnx is None:
        return None
    sidecar = row.sidecar.sidecar if row.sidecar else None
    named = sidecar.text_at("ensemble_id") if sidecar else None
    return _document(baseline, Documents(baseline.documents).manifest_of(row.row.onnx, named))


def lost_verdict(case: Case, ensemble: str | None) -> Lost | None:
    """The baseline's verdict on an ensemble, where that is gone."""
    baseline = case.evidence.baseline
    if baseline is None:
        return None
    return _document(baseline, Documents(baseline.documents).verdict_on(ensemble))


def _document(baseline: BaselineEvidence, found: Manifest | GateVerdict | None) -> Lost | None:
    return None if found is None else _file(baseline, found.path)


def _file(baseline: BaselineEvidence, path: str) -> Lost:
    said = f"; {baseline.name} has {baseline.former_path(path)}"
    return Lost(said, f"{put_back(baseline, path)}.")
