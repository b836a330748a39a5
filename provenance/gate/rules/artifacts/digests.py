# SPDX-License-Identifier: Apache-2.0
"""ART302: the bytes of a row's files, and those that it declares."""

from __future__ import annotations

from collections.abc import Iterator

from provenance.artifacts.digest import is_mentioned
from provenance.evidence.rows import ExternalFile, FileEvidence, ModelEvidence, RowEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules.base import ModelRule, accept, short
from provenance.gate.rules.case import Case
from provenance.gate.rules.digest_fields import is_another_variant
from provenance.gate.rules.misplaced import misplaced_model, other_row
from provenance.gate.rules.sidecars.current import pairs


class DigestMismatch(ModelRule):
    """A file's bytes are not those that the row declares.

    ## What it does
    Computes the SHA-256 of every model file and compares it with `sha256`, `int8_sha256` and
    `external_data_sha256`, by value: upper case, a prefix `sha256:` and `sha256-BASE64` make no
    difference. What else such a file holds, or refers to, is not judged: it is not the
    row's.

    ## Why it matters
    The bytes are not the ones somebody looked at when the row was written. In ADR-1105 five
    production models were replaced by placeholders.

    ## Example
    `"sha256": "08ab1aed…"`, and the file's digest is `fa89df1b…`.

    ## How to fix
    If the new bytes are meant: export the sidecar with them, and then
    `provenance hash ROW --write --accept ROW`. If not: restore the file. It is not meant where it
    is no ONNX model, where it is that of another row, where it is too short for its model, and
    where the sidecar names the digest that the row has.
    """

    code = "ART302"
    slug = "digest-mismatch"
    looks_around = True

    def judge_model(self, case: Case, row: RowEvidence, model: ModelEvidence) -> Iterator[Finding]:
        field = "int8_sha256" if model is row.int8 else "sha256"
        if row.replaced(model):
            says = _of_model(case, row, model)
            there = misplaced_model(case, row) if model is row.onnx else None
            if there is not None:
                other = other_row(case, row)
                whose = f", those of {other.label!r}" if other is not None else ""
                says = f"{whose}{there.said}", there.help
            yield self._replaced(case, row, (field,), model, *says)
            return
        if model is row.onnx and is_another_variant(row):
            says = "", _meant(row, model, model)
            yield self._replaced(case, row, ("int8_sha256",), model, *says)
        for file in filter(row.replaced, model.external):
            where = ("external_data_sha256", file.name)
            yield self._replaced(case, row, where, file, *_of_data(case, row, model, file))

    def _replaced(
        self,
        case: Case,
        row: RowEvidence,
        where: tuple[str, ...],
        file: FileEvidence,
        also: str,
        help: str,
    ) -> Finding:
        field, *entries = where
        of = "".join(f" of {entry[:100]!r}" for entry in entries)
        declared = row.declared(file) if entries else row.entry.digest(field)
        return self.in_row(
            case,
            row,
            field,
            f"`{case.name_of(field)}`{of} is {short(declared)}; the bytes of {file.path} "
            f"are {short(file.sha256)}{also}",
            help,
            below=tuple(entries),
            about=file.path,
        )


def _of_model(case: Case, row: RowEvidence, model: ModelEvidence) -> tuple[str, str]:
    """What else is known of a model that was replaced, and the next step."""
    if model.not_onnx is not None:
        return f", no ONNX model: {model.not_onnx}", "Restore the file: export or fetch it again."
    claims = {e.sidecar.claimed_sha256 for m, e in pairs(row) if m is model and e.sidecar}
    if model.sha256 not in claims:
        if (another := _of_another(case, model)) is not None:
            return another
        if row.declared(model) in claims:
            return (
                ", and the sidecar names that of the row too",
                "Restore the file. If a new export is meant, export its sidecar with it first.",
            )
    return "", _meant(row, model, model)


def _of_data(
    case: Case, row: RowEvidence, model: ModelEvidence, file: ExternalFile
) -> tuple[str, str]:
    """The same of its external data."""
    if file.is_short:
        return (
            f", {file.size:,} bytes, of which {model.name} needs {file.needs:,}",
            "Restore the file, or export the model again, so that both files come from one run.",
        )
    return _of_another(case, file) or ("", _meant(row, model, file))


def _of_another(case: Case, file: FileEvidence) -> tuple[str, str] | None:
    path, label = case.evidence.registry_wide.owners.get(file.sha256 or "", (file.path, ""))
    if path == file.path:
        return None
    return f", those of {path} ({label})", "Restore the file: these are the bytes of another one."


def _meant(row: RowEvidence, model: ModelEvidence, file: FileEvidence) -> str:
    """How new bytes are accepted. A sidecar that does not name them is that of the former ones."""
    sidecars = [e.sidecar for m, e in pairs(row) if m is model and e.sidecar is not None]
    stale = any(file.sha256 and not is_mentioned(file.sha256, s.text) for s in sidecars)
    first = ", export the sidecar with them, then" if stale else ""
    return f"If these bytes are meant{first}: {accept(row)}. If not, restore the file."
