# SPDX-License-Identifier: Apache-2.0
"""Files that a row misses and that exist under another name. They are reported with the row."""

from __future__ import annotations

import json

from provenance.artifacts.sidecar import sidecar_of
from provenance.evidence.rows import FileEvidence, RowEvidence
from provenance.frozen import dataclass
from provenance.gate.rules.case import Case


@dataclass(frozen=True, slots=True)
class Misplaced:
    """A file of a row that was found under another name.

    Attributes:
        said: A clause for the message that names where the file is.
        help: The step that brings it back.
        has_sidecar: Whether the row's sidecar has the other name too.
    """

    said: str
    help: str
    has_sidecar: bool = False


def misplaced_model(case: Case, row: RowEvidence) -> Misplaced | None:
    """Return where the row's model is if the file that the row names is not that model."""
    stray = case.evidence.misplaced.get(row.entry.digest("sha256") or "")
    if stray is None:
        return None
    write = f'Write "{row.called("onnx")}": {json.dumps(stray.name, ensure_ascii=False)}'
    sidecars = {sidecar.path for sidecar in case.evidence.stray_sidecars}
    has_sidecar = sidecar_of(stray.path) in sidecars
    named = row.onnx
    if named is None:
        above = f" above `{row.called('sigstore_bundle')}`" if row.entry.sigstore_bundle else ""
        return Misplaced(_said(stray), f"{write}{above}.")
    if not (named.missing or named.digest):
        return Misplaced(_said(stray), f"{write}.")
    if other_row(case, row) is not None:
        return Misplaced(_said(stray), f"{write}.", has_sidecar)
    rename = f"ename {stray.name} back to {named.name}"
    if not has_sidecar or row.sidecar is None or not row.sidecar.missing:
        return Misplaced(_said(stray), f"R{rename}.")
    known = _known_names(case, row)
    if stray.name in known:
        help = f"{write}."
    elif named.name in known:
        help = f"R{rename}, with its sidecar."
    else:
        help = f"{write}, or r{rename}, with its sidecar."
    return Misplaced(_said(stray), help, has_sidecar)


def misplaced_file(case: Case, row: RowEvidence, file: FileEvidence) -> Misplaced | None:
    """Return where the int8 variant or the external data of a row is, or None."""
    stray = case.evidence.misplaced.get(row.declared(file) or "")
    if stray is None:
        return None
    return Misplaced(_said(stray), f"Rename {stray.name} back to {file.name}.")


def has_misplaced_sidecar(case: Case, row: RowEvidence) -> bool:
    """Whether a row misses its sidecar because model and sidecar have another name."""
    model = misplaced_model(case, row)
    return model is not None and model.has_sidecar


def _said(stray: FileEvidence) -> str:
    return f"; {stray.path}, which no row names, has the digest that the row declares"


def _known_names(case: Case, row: RowEvidence) -> set[str | None]:
    """Return the names of the row's model in the baseline and in the ensemble manifests."""
    baseline = case.evidence.baseline
    former = baseline.former(row) if baseline is not None else None
    named = case.evidence.names_in_manifests(row)
    return {former.row.onnx if former is not None else None, *named}


def other_row(case: Case, row: RowEvidence) -> RowEvidence | None:
    """Return another row that names the same model file and declares its digest, or None."""
    naming = case.evidence.rows_by_model.get(row.onnx.path, ()) if row.onnx is not None else ()
    return next((other for other in naming if other.index != row.index), None)
