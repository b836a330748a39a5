# SPDX-License-Identifier: Apache-2.0
"""Rules about what a bundle binds: the row, and which of its files."""

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
    """A bundle does not bind its registry row.

    ## What it does
    Requires a statement of the type `https://onnx-provenance.dev/predicates/registry-row/v1` in the
    row's bundle. A plain signature over the file, as `cosign sign-blob` writes it, is verified
    (SIG6xx) and then reported by this rule. The bundle of another row is reported too.

    ## Why it matters
    A plain signature covers only the bytes of the file. It says nothing about the name, the
    license, the external data or the sidecar, and it stays valid if all of those change.

    ## Example
    A bundle with `messageSignature`, or a seed attestation under the name of the row bundle.

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
        unbound = self._unbound(case, row)
        if unbound is None or row.bundle is None:
            return
        reason, help = unbound
        yield self.finding(
            f"{row.bundle.path} does not bind the row: {reason}",
            help,
            path=row.bundle.path,
            row=row.label,
        )

    @staticmethod
    def _unbound(case: Case, row: RowEvidence) -> tuple[str, str] | None:
        """Return what the bundle signs instead of the row, and the next step.

        ATT711 reports plain signatures of single files.
        """
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
    """A model file of the row is not signed.

    ## What it does
    Requires that the row's bundle lists every file that the runtime opens for the row as a subject:
    the model, its external data, the int8 variant and the variant's external data. `verify-model`
    with a plain signature reports all external data, because such a signature does not cover it.

    ## Why it matters
    One unsigned file is enough to replace the weights.

    ## Example
    An int8 variant was added after the row was signed.

    ## How to fix
    If the file is intended, sign again: `provenance release`.
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
                    f"{file.path} is not signed by the row's bundle",
                    "If the file is intended, sign again: provenance release",
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
                    f"{file.path} holds weights of the model, but is not signed",
                    "Ask the publisher for a bundle made by onnx-provenance, which signs every "
                    "file.",
                    path=file.path,
                    row=row.label,
                    for_consumer=True,
                )


class FileGone(SignatureRule):
    """The row's bundle signs a file that the row no longer has.

    ## What it does
    Looks for signed files that no model of the row refers to any more.

    ## Why it matters
    The signature covers another set of files. For example, the weights are now inside the model, or
    the int8 variant that consumers should load was removed.

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
                is_data = file.role == signed_rows.EXTERNAL_DATA
                role = "external data" if is_data else "a model of the row"
                yield self.finding(
                    f"the publisher also signed {file.name[:200]} ({role}), which is missing",
                    "Fetch it from the publisher too, and put it beside the model.",
                    path=file.name,
                    row=row.label,
                    for_consumer=True,
                )
            return
        if statement is None or row.misses_a_model:  # its external data is not known
            return
        names = {f.name for f in row.model_files}
        digests = {f.sha256 for f in row.model_files}
        for subject in statement.subjects:
            if subject.name not in names and subject.sha256 not in digests:
                yield self.in_row(
                    case,
                    row,
                    "onnx",
                    f"the row's bundle signs {subject.name[:100]!r}, which is missing",
                    "Restore the file, or sign again: provenance release",
                    about=case.evidence.registry.absolute(subject.name),
                )


class SidecarAbsent(SignatureRule):
    """A sidecar that was signed with the row is missing.

    ## What it does
    Warns a consumer who verifies one model file without its sidecar. With `--require files` or
    `--require production`, the missing sidecar is an error (USE011). A sidecar that differs from
    the signed one is always an error (ATT704).

    ## Why it matters
    The sidecar says what inputs the model expects. The publisher released both together.

    ## Example
    `provenance verify-model m.onnx --key release.pub`, if `m.json` was signed but not downloaded.

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
    """The signature of a file covers only its bytes.

    ## What it does
    Warns a consumer who verifies one file whose bundle is a plain signature, as
    `cosign sign-blob` writes it. A warning does not fail the verification.

    ## Why it matters
    The signature proves that the bytes are unchanged. It does not cover the name of the model, its
    license, its classification (smoke or production), its sidecar or its external data.

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
