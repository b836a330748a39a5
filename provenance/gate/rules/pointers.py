# SPDX-License-Identifier: Apache-2.0
"""Messages and helps about a Git LFS pointer in place of a file."""

from __future__ import annotations

from typing import Final

from provenance.artifacts.paths import FETCH, PointerError
from provenance.evidence.rows import FileEvidence, RowEvidence
from provenance.gate.rules.base import command, short

POINTER: Final = "a Git LFS pointer; run `git lfs pull`"


def described(row: RowEvidence, file: FileEvidence) -> str:
    """Return a description of the pointer, with its digest if the row declares another one."""
    if (oid := _other_oid(row, file)) is None:
        return POINTER
    return (
        f"{POINTER}. It points to a file with the digest {short(oid)}, but the row declares "
        f"{short(row.declared(file))}"
    )


def fetching(row: RowEvidence, file: FileEvidence, help: str = FETCH) -> str:
    """Return the next step for a pointer in place of a file of the row."""
    if _other_oid(row, file) is None:
        return help
    hash_command = command("hash", row.label, "--write")
    return f"{help}. If that file is right, then: {hash_command}"


def _other_oid(row: RowEvidence, file: FileEvidence) -> str | None:
    declared = row.declared(file)
    oid = file.problem.oid if isinstance(file.problem, PointerError) else None
    return oid if declared is not None and declared != oid else None
