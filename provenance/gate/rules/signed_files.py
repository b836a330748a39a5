# SPDX-License-Identifier: Apache-2.0
"""Comparison of the files of a row with those that were signed with it."""

from __future__ import annotations

from collections.abc import Iterator

from provenance.artifacts.sidecar import sidecar_of
from provenance.attestations.signed_row import COMPANION, EXTERNAL_DATA, SignedFile
from provenance.evidence.rows import FileEvidence, RowEvidence
from provenance.gate.rules.case import Case


def misnamed_files(case: Case, row: RowEvidence) -> Iterator[tuple[FileEvidence, str | None]]:
    """Yield the model files whose names the row's bundle does not sign.

    Each comes with the name under which the bundle signs its bytes, or None if it does not.
    """
    statement = case.row_statement(row)
    if statement is None:
        return
    for file in row.model_files:
        if file.sha256 is not None and statement.digest_of(file.name) is None:
            yield file, statement.name_of(file.sha256)


def absent_files(case: Case, row: RowEvidence) -> list[SignedFile]:
    """Return the signed files of a row that are missing beside the model.

    If the model itself cannot be read, its external data is not known and is left out.
    """
    signed, statement = case.signed_row(row), case.row_statement(row)
    if signed is None or statement is None:
        return []
    names = {f.name for f in row.model_files}
    digests = {f.sha256 for f in row.model_files}
    return [
        file
        for file in signed.files
        if file.name not in names
        and file.role != COMPANION
        and statement.digest_of(file.name) not in digests
        and not (file.role == EXTERNAL_DATA and row.misses_a_model)
    ]


def absent_sidecars(case: Case, row: RowEvidence) -> Iterator[tuple[str, str, str]]:
    """Yield the signed sidecars and companions that are missing: name, message, next step.

    The sidecar of a missing model file is left out: the model file is reported.
    """
    signed = case.signed_row(row)
    present = {s.name for s in row.sidecars}
    reported = {sidecar_of(file.name) for file in absent_files(case, row)}
    here = {file.name for file in row.model_files}
    for file in signed.files if signed else ():
        if file.role == COMPANION and file.name not in here:
            yield (
                file.name,
                f"the file {file.name[:200]} was signed with the row, but is missing",
                "Fetch it from the publisher too, and put it beside the model.",
            )
    for name in signed.sidecars if signed else ():
        if name not in present | reported:
            yield (
                name,
                f"the sidecar {name[:200]} was signed with the row, but is missing",
                "Fetch it from the publisher too, and put it beside the model.",
            )
