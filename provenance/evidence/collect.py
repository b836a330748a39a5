# SPDX-License-Identifier: Apache-2.0
"""Collecting evidence: all reading happens here, and in the rooms beside it.

What cannot be read becomes part of the evidence, so that a rule can say so for its row while every
other row is still judged. No digest comes from anywhere but the bytes on disk.
"""

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
from provenance.artifacts.packed import pack_text
from provenance.artifacts.paths import IS_POINTER, FileError, FileProblem, PointerError, Tree
from provenance.artifacts.registry import Registry, Row, int8_of
from provenance.artifacts.sidecar import Sidecar, is_sidecar, sidecar_of
from provenance.attestations import bundle as bundles
from provenance.attestations.signed_row import is_row
from provenance.attestations.statement import StatementError
from provenance.attestations.statement import decode as decode_statement
from provenance.errors import InputError
from provenance.evidence.collect_licenses import license_files
from provenance.evidence.collect_models import ModelReader, read_stray
from provenance.evidence.collect_schema import registry_schema
from provenance.evidence.evidence import Evidence, Fault, NotADocument, missed_digests
from provenance.evidence.expected_statements import summary_path
from provenance.evidence.progress import Progress
from provenance.evidence.rows import (
    BundleEvidence,
    FileEvidence,
    ModelEvidence,
    RowEvidence,
    SidecarEvidence,
)
from provenance.evidence.totals import Totals

MODEL_SUFFIXES: Final = (".onnx", ".ort", ".onnx.data", ".onnx_data")
"""What lies beside a registry and is a model file unless a row says otherwise."""


def collect(
    root: Tree,
    read: Registry,
    *,
    select: Iterable[str] | None = None,
    with_bundles: bool = False,
    progress: Progress | None = None,
    repository: str | None = None,
    addable: Iterable[str] = (),
) -> Evidence:
    """Read and hash everything that `read` names, or the rows with the labels in `select`.

    `repository` is the name of the repository that `root` is in, where that is known. `addable` are
    keys that an advice may add to a row.

    Raises:
        InputError: The registry's folder cannot be listed, or the rows have more together than is
            judged.
    """
    wanted = None if select is None else set(select)
    rows = [r for r in read.rows if wanted is None or r.label in wanted]
    collector = _Collector(root, read, progress)
    collector.read_models(rows)
    documents = tuple(collector.documents())
    known = ensemble.Documents(documents)
    collected = tuple(collector.rows(rows, known, with_bundles=with_bundles))
    whole = wanted is None
    judged = whole and with_bundles
    summary = collector.bundle(summary_path(read)) if judged else None
    return Evidence(
        root=root,
        registry=read,
        rows=collected,
        whole=whole,
        documents=documents,
        strays=tuple(collector.strays(collected)) if whole else (),
        stray_sidecars=tuple(collector.stray_sidecars) if whole else (),
        license_files=license_files(root, read, rows, repository),
        unreadable=collector.unreadable,
        unreadable_at=collector.unreadable_at,
        not_documents=collector.not_documents,
        stray_bundles=tuple(collector.stray_bundles(collected, summary)) if summary else (),
        schema=registry_schema(root, read, addable),
        summary=summary,
    )


def collect_file(root: Tree, row: Row, bundle: BundleEvidence) -> Evidence:
    """Evidence about one model file and what lies beside it, without a registry.

    `row` names the file relative to `root`; `bundle` is what signs it.
    """
    nowhere = Registry(row.onnx or "", pack_text("{}"), digest.of_bytes(b""), (row,))
    collector = _Collector(root, nowhere, None)
    collector.read_models([row])
    (evidence,) = collector.rows([row], ensemble.Documents(), with_bundles=False)
    # What was signed and is not here is for the statement to say; what is here is compared.
    # A signature over one file knows of no row: an int8 variant beside it is another file.
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
    """Evidence about a file of any kind, of which nothing counts but its digest.

    It takes the place of the model in a row that says nothing.
    """
    row = Row(0, {"id": path}, {})
    nowhere = Registry(path, pack_text("{}"), digest.of_bytes(b""), (row,))
    file = RowEvidence(row, onnx=ModelEvidence(path, path, Digest(sha256, 0)), bundle=bundle)
    return Evidence(Tree(Path()), nowhere, (file,), whole=False)


