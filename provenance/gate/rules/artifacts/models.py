# SPDX-License-Identifier: Apache-2.0
"""ART301, ART303, ART309, ART310 and ART313: the models that rows name."""

from __future__ import annotations

from collections.abc import Iterator

from provenance.artifacts.documents.json_edit import Set
from provenance.artifacts.paths import FETCH, IS_POINTER, FileProblem
from provenance.artifacts.sidecar import Sidecar
from provenance.evidence.facts import RowFacts
from provenance.evidence.rows import FileEvidence, ModelEvidence, RowEvidence
from provenance.gate.finding import Finding, Fix
from provenance.gate.rules import pointers
from provenance.gate.rules.base import ModelRule, Rule, accept
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import REGISTRY_AND_MODEL, Scope
from provenance.gate.rules.digest_fields import as_declared
from provenance.gate.rules.misplaced import misplaced_file, misplaced_model
from provenance.gate.rules.opsets import OPSETS, other_opset, repeats_opset
from provenance.gate.rules.registry import outside
from provenance.gate.rules.sidecars.current import describes_its_model, describes_other_bytes
from provenance.registry.registry import Registry
from provenance.registry.rows import Row


class ModelMissing(ModelRule):
    """A model file that a row names does not exist.

    ## What it does
    Looks for the file that `onnx` names, and for the int8 variant if the row says that the model is
    quantized. If `onnx` itself ends in `.int8.onnx`, the row is about that variant, and no further
    variant is expected. Files in `files` are looked for, too. If the mapping says
    `absent = "skip"`, a missing file, or a Git LFS pointer to the declared file, is counted
    instead, unless the row was signed before: at the baseline, or in the trusted release summary.

    ## Why it matters
    Without the file, consumers cannot load the model that the registry promises, and the row cannot
    be signed.

    ## Example
    `"onnx": "transnet_v2.onnx"`, and no such file beside the registry.

    ## How to fix
    Add the file, or remove the row. If the int8 variant no longer exists, remove `int8_sha256` and
    `quant_mode`. If large files are stored elsewhere, fetch them first, for example with
    `dvc pull`.
    """

    code = "ART301"
    slug = "model-missing"
    scopes = (Scope.ROW, Scope.REGISTRY)
    looks_around = True
    consumer_help = "Fetch the file from the publisher."
    applies = REGISTRY_AND_MODEL

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        yield from super().judge_row(case, row)
        for file in row.further:
            if file in row.models or file.name in row.absent:
                continue
            if file.missing or file.pointer:
                says = "does not exist" if file.missing else IS_POINTER
                yield self._listed(case, row, file, f"{file.path} {says}")

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        """Yield the files that `absent = "skip"` does not excuse: those that were signed before."""
        away = [facts for facts in case.facts if facts.absent]
        if not away:
            return
        summary = case.signed_statement(case.evidence.summary) if case.trust is not None else None
        signed = {s.name for s in summary.subjects} if summary is not None else set()
        baseline = case.evidence.baseline
        for facts in away:
            former = None if baseline is None else baseline.rows.get(facts.row.index)
            names = [n for n in facts.absent if n in signed]
            if former is not None and former.was_signed:
                names = [n for n in facts.absent if "://" not in n]
            for name in names:
                yield self.in_row(
                    case,
                    facts,
                    None,
                    f"{case.evidence.registry.absolute(name)} does not exist, and it was signed "
                    "before",
                    "Fetch the file, or remove the row: `absent` excuses only files that were "
                    "never signed.",
                )

    def _listed(self, case: Case, row: RowEvidence, file: FileEvidence, message: str) -> Finding:
        listed = row.listed(file)
        help = FETCH if file.pointer else "Fetch or add the file, or remove its entry."
        place = None if listed is None else listed.place
        return self.in_row(case, row, None, message, help, place=place, about=file.path)

    def judge_model(self, case: Case, row: RowEvidence, model: ModelEvidence) -> Iterator[Finding]:
        if model.missing and model in row.further:
            yield self._listed(case, row, model, f"{model.path} does not exist")
        elif model.missing and model is row.int8:
            yield self._variant(case, row, model)
        elif model.missing:
            misplaced = misplaced_model(case, row)
            yield self.in_row(
                case,
                row,
                "onnx",
                f"{model.path} does not exist{misplaced.said if misplaced else ''}",
                misplaced.help if misplaced else self._help(case, row),
            )

    @staticmethod
    def _help(case: Case, row: RowEvidence) -> str:
        baseline = case.evidence.baseline
        if baseline is not None and baseline.former(row) is not None:
            return "Fetch or add the file."  # BAS801 would report a removed row
        return "Fetch or add the file, or remove the row."

    def _variant(self, case: Case, row: RowEvidence, model: ModelEvidence) -> Finding:
        """Return the finding about a missing int8 variant.

        A row requires it by its digest, by `quant_mode`, or by both.
        """
        fields = [f for f in ("int8_sha256", "quant_mode") if f in row.entry.fields]
        names = " and ".join(f"`{row.called(field)}`" for field in fields)
        misplaced = misplaced_file(case, row, model)
        return self.in_row(
            case,
            row,
            fields[0],
            f"{model.path} does not exist, but {names} of the row "
            f"{'requires' if len(fields) == 1 else 'require'} it"
            f"{misplaced.said if misplaced else ''}",
            misplaced.help
            if misplaced
            else f"Fetch or add the file. If there is no int8 variant, remove {names}.",
        )


