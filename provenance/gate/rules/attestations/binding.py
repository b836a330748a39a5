# SPDX-License-Identifier: Apache-2.0
"""What a bundle binds: a row, and which of its files."""

from __future__ import annotations

from collections.abc import Iterator

from provenance.attestations import signed_row as signed_rows
from provenance.evidence.rows import RowEvidence
from provenance.gate.finding import Finding, Severity
from provenance.gate.rules import foreign_statements
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import REGISTRY_AND_MODEL, Target
from provenance.gate.rules.signatures import SignatureRule
from provenance.gate.rules.signed_files import absent_files, absent_sidecars, misnamed_files


class RowUnbound(SignatureRule):
    """A bundle binds no registry row.

    ## What it does
    Requires that the row's bundle holds a statement of the type
    `https://onnx-provenance.dev/predicates/registry-row/v1`. A plain signature over the file, as
    `cosign sign-blob` writes it, is judged (SIG6xx) and then reported here, and so is the bundle of
    another row.

    ## Why it matters
    Such a signature says that somebody signed these bytes. It says nothing about their name, their
    license, their external data or their sidecar, and it stays valid when all of those change.

    ## Example
    A bundle with `messageSignature`, or the seed attestation under the row bundle's name.

    ## How to fix
    `provenance release` (or `provenance sign`) writes a bundle that binds the row.
    """

    code = "ATT701"
    slug = "row-unbound"
    applies = REGISTRY_AND_MODEL | {Target.BLOB}

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        unexpected = foreign_statements.unexpected(case, row)
        if unexpected is not None and row.bundle is not None:
            message, help = unexpected
            yield self.finding(
                message, help, path=row.bundle.path, row=row.label, for_consumer=True
            )
        found = self._unbound(case, row)
        if found is None or row.bundle is None:
            return
        yield self.finding(
            f"{row.bundle.path} does not bind the row: {found[0]}",
            found[1],
            path=row.bundle.path,
            row=row.label,
        )

    @staticmethod
    def _unbound(case: Case, row: RowEvidence) -> tuple[str, str] | None:
        """What the bundle signs in place of the row, and what to do; ATT711 has the rest."""
        fix = "Sign the row: provenance release --signer URI"
        statement = case.signed_statement(row.bundle)
        if foreign_statements.signed(case, row) is not None or case.row_statement(row) is not None:
            return None
        if statement is None:
            alone = case.target is Target.REGISTRY and case.is_message_signature(row)
            return (foreign_statements.BYTES_ALONE, fix) if alone else None
        malformed = signed_rows.malformed_row(statement)
        if malformed is not None:
            return f"its predicate is not a valid registry row v1: {malformed}", fix
        other = signed_rows.signed_row(statement)
        if other is None:
            return f"its predicate is of type {statement.predicate_type[:100]}", fix
        return (
            f"it is the bundle of row {other.id[:100]!r}",
            "Put each bundle back where it belongs, or sign again: provenance release",
        )


class FileUncovered(SignatureRule):
    """A model file of the row is not among the signed files.

    ## What it does
    Requires every file that the runtime opens for the row among the subjects of its bundle: the
    model, its external data, the int8 variant and its external data.

    ## Why it matters
    One file that no signature covers is enough to replace the weights. `verify-model` with a plain
    signature names the external data of the file here: no such signature covers it.

    ## Example
    An int8 variant was added after the row was signed.

    ## How to fix
    If the file is meant, sign again: `provenance release`.
    """

    code = "ATT702"
    slug = "file-uncovered"
    applies = REGISTRY_AND_MODEL

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        for file, signed_as in misnamed_files(case, row):
            if signed_as is None:
                yield self.in_row(
                    case,
                    row,
                    "onnx",
                    f"{file.path} is not among the files that the row's bundle signs",
                    "Sign again if it is meant: provenance release",
                    about=file.path,
                )
        if foreign_statements.covers_bytes(case, row) is None:
            return
        statement = foreign_statements.signed(case, row)
        for file in row.model_files:
            unsigned = file.sha256 is not None and (
                statement is None or statement.name_of(file.sha256) is None
            )
            if unsigned and file is not row.onnx:
                yield self.finding(
                    f"{file.path} holds weights of the model and is not signed",
                    "Ask the publisher for a bundle of onnx-provenance, which signs every file.",
                    path=file.path,
                    row=row.label,
                    for_consumer=True,
                )