def _present(sidecar: SidecarEvidence | None) -> SidecarEvidence | None:
    return None if sidecar is None or sidecar.missing else sidecar


def read_bundle(
    path: str, data: bytes, name: str | None = None, *, foreign: bool = False
) -> BundleEvidence:
    """The evidence that a bundle's bytes are. `foreign`: as `statement.decode` takes it."""
    found = digest.of_bytes(data)
    name = name or path
    try:
        bundle = bundles.decode(data)
        statement = None
        if isinstance(bundle.content, bundles.Envelope):
            statement = decode_statement(bundle.content.payload, foreign=foreign)
    except (bundles.BundleError, StatementError) as e:
        return BundleEvidence(path, name, found, malformed=str(e))
    return BundleEvidence(path, name, found, bundle=bundle, statement=statement)


def _not_a_document(text: str, value: Mapping[str, Any]) -> NotADocument:
    source = SourceMap(text)

    def fault(found: tuple[str, JsonPath]) -> Fault:
        reason, where = found
        member = source.find(where) if where else None
        return Fault(reason, source.position(member.start) if member else START)

    manifest, verdict = ensemble.not_a_manifest(value), ensemble.not_a_verdict(value)
    assert manifest is not None  # else it was a document
    return NotADocument(fault(manifest), fault(verdict) if verdict else None)


_ABOUT_MODELS: Final = (
    *(".md", ".txt", ".rst", ".html", ".pdf", ".ipynb", ".png", ".svg", ".jpg", ".jpeg"),
    *(".py", ".license", ".log", ".csv", ".yaml", ".yml", ".toml"),
    *(".sha256", ".sha512", ".sha1", ".md5", ".asc", ".sig", ".minisig"),
)
"""What people write about a model, under its name, and its checksums and signatures: no weights."""


