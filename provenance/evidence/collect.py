# SPDX-License-Identifier: Apache-2.0
"""Collect evidence: the documents beside a registry, its rows (`read_rows`), and stray files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from provenance.artifacts import digest, ensemble, limits, paths
from provenance.artifacts.digest import Digest
from provenance.artifacts.documents.source_map import SourceMap
from provenance.artifacts.documents.strict_json import (
    START,
    JsonError,
    JsonPath,
    Position,
    decode,
    parse_object_text,
)
from provenance.artifacts.paths import IS_POINTER, FileError, PointerError, Tree
from provenance.artifacts.sidecar import (
    INT8_SIDECAR_SUFFIX,
    Sidecar,
    is_sidecar,
    sidecar_of,
)
from provenance.attestations import bundle as bundles
from provenance.attestations.signed_row import is_row
from provenance.config.gates import Gates
from provenance.errors import InputError
from provenance.evidence import units
from provenance.evidence.beside import Fault, NotADocument
from provenance.evidence.collect_licenses import license_files
from provenance.evidence.collect_models import read_stray, taken
from provenance.evidence.collect_schema import registry_schema
from provenance.evidence.evidence import Evidence, missed_digests
from provenance.evidence.expected_statements import summary_path
from provenance.evidence.facts import RowFacts
from provenance.evidence.gates import selects
from provenance.evidence.progress import Progress
from provenance.evidence.read_rows import RowReader
from provenance.evidence.rows import (
    BundleEvidence,
    FileEvidence,
    ModelEvidence,
    RowEvidence,
    SidecarEvidence,
)
from provenance.evidence.totals import Totals
from provenance.evidence.workers import TASK_ROWS
from provenance.registry import reading
from provenance.registry.registry import Registry
from provenance.registry.rows import Row

MODEL_SUFFIXES: Final = (".onnx", ".ort", ".onnx.data", ".onnx_data")
"""Suffixes of files beside a registry that count as model files, even if no row names them."""


def survey(
    root: Tree,
    read: Registry,
    rows: Sequence[Row],
    *,
    whole: bool,
    with_bundles: bool,
    repository: str | None,
    addable: Iterable[str],
    gates: Gates = Gates(),  # noqa: B008 (frozen)
) -> Evidence:
    """Read everything that does not belong to single rows. Rows and strays are read later.

    Args:
        root: The repository.
        read: Its registry.
        rows: The selected rows, which have not been read yet.
        whole: Whether these are all rows.
        with_bundles: Whether to read bundles: the release summary now, the others with the rows.
        repository: The name of the repository, or None if it is not known.
        addable: Keys that the help of a finding may add to a row.
        gates: The gates of the configuration.

    Raises:
        InputError: If the registry's folder cannot be listed.
    """
    root = root.keeping_folders()
    beside = _Beside(root, read, gates)
    documents = tuple(beside.documents())
    reader = RowReader(root, read, ())
    return Evidence(
        root=root,
        registry=read,
        rows=(),
        whole=whole,
        unread=tuple(rows),
        with_bundles=with_bundles,
        documents=documents,
        stray_sidecars=tuple(beside.stray_sidecars) if whole else (),
        license_files=license_files(root, read, rows, repository),
        unreadable=beside.unreadable,
        unreadable_at=beside.unreadable_at,
        not_documents=beside.not_documents,
        nameless=tuple(beside.nameless),
        schema=registry_schema(root, read, addable),
        summary=reader.bundle(summary_path(read)) if whole and with_bundles else None,
        gates=gates,
    )


def read_rows(around: Evidence, progress: Progress | None = None) -> Iterator[RowEvidence]:
    """Yield the rows that `around` selects, read task by task, without their bundles.

    This is for commands that read rows without judging them.

    Raises:
        InputError: As `RowReader`.
    """
    registry, progress = around.registry, progress or Progress()
    others, totals = taken(registry, registry.rows), Totals(registry.path)
    known = ensemble.Documents(around.documents)
    progress.begin("reading rows", len(around.unread or ()))
    for task in units.in_tasks(units.plan_of(around), TASK_ROWS):
        reader, rows = task_reader(around, task, totals, others, progress)
        for row in reader.read(rows, known, with_bundles=False):
            yield row
            progress.advance()


def task_reader(
    around: Evidence,
    task: Iterable[units.Unit],
    totals: Totals,
    taken: Mapping[str, str],
    progress: Progress | None,
) -> tuple[RowReader, list[Row]]:
    """Return a reader for the units of a task, and their selected rows."""
    rows = [row for unit in task for row in unit.rows]
    near = [row for unit in task for row in unit.near]
    reader = RowReader(
        around.root, around.registry, rows + near, totals=totals, taken=taken, progress=progress
    )
    return reader, rows


def complete(evidence: Evidence, rows: Sequence[RowFacts]) -> Evidence:
    """Add the evidence that needs the facts of all selected `rows`, such as stray files."""
    placeholders = {
        model.sha256: (row.label, model.path)
        for row in reversed(rows)
        if row.row.smoke
        for model in row.models
        if model.sha256 is not None
    }
    if evidence.whole:
        strays, summary = tuple(_strays(evidence, rows)), evidence.summary
        wanted = missed_digests(rows) if strays else frozenset()
        evidence = replace(
            evidence,
            strays=strays,
            misplaced={s.sha256: s for s in reversed(strays) if s.sha256 and s.sha256 in wanted},
            stray_bundles=tuple(_stray_bundles(evidence, rows, summary)) if summary else (),
        )
    pipeline = evidence.pipeline
    if pipeline is not None and pipeline.scope is not None and pipeline.listed is not None:
        from provenance.evidence import snapshot

        named_files = snapshot.named_by(evidence.registry, rows)
        unseen = snapshot.unseen(pipeline.scope, pipeline.listed, named_files)
        evidence = replace(evidence, pipeline=replace(pipeline, unseen=unseen))
    named = frozenset(row.named for row in rows if row.named is not None)
    wide = replace(evidence.registry_wide, claimed=named)
    return replace(evidence, placeholders=placeholders, wide=wide)


def collect_file(root: Tree, row: Row, bundle: BundleEvidence) -> Evidence:
    """Return evidence about one model file and the files beside it, without a registry.

    `row` names the file relative to `root`, and `bundle` signs it.
    """
    nowhere = reading.nowhere(row.onnx or "", (row,))
    reader = RowReader(root, nowhere, (row,), progress=Progress())
    (evidence,) = reader.read([row], ensemble.Documents(), with_bundles=False)
    # Only files that exist are compared. The statement shows which signed files are missing.
    # A signature over a single file covers no row, so an int8 variant beside it does not count.
    of_row = is_row(bundle.statement)
    variant = evidence.int8 if of_row and evidence.int8 and not evidence.int8.missing else None
    evidence = replace(
        evidence,
        bundle=bundle,
        int8=variant,
        sidecar=_present(evidence.sidecar),
        int8_sidecar=_present(evidence.int8_sidecar) if variant else None,
    )
    return Evidence(root, nowhere, (evidence,), whole=False)


def evidence_of_digest(path: str, sha256: str, bundle: BundleEvidence) -> Evidence:
    """Return evidence about a file of any type, as the model of an otherwise empty row."""
    row = Row(0, {"id": path}, {})
    nowhere = reading.nowhere(path, (row,))
    file = RowEvidence(row, onnx=ModelEvidence(path, path, Digest(sha256, 0)), bundle=bundle)
    return Evidence(Tree(Path()), nowhere, (file,), whole=False)


def _present(sidecar: SidecarEvidence | None) -> SidecarEvidence | None:
    return None if sidecar is None or sidecar.missing else sidecar


def _not_a_document(text: str, value: Mapping[str, Any]) -> NotADocument:
    source = SourceMap(text)

    def fault(found: tuple[str, JsonPath]) -> Fault:
        reason, where = found
        member = source.find(where) if where else None
        return Fault(reason, source.position(member.start) if member else START)

    manifest, verdict = ensemble.not_a_manifest(value), ensemble.not_a_verdict(value)
    assert manifest is not None  # otherwise it would be a document
    return NotADocument(fault(manifest), fault(verdict) if verdict else None)


_ABOUT_MODELS: Final = (
    *(".md", ".txt", ".rst", ".html", ".pdf", ".ipynb", ".png", ".svg", ".jpg", ".jpeg"),
    *(".py", ".license", ".log", ".csv", ".yaml", ".yml", ".toml"),
    *(".sha256", ".sha512", ".sha1", ".md5", ".asc", ".sig", ".minisig"),
)
"""Suffixes of files about a model that contain no weights: texts, images, code, signatures."""


class _Beside:
    """Reads the JSON files beside a registry that no row names."""

    def __init__(self, root: Tree, read: Registry, gates: Gates) -> None:
        self._root = root
        self._gates = gates.declared
        self._registry = read
        self.unreadable: dict[str, str] = {}
        self.unreadable_at: dict[str, Position] = {}
        self.not_documents: dict[str, NotADocument] = {}
        self.stray_sidecars: list[Sidecar] = []
        self.nameless: list[str] = []

    def documents(self) -> Iterator[ensemble.Manifest | ensemble.GateVerdict]:
        """Yield the manifests and verdicts. Files that rows name are read with the rows.

        An object that is neither, but has a value of a gate, is a verdict if it is named after an
        ensemble. The ids of ensembles are only known once all files were read.
        """
        ids: set[str] = set()
        unsure: list[ensemble.GateVerdict] = []
        named: dict[str, bool] = {}
        for row in self._registry.rows:
            if row.onnx is not None:
                path = self._registry.absolute(sidecar_of(row.onnx))
                named[path] = named.get(path, False) or row.quantized
        for path in names_in(self._root, self._registry.folder):
            if not path.endswith(".json") or path in named or path == self._registry.path:
                continue
            if self._is_of_a_variant(path, named):
                continue
            try:
                data = self._root.read(path, limits.DOCUMENT)
                text = decode(data)
                value = parse_object_text(text)
            except (FileError, JsonError) as e:
                if "\\" in path:  # `names_in` escapes a name that is not valid UTF-8
                    self.nameless.append(path)
                # It does not count as a document about models, unless it was released.
                self.unreadable[path] = IS_POINTER if isinstance(e, PointerError) else str(e)
                if isinstance(e, JsonError) and e.position is not None:
                    self.unreadable_at[path] = e.position
                continue
            document = ensemble.document(path, digest.of_bytes(data), text, value)
            if document is not None:
                yield document
                if isinstance(document, ensemble.Manifest) and document.id:
                    ids.add(document.id)
            elif is_sidecar(value):
                self.stray_sidecars.append(Sidecar(path, digest.of_bytes(data), text, value))
            elif selects(self._gates, value):
                unsure.append(ensemble.GateVerdict(path, digest.of_bytes(data), text, value))
            else:
                self.not_documents[path] = _not_a_document(text, value)
        for verdict in unsure:
            if ensemble.is_named_after_one_of(ensemble.file_name(verdict), ids):
                yield verdict
            else:
                self.not_documents[verdict.path] = _not_a_document(verdict.text, verdict.value)

    def _is_of_a_variant(self, path: str, named: Mapping[str, bool]) -> bool:
        """Whether a path is the sidecar of an int8 variant.

        `named` maps the sidecar of each model to whether a row requires its int8 variant.
        """
        quantized = named.get(path.removesuffix(INT8_SIDECAR_SUFFIX) + ".json")
        if quantized is None or not path.endswith(INT8_SIDECAR_SUFFIX):
            return False
        return quantized or self._root.exists(path.removesuffix(".json") + ".onnx")


def _strays(evidence: Evidence, rows: Sequence[RowFacts]) -> Iterator[FileEvidence]:
    """Yield the model files that nothing names, in the folders of the models and the registry."""
    root, registry = evidence.root, evidence.registry
    folders = {f.path.rpartition("/")[0] or "." for r in rows for f in r.model_files}
    beside = (p for f in sorted(folders | {registry.folder}) for p in names_in(root, f))
    known = {f.path for r in rows for f in (*r.model_files, *r.sidecars)}
    # A file that a row names is not stray, even if no readable model uses it (ART312).
    known.update(registry.absolute(n) for r in rows for n in r.row.external_data_sha256)
    models = {m.path for r in rows for m in r.models}
    others = {path for path in models if not path.endswith(".onnx")}

    def claims(path: str) -> bool:
        """Whether the name is that of a model file: `y.ONNX`, or `x.bin` beside `x.onnx`."""
        folder, _, name = path.rpartition("/")
        lower = name.lower()
        if lower.endswith(MODEL_SUFFIXES):
            return True
        if lower.endswith((bundles.SUFFIX, *_ABOUT_MODELS)):
            return False
        parts = name.split(".")
        stems = (".".join(parts[:n]) for n in range(1, len(parts)))
        tries = (paths.join(folder or ".", stem) for stem in stems)
        return any(f"{path}.onnx" in models or path in others for path in tries)

    strays = {p for p in beside if p not in known and claims(p)} | {*evidence.nameless}
    hashed = bool(strays and missed_digests(rows))
    for path in sorted(strays):
        yield read_stray(root, path, registry.name_of(path), hashed=hashed)


def _stray_bundles(
    evidence: Evidence, rows: Sequence[RowFacts], summary: BundleEvidence
) -> Iterator[str]:
    """Yield the bundles beside other bundles or the registry that belong to no row or summary."""
    known = {f.path for row in rows for f in (*row.bundle, *row.attestation)}
    known |= {f.path for f in summary.files}
    folders = {p.rpartition("/")[0] or "." for p in known} | {evidence.registry.folder}
    for folder in sorted(folders):
        for path in names_in(evidence.root, folder):
            if path.endswith(bundles.SUFFIX) and path not in known:
                yield path


def names_in(root: Tree, folder: str) -> Iterator[str]:
    """Yield the sorted paths of everything in a folder, or nothing if it does not exist.

    Raises:
        InputError: If the folder cannot be listed, or has too many files.
    """
    try:
        names = sorted(os.listdir(root.root / root.resolve(folder)))
    except (FileError, FileNotFoundError, NotADirectoryError):
        return  # reported for the file that should be in it
    except OSError as e:
        raise InputError(f"cannot list {folder!r}: {e.strerror}") from e
    if len(names) > limits.FOLDER_ENTRIES:
        raise InputError(
            f"more than {limits.FOLDER_ENTRIES:,} files in {folder!r}",
            help="Keep the registry in a folder of its own.",
        )
    # `join` is only for names from documents: it does not join a name that contains a backslash.
    below = "" if folder in ("", ".") else f"{folder}/"
    for name in names:
        # A name that is not UTF-8 can be neither in a registry nor signed; it is shown escaped.
        yield below + name.encode("utf-8", "backslashreplace").decode()
