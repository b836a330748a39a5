# SPDX-License-Identifier: Apache-2.0
"""ART302: the digests of a row's files, compared with those that the row declares."""

from __future__ import annotations

from collections.abc import Iterator

from provenance.artifacts.digest import Digest, is_mentioned
from provenance.artifacts.paths import PointerError
from provenance.evidence.rows import ExternalFile, FileEvidence, ModelEvidence, RowEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules.base import ModelRule, accept, short
from provenance.gate.rules.case import Case
from provenance.gate.rules.digest_fields import is_another_variant
from provenance.gate.rules.misplaced import misplaced_model, other_row
from provenance.gate.rules.sidecars.current import pairs


class DigestMismatch(ModelRule):
    """A file does not have the digest that its row declares.

    ## What it does
    Computes the SHA-256 of every model file and compares it with `sha256`, `int8_sha256` and
    `external_data_sha256`. The spelling of a digest does not matter: upper case, the prefix
    `sha256:` and the form `sha256-BASE64` are all accepted. Other rules do not check the content of
    such a file, because it is not the row's file.

    ## Why it matters
    The file has changed since the row was written and reviewed. In ADR-1105 five production models
    were replaced by placeholders.

    ## Example
    `"sha256": "08ab1aed…"`, and the file's digest is `fa89df1b…`.

    ## How to fix
    If the change is intended, export the sidecar with the new file, then run
    `provenance hash ROW --write --accept ROW`. If not, restore the file. The message shows whether
    the change looks like a mistake: the file is not an ONNX model, is the file of another row, is
    too short for its model, or the sidecar still has the same digest as the row.
    """

    code = "ART302"
    slug = "digest-mismatch"
    looks_around = True

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        yield from super().judge_row(case, row)
        entry = row.entry
        if not (entry.files or entry.digests or "size" in entry.fields or row.absent):
            return
        for file in row.model_files:
            if isinstance(file.problem, PointerError):
                yield from self._pointer(case, row, file)
            elif file.digest is not None:
                yield from self._listed(case, row, file, file.digest)

    def _listed(
        self, case: Case, row: RowEvidence, file: FileEvidence, found: Digest
    ) -> Iterator[Finding]:
        """Yield the differences from an entry of `files`, and from further digests and sizes."""
        listed = row.listed(file)
        digests = row.other_digests(file)
        if listed is not None:
            digests += tuple(d for d in listed.digests if d.algorithm == "sha256")
        for declared in digests:
            actual = found.of(declared.algorithm)
            if actual is not None and actual != declared.hex:
                yield self.in_row(
                    case,
                    row,
                    None,
                    f"the declared {declared.algorithm} of {file.path} is {short(declared.hex)}; "
                    f"the file's is {short(actual)}",
                    _accept_or_restore(row, None, file),
                    place=declared.place,
                    about=file.path,
                )
                return
        size = row.declared_size(file)
        if size is not None and size != found.size:
            yield self.in_row(
                case,
                row,
                None,
                f"the declared size of {file.path} is {size:,} bytes; the file has {found.size:,}",
                _accept_or_restore(row, None, file),
                place=None if listed is None else listed.place,
                about=file.path,
            )

    def _pointer(self, case: Case, row: RowEvidence, file: FileEvidence) -> Iterator[Finding]:
        """Yield a finding if a Git LFS pointer that may be absent represents another file."""
        if not case.evidence.registry.mapping_of(row.entry).skips_absent or file.name in row.absent:
            return
        assert isinstance(file.problem, PointerError)
        declared = row.declared(file)
        if declared not in (None, file.problem.oid):
            says = f"its SHA-256 is {short(declared)}; the pointer has {short(file.problem.oid)}"
        else:
            size = row.declared_size(file)
            says = f"its size is {size:,} bytes; the pointer has {file.problem.size}"
        yield self.in_row(
            case,
            row,
            None,
            f"{file.path} is a Git LFS pointer to another file than the row declares: {says}",
            "Write what the pointer says into the row, or commit the right file.",
            about=file.path,
        )

    def judge_model(self, case: Case, row: RowEvidence, model: ModelEvidence) -> Iterator[Finding]:
        if model is not row.onnx and model is not row.int8:
            return  # compared with its entry of `files`
        field = "int8_sha256" if model is row.int8 else "sha256"
        if row.replaced(model) and (model is row.int8 or "sha256" in row.entry.fields):
            detail, help = _about_model(case, row, model)
            misplaced = misplaced_model(case, row) if model is row.onnx else None
            if misplaced is not None:
                other = other_row(case, row)
                owner = f", that of row {other.label!r}" if other is not None else ""
                detail, help = f"{owner}{misplaced.said}", misplaced.help
            yield self._replaced(case, row, (field,), model, detail, help)
            return
        if model is row.onnx and is_another_variant(row):
            help = _accept_or_restore(row, model, model)
            yield self._replaced(case, row, ("int8_sha256",), model, "", help)
        for file in filter(row.replaced, model.external):
            where = ("external_data_sha256", file.name)
            yield self._replaced(case, row, where, file, *_about_data(case, row, model, file))

    def _replaced(
        self,
        case: Case,
        row: RowEvidence,
        where: tuple[str, ...],
        file: FileEvidence,
        detail: str,
        help: str,
    ) -> Finding:
        field, *entries = where
        entry_name = "".join(f" of {entry[:100]!r}" for entry in entries)
        declared = row.declared(file) if entries else row.entry.digest(field)
        return self.in_row(
            case,
            row,
            field,
            f"`{row.called(field)}`{entry_name} is {short(declared)}; the digest of {file.path} "
            f"is {short(file.sha256)}{detail}",
            help,
            below=tuple(entries),
            about=file.path,
        )


