# SPDX-License-Identifier: Apache-2.0
"""ART304 to ART307 and ART312: weights that models keep in separate files."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from provenance.artifacts.digest import sha256_of
from provenance.artifacts.documents.json_edit import Remove
from provenance.evidence.facts import RowFacts
from provenance.evidence.rows import ExternalFile, ModelEvidence, RowEvidence
from provenance.gate.finding import Finding, Fix
from provenance.gate.rules import pointers
from provenance.gate.rules.base import ModelRule, Rule, accept, command, some
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import REGISTRY_AND_MODEL
from provenance.gate.rules.digest_fields import as_declared
from provenance.gate.rules.misplaced import misplaced_file
from provenance.gate.rules.recovery_help import lost_field


class ExternalDataMissing(Rule):
    """A model keeps weights in a file that does not exist.

    ## What it does
    Follows every external-data reference of the model, in initializers, attributes, subgraphs and
    functions, and looks for the file. A Git LFS pointer does not count as the file.

    ## Why it matters
    The `.onnx` file has the right digest, but the model cannot be loaded. The usual cause is a
    renamed data file: the model still contains its former name.

    ## Example
    `vmaf_tiny_v1_medium.onnx` refers to `mlp_medium_final.onnx.data`.

    ## How to fix
    Rename the data file back, or export the model again under its final name. `git lfs pull`
    fetches the files behind Git LFS pointers.
    """

    code = "ART304"
    slug = "external-data-missing"
    looks_around = True
    consumer_help = "Fetch the file from the publisher, and put it where the model expects it."
    applies = REGISTRY_AND_MODEL

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        for model, file in _data(row):
            if file.pointer:
                problem = f"and {file.path} is {pointers.described(row, file)}"
                help = pointers.fetching(row, file)
            elif file.missing:
                detail, help = _missing(case, row, file)
                problem = f"which does not exist{detail}"
            else:
                continue
            message = f"{model.name} keeps weights in {file.name!r}, {problem}"
            yield self.in_row(case, row, "onnx", message, help, about=file.path)


def _missing(case: Case, row: RowEvidence, file: ExternalFile) -> tuple[str, str]:
    """Return what else is known about a missing file, and the next step."""
    misplaced = misplaced_file(case, row, file)
    if misplaced is not None:
        return misplaced.said, misplaced.help
    detail, step = "", "Fetch it, or export"
    if renamed := renamed_from(case, row):
        detail = f"; {renamed}, which nothing refers to, is probably the same file renamed"
        step = f"Rename {renamed} back to {file.name}, or export"
    return detail, f"{step} the model again under its final name.{_add_digest(case, row)}"


def _add_digest(case: Case, row: RowEvidence) -> str:
    """Return the step after the file is back, or "" if the row has digests (ART306)."""
    if "external_data_sha256" in row.entry.fields:
        return ""
    first = case.declare_first(row.called("external_data_sha256"))
    return f" {first}Then: {command('hash', row.label, '--write', '--add-external-data')}"


def renamed_from(case: Case, row: RowEvidence | RowFacts) -> str | None:
    """Return the name of the stray file that, by its name, is a model's missing external data."""
    strays = case.evidence.strays
    for model in row.models:
        if model.lacks_data:
            for start in (f"{model.path}.", f"{model.path}_"):
                at = bisect_left(strays, start, key=lambda stray: stray.path)
                if at < len(strays) and strays[at].path.startswith(start):
                    return strays[at].name
    return None


