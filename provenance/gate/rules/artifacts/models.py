# SPDX-License-Identifier: Apache-2.0
"""ART301, ART303, ART309, ART310 and ART313: the models that rows name."""

from __future__ import annotations

from collections.abc import Iterator

from provenance.artifacts.documents.json_edit import Set
from provenance.artifacts.paths import FileProblem
from provenance.artifacts.sidecar import Sidecar
from provenance.evidence.rows import ModelEvidence, RowEvidence
from provenance.gate.finding import Finding, Fix
from provenance.gate.rules import pointers
from provenance.gate.rules.base import ModelRule, Rule, accept
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import REGISTRY_AND_MODEL
from provenance.gate.rules.digest_fields import as_declared
from provenance.gate.rules.misplaced import misplaced_file, misplaced_model
from provenance.gate.rules.opsets import OPSETS, other_opset, repeats_opset
from provenance.gate.rules.registry import outside
from provenance.gate.rules.sidecars.current import describes_its_model, describes_other_bytes


class ModelMissing(ModelRule):
    """A model file that a row names does not exist.

    ## What it does
    Looks for the file of `onnx`, and for the int8 variant of a row that says it is quantized. A row
    whose `onnx` ends in `.int8.onnx` is that variant's own: no other one is expected beside it.

    ## Why it matters
    A release without it is a registry that promises a model nobody can load, and nothing can be
    signed for that row.

    ## Example
    `"onnx": "transnet_v2.onnx"`, and no such file beside the registry.

    ## How to fix
    Add the file, or remove the row; for an int8 variant that is no more, `int8_sha256` and
    `quant_mode`. Large files kept elsewhere have to be fetched first, for example by `dvc pull`.
    """

    code = "ART301"
    slug = "model-missing"
    looks_around = True
    consumer_help = "Fetch the file from the publisher."
    applies = REGISTRY_AND_MODEL

    def judge_model(self, case: Case, row: RowEvidence, model: ModelEvidence) -> Iterator[Finding]:
        if model.missing and model is row.int8:
            yield self._variant(case, row, model)
        elif model.missing:
            there = misplaced_model(case, row)
            yield self.in_row(
                case,
                row,
                "onnx",
                f"{model.path} does not exist{there.said if there else ''}",
                there.help if there else self._help(case, row),
            )

    @staticmethod
    def _help(case: Case, row: RowEvidence) -> str:
        baseline = case.evidence.baseline
        if baseline is not None and baseline.former(row) is not None:
            return "Fetch or add the file."  # BAS801 reports a row that is removed
        return "Fetch or add the file, or remove the row."

    def _variant(self, case: Case, row: RowEvidence, model: ModelEvidence) -> Finding:
        """An int8 variant is named by its digest, by `quant_mode`, or by both."""
        asking = [f for f in ("int8_sha256", "quant_mode") if f in row.entry.fields]
        called = " and ".join(f"`{case.name_of(field)}`" for field in asking)
        there = misplaced_file(case, row, model)
        return self.in_row(
            case,
            row,
            asking[0],
            f"{model.path} does not exist, which {called} of the row "
            f"{'asks' if len(asking) == 1 else 'ask'} for{there.said if there else ''}",
            there.help
            if there
            else f"Fetch or add the file; where there is no int8 variant, remove {called}.",
        )


class NotOnnx(ModelRule):
    """A file that a row names is not an ONNX model.

    ## What it does
    Parses the file with ONNX's own protobuf definitions. A model has an IR version, a graph and at
    least one opset. If the file has another digest than the row declares, ART302 reports it. A Git
    LFS pointer is recognized by its first line and its size, at most 1,024 bytes. It names the
    digest of the file that it stands for: if the row declares another one, the message has both.

    ## Why it matters
    A truncated upload, a Git LFS pointer or an error page has a digest too, and signing it makes it
    look right.

    ## Example
    A file that starts with `version https://git-lfs.github.com/spec/v1`: a workflow with
    `actions/checkout`, and without `lfs: true`.

    ## How to fix
    Export or fetch the model again; `git lfs pull` fetches what pointers stand for.
    """

    code = "ART303"
    slug = "not-onnx"
    applies = REGISTRY_AND_MODEL

    def judge_model(self, case: Case, row: RowEvidence, model: ModelEvidence) -> Iterator[Finding]:
        again = "Export or fetch the model again"
        if model.pointer:
            why = pointers.described(row, model)
            help = pointers.fetching(row, model, f"{again}; to fetch: git lfs pull")
        elif model.not_onnx is not None and not row.replaced(model):
            why, help = model.not_onnx, f"{again}, then: {accept(row)}"
        else:
            return
        says = f"{model.path} is not an ONNX model: {why}"
        yield self.in_row(case, row, "onnx", says, help, about=model.path)