def _about_model(case: Case, row: RowEvidence, model: ModelEvidence) -> tuple[str, str]:
    """Return what else is known about a replaced model, and the next step."""
    if model.not_onnx is not None:
        return (
            f"; it is not an ONNX model: {model.not_onnx}",
            "Restore the file: export or fetch it again.",
        )
    claims = {e.sidecar.claimed_sha256 for m, e in pairs(row) if m is model and e.sidecar}
    if model.sha256 not in claims:
        if (copied := _copy_of_another(case, model)) is not None:
            return copied
        if row.declared(model) in claims:
            return (
                "; its sidecar has the same digest as the row",
                "Restore the file. If this is a new export, export its sidecar with it first.",
            )
    return "", _accept_or_restore(row, model, model)


def _about_data(
    case: Case, row: RowEvidence, model: ModelEvidence, file: ExternalFile
) -> tuple[str, str]:
    """Return what else is known about a replaced external-data file, and the next step."""
    if file.is_short:
        return (
            f"; it has {file.size:,} bytes, and {model.name} needs {file.needs:,}",
            "Restore the file, or export the model again, so that both files come from one run.",
        )
    return _copy_of_another(case, file) or ("", _accept_or_restore(row, model, file))


def _copy_of_another(case: Case, file: FileEvidence) -> tuple[str, str] | None:
    path, label = case.evidence.registry_wide.owners.get(file.sha256 or "", (file.path, ""))
    if path == file.path:
        return None
    return f", that of {path} ({label})", "Restore the file: it is a copy of another one."


def _accept_or_restore(row: RowEvidence, model: ModelEvidence | None, file: FileEvidence) -> str:
    """Return how to accept new bytes, or to restore the old ones.

    A sidecar that does not mention the new digest describes the former bytes.
    """
    if row.entry.places is not None or model is None:
        return "If the new file is intended, write its digest into the row. If not, restore it."
    sidecars = [e.sidecar for m, e in pairs(row) if m is model and e.sidecar is not None]
    stale = any(file.sha256 and not is_mentioned(file.sha256, s.text) for s in sidecars)
    first = ", export the sidecar with it, then" if stale else ""
    return f"If the new file is intended{first}: {accept(row)}. If not, restore the file."
