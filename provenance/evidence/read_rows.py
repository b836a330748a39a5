# SPDX-License-Identifier: Apache-2.0
"""Read rows: their models, sidecars and bundles, each file once.

A file that cannot be read becomes part of the evidence, so that a rule can report it for its row
while all other rows are still judged. Digests are always computed from the bytes on disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from provenance.artifacts import digest, ensemble, limits, paths
from provenance.artifacts.documents.strict_json import JsonError, decode, parse_object_text
from provenance.artifacts.paths import FileError, FileProblem, PointerError, Tree
from provenance.artifacts.sidecar import Sidecar, sidecar_of
from provenance.attestations import bundle as bundles
from provenance.attestations.statement import LARGE, StatementError
from provenance.attestations.statement import decode as decode_statement
from provenance.evidence.collect_models import ModelReader
from provenance.evidence.progress import Progress
from provenance.evidence.rows import (
    BundleEvidence,
    FileEvidence,
    ModelEvidence,
    RowEvidence,
    SidecarEvidence,
)
from provenance.evidence.totals import Totals
from provenance.registry.registry import Registry
from provenance.registry.rows import Row, int8_of


def read_bundle(
    path: str, data: bytes, name: str | None = None, *, foreign: bool = False
) -> BundleEvidence:
    """Return the evidence of a bundle from its bytes. For `foreign`, see `statement.decode`."""
    return _evidence(path, name or path, digest.of_bytes(data), _opened(data), foreign=foreign)


def _is_absent(row: RowEvidence, file: FileEvidence) -> bool:
    """Return whether a file is missing, or is represented by a Git LFS pointer as declared."""
    if not isinstance(file.problem, PointerError):
        return file.missing
    size = row.declared_size(file)
    declared = row.declared(file)
    return declared in (None, file.problem.oid) and size in (None, file.problem.size)


def _opened(data: bytes) -> bundles.Bundle | str:
    """Return the bundle, or why the bytes are not a valid one."""
    try:
        return bundles.decode(data)
    except bundles.BundleError as e:
        return str(e)


def _evidence(
    path: str,
    name: str,
    found: digest.Digest,
    bundle: bundles.Bundle | str,
    *,
    foreign: bool = False,
    texts: Mapping[str, str] | None = None,
) -> BundleEvidence:
    if isinstance(bundle, str):
        return BundleEvidence(path, name, found, malformed=bundle)
    statement = None
    try:
        if isinstance(bundle.content, bundles.Envelope):
            statement = decode_statement(bundle.content.payload, foreign=foreign, texts=texts)
    except StatementError as e:
        return BundleEvidence(path, name, found, malformed=str(e))
    return BundleEvidence(path, name, found, bundle=bundle, statement=statement)


class RowReader:
    """Reads rows of a registry.

    `rows` are all rows that may share a file. `taken` maps the paths of other rows' models and
    sidecars, which cannot be external data, to what they are. `progress` receives how much of large
    files has been read.
    """

    def __init__(
        self,
        root: Tree,
        registry: Registry,
        rows: Sequence[Row],
        *,
        totals: Totals | None = None,
        taken: Mapping[str, str] | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._root = root
        self._registry = registry
        self._rows = rows
        self._progress = progress
        self._totals = totals or Totals(registry.path)
        self._taken = taken or {}
        self._row_models = {row.onnx for row in rows}
        self._names: dict[int, list[str]] = {}
        self._models: dict[str, ModelEvidence] = {}
        self._companions: dict[str, FileEvidence] = {}
        self._sidecars: dict[str, SidecarEvidence] = {}
        self._bundles: dict[str, BundleEvidence] = {}
        self._leads_apart: dict[tuple[str, str], bool] = {}

    def read(
        self, rows: Sequence[Row], documents: ensemble.Documents, *, with_bundles: bool
    ) -> Iterator[RowEvidence]:
        """Yield the evidence about `rows`. Their models are hashed first, in several threads.

        Small documents are parsed in this thread: a second one would make it a third slower,
        because parsing holds the interpreter lock.
        """
        names = [name for row in rows for name in self.models_of(row)]
        further = [file for row in rows for file in row.files if file.name is not None]
        names += [file.name for file in further if file.name and file.is_model]
        reader = ModelReader(self._root, self._registry, self._rows, self._taken, self._progress)
        self._models = reader.read(list(dict.fromkeys(names)))
        others = (file.name for file in further if file.name and not file.is_model)
        self._companions = reader.companions(list(dict.fromkeys(others)))
        for name in names:
            self._totals.model(self._models[name])
        for row in rows:
            yield self._row(row, documents, with_bundles=with_bundles)

    def _row(
        self,
        row: Row,
        documents: ensemble.Documents,
        *,
        with_bundles: bool,
    ) -> RowEvidence:
        bundle = self.bundle_of(row) if with_bundles else None
        names = self.models_of(row)
        further = tuple(self._further(row)) if row.files else ()
        if not names:
            return self._with_absent(RowEvidence(row, bundle=bundle, further=further))
        onnx, *int8 = names
        sidecar = self._sidecar_beside(row, onnx)
        named = sidecar.sidecar.text_at("ensemble_id") if sidecar and sidecar.sidecar else None
        manifest = documents.manifest_of(onnx, named, row.text("id"), row.digest("sha256"))
        attestation = None
        if with_bundles and row.sigstore_bundle is not None:
            path = bundles.seed_attestation_path(self._registry.folder, onnx, row.sigstore_bundle)
            # An existing attestation is judged even if unsigned files do not call the row a seed.
            is_wanted = manifest is not None or named is not None
            attestation = self.bundle(path) if is_wanted else self._bundle_if_there(path)
        found = RowEvidence(
            entry=row,
            onnx=self._models[onnx],
            int8=self._models[int8[0]] if int8 else None,
            sidecar=sidecar,
            int8_sidecar=self._sidecar_beside(row, int8[0]) if int8 else None,
            bundle=bundle,
            attestation=attestation,
            manifest=manifest,
            verdict=documents.verdict_on(manifest.id) if manifest else None,
            further=further,
        )
        return found if row.places is None else self._with_absent(found)

    def _further(self, row: Row) -> Iterator[FileEvidence]:
        """Yield the evidence of the files in `files`, except the row's own model."""
        for file in row.files:
            if file.name is not None and file.name not in self.models_of(row):
                yield self._models[file.name] if file.is_model else self._companions[file.name]

    def _sidecar_beside(self, row: Row, onnx: str) -> SidecarEvidence | None:
        """Return the sidecar of a model. A mapped row has one only if the mapping names it."""
        if not self._registry.mapping_of(row).is_mapped:
            return self._sidecar(sidecar_of(onnx))
        name = row.text("sidecar") if onnx == row.onnx else None
        return None if name is None else self._sidecar(name)

    def _with_absent(self, row: RowEvidence) -> RowEvidence:
        """Return the evidence of a row with the names of its files that may be absent."""
        if not self._registry.mapping_of(row.entry).skips_absent:
            return row
        files = (file for model in row.models for file in model.files)
        every = {file.name: file for file in (*files, *row.further)}
        absent = tuple(name for name, file in every.items() if _is_absent(row, file))
        return replace(row, absent=absent) if absent else row

    def models_of(self, row: Row) -> list[str]:
        """Return the name of a row's model and, if it has one, of its int8 variant."""
        known = self._names.get(row.index)
        if known is None:
            known = self._names[row.index] = self._look_for_models(row)
        return known

    def _look_for_models(self, row: Row) -> list[str]:
        name = row.onnx
        if name is None:
            return []
        if self._registry.mapping_of(row).is_mapped and not row.quantized:
            return [name]  # in an index of another shape, variants are files or rows of their own
        int8 = int8_of(name)
        lies_there = int8 not in self._row_models and self._root.exists(self._path(int8))
        return [name, int8] if row.quantized or lies_there else [name]

    def bundle(self, path: str) -> BundleEvidence:
        """Return the bundle at a path, with the countersignatures beside it."""
        found = self._bundle_if_there(path)
        if found is None:
            problem = FileError(FileProblem.MISSING, path, f"{path!r} does not exist")
            return BundleEvidence(path, self._registry.name_of(path), problem=problem)
        return found

    def _bundle_if_there(self, path: str) -> BundleEvidence | None:
        """Return the same, or None if nothing exists at the path. Each path is read once."""
        known = self._bundles.get(path)
        if known is None:
            known = self._one_bundle(path)
            if known is None:
                return None
            others = () if known.problem else tuple(self._countersignatures(path))
            known = replace(known, countersigned=others) if others else known
            self._bundles[path] = known
        return known

    def _countersignatures(self, path: str) -> Iterator[BundleEvidence]:
        """Yield the countersignatures, numbered from 2. Those after a gap do not belong to it."""
        for number in range(2, bundles.MAX_SIGNERS + 1):
            found = self._one_bundle(bundles.countersignature_path(path, number))
            if found is None:
                return
            yield found

    def _one_bundle(self, path: str) -> BundleEvidence | None:
        """Return the bundle at a path without its countersignatures, or None."""
        try:
            data = self._root.read_if_there(path, limits.BUNDLE)
        except FileError as e:
            return BundleEvidence(path, self._registry.name_of(path), problem=e.kept())
        if data is None:
            return None
        found, bundle = digest.of_bytes(data), _opened(data)
        del data  # a summary is large, and its statement needs as much memory again
        texts = self._texts_of_rows if found.size > LARGE else {}
        return _evidence(path, self._registry.name_of(path), found, bundle, texts=texts)

    @cached_property
    def _texts_of_rows(self) -> Mapping[str, str]:
        """The names and digests of models, which the statement of a summary can share."""
        texts = (text for row in self._registry.rows for text in (row.onnx, row.text("sha256")))
        return {text: text for text in texts if text is not None}

    def _sidecar(self, name: str) -> SidecarEvidence:
        """Return the sidecar with a name. It is read once, even if several rows have its model."""
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

    def bundle_of(self, row: Row) -> BundleEvidence | None:
        """Return the bundle that a row names, or None."""
        named = row.sigstore_bundle
        if named is None:
            return None
        path = self._path(named)
        # Stock consumers let the kernel resolve `<folder>/<sigstore_bundle>`. After a symbolic
        # link, the kernel resolves '..' differently, and they would read another file.
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
