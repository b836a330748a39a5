# SPDX-License-Identifier: Apache-2.0
"""Signatures that do not bind a row: over the bytes of a file, or a statement of another type.

A statement of another type makes a different claim about a file, for example how it was built. It
counts for a file if the consumer expects that predicate type and the file's digest is one of its
subjects. It says nothing about a row.
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

BYTES_ALONE = "it signs the file's bytes alone, without a name, license, external data or sidecar"
ASK = "Ask the publisher for a bundle made by onnx-provenance, which binds the row."


def signed(case: Case, row: RowEvidence) -> Statement | None:
    """Return the signed statement about one model or file, unless it is a row bundle."""
    statement = case.signed_statement(row.bundle) if case.alone else None
    return None if case.target is Target.MODEL and is_row(statement) else statement


def unexpected(case: Case, row: RowEvidence) -> tuple[str, str] | None:
    """Return why such a statement does not count, and the next step, or None if it counts."""
    statement = signed(case, row)
    if statement is None or row.bundle is None:
        return None
    path, kind = row.bundle.path, statement.predicate_type[:100]
    if case.target is Target.MODEL and predicates.is_seed(statement):
        # A seed also has a row bundle: its attestation, in that place, hides what the row binds.
        return (
            f"{path} is the attestation of an ensemble seed (type {kind}); expected the bundle of "
            "the row",
            "Do not use it. Fetch the model and its bundle again from the publisher.",
        )
    types = case.predicate_types
    if types is None and case.target is Target.MODEL:
        types = EXPECTED_TYPES  # fail closed: only the caller of a blob inspects the claim
    if types is None or statement.predicate_type in types:
        return None
    return (
        f"{path} is a statement of type {kind}; expected {', '.join(sorted(types))}",
        f"If you expect this type: --predicate-type {kind}",
    )


def expected(case: Case, row: RowEvidence) -> Statement | None:
    """Return such a statement if its type counts for the files among its subjects, or None."""
    return None if unexpected(case, row) is not None else signed(case, row)


def not_among(row: RowEvidence, statement: Statement) -> tuple[str, str] | None:
    """Return why the file does not match a subject of a statement, and the next step, or None."""
    assert row.bundle is not None
    assert row.onnx is not None
    file, path = row.onnx, row.bundle.path
    if file.sha256 is None or statement.name_of(file.sha256) is not None:
        return None  # ART301 and similar rules report why a file cannot be read
    others = len(statement.others)
    algorithms = ", ".join(statement.unsupported)[:100]
    without = f"with no digest but {algorithms}" if algorithms else "without a digest"
    ask = "Ask the publisher for a statement with SHA-256 digests: no others are supported."
    if not statement.subjects:
        return f"{path} has {_subjects(others)} {without}; expected SHA-256", ask
    known = _subjects(len(statement.subjects))
    also = f" and {_subjects(others)} {without}" if others else ""
    return (
        f"{file.path} has the digest {short(file.sha256)}; {path} has {known} with another "
        f"SHA-256{also}",
        ask if others else "Do not use it. Fetch the file and its bundle again from the publisher.",
    )


def covers_bytes(case: Case, row: RowEvidence) -> str | None:
    """Return how a signature that does not bind the row covers its file.

    None if it does bind the row, or does not cover the file either.
    """
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
        f"{lead}it is a statement of type {statement.predicate_type[:100]} about these bytes, "
        f"signed {_name_in(statement, sha256)}, and does not cover license, external data or "
        "sidecar"
    )


def note(case: Case, row: RowEvidence) -> str | None:
    """Return what the bundle of a single file says about it, for the report."""
    if case.is_message_signature(row):
        return f"the signature covers only the bytes of {row.label}: it binds no name and no claim"
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
    """Return the name under which a statement signs a digest, as part of a sentence."""
    name = statement.name_of(sha256)
    return f"as {name[:100]!r}" if name else "without a name"
