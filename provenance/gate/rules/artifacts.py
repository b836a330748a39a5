# SPDX-License-Identifier: Apache-2.0
"""ART3xx: the model files of each row, and the files that no row names."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping

from provenance.artifacts.digest import is_mentioned, sha256_of
from provenance.artifacts.documents.json_edit import Remove, Set
from provenance.artifacts.paths import FileProblem
from provenance.artifacts.registry import Registry
from provenance.artifacts.sidecar import Sidecar
from provenance.evidence.evidence import StrayModel
from provenance.evidence.rows import ExternalFile, FileEvidence, ModelEvidence, RowEvidence
from provenance.gate.finding import Finding, Fix
from provenance.gate.rules import pointers, shared_files
from provenance.gate.rules.base import REGISTRY_AND_MODEL, Case, Rule, accept, command, short, some
from provenance.gate.rules.digest_fields import is_another_variant
from provenance.gate.rules.lost_rows import files_of_lost_rows, stems
from provenance.gate.rules.misplaced import misplaced_file, misplaced_model
from provenance.gate.rules.opsets import OPSETS, other_opset, repeats_opset
from provenance.gate.rules.recovery_help import lost_field
from provenance.gate.rules.registry import outside
from provenance.gate.rules.sidecars.current import describes_its_model, describes_other_bytes, pairs
from provenance.gate.rules.stray_models import MODELS, belongings


class ModelMissing(Rule):
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
    consumer_help = "Fetch the file from the publisher."
    applies = REGISTRY_AND_MODEL

    def judge(self, case: Case) -> Iterator[Finding]:
        for row in case.evidence.rows:
            for model in row.models:
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


class DigestMismatch(Rule):
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

    def judge(self, case: Case) -> Iterator[Finding]:
        owners = _owners(case.evidence.registry)
        for row in case.evidence.rows:
            for model in row.models:
                field = "int8_sha256" if model is row.int8 else "sha256"
                if row.replaced(model):
                    says = _of_model(row, model, owners)
                    there = misplaced_model(case, row) if model is row.onnx else None
                    if there is not None:
                        says = f"{_named_by_another(case, row)}{there.said}", there.help
                    yield self._replaced(case, row, (field,), model, *says)
                    continue
                if model is row.onnx and is_another_variant(row):
                    says = "", _meant(row, model, model)
                    yield self._replaced(case, row, ("int8_sha256",), model, *says)
                for file in filter(row.replaced, model.external):
                    says = _of_data(row, model, file, owners)
                    where = ("external_data_sha256", file.name)
                    yield self._replaced(case, row, where, file, *says)

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
        is_second = field == "int8_sha256" and file is row.onnx
        declared = row.entry.digest(field) if is_second else row.declared(file)
        return self.in_row(
            case,
            row,
            field,
            f"`{case.name_of(field)}`{of} is {short(declared)}; the bytes of {file.path} "
            f"are {short(file.sha256)}{also}",
            help,
            below=next(iter(entries), None),
            about=file.path,
        )


def _named_by_another(case: Case, row: RowEvidence) -> str:
    """Which row the file of a row is, if its bytes are what that row declares."""
    for other in case.evidence.rows:
        if other.onnx is None or row.onnx is None or other.entry.index == row.index:
            continue
        if other.onnx.path == row.onnx.path and not other.replaced(other.onnx):
            return f", those of {other.entry.label!r}"
    return ""


_Owners = Mapping[str, tuple[str, str]]


def _owners(registry: Registry) -> _Owners:
    """The first file of each digest that a row declares, and the label of the row."""
    found: dict[str, tuple[str, str]] = {}
    for row in registry.rows:
        names = {row.onnx: row.text("sha256")} if row.onnx else {}
        for name, declared in (*names.items(), *row.external_data_sha256.items()):
            if sha256 := sha256_of(declared):
                found.setdefault(sha256, (registry.absolute(name), row.label))
    return found


def _of_model(row: RowEvidence, model: ModelEvidence, owners: _Owners) -> tuple[str, str]:
    """What else is known of a model that was replaced, and the next step."""
    if model.not_onnx is not None:
        return f", no ONNX model: {model.not_onnx}", "Restore the file: export or fetch it again."
    claims = {e.sidecar.claimed_sha256 for m, e in pairs(row) if m is model and e.sidecar}
    if model.sha256 not in claims:
        if (another := _of_another(row, model, owners)) is not None:
            return another
        if row.declared(model) in claims:
            return (
                ", and the sidecar names that of the row too",
                "Restore the file. If a new export is meant, export its sidecar with it first.",
            )
    return "", _meant(row, model, model)


def _of_data(
    row: RowEvidence, model: ModelEvidence, file: ExternalFile, owners: _Owners
) -> tuple[str, str]:
    """The same of its external data."""
    if file.is_short:
        return (
            f", {file.size:,} bytes, of which {model.name} needs {file.needs:,}",
            "Restore the file, or export the model again, so that both files come from one run.",
        )
    return _of_another(row, file, owners) or ("", _meant(row, model, file))


def _of_another(row: RowEvidence, file: FileEvidence, owners: _Owners) -> tuple[str, str] | None:
    path, label = owners.get(file.sha256 or "", (file.path, ""))
    if path == file.path:
        return None
    return f", those of {path} ({label})", "Restore the file: these are the bytes of another one."


def _meant(row: RowEvidence, model: ModelEvidence, file: FileEvidence) -> str:
    """How new bytes are accepted. A sidecar that does not name them is that of the former ones."""
    sidecars = [e.sidecar for m, e in pairs(row) if m is model and e.sidecar is not None]
    stale = any(file.sha256 and not is_mentioned(file.sha256, s.text) for s in sidecars)
    first = ", export the sidecar with them, then" if stale else ""
    return f"If these bytes are meant{first}: {accept(row)}. If not, restore the file."


class NotOnnx(Rule):
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

    def judge(self, case: Case) -> Iterator[Finding]:
        for row in case.evidence.rows:
            for model in row.models:
                if model.pointer:
                    yield self.in_row(
                        case,
                        row,
                        "onnx",
                        f"{model.path} is not an ONNX model: {pointers.described(row, model)}",
                        pointers.fetching(
                            row, model, "Export or fetch the model again; to fetch: git lfs pull"
                        ),
                        about=model.path,
                    )
                elif model.not_onnx is not None and not row.replaced(model):
                    yield self.in_row(
                        case,
                        row,
                        "onnx",
                        f"{model.path} is not an ONNX model: {model.not_onnx}",
                        f"Export or fetch the model again, then: {accept(row)}",
                        about=model.path,
                    )


class ExternalDataMissing(Rule):
    """A model keeps weights in a file that does not exist.

    ## What it does
    Follows every external-data reference of the model, in initializers, attributes, subgraphs and
    functions, and looks for the file. A Git LFS pointer in its place is not the file.

    ## Why it matters
    The `.onnx` has the right digest and the model cannot be loaded. It usually means that the data
    file was renamed: its name is inside the model.

    ## Example
    `vmaf_tiny_v1_medium.onnx` refers to `mlp_medium_final.onnx.data`.

    ## How to fix
    Rename the data file back, or export the model again under its final name. `git lfs pull`
    fetches what pointers stand for.
    """

    code = "ART304"
    slug = "external-data-missing"
    consumer_help = "Fetch the file from the publisher, and put it where the model expects it."
    applies = REGISTRY_AND_MODEL

    def judge(self, case: Case) -> Iterator[Finding]:
        for row in case.evidence.rows:
            for model in _judged(row):
                for file in model.external:
                    if file.pointer:
                        yield self.in_row(
                            case,
                            row,
                            "onnx",
                            f"{model.name} keeps weights in {file.name!r}, and {file.path} is "
                            f"{pointers.described(row, file)}",
                            pointers.fetching(row, file),
                            about=file.path,
                        )
                    elif file.missing:
                        yield self._missing(case, row, model, file)

    def _missing(
        self, case: Case, row: RowEvidence, model: ModelEvidence, file: ExternalFile
    ) -> Finding:
        there = misplaced_file(case, row, file)
        if there is not None:
            return self.in_row(
                case,
                row,
                "onnx",
                f"{model.name} keeps weights in {file.name!r}, which does not exist{there.said}",
                there.help,
                about=file.path,
            )
        renamed = renamed_from(case, row)
        hint = (
            f"Rename {renamed} back to {file.name}, or export" if renamed else "Fetch it, or export"
        )
        return self.in_row(
            case,
            row,
            "onnx",
            f"{model.name} keeps weights in {file.name!r}, which does not exist"
            + (
                f"; {renamed}, which nothing refers to, looks like it under another name"
                if renamed
                else ""
            ),
            f"{hint} the model again under its final name.{_then_covered(case, row)}",
            about=file.path,
        )


def _then_covered(case: Case, row: RowEvidence) -> str:
    """The next step after external data is back, if the row has no digest for it (ART306)."""
    if "external_data_sha256" in row.entry.fields:
        return ""
    first = case.declare_first(case.name_of("external_data_sha256"))
    return f" {first}Then: {command('hash', row.label, '--write', '--add-external-data')}"


class ExternalDataUnsafe(Rule):
    """A model refers to a file that it must not open.

    ## What it does
    Requires every external-data location to be a relative path that stays beside the model, and the
    file to be a regular one that is no link out of the repository, and neither the registry nor a
    model or a sidecar.

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

    def judge(self, case: Case) -> Iterator[Finding]:
        for row in case.evidence.rows:
            for model in row.models:
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
                            "in a plain file beside it, then: "
                            + accept(row, "--add-external-data"),
                            about=model.path,
                        )


