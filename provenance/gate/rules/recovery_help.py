# SPDX-License-Identifier: Apache-2.0
"""Help texts that say how to put back what was lost since the baseline."""

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
    """A field or file that the baseline has and the repository has lost.

    Attributes:
        said: A clause for the message that names what the baseline has.
        help: The step that puts it back.
        field: The lost field, or None if a file was lost.
    """

    said: str
    help: str
    field: LostField | None = None


def restore_rows(baseline: BaselineEvidence, *rows: str) -> str:
    """Return the step that puts back rows or their lost fields."""
    then, now = baseline.comparison.then, baseline.comparison.now
    if then.stock is None or now.stock is None:  # `restore` edits only this project's own shape
        where = then.path
        if not baseline.name.startswith("git:"):
            return f"Put it back by hand: {where} of {baseline.name} has it"
        ref = baseline.name.removeprefix("git:")
        show = shlex.join(("git", "diff", ref, "--", now.path))
        return f"Put it back, in the registry or in its mapping: {show}"
    return f"Put it back: {command('restore', *rows, '--baseline', baseline.name)}"


def restore_row(baseline: BaselineEvidence, id: str) -> str:
    """Return the step that puts back a lost row, after its files, which `restore` requires."""
    absent = baseline.lost.get(id, LostFiles()).absent
    if not absent or baseline.comparison.now.stock is None:
        return restore_rows(baseline, id)
    restore = command("restore", id, "--baseline", baseline.name)
    moved = any(baseline.former_path(path) != path for path in absent)
    if moved or not baseline.name.startswith("git:"):
        return f"Copy {some(absent, 5)} back from {baseline.name}, then: {restore}"
    ref = baseline.name.removeprefix("git:")
    files = shlex.join(("git", "restore", f"--source={ref}", "--", *absent))
    return f"Put it back: {files} && {restore}"


def put_back(baseline: BaselineEvidence, path: str) -> str:
    """Return the step that puts back a file, which `provenance restore` does not do."""
    if not baseline.name.startswith("git:"):
        return f"Copy it back from {baseline.name}"
    ref, former = baseline.name.removeprefix("git:"), baseline.former_path(path)
    if former != path:
        show = shlex.join(("git", "show", f"{ref}:./{former}"))
        return f"Put it back: {show} > {shlex.quote(path)}"
    return f"Put it back: {shlex.join(('git', 'restore', f'--source={ref}', '--', path))}"


def lost_field(case: Case, row: RowEvidence, field: str) -> Lost | None:
    """Return the baseline's value of a field that the row has lost, or None.

    None if the row has not lost the field, or if the former value does not fit the present files,
    in which case `restore` refuses to put it back.
    """
    baseline = case.evidence.baseline
    if baseline is None:
        return None
    for lost in baseline.comparison.lost_fields(row.entry):
        if lost.field == field and no_longer_true(baseline, row, lost) is None:
            clause = f"; {baseline.name} has {shown(lost.was)}"
            restore = case.declare_first(lost.key) + restore_rows(baseline, row.label)
            return Lost(clause, restore, lost)
    return None


def no_longer_true(baseline: BaselineEvidence, row: RowEvidence, lost: LostField) -> str | None:
    """Return why a lost value does not fit the present files, or None if `restore` accepts it."""
    former = baseline.former(row)
    unknown = lost.field == "onnx" or former is None  # the file that it was about is not known
    if unknown or lost.field not in OF_BYTES or former is None:
        return None
    return refutation(row, lost.field, former.row)


def lost_sidecar(case: Case, row: RowEvidence) -> Lost | None:
    """Return the baseline's sidecar of a row without one, or None if it describes other bytes."""
    baseline = case.evidence.baseline
    former = baseline.former(row) if baseline is not None else None
    if baseline is None or former is None or former.sidecar is None or row.sidecar is None:
        return None
    same = row.entry.onnx == former.row.onnx and not changed_digests(row.entry, former.row)
    return _file(baseline, row.sidecar.path) if same else None


def lost_manifest(case: Case, row: RowEvidence) -> Lost | None:
    """Return the baseline's manifest of the row's ensemble, or None if the baseline has no such."""
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
    """Whether BAS809 reports that the manifest that listed the row is gone.

    It reports the manifest once. Other rules must not report it again for each seed.
    """
    former = _former_manifest(case, row)
    if former is None or not case.evidence.whole:
        return False
    if row.entry.onnx not in {m.onnx for m in former.members}:
        return False
    return case.deferrals.covering("BAS809", former.id or former.path) is None


def lost_verdict(case: Case, ensemble: str | None) -> Lost | None:
    """Return the baseline's verdict on an ensemble, or None if the baseline has no such verdict."""
    baseline = case.evidence.baseline
    if baseline is None:
        return None
    return _document(baseline, Documents(baseline.documents).verdict_on(ensemble))


def _document(baseline: BaselineEvidence, document: Manifest | GateVerdict | None) -> Lost | None:
    return None if document is None else _file(baseline, document.path)


def _file(baseline: BaselineEvidence, path: str) -> Lost:
    clause = f"; {baseline.name} has {baseline.former_path(path)}"
    return Lost(clause, f"{put_back(baseline, path)}.")
