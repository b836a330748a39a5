# SPDX-License-Identifier: Apache-2.0
"""How what was lost since the baseline is put back: said by every rule that misses it."""

from __future__ import annotations

import shlex

from provenance.artifacts.ensemble import Documents, GateVerdict, Manifest
from provenance.evidence.evidence import BaselineEvidence, LostFiles
from provenance.evidence.registry_diff import OF_BYTES, LostField, changed_digests
from provenance.evidence.rows import RowEvidence
from provenance.frozen import dataclass
from provenance.gate.rules.base import command, shown, some
from provenance.gate.rules.case import Case
from provenance.gate.rules.stale_fields import refutation


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


def restore_row(baseline: BaselineEvidence, id: str) -> str:
    """How a row that is gone is put back: its files first, without which it is refused."""
    absent = baseline.lost.get(id, LostFiles()).absent
    if not absent:
        return restore_rows(baseline, id)
    restore = command("restore", id, "--baseline", baseline.name)
    moved = any(baseline.former_path(path) != path for path in absent)
    if moved or not baseline.name.startswith("git:"):
        return f"Copy {some(absent, 5)} back from {baseline.name}, then: {restore}"
    ref = baseline.name.removeprefix("git:")
    files = shlex.join(("git", "restore", f"--source={ref}", "--", *absent))
    return f"Put it back: {files} && {restore}"


def put_back(baseline: BaselineEvidence, path: str) -> str:
    """How a file is put back that `restore`, which edits the registry alone, does not."""
    if not baseline.name.startswith("git:"):
        return f"Copy it back from {baseline.name}"
    ref, was = baseline.name.removeprefix("git:"), baseline.former_path(path)
    if was != path:
        return f"Put it back: {shlex.join(('git', 'show', f'{ref}:./{was}'))} > {shlex.quote(path)}"
    return f"Put it back: {shlex.join(('git', 'restore', f'--source={ref}', '--', path))}"


def lost_field(case: Case, row: RowEvidence, field: str) -> Lost | None:
    """What the baseline has for a field that the row has lost; None if it has not lost it.

    Also None if it is not true of the present files: `restore` refuses it then.
    """
    baseline = case.evidence.baseline
    if baseline is None:
        return None
    for lost in baseline.comparison.lost_fields(row.entry):
        if lost.field == field and no_longer_true(baseline, row, lost) is None:
            said = f"; {baseline.name} has {shown(lost.was)}"
            restore = case.declare_first(lost.key) + restore_rows(baseline, row.label)
            return Lost(said, restore, lost)
    return None


def no_longer_true(baseline: BaselineEvidence, row: RowEvidence, lost: LostField) -> str | None:
    """Why what a row has lost is not true of its present files; None if `restore` puts it back."""
    former = baseline.former(row)
    unknown = lost.field == "onnx" or former is None  # which file it would be is not known
    if unknown or lost.field not in OF_BYTES or former is None:
        return None
    return refutation(row, lost.field, former.row)


def lost_sidecar(case: Case, row: RowEvidence) -> Lost | None:
    """The baseline's sidecar of a row that has none; None where it is of other bytes."""
    baseline = case.evidence.baseline
    former = baseline.former(row) if baseline is not None else None
    if baseline is None or former is None or former.sidecar is None or row.sidecar is None:
        return None
    same = row.entry.onnx == former.row.onnx and not changed_digests(row.entry, former.row)
    return _file(baseline, row.sidecar.path) if same else None


def lost_manifest(case: Case, row: RowEvidence) -> Lost | None:
    """The baseline's manifest of the ensemble that a row belongs to, where that is gone."""
    baseline = case.evidence.baseline
    return None if baseline is None else _document(baseline, _former_manifest(case, row))


def _former_manifest(case: Case, row: RowEvidence) -> Manifest | None:
    baseline = case.evidence.baseline
    if baseline is None or row.entry.onnx is None:
        return None
    sidecar = row.sidecar.sidecar if row.sidecar else None
    named = sidecar.text_at("ensemble_id") if sidecar else None
    return Documents(baseline.documents).manifest_of(row.entry.onnx, named)


def is_lost_with_its_manifest(case: Case, row: RowEvidence) -> bool:
    """Whether BAS809 reports the manifest that lists a row: once, and not for each seed."""
    former = _former_manifest(case, row)
    if former is None or not case.evidence.whole:
        return False
    if row.entry.onnx not in {m.onnx for m in former.members}:
        return False
    return case.deferrals.covering("BAS809", former.id or former.path) is None


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