class ExternalDataUncovered(Rule):
    """A row's weights are in a file that no digest covers.

    ## What it does
    Requires a digest in `external_data_sha256` for each file that the model keeps weights in and
    that is there. Where the row has one for a file that no model uses, it names both: they are
    likely to be one file, under two names.

    ## Why it matters
    `sha256` covers the `.onnx` file alone. With external data that file holds the graph, and the
    weights can be replaced without changing any digest in the registry.

    ## Example
    `fr_regressor_v1.onnx` is 3 KB and has a digest; `fr_regressor_v1.onnx.data` is 18 KB and has
    none.

    ## How to fix
    `provenance hash ROW --write --add-external-data` adds the field with the digests of the files.
    A registry with a JSON Schema of its own needs `external_data_sha256` in it.
    """

    code = "ART306"
    slug = "external-data-uncovered"

    def judge(self, case: Case) -> Iterator[Finding]:
        for row in case.evidence.rows:
            # REG101 says of anything else that it is no object of digests.
            is_object = isinstance(row.entry.fields.get("external_data_sha256", {}), dict)
            # A digest is computed of bytes: what is not here is reported as that.
            uncovered = _uncovered(row) if is_object else ()
            files = [f for f in uncovered if f.digest is not None]
            if files:
                yield self._uncovered(case, row, files, _unused(row))

    def _uncovered(
        self, case: Case, row: RowEvidence, files: list[ExternalFile], unused: list[str]
    ) -> Finding:
        names = some([f.name for f in files], 3)
        message = f"no digest covers the weights in {names}"
        if unused:
            declared = row.entry.external_data_sha256
            renamed = [n for n in unused if sha256_of(declared[n]) in {f.sha256 for f in files}]
            others = some([name[:100] for name in unused], 3)
            return self.in_row(
                case,
                row,
                "external_data_sha256",
                f"{message}; the row has one for {others}, which no model uses",
                f"Name the entry {names}, as the model does."
                if renamed
                else f"Export the model again with its weights in {others}; or, if {names} is "
                "meant, name that in the row, with its digest.",
                below=(renamed or unused)[0],
            )
        lost = lost_field(case, row, "external_data_sha256")
        first = case.declare_first(case.name_of("external_data_sha256"))
        add = f"{first}{'Then: ' if first else ''}provenance hash --write --add-external-data"
        return self.in_row(
            case,
            row,
            "sha256",
            message + (lost.said if lost else ""),
            lost.help if lost else add,
        )


