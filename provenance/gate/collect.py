# SPDX-License-Identifier: Apache-2.0
"""Collecting evidence: all reading happens here, several files at once.

What cannot be read becomes part of the evidence, so that a rule can say so for its row while every
other row is still judged. No digest comes from anywhere but the bytes on disk.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from provenance.artifacts import digest, ensemble, limits, paths
from provenance.artifacts.onnx_model import NotOnnxError, read_onnx
from provenance.artifacts.paths import FileError, Tree, Trouble
from provenance.artifacts.registry import Registry, Row
from provenance.artifacts.sidecar import Sidecar
from provenance.artifacts.strict_json import JsonError, decode, parse_object
from provenance.attestations import bundle as bundles
from provenance.attestations.statement import StatementError
from provenance.attestations.statement import decode as decode_statement
from provenance.gate.evidence import (
    BundleEvidence,
    Evidence,
    ExternalFile,
    FileEvidence,
    ModelEvidence,
    RowEvidence,
    SidecarEvidence,
)

MODEL_SUFFIXES: Final = (".onnx", ".onnx.data", ".onnx_data", ".data")
"""What lies beside a registry and is a model file unless a row says otherwise."""


@dataclass(frozen=True)
class Progress:
    """Told what is being read, for a progress bar. Called from several threads."""

    total: Callable[[int], None] = field(default=lambda _files: None)
    advance: Callable[[], None] = field(default=lambda: None)


def collect(
    root: Tree,
    read: Registry,
    *,
    select: Iterable[str] | None = None,
    with_bundles: bool = False,
    progress: Progress | None = None,
) -> Evidence:
    """Read and hash everything that `read` names, or the rows with the ids in `select`.

    Raises:
        InputError: The registry's folder cannot be listed.
    """
    wanted = None if select is None else set(select)
    rows = [r for r in read.rows if wanted is None or r.text("id") in wanted]
    collector = _Collector(root, read)
    report = progress or Progress()
    documents = tuple(collector.documents())
    report.total(len(rows))

    def one(row: Row) -> RowEvidence:
        evidence = collector.row(row, documents, with_bundles=with_bundles)
        report.advance()
        return evidence

    # One thread a core: hashing saturates a core, and more would only compete.
    with ThreadPoolExecutor(max(2, os.cpu_count() or 1)) as pool:
        collected = tuple(pool.map(one, rows))
    whole = wanted is None
    summary_at = collector.summary_path()
    return Evidence(
        root=root,
        registry=read,
        rows=collected,
        whole=whole,
        documents=documents,
        strays=tuple(collector.strays(collected, documents)) if whole else (),
        stray_bundles=tuple(collector.stray_bundles(collected, summary_at))
        if whole and with_bundles
        else (),
        summary=collector.bundle(summary_at) if whole and with_bundles else None,
    )


def collect_file(root: Tree, row: Row, bundle: BundleEvidence) -> Evidence:
    """Evidence about one model file and what lies beside it, without a registry.

    `row` names the file relative to `root`; `bundle` is what signs it.
    """
    nowhere = Registry(row.onnx or "", "{}", digest.of_bytes(b""), (row,), ())
    evidence = _Collector(root, nowhere).row(row, (), with_bundles=False)
    # A consumer need not have the sidecar; where it is here, it is compared.
    evidence = replace(
        evidence,
        bundle=bundle,
        sidecar=_present(evidence.sidecar),
        int8_sidecar=_present(evidence.int8_sidecar),
    )
    return Evidence(root, nowhere, (evidence,), whole=False)


def _present(sidecar: SidecarEvidence | None) -> SidecarEvidence | None:
    return None if sidecar is None or sidecar.missing else sidecar


def read_bundle(path: str, data: bytes, name: str | None = None) -> BundleEvidence:
    """The evidence that a bundle's bytes are."""
    found = digest.of_bytes(data)
    name = name or path
    try:
        bundle = bundles.decode(data)
        statement = None
        if isinstance(bundle.content, bundles.Envelope):
            statement = decode_statement(bundle.content.payload)
    except (bundles.BundleError, StatementError) as e:
        return BundleEvidence(path, name, found, malformed=str(e))
    return BundleEvidence(path, name, found, bundle=bundle, statement=statement)