class NotARegularFile(ModelRule):
    """A model path leads to something else than a regular file in the repository.

    ## What it does
    Resolves links and refuses what leaves the repository, and folders, FIFOs, sockets, devices and
    files that cannot be read.

    ## Why it matters
    A link out of the repository is not in the release. A FIFO or device would make every consumer
    that hashes it wait forever.

    ## Example
    `vmaf.onnx -> /mnt/models/vmaf.onnx`

    ## How to fix
    Put the file itself there.
    """

    code = "ART309"
    slug = "not-a-regular-file"
    for_consumer = True
    applies = REGISTRY_AND_MODEL

    def judge_model(self, case: Case, row: RowEvidence, model: ModelEvidence) -> Iterator[Finding]:
        problem = model.problem
        if problem is None or model.missing or model.pointer or outside(case, model.name):
            return
        yield self.in_row(
            case,
            row,
            "onnx",
            problem.message,
            "Make it readable."
            if problem.problem is FileProblem.UNREADABLE
            else "Put the file itself there.",
            about=model.path,
        )


class OpsetMismatch(Rule):
    """The row's opset is not the model's.

    ## What it does
    Compares `opset` with the version of ONNX's own operator set that the file imports. A sidecar
    that has the same wrong opset is reported with the row.

    ## Why it matters
    Consumers choose a runtime by it. A runtime that knows opset 17 refuses a model of opset 18, in
    production.

    ## Example
    `"opset": 17`, and the file imports opset 18.

    ## How to fix
    Write the file's opset into the row, and into its sidecar. `provenance check --fix` writes it
    where the file is the one whose digest the row declares, and the sidecar, too.
    """

    code = "ART310"
    slug = "opset-mismatch"
    deferrable = True

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        registry = case.evidence.registry
        actual = other_opset(row)
        if actual is None:
            return
        place = registry.path_of(row.entry, "opset")
        sidecar, members = _same_opset(row)
        fixes = [Fix(registry.path, Set(place, actual))]
        certain = as_declared(row)
        if sidecar is not None and row.onnx is not None:
            certain = certain and describes_its_model(row.onnx, sidecar)
            fixes += [Fix(sidecar.path, Set((member,), actual)) for member in members]
        too = f", and so it is in {sidecar.path}" if sidecar else ""
        yield self.in_row(
            case,
            row,
            "opset",
            f"`{case.name_of('opset')}` is {row.entry.fields.get('opset')}{too}; "
            f"{row.entry.onnx} imports opset {actual}",
            f'Write "{case.name_of("opset")}": {actual}{" in both" if sidecar else ""}.',
            fixes=tuple(fixes) if certain else (),
        )


def _same_opset(row: RowEvidence) -> tuple[Sidecar | None, list[str]]:
    """The row's sidecar, if it has the same opset as the row, and the members that say it."""
    sidecar = row.sidecar.sidecar if row.sidecar else None
    if sidecar is None or row.onnx is None or describes_other_bytes(row.onnx, sidecar):
        return None, []
    members = [m for m in OPSETS if repeats_opset(row, sidecar.get(m))]
    return (sidecar, members) if members else (None, [])


class SharedFile(Rule):
    """Two rows have one file.

    ## What it does
    Compares the paths in `onnx` of all rows. A row of its own for an int8 variant, and one
    external-data file for several models, are no such thing: each row has its digest of them.

    ## Why it matters
    A consumer that looks a file up finds the first row, and its license, bundle and kind count. The
    second row's are never looked at, and a new export of "its" model changes the first one's.

    ## Example
    ```json
    [{"id": "vmaf_tiny_v2", "onnx": "vmaf_tiny.onnx"},
     {"id": "vmaf_tiny_v3", "onnx": "vmaf_tiny.onnx"}]
    ```

    ## How to fix
    Keep one row, or give each its own file.
    """

    code = "ART313"
    slug = "shared-file"
    deferrable = True

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        # A row whose digest is not that of the file means another one: ART302 reports it.
        if row.onnx is None or row.replaced(row.onnx):
            return
        first = case.evidence.rows_by_model[row.onnx.path][0]
        # A row that stands there twice has its id twice: REG102 says so.
        if first.label != row.label:
            yield self.in_row(
                case,
                row,
                "onnx",
                f"{row.onnx.name} is already the model of {first.label!r}",
                "Keep one row, or give each its own file.",
                about=row.onnx.path,
            )