class ExternalDataUnsafe(ModelRule):
    """A model refers to a file that it must not open.

    ## What it does
    Requires every external-data location to be a relative path that stays in the model's folder.
    The file must be a regular file, not a link out of the repository, and must not be the registry,
    a model or a sidecar.

    ## Why it matters
    A runtime that follows `../../home/user/.ssh/id_rsa` reads a file that the model's author
    chose. ONNX itself forbids it.

    ## Example
    A tensor with `location: "/etc/passwd"`.

    ## How to fix
    Do not load this model. If it is yours, export it again with a plain file name.
    """

    code = "ART305"
    slug = "external-data-unsafe"
    consumer_help = "Do not load this model."
    applies = REGISTRY_AND_MODEL

    def judge_model(self, case: Case, row: RowEvidence, model: ModelEvidence) -> Iterator[Finding]:
        for file in model.external:
            if _unsafe(file):
                assert file.problem is not None
                yield self.in_row(
                    case,
                    row,
                    "onnx",
                    f"tensor {file.tensor[:60]!r} of {model.name} keeps its data in "
                    f"{file.name[:100]!r}: {file.problem.message[:200]}",
                    "Do not load this model. If it is yours, export it again with its data "
                    "in a regular file beside it, then: " + accept(row, "--add-external-data"),
                    about=model.path,
                )


def _unsafe(file: ExternalFile) -> bool:
    return file.problem is not None and not file.missing and not file.pointer


class ExternalDataUncovered(Rule):
    """A row's weights are in a file that no digest covers.

    ## What it does
    Requires a digest in `external_data_sha256` for each existing file in which the model keeps
    weights. If the row also has a digest for a file that no model uses, the message names both
    files: they are probably the same file under two names.

    ## Why it matters
    `sha256` covers the `.onnx` file only. If a model has external data, that file holds the graph,
    and the weights can be replaced without a change to any digest in the registry.

    ## Example
    `fr_regressor_v1.onnx` is 3 KB and has a digest. `fr_regressor_v1.onnx.data` is 18 KB and does
    not.

    ## How to fix
    `provenance hash ROW --write --add-external-data` adds the field with the digests of the files.
    If the registry has its own JSON Schema, declare `external_data_sha256` in it.
    """

    code = "ART306"
    slug = "external-data-uncovered"
    looks_around = True

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        # REG101 reports a value that is not an object.
        is_object = isinstance(row.entry.fields.get("external_data_sha256", {}), dict)
        # Other rules report files that are missing, which have no digest to add.
        uncovered = _uncovered(row) if is_object else ()
        files = [f for f in uncovered if f.digest is not None]
        if row.entry.places is not None or row.entry.files:
            files = [f for f in files if row.declared(f) is None and not row.other_digests(f)]
        if row.entry.places is not None:
            if files and _states_digests(row):
                yield self.in_row(
                    case,
                    row,
                    None,
                    f"no digest covers the weights in {some([f.name for f in files], 3)}",
                    "Let the index name the file with its digest, and map it: [[registry.files]], "
                    "or `external_data_sha256`.",
                    about=files[0].path,
                )
            return
        if files:
            yield self._uncovered(case, row, files, _unused(row))

    def _uncovered(
        self, case: Case, row: RowEvidence, files: list[ExternalFile], unused: list[str]
    ) -> Finding:
        names = some([f.name for f in files], 3)
        message = f"no digest covers the weights in {names}"
        if unused:
            declared = row.entry.external_data_sha256
            actual = {file.sha256 for file in files}
            renamed = [name for name in unused if sha256_of(declared[name]) in actual]
            others = some([name[:100] for name in unused], 3)
            return self.in_row(
                case,
                row,
                "external_data_sha256",
                f"{message}; the row has a digest for {others}, which no model uses",
                f"Name the entry {names}, as the model does."
                if renamed
                else f"Export the model again with its weights in {others}. If {names} is "
                "the right file, name it in the row, with its digest.",
                below=((renamed or unused)[0],),
            )
        lost = lost_field(case, row, "external_data_sha256")
        first = case.declare_first(row.called("external_data_sha256"))
        add = f"{first}{'Then: ' if first else ''}provenance hash --write --add-external-data"
        return self.in_row(
            case,
            row,
            "sha256",
            message + (lost.said if lost else ""),
            lost.help if lost else add,
        )


