# SPDX-License-Identifier: Apache-2.0
"""Rules about the attestations of ensemble seeds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from provenance.artifacts.documents.strict_json import same
from provenance.attestations import predicates
from provenance.attestations.statement import Statement, StatementError
from provenance.evidence import expected_statements
from provenance.evidence.rows import RowEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules.base import differing
from provenance.gate.rules.case import Case
from provenance.gate.rules.ensembles.production import documents_are_pointers
from provenance.gate.rules.signatures import SignatureRule


class SeedUnattested(SignatureRule):
    """An ensemble seed has no attestation.

    ## What it does
    Requires `<onnx>.provenance.sigstore.json` beside the row bundle for every ensemble member whose
    sidecar describes its bytes.

    ## Why it matters
    The attestation ties the seed to its sidecar, its corpus and its verdict. Without it, only file
    names connect them.

    ## Example
    The row was signed with `provenance sign`, but `provenance attest` was not run.

    ## How to fix
    Run `provenance release`, which writes both bundles.
    """

    code = "ATT707"
    slug = "seed-unattested"

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        attestation = row.attestation
        if attestation is None or not attestation.missing:
            return
        if expected_statements.attestable(row):
            yield self.in_row(
                case,
                row,
                "sigstore_bundle",
                f"the seed attestation {attestation.path} does not exist",
                "Attest the seeds: provenance release --signer URI",
                about=attestation.path,
            )


class SeedAttestationDiffers(SignatureRule):
    """A seed attestation does not match the present files.

    ## What it does
    Builds the attestation again from the seed's files, sidecar, manifest and verdict, and compares
    the two: subjects, seed, training recipe, corpus, manifest, sidecar and verdict. An attestation
    for a seed with a stale sidecar is always refused.

    ## Why it matters
    An attestation that names another seed's sidecar, or a verdict that has changed since, does not
    describe how this seed was made.

    ## Example
    The attestations of seed 0 and seed 1 were swapped.

    ## How to fix
    Restore the released files, or attest again: `provenance release`.
    """

    code = "ATT708"
    slug = "seed-attestation-differs"
    looks_around = True

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        attestation = row.attestation
        statement = case.signed_statement(attestation)
        if attestation is None or statement is None or _has_pointer(case, row):
            return
        fix = "Restore the released files, or attest again: provenance release"
        if not expected_statements.attestable(row):
            fix = f"Remove {attestation.path}: a stale sidecar is not provenance."
        for difference in self._differences(case, row, statement):
            yield self.finding(
                f"{attestation.path}: {difference}", fix, path=attestation.path, row=row.label
            )

    def _differences(self, case: Case, row: RowEvidence, statement: Statement) -> Iterator[str]:
        if statement.predicate_type != predicates.SLSA_PROVENANCE:
            yield f"its predicate is of type {statement.predicate_type[:100]}"
            return
        if not expected_statements.attestable(row):
            yield "it attests a seed whose sidecar does not describe these bytes"
            return
        signed = {s.name: s.sha256 for s in statement.subjects}
        if signed != dict(expected_statements.row_subjects(row)):
            yield "it was made for other model files"
            return
        try:
            expected = expected_statements.seed_predicate(case.evidence, row)
        except StatementError as e:
            yield str(e)
            return
        signed_predicate = dict(statement.predicate)
        if not same(expected, signed_predicate):
            yield from _differing(expected, signed_predicate)


def _has_pointer(case: Case, row: RowEvidence) -> bool:
    """Whether a file that was attested is now a Git LFS pointer, which another rule reports."""
    files = (*row.model_files, *row.sidecars)
    return any(f.pointer for f in files) or documents_are_pointers(
        row, case.evidence.broken_documents
    )


def _differing(expected: Any, signed: Any, where: str = "") -> Iterator[str]:
    """Yield a message for each innermost member that differs."""
    if isinstance(expected, dict) and isinstance(signed, dict):
        for key in sorted(expected.keys() | signed.keys()):
            yield from _differing(expected.get(key), signed.get(key), f"{where}.{key}".lstrip("."))
    elif isinstance(expected, list) and isinstance(signed, list) and len(expected) == len(signed):
        for i, (a, b) in enumerate(zip(expected, signed, strict=True)):
            yield from _differing(a, b, f"{where}[{i}]")
    elif not same(expected, signed):
        shown, signed_as = differing(expected, signed)
        yield f"`{where}` is {shown}; the signed value is {signed_as}"