class ExternalDataTruncated(Rule):
    """A model needs more bytes of an external-data file than there are.

    ## What it does
    Compares the furthest byte that any tensor needs (`offset` plus `length`) with the file's size,
    and the `length` of each tensor with the bytes that it has by its shape and type.

    ## Why it matters
    The file is truncated, or belongs to another export: the model does not load, or loads weights
    from the wrong place.

    ## Example
    A tensor at offset 8192 with length 4096, in a file of 10,240 bytes.

    ## How to fix
    Export the model again, so that both files come from one run.
    """

    code = "ART307"
    slug = "external-data-truncated"
    applies = REGISTRY_AND_MODEL

    def judge(self, case: Case) -> Iterator[Finding]:
        for row in case.evidence.rows:
            for model in _judged(row):
                for file in model.external:
                    if file.cut is not None:
                        yield self.in_row(
                            case,
                            row,
                            "onnx",
                            f"tensor {file.cut.name[:60]!r} of {model.name} has {file.cut.size:,} "
                            f"bytes by its shape; its `length` in {file.name[:100]} is "
                            f"{file.cut.length:,}",
                            _one_run(row),
                            about=model.path,
                        )
                    elif file.is_short and not row.replaced(file):
                        yield self.in_row(
                            case,
                            row,
                            "onnx",
                            f"{model.name} needs {file.needs:,} bytes of {file.name} (tensor "
                            f"{file.tensor[:60]!r}); it has {file.size:,}",
                            _one_run(row),
                            about=file.path,
                        )


