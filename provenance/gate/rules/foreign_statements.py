# SPDX-License-Identifier: Apache-2.0
"""Signatures that bind no row: over the bytes of a file alone, or a statement of others about it.

Such a statement binds a digest to a claim of its own kind, a build's provenance for example. It
counts for a file if the consumer expects that kind of claim and the file's digest is one of its
subjects. It says nothing of a row.
"""

from __future__ import annotations

from provenance.attestations import predicates
from provenance.attestations.signed_row import is_row
from provenance.attestations.statement import Statement
from provenance.evidence.rows import RowEvidence
from provenance.gate.requirements import EXPECTED_TYPES
from provenance.gate.rules.base import short
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import Target

BYTES_ALONE = "it signs the file's bytes alone: no name, license, external data, sidecar"
ASK = "Ask the publisher for a bundle of onnx-provenance, which binds the row."


def signed(case: Case, row: RowEvidence) -> Statement | None:
    """What trusted signers said of one model or file, in a statement that is no row bundle."""
    statement = case.signed_statement(row.bundle) if case.alone else None
    return None if case.target is Target.MODEL and is_row(statement) else statement


def unexpected(case: Case, row: RowEvidence) -> tuple[str, str] | None:
    """Why such a statement does not count, whatever it is about, and what to do."""
    statement = signed(case, row)
    if statement is None or row.bundle is None:
        return None
    path, kind = row.bundle.path, statement.predicate_type[:100]
    if case.target is Target.MODEL and predicates.is_seed(statement):
        # The publisher has a row bundle: whoever puts this in its place leaves out what it binds.
        return (
            f"{path} is the attestation of an ensemble seed, of type {kind}; it does not stand in "
            "for the bundle of the row",
            "Do not use it. Fetch the model and its bundle again from the publisher.",
        )
    types = case.predicate_types
    if types is None and case.target is Target.MODEL:
        types = EXPECTED_TYPES  # fail closed: only of a blob the caller looks at the claim
    if types is None or statement.predicate_type in types:
        return None
    return (
        f"{path} is a statement of type {kind}; expected is {', '.join(sorted(types))}",
        f"If this kind of claim is what you look for: --predicate-type {kind}",
    )


def expected(case: Case, row: RowEvidence) -> Statement | None:
    """Such a statement where it counts for files among its subjects."""
    return None if unexpected(case, row) is not None else signed(case, row)


def not_among(row: RowEvidence, statement: Statement) -> tuple[str, str] | None:
    """Why the file is not known to be among the subjects of a statement, and what to do."""
    assert row.bundle is not None
    assert row.onnx is not None
    file, path = row.onnx, row.bundle.path
    if file.sha256 is None or statement.name_of(file.sha256) is not None:
        return None  # ART301 and the like say why a file cannot be read
    others = len(statement.others)
    by = ", ".join(statement.unsupported)[:100] or "no digest"
    if not statement.subjects:
        return (
            f"{path} knows its {_subjects(others)} only by {by}, which is not supported",
            "Ask the publisher for a statement with SHA-256 digests: no others are supported.",
        )
    known = _subjects(len(statement.subjects))
    also = f", and {_subjects(others)} known only by {by}, which is not supported" if others else ""
    return (
        f"{file.path} is {short(file.sha256)}; {path} is about {known} with another SHA-256{also}",
        "Ask the publisher for a statement with SHA-256 digests: no others are supported."
        if others
        else "Do not use it. Fetch the file and its bundle again from the publisher.",
    )


def covers_bytes(case: Case, row: RowEvidence) -> str | None:
    """How a signature covers the file of a row that it does not bind; None if it does not."""
    if case.target is not Target.MODEL or row.bundle is None:
        return None
    lead = f"{row.bundle.path} does not bind the row: "
    if case.is_message_signature(row):
        return lead + BYTES_ALONE
    statement = expected(case, row)
    sha256 = row.onnx.sha256 if row.onnx else None
    if statement is None or sha256 is None or statement.name_of(sha256) is None:
        return None
    return (
        f"{lead}it says of these bytes, signed {_name_in(statement, sha256)}, what a statement of "
        f"type {statement.predicate_type[:100]} says, and nothing of license, external data or "
        "sidecar"
    )


def note(case: Case, row: RowEvidence) -> str | None:
    """What is known of a file of any kind by its bundle, for the report."""
    if case.is_message_signature(row):
        return (
            f"the signature is over the bytes of {row.label} alone: it binds no name and no claim"
        )
    statement = expected(case, row)
    sha256 = row.onnx.sha256 if row.onnx else None
    if statement is None or sha256 is None or statement.name_of(sha256) is None:
        return None
    subjects = len(statement.subjects) + len(statement.others)
    among = "" if subjects == 1 else f", as one of {subjects:,} subjects"
    kind = statement.predicate_type[:100]
    return f"it is signed {_name_in(statement, sha256)}{among}, in a statement of type {kind}"


def _subjects(number: int) -> str:
    return f"{number:,} subject{'' if number == 1 else 's'}"


def _name_in(statement: Statement, sha256: str) -> str:
    """Under which name a statement signs a digest, in words."""
    name = statement.name_of(sha256)
    return f"as {name[:100]!r}" if name else "without a name"