def _states_digests(row: RowEvidence) -> bool:
    """Return whether a row states a digest of one of its models."""
    return any(row.declared(m) is not None or row.other_digests(m) for m in row.models)


class ExternalDataTruncated(Rule):
    """An external-data file is shorter than its model requires.

    ## What it does
    Compares the last byte that any tensor needs (`offset` plus `length`) with the file's size, and
    the `length` of each tensor with the size that follows from its shape and type.

    ## Why it matters
    The file is truncated or belongs to another export. The model does not load, or it reads weights
    from the wrong place.

    ## Example
    A tensor at offset 8192 with length 4096, in a file of 10,240 bytes.

    ## How to fix
    Export the model again, so that both files come from one run.
    """

    code = "ART307"
    slug = "external-data-truncated"
    applies = REGISTRY_AND_MODEL

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        for model, file in _data(row):
            if (cut := file.cut) is not None:
                about = model.path
                message = (
                    f"the shape of tensor {cut.name[:60]!r} of {model.name} requires {cut.size:,} "
                    f"bytes, but its `length` in {file.name[:100]} is {cut.length:,}"
                )
            elif file.is_short and not row.replaced(file):
                about = file.path
                message = (
                    f"{model.name} needs {file.needs:,} bytes of {file.name} (tensor "
                    f"{file.tensor[:60]!r}), but the file has {file.size:,}"
                )
            else:
                continue
            again = accept(row, "--add-external-data")
            help = f"Export the model again, so that both files come from one run, then: {again}"
            yield self.in_row(case, row, "onnx", message, help, about=about)


class ExternalDataUnused(Rule):
    """A row declares a digest for a file that its model does not use.

    ## What it does
    Compares the names in `external_data_sha256` with the files that the model refers to. If the
    model refers to a file that has no digest in the row, ART304, ART305 or ART306 reports that file
    instead, because the entry may be meant for it.

    ## Why it matters
    The digest covers nothing. It belongs to a former export, and the model loads its weights from
    somewhere else.

    ## Example
    `"external_data_sha256": {"old.onnx.data": "…"}`, and the model holds its weights itself.

    ## How to fix
    Remove the entry, or let `provenance check --fix` remove it. Remove the file too, if it still
    exists.
    """

    code = "ART312"
    slug = "external-data-unused"

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        if not row.entry.external_data_sha256:
            return
        registry = case.evidence.registry
        unused = [] if any(_uncovered(row)) else _unused(row)
        field = row.entry.place("external_data_sha256")
        all_unused = len(unused) == len(row.entry.external_data_sha256)
        # If a data file was renamed, the entry is the only record of its digest: do not remove it.
        is_safe = as_declared(row) and not any(model.lacks_data for model in row.models)
        for name in unused:
            remove = Remove(field if all_unused else (*field, name))
            yield self.in_row(
                case,
                row,
                "external_data_sha256",
                f"`{row.called('external_data_sha256')}` names {name[:100]!r}, which no model uses",
                f"Remove the file, if it exists, and the entry {name[:100]!r}.",
                below=(name,),
                fixes=(Fix(registry.path, remove),) if is_safe else (),
            )


def _data(row: RowEvidence) -> Iterator[tuple[ModelEvidence, ExternalFile]]:
    """Yield each model and its external data, except for models with an unexpected digest."""
    return ((m, file) for m in row.models if not row.replaced(m) for file in m.external)


def _uncovered(row: RowEvidence) -> Iterator[ExternalFile]:
    """Return the external-data files for which the row has no digest."""
    declared = row.entry.external_data_sha256
    return (file for _, file in _data(row) if file.name not in declared)


def _unused(row: RowEvidence) -> list[str]:
    """Return the names in `external_data_sha256` that no model uses.

    Empty unless every model has the declared digest and could be read.
    """
    if not row.models or any(m.facts is None or row.replaced(m) for m in row.models):
        return []
    used = {f.name for m in row.models for f in m.external}
    return [name for name in row.entry.external_data_sha256 if name not in used]