class Int8Undeclared(Rule):
    """A quantized variant has no digest in its row.

    ## What it does
    Requires `int8_sha256` where `<stem>.int8.onnx` lies beside the model. Where a row says it is
    quantized, and there is no such file, ART301 says so.

    ## Why it matters
    For such a row the runtime opens the int8 file instead, so that is the file that must be known.

    ## Example
    `"quant_mode": "dynamic"` without `int8_sha256`, and `m.int8.onnx` beside `m.onnx`.

    ## How to fix
    Add `"int8_sha256": ""` after `sha256` and run `provenance hash ROW --write`, or remove the
    int8 file.
    """

    code = "ART308"
    slug = "int8-undeclared"

    def judge(self, case: Case) -> Iterator[Finding]:
        for row in case.evidence.rows:
            if row.int8 is None or row.int8.missing or "int8_sha256" in row.entry.fields:
                continue
            mode = row.entry.text("quant_mode")
            why = (
                f"`{case.name_of('quant_mode')}` is {mode!r}"
                if mode not in (None, "fp32")
                else "it lies there"
            )
            lost = lost_field(case, row, "int8_sha256")
            yield self.in_row(
                case,
                row,
                "quant_mode",
                f"no `{case.name_of('int8_sha256')}` for {row.int8.path} ({why})"
                + (lost.said if lost else ""),
                lost.help
                if lost
                else case.declare_first(case.name_of("int8_sha256"))
                + f'Add "{case.name_of("int8_sha256")}": "" to the row, then: '
                + command("hash", row.label, "--write"),
            )


