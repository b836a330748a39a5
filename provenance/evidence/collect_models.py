# SPDX-License-Identifier: Apache-2.0
"""Read and hash model files: each file once, and large ones in several threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import BinaryIO, Final, TypeVar

from provenance.artifacts import digest, paths
from provenance.artifacts.digest import Digest
from provenance.artifacts.onnx_model import (
    WHOLE,
    ExternalReference,
    NotOnnxError,
    OnnxFacts,
    is_memory_address,
    parse_onnx,
    read_facts,
    read_onnx,
)
from provenance.artifacts.onnx_wire import MalformedMessageError
from provenance.artifacts.paths import FileError, FileProblem, Tree
from provenance.artifacts.sidecar import sidecar_of
from provenance.evidence.progress import Progress
from provenance.evidence.rows import ExternalFile, FileEvidence, ModelEvidence
from provenance.evidence.strays import StrayModel
from provenance.evidence.workers import map_in_threads
from provenance.registry.registry import Registry
from provenance.registry.rows import Row

_Read = TypeVar("_Read")


LARGE: Final = 256 * 1024
"""File size in bytes from which hashing in another thread pays off."""


class _LargeFileError(Exception):
    """The file is large enough to be read in another thread."""


class ModelReader:
    """Reads the models that rows of a registry name, with their external data.

    `taken` maps further paths that cannot be external data to what they are.
    """

    def __init__(
        self,
        root: Tree,
        registry: Registry,
        rows: Sequence[Row],
        taken: Mapping[str, str],
        progress: Progress | None,
    ) -> None:
        self._root = root
        self._registry = registry
        self._progress = progress or Progress()
        self._defers_large = False
        self._rows = rows
        self._taken = taken

    @cached_property
    def _of_rows(self) -> Mapping[str, str]:
        return taken(self._registry, self._rows)

    def _use(self, path: str) -> str | None:
        """Return what a path is if it cannot be external data, such as the registry itself.

        Writing the digest of the registry into the registry would change that digest.
        """
        is_registry = any(path == file.path for file in self._registry.files)
        known = self._of_rows.get(path) or self._taken.get(path)
        return known or ("the registry" if is_registry else None)

    @cached_property
    def _algorithms(self) -> Mapping[str, Sequence[str]]:
        """The further algorithms of the digests that rows declare for each file, by its path."""
        found: dict[str, dict[str, None]] = {}
        for row in self._rows:
            files = [(row.onnx, row.digests)] if row.digests else []
            files += [(file.name, file.digests) for file in row.files]
            for name, digests in files:
                if name is not None and digests:
                    wanted = found.setdefault(self._registry.absolute(name), {})
                    wanted.update(dict.fromkeys(d.algorithm for d in digests))
                    wanted.pop("sha256", None)
        return {path: tuple(wanted) for path, wanted in found.items()}

    def companions(self, names: Sequence[str]) -> dict[str, FileEvidence]:
        """Return files of rows that are no models by name: hashed, and not parsed."""
        return self._each(self._companion, names)

    def _companion(self, name: str) -> FileEvidence:
        path = self._registry.absolute(name)
        reason = paths.unsafe_reason(name)
        if reason is None and ".." in name.split("/"):
            reason = "climbs with '..'"
        if reason is None and any(path == file.path for file in self._registry.files):
            reason = "is the registry"
        if reason is not None:
            problem = FileError(FileProblem.UNSAFE, path, f"{name!r} {reason}")
            return FileEvidence(path, name, problem=problem)
        return self._hashed(path, name)

    def read(self, names: Sequence[str]) -> dict[str, ModelEvidence]:
        """Return the models by name, relative to the registry's folder.

        Different spellings of a name may mean the same file, which is read once.
        """
        files = {name: self._file(name) for name in names}
        spelled = list({file: name for name, file in files.items()}.values())
        models = self._each(self._model, spelled)
        needed = list(dict.fromkeys(n for m in models.values() for n, _ in _references(m)))
        data = self._each(self._external, needed)
        found = {files[name]: _with_data(model, data) for name, model in models.items()}
        return {name: _named(found[file], name) for name, file in files.items()}

    def _file(self, name: str) -> str:
        """Return the file that a name means, or the name itself if its spelling is refused."""
        return name if ".." in name.split("/") else self._registry.absolute(name)

    def _each(self, read: Callable[[str], _Read], names: Sequence[str]) -> dict[str, _Read]:
        # If links may lead out of the tree, as in a download cache, opening a file may copy it.
        self._defers_large = self._root.confined
        found: dict[str, _Read] = {}
        large = [] if self._defers_large else list(names)
        for name in names if self._defers_large else ():
            try:
                found[name] = read(name)
            except _LargeFileError:
                large.append(name)
        self._defers_large = False
        return found | dict(zip(large, map_in_threads(read, large), strict=True))

    def _model(self, name: str) -> ModelEvidence:
        path = self._registry.absolute(name)
        if ".." in name.split("/"):
            problem = FileError(FileProblem.UNSAFE, path, f"{name!r} climbs with '..'")
            return ModelEvidence(path, name, problem=problem)
        try:
            found, facts = self._read_model(path)
        except FileError as e:
            return ModelEvidence(path, name, problem=e.kept())
        except NotOnnxError as e:
            return ModelEvidence(path, name, e.digest, not_onnx=str(e))
        except OSError as e:
            return ModelEvidence(path, name, problem=_unreadable(path, e))
        return ModelEvidence(path, name, found, facts=facts)

    def _external(self, name: str) -> FileEvidence:
        path = self._registry.absolute(name)
        reason = paths.unsafe_reason(name)
        # ONNX requires locations below the model's own folder (onnx.proto, external_data). A '..'
        # is refused wherever it stands: behind a link it leads elsewhere than its text says.
        if reason is None and ".." in name.split("/"):
            reason = "climbs with '..'"
        if reason is None and is_memory_address(name):
            reason = "is taken by runtimes for an address in their memory"
        if reason is None and (known := self._use(path)) is not None:
            reason = f"is {known}, not external data"
        if reason is not None:
            problem = FileError(FileProblem.UNSAFE, path, f"{name!r} {reason}")
            return FileEvidence(path, name, problem=problem)
        return self._hashed(path, name)

    def _hashed(self, path: str, name: str) -> FileEvidence:
        algorithms = self._algorithms.get(path, ())
        try:
            data = self._small(path)
            if data is not None:
                return FileEvidence(path, name, digest.of_bytes(data, algorithms))
            with self._open(path) as (stream, size):
                return FileEvidence(path, name, digest.of_stream(stream, size, algorithms))
        except FileError as e:
            return FileEvidence(path, name, problem=e.kept())
        except OSError as e:
            return FileEvidence(path, name, problem=_unreadable(path, e))

    def _read_model(self, path: str) -> tuple[Digest, OnnxFacts]:
        algorithms = self._algorithms.get(path, ())
        data = self._small(path)
        if data is not None:
            return parse_onnx(data, algorithms)
        with self._open(path) as (stream, size):
            return read_onnx(stream, size, algorithms)

    def _small(self, path: str) -> bytes | None:
        """Return the bytes of a small file, or None if it is large or would have to be copied.

        Raises:
            FileError: If the file cannot be read.
        """
        if not self._root.confined:
            return None
        try:
            return self._root.read(path, WHOLE)
        except FileError as e:
            if e.problem is not FileProblem.TOO_LARGE:
                raise
            return None

    @contextmanager
    def _open(self, path: str) -> Iterator[tuple[BinaryIO, int]]:
        """Yield the open file at `path`, with its size."""
        with self._root.open(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > LARGE and self._defers_large:
                raise _LargeFileError
            with self._progress.reading(stream, path, size) as watched:
                yield watched, size


def taken(registry: Registry, rows: Iterable[Row]) -> Mapping[str, str]:
    """Return the files that cannot be external data: the models and sidecars of `rows`.

    Each path is mapped to the kind of the file, for messages.
    """
    found: dict[str, str] = {}
    for row in rows:
        if row.onnx is not None:
            found[registry.absolute(sidecar_of(row.onnx))] = "a sidecar"
            found[registry.absolute(row.onnx)] = "a model"
    return found


def read_stray(root: Tree, path: str, name: str, *, hashed: bool) -> FileEvidence:
    """Return the evidence of a file at `path` that nothing names; for a model, with its data.

    It is `hashed` if a row lacks a file, because it may be that file under another name.
    """
    found = _digest_of(root, path) if hashed else None
    if not path.endswith(".onnx"):
        return FileEvidence(path, name, found)
    try:
        with root.open(path) as stream:
            facts = read_facts(stream, os.fstat(stream.fileno()).st_size)
    except (FileError, MalformedMessageError, OSError):
        return StrayModel(path, name, found)
    return StrayModel(path, name, found, data=tuple(_data_beside(root, path, name, facts)))


def _digest_of(root: Tree, path: str) -> Digest | None:
    try:
        with root.open(path) as stream:
            return digest.of_stream(stream, os.fstat(stream.fileno()).st_size)
    except (FileError, OSError):
        return None


def _data_beside(root: Tree, path: str, name: str, facts: OnnxFacts) -> Iterator[FileEvidence]:
    for reference in facts.external:
        location = reference.location
        if paths.unsafe_reason(location) is not None or ".." in location.split("/"):
            continue  # never opened
        file = paths.join(path.rpartition("/")[0], location)
        missing = FileError(FileProblem.MISSING, file, f"{file!r} does not exist")
        problem = None if root.exists(file) else missing
        beside = paths.join(name.rpartition("/")[0], location)
        yield FileEvidence(file, beside, problem=problem)


def _named(model: ModelEvidence, name: str) -> ModelEvidence:
    return model if model.name == name else replace(model, name=name)


def _with_data(model: ModelEvidence, data: Mapping[str, FileEvidence]) -> ModelEvidence:
    external = tuple(
        ExternalFile(
            path=data[file].path,
            name=file,
            digest=data[file].digest,
            problem=data[file].problem,
            needs=reference.end,
            tensor=reference.tensor,
            cut=reference.cut,
        )
        for file, reference in _references(model)
    )
    return replace(model, external=external) if external else model


def _references(model: ModelEvidence) -> list[tuple[str, ExternalReference]]:
    """Return the external data of a model, with names relative to the registry's folder."""
    if model.facts is None:
        return []
    folder = model.name.rpartition("/")[0]

    def name(location: str) -> str:
        plain = ".." not in location.split("/")  # otherwise unchanged, to be refused later
        return paths.join(folder, location) if plain else location

    return [(name(r.location), r) for r in model.facts.external]


def _unreadable(path: str, e: OSError) -> FileError:
    return FileError(FileProblem.UNREADABLE, path, f"{path!r}: {e.strerror or e}")