class _Collector:
    def __init__(self, root: Tree, read: Registry, progress: Progress | None) -> None:
        self._progress = progress or Progress()
        self._root = root.keeping_folders()
        self._registry = read
        self._row_models = {row.onnx for row in read.rows}
        self._names: dict[int, list[str]] = {}
        self._models: dict[str, ModelEvidence] = {}
        self._sidecars: dict[str, SidecarEvidence] = {}
        self._bundles: dict[str, BundleEvidence] = {}
        self._totals = Totals(read.path)
        self.unreadable: dict[str, str] = {}
        self.unreadable_at: dict[str, Position] = {}
        self.not_documents: dict[str, NotADocument] = {}
        self.stray_sidecars: list[Sidecar] = []
        self._nameless: list[str] = []
        self._leads_apart: dict[tuple[str, str], bool] = {}

    def read_models(self, rows: Sequence[Row]) -> None:
        """Hash every model file of `rows` once."""
        names = [name for row in rows for name in self._model_names(row)]
        reader = ModelReader(self._root, self._registry, self._progress)
        self._models = reader.read(list(dict.fromkeys(names)))
        for name in names:
            self._totals.model(self._models[name])

    def rows(
        self,
        rows: Sequence[Row],
        documents: ensemble.Documents,
        *,
        with_bundles: bool,
    ) -> Iterator[RowEvidence]:
        """The evidence about `rows`, whose models were read.

        One after the other: parsing small documents keeps the interpreter, and a second thread
        makes it a third slower.
        """
        self._progress.begin("reading rows", len(rows))
        for row in rows:
            yield self._row(row, documents, with_bundles=with_bundles)
            self._progress.advance()

    def _row(
        self,
        row: Row,
        documents: ensemble.Documents,
        *,
        with_bundles: bool,
    ) -> RowEvidence:
        bundle = self._row_bundle(row) if with_bundles else None
        names = self._model_names(row)
        if not names:
            return RowEvidence(row, bundle=bundle)
        onnx, *int8 = names
        sidecar = self._sidecar(sidecar_of(onnx))
        named = sidecar.sidecar.text_at("ensemble_id") if sidecar.sidecar else None
        manifest = documents.manifest_of(onnx, named, row.text("id"), row.digest("sha256"))
        evidence = RowEvidence(
            entry=row,
            onnx=self._models[onnx],
            int8=self._models[int8[0]] if int8 else None,
            sidecar=sidecar,
            int8_sidecar=self._sidecar(sidecar_of(int8[0])) if int8 else None,
            bundle=bundle,
            manifest=manifest,
            verdict=documents.verdict_on(manifest.id) if manifest else None,
        )
        if not with_bundles or row.sigstore_bundle is None:
            return evidence
        attestation = self.bundle(
            bundles.seed_attestation_path(self._registry.folder, onnx, row.sigstore_bundle)
        )
        # One that lies there is judged whatever unsigned files say of the row.
        wanted = evidence.is_seed or not attestation.missing
        return replace(evidence, attestation=attestation if wanted else None)

    def _model_names(self, row: Row) -> list[str]:
        """The names of a row's model and, where it has one, of its int8 variant."""
        known = self._names.get(row.index)
        if known is None:
            known = self._names[row.index] = self._look_for_models(row)
        return known

    def _look_for_models(self, row: Row) -> list[str]:
        name = row.onnx
        if name is None:
            return []
        int8 = int8_of(name)
        lies_there = int8 not in self._row_models and self._root.exists(self._path(int8))
        return [name, int8] if row.quantized or lies_there else [name]

    def bundle(self, path: str) -> BundleEvidence:
        """The bundle at a path, with the countersignatures beside it."""
        found = self._bundle(path)
        if found.problem is not None:
            return found
        return replace(found, countersigned=tuple(self._countersignatures(path)))

    def _countersignatures(self, path: str) -> Iterator[BundleEvidence]:
        """Numbered from 2 without a gap: what lies beyond one belongs to nothing."""
        for number in range(2, bundles.MAX_SIGNERS + 1):
            found = self._bundle(bundles.countersignature_path(path, number))
            if found.missing:
                return
            yield found

    def _bundle(self, path: str) -> BundleEvidence:
        """The one bundle at a path. What is there is read once, however many rows name it."""
        known = self._bundles.get(path)
        if known is not None:
            return known
        name = self._registry.name_of(path)
        try:
            data = self._root.read(path, limits.BUNDLE)
        except FileError as e:
            found = BundleEvidence(path, name, problem=e.kept())
        else:
            found = read_bundle(path, data, name)
        if not found.missing:  # of every bundle, the next countersignature is
            self._bundles[path] = found
        return found

    def documents(self) -> Iterator[ensemble.Manifest | ensemble.GateVerdict]:
        """Manifests and verdicts beside the registry; what rows name is read with the rows."""
        named = {
            self._path(sidecar_of(n)) for r in self._registry.rows for n in self._model_names(r)
        }
        for path in self._names_in(self._registry.folder):
            if not path.endswith(".json") or path in named or path == self._registry.path:
                continue
            try:
                data = self._root.read(path, limits.DOCUMENT)
                text = decode(data)
                value = parse_object_text(text)
            except (FileError, JsonError) as e:
                if "\\" in path:  # as _names_in shows a name that is no text
                    self._nameless.append(path)
                # Not a document about models, unless it was released.
                self.unreadable[path] = IS_POINTER if isinstance(e, PointerError) else str(e)
                if isinstance(e, JsonError) and e.position is not None:
                    self.unreadable_at[path] = e.position
                continue
            document = ensemble.document(path, digest.of_bytes(data), text, value)
            if document is not None:
                yield document
            elif is_sidecar(value):
                self.stray_sidecars.append(Sidecar(path, digest.of_bytes(data), text, value))
            else:
                self.not_documents[path] = _not_a_document(text, value)

    def strays(self, rows: tuple[RowEvidence, ...]) -> Iterator[FileEvidence]:
        """Model files, in the folders of the model files, that nothing names.

        Only these folders: what else a repository holds is none of the registry's business.
        """
        folders = {f.path.rpartition("/")[0] or "." for r in rows for f in r.model_files}
        beside = [p for f in sorted(folders | {self._registry.folder}) for p in self._names_in(f)]
        known = {f.path for r in rows for f in (*r.model_files, *r.sidecars)}
        # Named by a row, whether or not a model that can be read uses it (ART312).
        known |= {self._path(n) for r in rows for n in r.entry.external_data_sha256}
        stems = {m.path.removesuffix(".onnx") for r in rows for m in r.models}

        def claims(path: str) -> bool:
            """Whether a file is a model's by its name: `x.bin` beside `x.onnx`, `y.ONNX`."""
            folder, _, name = path.rpartition("/")
            lower = name.lower()
            if lower.endswith(MODEL_SUFFIXES):
                return True
            if lower.endswith((bundles.SUFFIX, *_ABOUT_MODELS)):
                return False
            parts = name.split(".")
            tries = (".".join(parts[:n]) for n in range(1, len(parts)))
            return any(paths.join(folder or ".", stem) in stems for stem in tries)

        strays = {p for p in beside if p not in known and claims(p)}
        hashed = bool(missed_digests(rows))
        for path in sorted(strays | {*self._nameless}):
            yield read_stray(self._root, path, self._registry.name_of(path), hashed=hashed)

    def stray_bundles(
        self, rows: tuple[RowEvidence, ...], summary: BundleEvidence
    ) -> Iterator[str]:
        """Bundles in the folders of the row bundles that belong to nothing."""
        documents = [b for r in rows for b in (r.bundle, r.attestation) if b] + [summary]
        known = {b.path for document in documents for b in document.files}
        folders = {p.rpartition("/")[0] for p in known} | {self._registry.folder}
        for folder in sorted(folders):
            for path in self._names_in(folder):
                if path.endswith(bundles.SUFFIX) and path not in known:
                    yield path

    def _sidecar(self, name: str) -> SidecarEvidence:
        """The sidecar with a name. It is read once, however many rows have its model."""
        path = self._path(name)
        known = self._sidecars.get(path)
        if known is None:
            known = self._sidecars[path] = self._read_sidecar(path, name)
        self._totals.sidecar(known)
        return known if known.name == name else replace(known, name=name)

    def _read_sidecar(self, path: str, name: str) -> SidecarEvidence:
        try:
            data = self._root.read(path, limits.DOCUMENT)
        except FileError as e:
            return SidecarEvidence(path, name, problem=e.kept())
        found = digest.of_bytes(data)
        try:
            text = decode(data)
            sidecar = Sidecar(path, found, text, parse_object_text(text))
        except JsonError as e:
            return SidecarEvidence(path, name, found, malformed=str(e), malformed_at=e.position)
        return SidecarEvidence(path, name, found, sidecar=sidecar)

    def _row_bundle(self, row: Row) -> BundleEvidence | None:
        named = row.sigstore_bundle
        if named is None:
            return None
        path = self._path(named)
        # Stock consumers let the kernel resolve `<folder>/<sigstore_bundle>`: behind a link, a '..'
        # leads elsewhere than its text says, and they would read another file than this one.
        if paths.unsafe_reason(named) is None and self._leads_elsewhere(named, path):
            problem = FileError(
                FileProblem.UNSAFE, path, f"{named!r} climbs with '..' behind a link"
            )
            return BundleEvidence(path, self._registry.name_of(path), problem=problem)
        return self.bundle(path)

    def _leads_elsewhere(self, named: str, path: str) -> bool:
        below, _, name = named.rpartition("/")
        folder, _, normal = path.rpartition("/")
        ways = (below, folder)
        if ways not in self._leads_apart:
            self._leads_apart[ways] = self._differ(*ways)
        return (self._leads_apart[ways] or name != normal) and self._differ(named, path)

    def _differ(self, named: str, path: str) -> bool:
        seen = os.path.realpath(self._root.root / self._registry.folder / named)
        return seen != os.path.realpath(self._root.root / path)

    def _path(self, name: str) -> str:
        return self._registry.absolute(name)

    def _names_in(self, folder: str) -> list[str]:
        """The paths of what lies in a folder, sorted; nothing where there is no such folder."""
        try:
            names = sorted(os.listdir(self._root.root / self._root.resolve(folder)))
        except (FileError, FileNotFoundError, NotADirectoryError):
            return []  # reported with the file that should be in it
        except OSError as e:
            raise InputError(f"cannot list {folder!r}: {e.strerror}") from e
        if len(names) > limits.FOLDER_ENTRIES:
            raise InputError(
                f"more than {limits.FOLDER_ENTRIES:,} files in {folder!r}",
                help="Keep the registry in a folder of its own.",
            )
        # A name that is not UTF-8 can be neither named nor signed; it is shown with escapes.
        readable = (n.encode("utf-8", "backslashreplace").decode() for n in names)
        # Whatever it is, it is in this folder: `join` is for names that documents choose.
        below = "" if folder in ("", ".") else f"{folder}/"
        return [f"{below}{n}" for n in readable if n]