class NotARegularFile(Rule):
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

    def judge(self, case: Case) -> Iterator[Finding]:
        for row in case.evidence.rows:
            for model in row.models:
                problem = model.problem
                not_here = problem is None or model.missing or model.pointer
                if not_here or outside(case, model.name) is not None:
                    continue
                assert problem is not None
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

    def judge(self, case: Case) -> Iterator[Finding]:
        registry = case.evidence.registry
        for row in case.evidence.rows:
            actual = other_opset(row)
            if actual is None:
                continue
            place = registry.path_of(row.entry, "opset")
            sidecar, members = _same_opset(row)
            fixes = [Fix(registry.path, Set(place, actual))]
            certain = _as_declared(row)
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


class StrayFile(Rule):
    """A file lies beside the registry that nothing names.

    ## What it does
    Lists the folders that the models are in (not those below), and takes away what the rows name.
    What is left counts if it is an `.onnx` or `.ort` file or its data, or if it has the name of a
    model before its suffix (`m.bin` or `m.onnx.bak` beside `m.onnx`). What people write about a
    model is left alone (`.md`, `.yaml`), and so are its checksums and signatures (`.sha256`,
    `.asc`): nobody loads them as weights. Sidecars that no row has are for SID415. Other files are
    none of the registry's business.

    A file with the bytes of one that a row misses is reported with that row (ART301, ART302,
    ART304, REG101, REG107), a member of an ensemble that no row ships with that (ENS501). The
    external data and the sidecar of a model that no row names belong to it and are reported
    with it; so is external data of it that does not exist. Beside a model that cannot be read or
    is a Git LFS pointer, files that may hold its weights are not reported.

    ## Why it matters
    A stray is shipped with the release, covered by no digest and no signature, and often is what
    somebody thought the model uses: weights that were renamed.

    ## Example
    `fr_regressor_v2.onnx.data`, while `fr_regressor_v2.onnx` holds its weights itself.

    ## How to fix
    Remove the file, or add the row that names it.
    """

    code = "ART311"
    slug = "stray-file"
    deferrable = True
    needs_whole = True
    about_rows = False

    def judge(self, case: Case) -> Iterator[Finding]:
        # A data file that was renamed is told once, with the model that misses it.
        renamed = {renamed_from(case, row) for row in case.evidence.rows}
        models = {m.path: m for row in case.evidence.rows for m in row.models}
        unread = {path for path, model in models.items() if model.facts is None}
        beside = {path.rpartition("/")[0] for path, model in models.items() if model.pointer}
        is_lost = files_of_lost_rows(case)
        found = belongings(case.evidence)
        listed = {
            member.listed.onnx
            for ensemble in case.evidence.ensembles
            for member in ensemble.members
            if member.row is None
        }
        for stray in case.evidence.strays:
            if stray.name in renamed or is_lost(stray.name) or stray.path in found.owned:
                continue
            if stray.sha256 in case.evidence.misplaced or stray.name in listed:
                continue
            names = {*stems(stray.path)}
            is_data = not stray.path.lower().endswith(MODELS) and names.isdisjoint(models)
            may_be_used = is_data and stray.path.rpartition("/")[0] in beside
            if may_be_used or not unread.isdisjoint(names):
                continue  # what a model that cannot be read refers to is not known
            holds = stray.path.removesuffix(".data") in models
            missing = [f.path for f in _data(stray) if f.missing]
            also = found.of.get(stray.path, ())
            without = f"; its external data {some(missing, 3)} does not exist" if missing else ""
            removed = f"it with {some(also, 3, ' and ')}" if also else "it"
            fetched = f"fetch {some(missing, 3)} and " if missing else ""
            named_so = [p for p in also if p.startswith(f"{stray.path}.")]
            if len(missing) == len(named_so) == 1:
                fetched = f"rename {named_so[0]} back to {missing[0]} and "
            yield self.finding(
                f"{stray.path} is named by no row and no model"
                + (
                    ", though the model beside it has that name: it holds its weights itself"
                    if holds
                    else ""
                )
                + without,
                f"Remove {removed}, or {fetched}add the row that names it.",
                path=stray.path,
            )