class NotOnnx(ModelRule):
    """A file that a row names is not an ONNX model.

    ## What it does
    Parses the file with ONNX's own protobuf definitions. A model must have an IR version, a graph
    and at least one opset. If the file does not have the digest that the row declares, ART302
    reports it instead. A Git LFS pointer is recognized by its first line and its size, at most
    1,024 bytes. The pointer contains the digest of the real file; if the row declares another
    digest, the message shows both.

    ## Why it matters
    A truncated upload, a Git LFS pointer and an error page have digests too. A signature would make
    them look genuine.

    ## Example
    A file that starts with `version https://git-lfs.github.com/spec/v1`, because the workflow runs
    `actions/checkout` without `lfs: true`.

    ## How to fix
    Export or fetch the model again. `git lfs pull` fetches the files behind Git LFS pointers.
    """

    code = "ART303"
    slug = "not-onnx"
    applies = REGISTRY_AND_MODEL

    def judge_model(self, case: Case, row: RowEvidence, model: ModelEvidence) -> Iterator[Finding]:
        again = "Export or fetch the model again"
        if model.pointer and case.evidence.registry.mapping_of(row.entry).skips_absent:
            return  # ART302 reports a pointer to another file
        if model.pointer:
            reason = pointers.described(row, model)
            help = pointers.fetching(row, model, f"{again}; to fetch: git lfs pull")
        elif model.not_onnx is not None and not row.replaced(model):
            reason, help = model.not_onnx, f"{again}, then: {accept(row)}"
        else:
            return
        message = f"{model.path} is not an ONNX model: {reason}"
        yield self.in_row(case, row, "onnx", message, help, about=model.path)


