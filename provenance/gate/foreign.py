# SPDX-License-Identifier: Apache-2.0
"""Statements that are no row bundle: a build's provenance, for example.

Such a statement binds a digest to a claim of its own kind. It counts for a file if the consumer
expects that kind of claim and the file's digest is one of its subjects. It says nothing of a row.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from provenance.attestations import predicates
from provenance.attestations.statement import Statement
from provenance.evidence.rows import RowEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules import BY_CODE
from provenance.gate.rules.base import short

EXPECTED: Final = (predicates.SLSA_PROVENANCE, "https://slsa.dev/provenance/v0.2")
"""What is expected where nothing else is asked for: how a file was built. Other claims may be bad
news about it, and the digest among their subjects all the same."""


def refusals(
    row: RowEvidence, statement: Statement, expected: Collection[str] | None
) -> Iterator[Finding]:
    """Why a signed statement does not count for the file of a row, whatever kind of file it is.

    `expected` are the types of claims that count; with None each does.
    """
    assert row.bundle is not None
    assert row.onnx is not None
    path, file = row.bundle.path, row.onnx
    kind = statement.predicate_type[:100]
    if expected is not None and statement.predicate_type not in expected:
        yield BY_CODE["ATT701"].finding(
            f"{path} is a statement of type {kind}; expected is {', '.join(sorted(expected))}",
            f"If this kind of claim is what you look for: --predicate-type {kind}",
            path=path,
            row=row.label,
        )
    elif file.sha256 is not None and statement.name_of(file.sha256) is None:
        # ART301 and the like say why a file cannot be read.
        message, help = _not_among(file.path, short(file.sha256), path, statement)
        yield BY_CODE["SIG605"].finding(message, help, path=file.path, row=row.label)


def _not_among(file: str, digest: str, path: str, statement: Statement) -> tuple[str, str]:
    """Why a file is not known to be among the subjects of a statement, and what to do."""
    others = len(statement.others)
    by = ", ".join(statement.unsupported)[:100] or "no digest"
    ask = "Ask the publisher for a statement with SHA-256 digests: no others are supported."
    if not statement.subjects:
        return f"{path} knows its {_subjects(others)} only by {by}, which is not supported", ask
    known = _subjects(len(statement.subjects))
    message = f"{file} is {digest}; {path} is about {known} with another SHA-256"
    if not others:
        return message, "Do not use it. Fetch the file and its bundle again from the publisher."
    return f"{message}, and {_subjects(others)} known only by {by}, which is not supported", ask


def _subjects(number: int) -> str:
    return f"{number:,} subject{'' if number == 1 else 's'}"


def name_in(statement: Statement, sha256: str) -> str:
    """Under which name a statement signs a digest, in words."""
    name = statement.name_of(sha256)
    return f"as {name[:100]!r}" if name else "without a name"


def judge(row: RowEvidence, statement: Statement, expected: Collection[str]) -> Iterator[Finding]:
    """What a signed statement that is no row bundle says of one model."""
    assert row.bundle is not None
    assert row.onnx is not None
    path = row.bundle.path
    kind = statement.predicate_type[:100]
    if predicates.is_seed(statement):
        # The publisher has a row bundle: whoever puts this in its place leaves out what it binds.
        yield BY_CODE["ATT701"].finding(
            f"{path} is the attestation of an ensemble seed, of type {kind}; it does not stand in "
            "for the bundle of the row",
            "Do not use it. Fetch the model and its bundle again from the publisher.",
            path=path,
            row=row.label,
        )
        return
    refused = list(refusals(row, statement, expected))
    name = statement.name_of(row.onnx.sha256) if row.onnx.sha256 else None
    if refused or name is None:
        yield from refused
        return
    yield BY_CODE["ATT711"].finding(
        f"{path} does not bind a row: it says of these bytes, signed "
        f"{name_in(statement, row.onnx.sha256 or '')}, what a statement of type {kind} says, and "
        "nothing of license, external data or sidecar",
        "Ask the publisher for a bundle of onnx-provenance, which binds the row.",
        path=path,
        row=row.label,
    )
    for file in row.model_files:
        if file is not row.onnx and file.sha256 and statement.name_of(file.sha256) is None:
            yield BY_CODE["ATT702"].finding(
                f"{file.path} holds weights of the model and is not signed",
                "Ask the publisher for a bundle of onnx-provenance, which signs every file.",
                path=file.path,
                row=row.label,
            )
