# SPDX-License-Identifier: Apache-2.0
"""Collect the files of a release by the names in its signed summary, and hash them in one pass.

This is only for a summary with trusted signatures, because it decides which files are opened. Only
the registry is parsed, and only if its bytes are the signed ones.
"""

from __future__ import annotations

import os
import posixpath
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from provenance.artifacts import digest, limits, paths
from provenance.artifacts.digest import Digest
from provenance.artifacts.paths import FileError, FileProblem, Tree
from provenance.artifacts.sidecar import sidecar_of
from provenance.attestations.signed_row import (
    EXTERNAL_DATA,
    MODEL,
    QUANTIZED,
    SignedRow,
    signed_row,
)
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
from provenance.registry import reading
from provenance.registry.registry import Registry
from provenance.registry.rows import Row, int8_of


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
    registry = reading.parse_bytes(data, at) if genuine else _unread(at, found)
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


def collect_mapped_release(
    path: Path, index: str, base: str, summary: BundleEvidence, progress: Progress
) -> Evidence:
    """Return evidence about the files of a release whose registry has another shape.

    The rows are those in the row bundles that the summary lists. A file that is not in its folder
    may lie beside the registry, if no other file of the release has its name.

    Args:
        path: The path of the registry.
        index: Its path relative to the root of the project, as it was signed.
        base: The folder that names are relative to, relative to the root of the project.
        summary: The release summary, with its statement.
        progress: Receives how many files were hashed.

    Raises:
        InputError: If the registry cannot be read.
    """
    from provenance.evidence.snapshot import hash_files  # other consumer commands do not need it

    assert summary.statement is not None
    inputs = summary.statement.inputs
    names = [*(s.name for s in summary.statement.subjects), *inputs]
    steps = index.split("/")
    given = Path(os.path.realpath(path.parent)) / path.name
    in_layout = list(given.parts[-len(steps) :]) == steps and len(given.parents) > len(steps)
    root = given.parents[len(steps) - 1] if in_layout else given.parent
    tree = Tree.at(root)
    beside = paths.relative(str(root), str(given.parent))
    folder = base if in_layout else beside
    lasts = Counter(posixpath.basename(name) for name in names)
    places: dict[str, str] = {}
    for name in dict.fromkeys(names):
        place, last = paths.join(folder, name), posixpath.basename(name)
        near = paths.join(beside, last)
        is_near = lasts[last] == 1 and not tree.exists(place) and tree.exists(near)
        places[name] = near if is_near else place
    read = hash_files(tree, list(places.values()), progress, "hashing files")
    held = {name: _file(place, name, read[place]) for name, place in places.items()}
    registry = reading.nowhere(paths.join(beside, path.name), folder=folder)
    rows: list[RowEvidence] = []
    for name, sha256 in inputs.items():
        statement = signed_statement(tree, held[name], sha256)
        signed = signed_row(statement)
        if signed is not None:
            rows.append(_signed_row(len(rows), signed, held, statement))
    return Evidence(
        tree,
        replace(registry, rows=tuple(row.entry for row in rows)),
        tuple(rows),
        whole=True,
        summary=summary,
        released=tuple(held.values()),
    )


def _signed_row(
    number: int,
    signed: SignedRow,
    held: dict[str, FileEvidence],
    statement: Statement | None,
) -> RowEvidence:
    """Return the evidence of a row as its bundle describes it."""

    def file(name: str) -> FileEvidence:
        problem = FileError(FileProblem.MISSING, name, f"{name!r} is not part of the release")
        return held.setdefault(name, FileEvidence(name, name, problem=problem))

    fields = {k: v for k, v in signed.row.items() if k not in ("classification", "origin", "gate")}
    models = [f.name for f in signed.files if f.role == MODEL]
    onnx = models[0] if models else None
    fields |= {} if onnx is None else {"onnx": onnx}
    fields |= {} if signed.smoke is None else {"smoke": signed.smoke}
    data = tuple(
        ExternalFile(f.path, f.name, f.digest, f.problem)
        for f in (file(s.name) for s in signed.files if s.role == EXTERNAL_DATA)
    )
    others = (s.name for s in signed.files if s.role not in (EXTERNAL_DATA, QUANTIZED))
    int8 = next((s.name for s in signed.files if s.role == QUANTIZED), None)
    bundle = str(signed.row.get("sigstore_bundle", ""))
    found = held.get(bundle)
    return RowEvidence(
        Row(number, fields, signed.verbatim, places={}),
        onnx=None if onnx is None else _model(file(onnx), data),
        int8=None if int8 is None else _model(file(int8)),
        bundle=None
        if found is None
        else BundleEvidence(
            found.path, found.name, found.digest, found.problem, statement=statement
        ),
        further=tuple(file(name) for name in others if name != onnx),
    )


def signed_statement(tree: Tree, file: FileEvidence, expected: str | None) -> Statement | None:
    """Return the statement of a bundle that has the signed digest, or None."""
    if expected is None or file.sha256 != expected:
        return None
    try:
        data = tree.read(file.path, limits.BUNDLE)
    except FileError:
        return None  # USE001 reports a row without a statement
    if digest.of_bytes(data).sha256 != expected:
        return None
    return read_bundle(file.path, data, file.name).statement


def _unread(path: str, found: Digest) -> Registry:
    """Return an empty registry at `path` with only its digest."""
    return reading.nowhere(path, found=found)


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
        return signed_statement(self._tree, file, self._bundles.get(file.name))

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
