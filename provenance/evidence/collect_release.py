# SPDX-License-Identifier: Apache-2.0
"""The files of a release, opened by the names that its summary signs: one pass, hashed and no more.

Only for a summary that trusted signers have signed: what it says decides what is opened. Nothing of
what is read is parsed but the registry, and that only where its bytes are the signed ones.
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
    """Evidence in which nothing was opened but the summary of the registry at `path`."""
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
    """What is here of the release of the registry at `path`, of which `signed` are the digests.

    Names are relative to the registry's folder. A file that a row names and no signer does, and a
    sidecar or int8 variant that lies beside a model unsigned, is part of the evidence too. With
    `with_rows`, the statements of the row bundles are read, where they have the signed bytes.

    Raises:
        InputError: The registry cannot be read, or has the signed bytes and is not a registry.
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
    from provenance.evidence.snapshot import hash_files  # no other command of a consumer uses it

    read = hash_files(tree, list(others.values()), progress, "hashing files")
    held |= {name: _file(file, name, read[file]) for name, file in others.items()}
    rows = tuple(map(_Rows(tree, registry, held, signed if with_rows else {}).row, registry.rows))
    return Evidence(
        tree, registry, rows, whole=True, summary=summary, released=tuple(held.values())
    )


def _unread(path: str, found: Digest) -> Registry:
    """The registry at `path`, of which nothing is known but its digest."""
    return Registry(path, pack(b"{}"), found, ())


def _root_of(folder: Path, names: Iterable[str]) -> Path:
    """The folder that a release is in: as far above the registry's as its names climb.

    No further than `limits.CLIMB`, and not as far as the root of the file system.
    """
    climbs = (_climb(name) for name in names if paths.unsafe_reason(name) is None)
    above = max((c for c in climbs if c <= limits.CLIMB), default=0)
    for _ in range(above):
        if folder.parent.parent == folder.parent:
            break
        folder = folder.parent
    return folder


def _climb(name: str) -> int:
    """How many folders a name climbs above the one that it is relative to."""
    steps = posixpath.normpath(name).split("/")
    return next((n for n, step in enumerate(steps) if step != ".."), len(steps))


def _file(path: str, name: str, read: Digest | FileError) -> FileEvidence:
    if isinstance(read, FileError):
        return FileEvidence(path, name, problem=read)
    return FileEvidence(path, name, read)


class _Rows:
    """Finds the files of each row among those of the release. What is not there joins `held`."""

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
        """What is here of a row."""
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
        """The statement of a row bundle whose bytes the summary signs, where it is asked for."""
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
        """Whether a file that no row names is part of the release, or lies there all the same."""
        return name in self._held or self._tree.exists(self._registry.absolute(name))

    def _file(self, name: str) -> FileEvidence:
        """The file that a row names. Statements may call it by another path to the same place."""
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