class _Collector:
    def __init__(self, root: Tree, read: Registry) -> None:
        self._root = root
        self._registry = read

    @cached_property
    def _listing(self) -> tuple[str, ...]:
        return tuple(self._list())

    def row(
        self,
        row: Row,
        documents: tuple[ensemble.Manifest | ensemble.GateVerdict, ...],
        *,
        with_bundles: bool,
    ) -> RowEvidence:
        name = row.onnx
        if name is None:
            return RowEvidence(row, bundle=self._row_bundle(row) if with_bundles else None)
        stem = name.removesuffix(".onnx")
        int8_name = f"{stem}.int8.onnx"
        has_int8 = row.quantized or self._root.exists(self._path(int8_name))
        manifest = next(
            (d for d in documents if isinstance(d, ensemble.Manifest) and d.member_of(name)), None
        )
        verdicts = tuple(d for d in documents if isinstance(d, ensemble.GateVerdict))
        attestation = None
        if with_bundles and manifest is not None and row.sigstore_bundle is not None:
            attestation = self.bundle(
                bundles.seed_attestation_path(self._registry.folder, name, row.sigstore_bundle)
            )
        return RowEvidence(
            row=row,
            onnx=self._model(name),
            int8=self._model(int8_name) if has_int8 else None,
            sidecar=self._sidecar(f"{stem}.json"),
            int8_sidecar=self._sidecar(f"{stem}.int8.json") if has_int8 else None,
            bundle=self._row_bundle(row) if with_bundles else None,
            attestation=attestation,
            manifest=manifest,
            verdict=ensemble.verdict_for(manifest, verdicts) if manifest else None,
        )

    def bundle(self, path: str) -> BundleEvidence:
        name = self._registry.name_of(path)
        try:
            data = self._root.read(path, limits.BUNDLE)
        except FileError as e:
            return BundleEvidence(path, name, trouble=e)
        return read_bundle(path, data, name)

    def summary_path(self) -> str:
        named = (r.sigstore_bundle for r in self._registry.rows)
        found = [self._path(b) for b in named if b is not None]
        inside = [b for b in found if paths.unsafe_reason(b) is None and not b.startswith("../")]
        return bundles.summary_path(self._registry.path, inside)

    def documents(self) -> Iterator[ensemble.Manifest | ensemble.GateVerdict]:
        """Manifests and verdicts beside the registry; what rows name is read with the rows."""
        of_rows = set(self._sidecar_paths())
        for path in self._listing:
            if not path.endswith(".json") or path in of_rows or path == self._registry.path:
                continue
            try:
                data = self._root.read(path, limits.DOCUMENT)
                value = parse_object(data)
            except (FileError, JsonError):
                continue  # then it is a stray, and reported as one
            text = decode(data)
            if ensemble.is_manifest(value):
                yield ensemble.Manifest(path, digest.of_bytes(data), text, value)
            elif ensemble.is_gate_verdict(value):
                yield ensemble.GateVerdict(path, digest.of_bytes(data), text, value)

    def strays(
        self,
        rows: tuple[RowEvidence, ...],
        documents: tuple[ensemble.Manifest | ensemble.GateVerdict, ...],
    ) -> Iterator[FileEvidence]:
        """Model files and JSON documents beside the registry that nothing names."""
        known = {self._registry.path, *self._sidecar_paths(), *(d.path for d in documents)}
        known |= {f.path for r in rows for f in r.model_files}
        known |= set(self._schema_paths())
        for path in self._listing:
            is_document = path.endswith(".json") and not path.endswith(bundles.SUFFIX)
            if (is_document or path.endswith(MODEL_SUFFIXES)) and path not in known:
                yield FileEvidence(path, self._registry.name_of(path))

    def stray_bundles(self, rows: tuple[RowEvidence, ...], summary: str) -> Iterator[str]:
        """Bundles in the folders of the row bundles that belong to nothing."""
        known = {summary, *(b.path for r in rows for b in (r.bundle, r.attestation) if b)}
        folders = {p.rpartition("/")[0] for p in known} | {self._registry.folder}
        for folder in sorted(folders):
            for path in self._names_in(folder):
                if path.endswith(bundles.SUFFIX) and path not in known:
                    yield path

    def _model(self, name: str) -> ModelEvidence:
        path = self._path(name)
        try:
            with self._root.open(path) as stream:
                found, facts = read_onnx(stream, os.fstat(stream.fileno()).st_size)
        except FileError as e:
            return ModelEvidence(path, name, trouble=e)
        except NotOnnxError as e:
            return ModelEvidence(path, name, e.digest, not_onnx=str(e))
        except OSError as e:
            return ModelEvidence(path, name, trouble=_unreadable(path, e))
        folder = name.rpartition("/")[0]
        external = tuple(
            self._external(paths.join(folder, r.location), r.end, r.tensor) for r in facts.external
        )
        return ModelEvidence(path, name, found, facts=facts, external=external)

    def _external(self, name: str, needs: int, tensor: str) -> ExternalFile:
        path = self._path(name)
        # ONNX requires locations below the model's own folder (onnx.proto, external_data): this is
        # stricter than staying inside the repository.
        reason = paths.unsafe_reason(name)
        if reason is None and (name == ".." or name.startswith("../")):
            reason = "leaves the model's folder"
        if reason is not None:
            trouble = FileError(Trouble.UNSAFE, path, f"{name!r} {reason}")
            return ExternalFile(path, name, trouble=trouble, needs=needs, tensor=tensor)
        try:
            with self._root.open(path) as stream:
                found = digest.of_stream(stream)
        except FileError as e:
            return ExternalFile(path, name, trouble=e, needs=needs, tensor=tensor)
        except OSError as e:
            trouble = _unreadable(path, e)
            return ExternalFile(path, name, trouble=trouble, needs=needs, tensor=tensor)
        return ExternalFile(path, name, found, needs=needs, tensor=tensor)

    def _sidecar(self, name: str) -> SidecarEvidence:
        path = self._path(name)
        try:
            data = self._root.read(path, limits.DOCUMENT)
        except FileError as e:
            return SidecarEvidence(path, name, trouble=e)
        found = digest.of_bytes(data)
        try:
            sidecar = Sidecar(path, found, decode(data), parse_object(data))
        except JsonError as e:
            return SidecarEvidence(path, name, found, malformed=str(e))
        return SidecarEvidence(path, name, found, sidecar=sidecar)

    def _row_bundle(self, row: Row) -> BundleEvidence | None:
        named = row.sigstore_bundle
        return None if named is None else self.bundle(self._path(named))

    def _sidecar_paths(self) -> Iterator[str]:
        for row in self._registry.rows:
            if row.onnx is not None:
                stem = self._path(row.onnx).removesuffix(".onnx")
                yield f"{stem}.json"
                yield f"{stem}.int8.json"

    def _schema_paths(self) -> Iterator[str]:
        """The JSON Schema that the registry names for itself, where it lies beside it."""
        text = self._registry.text
        member = self._registry.source.find(("$schema",)) if '"$schema"' in text else None
        if member is not None:
            value = text[member.start : member.end].strip('"')
            if "://" not in value:
                yield self._path(value)

    def _path(self, name: str) -> str:
        return self._registry.absolute(name)

    def _list(self) -> Iterator[str]:
        """Every file below the registry's folder, hidden folders left out, sorted."""
        top = self._root.root / self._registry.folder
        seen = 0
        for folder, folders, files in os.walk(top):
            folders[:] = sorted(f for f in folders if not f.startswith((".", "__")))
            for file in sorted(files):
                seen += 1
                if seen > limits.FOLDER_ENTRIES:
                    raise FileError(
                        Trouble.TOO_LARGE,
                        self._registry.folder,
                        f"more than {limits.FOLDER_ENTRIES:,} files "
                        f"below {self._registry.folder!r}",
                        help="Keep the registry in a folder of its own.",
                    )
                path = os.path.relpath(os.path.join(folder, file), self._root.root)
                yield path.replace(os.sep, "/")

    def _names_in(self, folder: str) -> list[str]:
        try:
            names = sorted(os.listdir(self._root.root / folder))
        except OSError:
            return []  # its absence is reported with the bundle that should be in it
        return [f"{folder}/{n}" if folder not in ("", ".") else n for n in names]


def _unreadable(path: str, e: OSError) -> FileError:
    return FileError(Trouble.UNREADABLE, path, f"{path!r}: {e.strerror or e}")
