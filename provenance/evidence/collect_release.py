# SPDX-License-Identifier: Apache-2.0
"""Collect the files of a release by the names in its signed summary, and hash them in one pass.

This is only for a summary with trusted signatures, because it decides which files are opened. Only
the registry is parsed, and only if its bytes are the signed ones.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Mapping
from pathlib import Path

from provenance.artifacts import digest, limits, paths
from provenance.artifacts import registry as registries
from provenance.artifacts.digest import Digest
from provenance.artifacts.packed import pack
from provenance.artifacts.paths import FileError, FileProblem, Tree
from provenance.artifacts.registry import Registry, Row, int8_of
from provenance.artifacts.sidecar import sidecar_of
from provenance.attestations.statement import Statement
from provenance.errors import InputError
from provenance.evidence.evidence import Evidence
from provenance.evidence.progress import Progress
from provenance.evidence.read_rows import read_bundle
from provenance.evidence.rows import (
    BundleEvidence,
    ExternalFile,
    FileEvidence,
    ModelEvidence,
    RowEvidence,
    SidecarEvidence,
)


def not_collected(path: Path, summary: BundleEvidence) -> Evidence:
    """Return evidence with only the summary of the registry at `path`, and no other file opened."""
    nothing = _unread(path.name, digest.of_bytes(b""))
    return Evidence(Tree.at(path.parent), nothing, (), whole=True, summary=summary, released=())


def collect_release(
    path: Path,
    summary: BundleEvidence,
    signed: Mapping[str, str],
    progress: Progress,
    *,
    with_rows: bool = False,
) -> Evidence:
    """Return evidence about the files of a release.

    Files that are not in `signed` are included too if a row names them, or if they are a sidecar or
    int8 variant of a model.

    Args:
        path: The path of the registry.
        summary: The release summary.
        signed: The signed digests, by name relative to the registry's folder.
        progress: Receives how many files were hashed.
        with_rows: Also read the statements of row bundles that have the signed bytes.

    Raises:
        InputError: If the registry cannot be read, or has the signed bytes and is not a registry.
    """
    folder = Path(os.path.realpath(path.parent))
    tree = Tree.at(_root_of(folder, signed))
    at = paths.join(paths.relative(str(tree.root), str(folder)), path.name)
    try:
        data = tree.read(at, limits.REGISTRY)
    except FileError as e:
        raise InputError(f"registry {path}: {e.message}", help=e.help) from e
    found = digest.of_bytes(data)
    genuine = signed.get(path.name) == found.sha256
    registry = registries.parse_bytes(data, at) if genuine else _unread(at, found)
    del data
    held = {path.name: FileEvidence(at, path.name, found)}
    others = {name: registry.absolute(name) for name in signed if name != path.name}
    from provenance.evidence.snapshot import hash_files  # other consumer commands do not need it

    read = hash_files(tree, list(others.values()), progress, "hashing files")
    held |= {name: _file(file, name, read[file]) for name, file in others.items()}
    rows = tuple(map(_Rows(tree, registry, held, signed if with_rows else {}).row, registry.rows))
    return Evidence(
        tree, registry, rows, whole=True, summary=summary, released=tuple(held.values())
    )


def _unread(path: str, found: Digest) -> Registry:
    """Return an empty registry at `path` with only its digest."""
    return Registry(path, pack(b"{}"), found, ())


def _root_of(folder: Path, names: Iterable[str]) -> Path:
    """Return the folder that contains all files of a release, by how far their names climb.

    It is at most `limits.CLIMB` folders above the registry's, and never the root of the file
    system.
    """
    climbs = (_climb(name) for name in names if paths.unsafe_reason(name) is None)
    above = max((c for c in climbs if c <= limits.CLIMB), default=0)
    for _ in range(above):
        if folder.parent.parent == folder.parent:
            break
        folder = folder.parent
    return folder


def _climb(name: str) -> int:
    """Return how many folders a name climbs above the one that it is relative to."""
    steps = posixpath.normpath(name).split("/")
    return next((n for n, step in enumerate(steps) if step != ".."), len(steps))


def _file(path: str, name: str, read: Digest | FileError) -> FileEvidence:
    if isinstance(read, FileError):
        return FileEvidence(path, name, problem=read)
    return FileEvidence(path, name, read)


class _Rows:
    """Finds the files of each row among those of the release. Missing files are added to `held`."""

    def __init__(
        self,
        tree: Tree,
        registry: Registry,
        held: dict[str, FileEvidence],
        bundles: Mapping[str, str],
    ) -> None:
        self._tree = tree
        self._registry = registry
        self._held = held
        self._bundles = bundles

    def row(self, row: Row) -> RowEvidence:
        """Return the evidence of a row."""
        name = row.onnx
        if name is None:
            return RowEvidence(row, bundle=self._bundle(row))
        int8 = int8_of(name)
        variant = row.quantized or self._is_here(int8)
        external = tuple(
            ExternalFile(f.path, f.name, f.digest, f.problem)
            for f in map(self._file, row.external_data_sha256)
        )
        return RowEvidence(
            row,
            onnx=_model(self._file(name), external),
            int8=_model(self._file(int8)) if variant else None,
            sidecar=self._sidecar(name),
            int8_sidecar=self._sidecar(int8) if variant else None,
            bundle=self._bundle(row),
        )

    def _bundle(self, row: Row) -> BundleEvidence | None:
        if row.sigstore_bundle is None:
            return None
        file = self._file(row.sigstore_bundle)
        return BundleEvidence(
            file.path, file.name, file.digest, file.problem, statement=self._statement(file)
        )

    def _statement(self, file: FileEvidence) -> Statement | None:
        """Return the statement of a row bundle that has the signed bytes, or None."""
        expected = self._bundles.get(file.name)
        if expected is None or file.sha256 != expected:
            return None
        try:
            data = self._tree.read(file.path, limits.BUNDLE)
        except FileError:
            return None  # USE001 reports a row without a statement
        if digest.of_bytes(data).sha256 != expected:
            return None
        return read_bundle(file.path, data, file.name).statement

    def _sidecar(self, onnx: str) -> SidecarEvidence | None:
        name = sidecar_of(onnx)
        if not self._is_here(name):
            return None
        file = self._file(name)
        return SidecarEvidence(file.path, file.name, file.digest, file.problem)

    def _is_here(self, name: str) -> bool:
        """Whether a file that no row names is part of the release or exists."""
        return name in self._held or self._tree.exists(self._registry.absolute(name))

    def _file(self, name: str) -> FileEvidence:
        """Return the file that a row names. A statement may name it by another path."""
        if name in self._held:
            return self._held[name]
        path = self._registry.absolute(name)
        known = name if paths.unsafe_reason(name) else self._registry.name_of(path)
        if known in self._held:
            return self._held[known]
        problem = FileError(FileProblem.MISSING, path, f"{path!r} is not part of the release")
        self._held[known] = FileEvidence(path, known, problem=problem)
        return self._held[known]


def _model(file: FileEvidence, external: tuple[ExternalFile, ...] = ()) -> ModelEvidence:
    return ModelEvidence(file.path, file.name, file.digest, file.problem, external=external)