def _data(stray: FileEvidence) -> Iterable[FileEvidence]:
    """The external data of a stray model, as far as it is known."""
    return (isinstance(stray, StrayModel) and stray.data) or ()


class ExternalDataUnused(Rule):
    """A row declares a digest for a file that its model does not use.

    ## What it does
    Compares the names in `external_data_sha256` with the files that the model refers to. Where it
    refers to one that has no digest there, ART304, ART305 or ART306 says so: the entry may be meant
    for it.

    ## Why it matters
    The digest covers nothing: it belongs to a former export, and the weights that are loaded are
    somewhere else.

    ## Example
    `"external_data_sha256": {"old.onnx.data": "…"}`, and the model holds its weights itself.

    ## How to fix
    Remove the entry, as `provenance check --fix` does, and the file, if it is still there.
    """

    code = "ART312"
    slug = "external-data-unused"

    def judge(self, case: Case) -> Iterator[Finding]:
        registry = case.evidence.registry
        for row in case.evidence.rows:
            unused = [] if any(_uncovered(row)) else _unused(row)
            field = registry.path_of(row.entry, "external_data_sha256")
            every = len(unused) == len(row.entry.external_data_sha256)
            # Of data that was renamed, the entry is all that is known.
            known = _as_declared(row) and not any(f.missing for m in row.models for f in m.external)
            for name in unused:
                yield self.in_row(
                    case,
                    row,
                    "external_data_sha256",
                    f"`{case.name_of('external_data_sha256')}` names {name[:100]!r}, "
                    "which no model uses",
                    f"Remove the file, if it is there, and the entry {name[:100]!r}.",
                    below=name,
                    fixes=(Fix(registry.path, Remove(field if every else (*field, name))),)
                    if known
                    else (),
                )


def _as_declared(row: RowEvidence) -> bool:
    """Whether the models are those that the row means: what they say can be written into it."""
    models = ((row.onnx, "sha256"), (row.int8, "int8_sha256"))
    return all(m is None or m.sha256 == row.entry.digest(field) for m, field in models)


def renamed_from(case: Case, row: RowEvidence) -> str | None:
    """The stray that is, by its name, the missing external data of a row's model."""
    strays = case.evidence.strays
    for model in row.models:
        if any(f.missing for f in model.external):
            for start in (f"{model.path}.", f"{model.path}_"):
                at = bisect_left(strays, start, key=lambda stray: stray.path)
                if at < len(strays) and strays[at].path.startswith(start):
                    return strays[at].name
    return None


def _one_run(row: RowEvidence) -> str:
    again = accept(row, "--add-external-data")
    return f"Export the model again, so that both files come from one run, then: {again}"


def _judged(row: RowEvidence) -> Iterator[ModelEvidence]:
    """The models that are not known to be other ones than the row names."""
    return (m for m in row.models if not row.replaced(m))


def _uncovered(row: RowEvidence) -> Iterator[ExternalFile]:
    """External data that the row has no digest of."""
    declared = row.entry.external_data_sha256
    return (f for m in _judged(row) for f in m.external if f.name not in declared)


def _unused(row: RowEvidence) -> list[str]:
    """The names in `external_data_sha256` that no model uses, where every model is known."""
    if not row.models or any(m.facts is None or row.replaced(m) for m in row.models):
        return []
    used = {f.name for m in row.models for f in m.external}
    return [name for name in row.entry.external_data_sha256 if name not in used]


def _unsafe(file: ExternalFile) -> bool:
    return file.problem is not None and not file.missing and not file.pointer


RULES: Iterable[type[Rule]] = (
    ModelMissing,
    DigestMismatch,
    NotOnnx,
    ExternalDataMissing,
    ExternalDataUnsafe,
    ExternalDataUncovered,
    ExternalDataTruncated,
    Int8Undeclared,
    NotARegularFile,
    OpsetMismatch,
    StrayFile,
    ExternalDataUnused,
    *shared_files.RULES,
)
