# SPDX-License-Identifier: Apache-2.0
"""The files of a row against those that were signed with it."""

from __future__ import annotations

from collections.abc import Iterator

from provenance.artifacts.sidecar import sidecar_of
from provenance.attestations.signed_row import EXTERNAL_DATA, SignedFile
from provenance.evidence.rows import FileEvidence, RowEvidence
from provenance.gate.rules.case import Case


def misnamed_files(case: Case, row: RowEvidence) -> Iterator[tuple[FileEvidence, str | None]]:
    """The model files whose names the row's bundle does not sign.

    Each with the name under which it signs their bytes, or None if it does not sign them.
    """
    statement = case.row_statement(row)
    if statement is None:
        return
    for file in row.model_files:
        if file.sha256 is not None and statement.digest_of(file.name) is None:
            yield file, statement.name_of(file.sha256)


def absent_files(case: Case, row: RowEvidence) -> list[SignedFile]:
    """The files that were signed with the row of a model, and that a runtime would look for here.

    What a Git LFS pointer refers to is not known.
    """
    signed, statement = case.signed_row(row), case.row_statement(row)
    if signed is None or statement is None:
        return []
    here = {f.name for f in row.model_files}
    present = {f.sha256 for f in row.model_files}
    return [
        file
        for file in signed.files
        if file.name not in here
        and statement.digest_of(file.name) not in present
        and not (file.role == EXTERNAL_DATA and row.misses_a_model)
    ]


def absent_sidecars(case: Case, row: RowEvidence) -> Iterator[tuple[str, str, str]]:
    """The sidecars that were signed with the row of a model and are not here.

    Each with the message about it and what to do.
    """
    signed = case.signed_row(row)
    here = {s.name for s in row.sidecars} | {
        sidecar_of(file.name) for file in absent_files(case, row)
    }
    for name in signed.sidecars if signed else ():
        if name not in here:
            yield (
                name,
                f"the sidecar {name[:200]} was signed with the row and is not here",
                "Fetch it from the publisher too, and put it beside the model.",
            )
