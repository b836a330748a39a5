# SPDX-License-Identifier: Apache-2.0
"""Build the canonical row: what this project understands of a registry row, as it is signed.

`sign` and `release` sign the result; `verify` builds it again and compares.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from provenance.artifacts import limits
from provenance.attestations import predicates
from provenance.attestations.signed_row import (
    COMPANION,
    EXTERNAL_DATA,
    MODEL,
    QUANTIZED,
    REGISTRY_ROW,
    SignedFile,
)
from provenance.attestations.statement import Statement, StatementError, Subject
from provenance.errors import InputError
from provenance.evidence import classification, expected_statements
from provenance.evidence.evidence import Evidence
from provenance.evidence.rows import FileEvidence, RowEvidence
from provenance.registry.json_path import normalized

TEXTS: Final = (
    *("id", "kind", "description", "notes"),
    *("quant_mode", "license", "license_url", "sigstore_bundle"),
)
"""The fields of a canonical row that are strings in the registry."""

EVALUATED: Final = ("origin", "gate")
"""The fields of a canonical row that come from the documents beside the model."""


def canonical_row(evidence: Evidence, row: RowEvidence) -> dict[str, Any]:
    """Return the row under this project's field names, with its origin and its evaluated gate.

    `smoke` becomes `classification`. The model and its digests are in `files` of the predicate.
    """
    found = stated_row(row)
    origin = classification.origin(row)
    gate = classification.evaluated_gate(evidence, row)
    if origin is not None:
        found["origin"] = origin
    if gate is not None:
        found["gate"] = gate
    return found


def stated_row(row: RowEvidence) -> dict[str, Any]:
    """Return the canonical row without its `EVALUATED` fields, from the registry alone."""
    entry, fields = row.entry, row.entry.fields
    found: dict[str, Any] = {
        field: value
        for field in TEXTS
        if field in fields and (value := entry.text(field)) is not None
    }
    opset = fields.get("opset")
    if type(opset) is int:
        found["opset"] = opset
    found["classification"] = classification.classification(row).value
    return found


def row_files(row: RowEvidence) -> tuple[SignedFile, ...]:
    """Return the files that a row's bundle signs: those that were read, each once."""
    return tuple(
        SignedFile(
            name=file.name,
            role=_role(row, file),
            declared=_declared(row, file),
            size=file.digest.size,
            url=_url(row, file),
        )
        for file in row.model_files
        if file.digest is not None
    )


def row_statement(
    evidence: Evidence, row: RowEvidence, deferrals: Sequence[Mapping[str, Any]]
) -> Statement:
    """Return the statement of the row bundle. The row has passed, so all of its files were read.

    Raises:
        InputError: If the entry of the row is too large to be signed, or a value does not fit the
            predicate.
    """
    described = [
        (Subject(s.name, s.sidecar.digest.sha256), s.sidecar.claimed_sha256)
        for s in expected_statements.sidecars_of(row)
        if s.sidecar is not None
    ]
    entry, file = row.entry, evidence.registry.file_of(row.entry)
    source = predicates.row_source(
        file.path,
        file.format.value,
        normalized(entry.location),
        entry.verbatim,
        file.mapping.sha256,
    )
    predicate = predicates.registry_row(
        canonical_row(evidence, row),
        row_files(row),
        source,
        described,
        {m.name: m.facts for m in row.models if m.facts is not None},
        deferrals,
    )
    where = f"{file.path}: row {row.label}"
    size = len(json.dumps(entry.verbatim, ensure_ascii=False, separators=(",", ":")).encode())
    if size > limits.ENTRY:
        raise InputError(
            f"{where}: its entry is {size:,} bytes of JSON; at most {limits.ENTRY:,} are signed",
            help="Move what does not describe the model out of the entry.",
        )
    try:
        subjects = expected_statements.row_subjects(row)
        return predicates.statement(REGISTRY_ROW, subjects, predicate)
    except StatementError as e:
        raise InputError(f"{where}: {e}", help="Correct the row or its sidecar.") from e


def _role(row: RowEvidence, file: FileEvidence) -> str:
    if file is row.int8:
        return QUANTIZED
    if file in row.models:
        return MODEL
    is_data = any(file is each for model in row.models for each in model.external)
    return EXTERNAL_DATA if is_data else COMPANION


def _declared(row: RowEvidence, file: FileEvidence) -> dict[str, str]:
    sha256 = row.declared(file)
    found = {} if sha256 is None else {"sha256": sha256}
    return found | {d.algorithm: d.hex for d in row.other_digests(file)}


def _url(row: RowEvidence, file: FileEvidence) -> str | None:
    """Return the address that the row gives for a file, or None."""
    listed = row.listed(file) if row.entry.files else None
    if listed is not None and listed.url is not None:
        return listed.url
    return row.entry.text("url") if file is row.onnx else None