class FileGone(SignatureRule):
    """The row's bundle signs a file that the row does not have.

    ## What it does
    Looks for signed files that no model of the row refers to any more.

    ## Why it matters
    The signature was made over another set of files: weights that are now inside the model, or an
    int8 variant that was removed, and with it what consumers were told to load.

    ## Example
    The bundle signs `m.int8.onnx`; the row has no int8 variant.

    ## How to fix
    Restore the file, or sign again: `provenance release`.
    """

    code = "ATT705"
    slug = "file-gone"
    applies = REGISTRY_AND_MODEL

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        statement = case.row_statement(row)
        if case.target is Target.MODEL:
            for file in absent_files(case, row):
                data = file.role == signed_rows.EXTERNAL_DATA
                what = "external data" if data else "a model of the row"
                yield self.finding(
                    f"the publisher also signed {file.name[:200]}, {what}, which is not here",
                    "Fetch it from the publisher too, and put it beside the model.",
                    path=file.name,
                    row=row.label,
                    for_consumer=True,
                )
            return
        if statement is None or row.misses_a_model:  # what it refers to is not known
            return
        here = {f.name for f in row.model_files}
        present = {f.sha256 for f in row.model_files}
        for subject in statement.subjects:
            if subject.name not in here and subject.sha256 not in present:
                yield self.in_row(
                    case,
                    row,
                    "onnx",
                    f"the row's bundle signs {subject.name[:100]!r}, which is not there",
                    "Restore the file, or sign again: provenance release",
                    about=case.evidence.registry.absolute(subject.name),
                )


class SidecarAbsent(SignatureRule):
    """A sidecar that was signed with the row is not here.

    ## What it does
    Warns a consumer who verifies one file, and has not its sidecar. With `--require files` or
    `--require production` it is an error (USE011). A sidecar with other bytes than the signed ones
    is always an error (ATT704).

    ## Why it matters
    The sidecar says how the model is fed. The publisher released the two together.

    ## Example
    `provenance verify-model m.onnx --key release.pub`, where `m.json` was signed and not
    downloaded.

    ## How to fix
    Fetch the sidecar from the publisher, and put it beside the model.
    """

    code = "ATT713"
    slug = "sidecar-absent"
    for_consumer = True
    severity = Severity.WARNING
    applies = frozenset({Target.MODEL})

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        if case.require.sidecars:
            return  # USE011 reports it
        for name, message, help in absent_sidecars(case, row):
            yield self.finding(message, help, path=name, row=row.label)


class FileOnlySignature(SignatureRule):
    """The signature of a file binds nothing but its bytes.

    ## What it does
    Warns a consumer who verifies one file whose bundle is a plain signature, as
    `cosign sign-blob` writes it. A warning does not fail the verification.

    ## Why it matters
    The bytes are those that were signed. Which model it is, under which license, smoke or
    production, with which sidecar and which external data, nobody has signed.

    ## Example
    `provenance verify-model model.onnx --key release.pub`, with a `messageSignature` bundle.

    ## How to fix
    Ask the publisher for a bundle of `provenance release`.
    """

    code = "ATT711"
    slug = "file-only-signature"
    for_consumer = True
    severity = Severity.WARNING
    applies = frozenset({Target.MODEL})

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        message = None if case.needs_row else foreign_statements.covers_bytes(case, row)
        if message is not None and row.bundle is not None:  # else USE001 reports it
            yield self.finding(message, foreign_statements.ASK, path=row.bundle.path, row=row.label)