class NotARegularFile(ModelRule):
    """A model path does not lead to a regular file in the repository.

    ## What it does
    Resolves symbolic links and refuses targets outside the repository. Also refuses folders, FIFOs,
    sockets, devices and files that cannot be read.

    ## Why it matters
    The target of a link out of the repository is not part of the release. A consumer that hashes a
    FIFO or a device waits forever.

    ## Example
    `vmaf.onnx -> /mnt/models/vmaf.onnx`

    ## How to fix
    Put the file itself at that path.
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
    """The row's opset is not the model's opset.

    ## What it does
    Compares `opset` with the version of the default ONNX operator set that the file imports. A
    sidecar with the same wrong opset is reported together with the row.

    ## Why it matters
    Consumers choose a runtime by this number. A runtime that supports opset 17 refuses a model of
    opset 18, in production.

    ## Example
    `"opset": 17`, and the file imports opset 18.

    ## How to fix
    Write the file's opset into the row and its sidecar. `provenance check --fix` does so if the row
    and the sidecar declare the file's digest.
    """

    code = "ART310"
    slug = "opset-mismatch"
    deferrable = True

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        registry = case.evidence.registry
        actual = other_opset(row)
        if actual is None:
            return
        place = row.entry.place("opset")
        sidecar, members = _same_opset(row)
        fixes = [Fix(registry.file_of(row.entry).path, Set(place, actual))]
        certain = as_declared(row)
        if sidecar is not None and row.onnx is not None:
            certain = certain and describes_its_model(row.onnx, sidecar)
            fixes += [Fix(sidecar.path, Set((member,), actual)) for member in members]
        also = f", also in {sidecar.path}" if sidecar else ""
        yield self.in_row(
            case,
            row,
            "opset",
            f"`{row.called('opset')}` is {row.entry.fields.get('opset')}{also}; "
            f"{row.entry.onnx} imports opset {actual}",
            f'Write "{row.called("opset")}": {actual}{" in both" if sidecar else ""}.',
            fixes=tuple(fixes) if certain else (),
        )


def _same_opset(row: RowEvidence) -> tuple[Sidecar | None, list[str]]:
    """Return the row's sidecar, if it repeats the row's opset, and the members that repeat it."""
    sidecar = row.sidecar.sidecar if row.sidecar else None
    if sidecar is None or row.onnx is None or describes_other_bytes(row.onnx, sidecar):
        return None, []
    members = [m for m in OPSETS if repeats_opset(row, sidecar.get(m))]
    return (sidecar, members) if members else (None, [])


class SharedFile(Rule):
    """Two rows name the same model file.

    ## What it does
    Compares the paths in `onnx` of all rows. A separate row for an int8 variant is allowed, and so
    is an external-data file that several models share: each row declares the digest. Files of
    `[[registry.files]]` may be shared where the mapping says `shared = "allow"`.

    ## Why it matters
    A consumer that looks up a file finds the first row and uses its license, bundle and kind. It
    never reads the second row, and a new export for the second row replaces the model of the first.

    ## Example
    ```json
    [{"id": "vmaf_tiny_v2", "onnx": "vmaf_tiny.onnx"},
     {"id": "vmaf_tiny_v3", "onnx": "vmaf_tiny.onnx"}]
    ```

    ## How to fix
    Keep one row, or give each row its own file.
    """

    code = "ART313"
    slug = "shared-file"
    deferrable = True
    scopes = (Scope.ROW, Scope.REGISTRY)

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        # If the digests differ, the row means another file: ART302 reports it.
        if row.onnx is None or row.replaced(row.onnx):
            return
        first = case.evidence.rows_by_model[row.onnx.path][0]
        registry = case.evidence.registry
        # If the ids are equal, REG102 reports the duplicate row.
        if first.label != row.label and not _may_share(registry, first.entry, row.entry):
            yield self.in_row(
                case,
                row,
                "onnx",
                f"{row.onnx.name} is already the model of {first.label!r}",
                "Keep one row, or give each row its own file.",
                about=row.onnx.path,
            )

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        registry = case.evidence.registry
        first: dict[str, RowFacts] = {}
        for facts in case.facts:
            for file in facts.row.files:
                if file.name is None:
                    continue
                other = first.setdefault(registry.absolute(file.name), facts)
                if other.label != facts.label and not _may_share(registry, other.row, facts.row):
                    yield self.in_row(
                        case,
                        facts,
                        None,
                        f"{file.name} is already a file of {other.label!r}",
                        'Give each row its own file, or allow it: shared = "allow" in [registry].',
                        place=file.place,
                        about=registry.absolute(file.name),
                    )


def _may_share(registry: Registry, one: Row, other: Row) -> bool:
    """Return whether the mappings of two rows allow that both have the same file."""
    return registry.mapping_of(one).allows_shared and registry.mapping_of(other).allows_shared
