# SPDX-License-Identifier: Apache-2.0
"""What is said of a Git LFS pointer in place of a file, by the rule that misses the file."""

from __future__ import annotations

from typing import Final

from provenance.artifacts.paths import FETCH, PointerError
from provenance.evidence.rows import FileEvidence, RowEvidence
from provenance.gate.rules.base import command, short

POINTER: Final = "a Git LFS pointer; run `git lfs pull`"


def described(row: RowEvidence, file: FileEvidence) -> str:
    """Return what a pointer is, and for which bytes it stands where those are not the row's."""
    if (oid := _other_oid(row, file)) is None:
        return POINTER
    return (
        f"{POINTER}. It stands for the bytes {short(oid)}, and the row declares "
        f"{short(row.declared(file))}"
    )


def fetching(row: RowEvidence, file: FileEvidence, help: str = FETCH) -> str:
    """Return the next step, for a file of a row."""
    if _other_oid(row, file) is None:
        return help
    hashed = command("hash", row.label, "--write")
    return f"{help}. If those bytes are meant, then: {hashed}"


def _other_oid(row: RowEvidence, file: FileEvidence) -> str | None:
    declared = row.declared(file)
    oid = file.problem.oid if isinstance(file.problem, PointerError) else None
    return oid if declared is not None and declared != oid else None
