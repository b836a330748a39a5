# SPDX-License-Identifier: Apache-2.0
"""`hash`: the digest of every model file, and writing them into the rows with a minimal diff."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from provenance.artifacts import change, json_edit
from provenance.artifacts.change import Change
from provenance.artifacts.json_edit import Edit, Insert, Set
from provenance.artifacts.registry import FieldNames
from provenance.config import Config
from provenance.gate.evidence import Evidence, FileEvidence, RowEvidence
from provenance.gate.finding import Verdict
from provenance.gate.progress import Progress
from provenance.journeys.examine import examine


@dataclass(frozen=True, slots=True)
class HashedFile:
    """A model file and its digest. `declared` is what the row says, None where it says nothing.

    `missing` is the field that the row has to say it in, where it has no such field.
    """

    row: str
    path: str
    sha256: str | None
    size: int | None
    declared: str | None
    problem: str | None
    missing: str | None = None

    @property
    def matches(self) -> bool:
        """Whether the row declares these very bytes."""
        return self.sha256 is not None and self.sha256 == self.declared

    @property
    def wrong(self) -> bool:
        """Whether the row declares other bytes."""
        return self.declared is not None and not self.matches


@dataclass(frozen=True)
class Hashes:
    """All model files, and, where the registry was or would be written, the difference."""

    registry: str
    files: tuple[HashedFile, ...]
    diff: str
    written: bool

    @property
    def verdict(self) -> Verdict:
        """FAILED where a file could not be hashed, or is not what its row declares, or has to."""
        if any(f.problem or f.missing or (f.wrong and not self.written) for f in self.files):
            return Verdict.FAILED
        return Verdict.VERIFIED if self.files else Verdict.NOTHING


def hash_models(
    config: Config,
    *,
    rows: Sequence[str] = (),
    write: bool = False,
    add_external_data: bool = False,
    progress: Progress | None = None,
) -> Hashes:
    """Hash every model file of the registry, or of the rows with the given ids.

    With `write`, digests that the rows declare are brought up to date and nothing else is touched.
    `add_external_data` also adds `external_data_sha256` to rows whose weights no digest covers.

    Raises:
        InputError: The registry cannot be read or written.
    """
    evidence = examine(config, rows=rows, progress=progress)
    registry = evidence.registry
    after = json_edit.edit(registry.source, _edits(evidence, add_external_data), registry.path)
    edited = Change(registry.path, registry.text, after)
    if write:
        change.write(evidence.root, [edited])
    return Hashes(
        registry=registry.path,
        files=tuple(f for row in evidence.rows for f in _files(row, registry.names)),
        diff=edited.diff,
        written=write and bool(edited.diff),
    )


def _edits(evidence: Evidence, add_external_data: bool) -> Iterator[Edit]:
    registry = evidence.registry
    for row in evidence.rows:
        fields, names = row.row.fields, registry.names
        pairs = (("sha256", row.onnx), ("int8_sha256", row.int8))
        for name, model in pairs:
            if model is None or model.sha256 is None or model.not_onnx is not None:
                continue
            if name in fields and fields[name] != model.sha256:
                yield Set(registry.path_of(row.row, name), model.sha256)
        covered = {f.name: f.sha256 for m in row.models for f in m.external if f.sha256}
        declared = row.row.external_data_sha256
        field = registry.path_of(row.row, "external_data_sha256")
        if "external_data_sha256" in fields:
            for name, sha256 in covered.items():
                if name in declared and declared[name] != sha256:
                    yield Set((*field, name), sha256)
            missing = {n: s for n, s in covered.items() if n not in declared}
            if not add_external_data or not missing:
                continue
            if not declared:
                yield Set(field, missing)
                continue
            # Members are added one by one: to replace the object would undo the edits above.
            last = list(declared)[-1]
            for name, sha256 in missing.items():
                yield Insert((*field, name), sha256, after=last)
        elif add_external_data and covered:
            yield Insert(field, covered, after=names.of("sha256"))


def _files(row: RowEvidence, names: FieldNames) -> Iterator[HashedFile]:
    fields = row.row.fields
    for model in row.models:
        field = "int8_sha256" if model is row.int8 else "sha256"
        found = _file(row, model, _declared(fields, field), model.not_onnx)
        yield found if field in fields else replace(found, missing=names.of(field))
        for file in model.external:
            yield _file(row, file, _declared(row.row.external_data_sha256, file.name), None)


def _declared(fields: Mapping[str, Any], field: str) -> str | None:
    """What a field says; of what is no text, which is no digest either, the JSON."""
    value = fields.get(field)
    return value if isinstance(value, str) or field not in fields else json.dumps(value)


def _file(
    row: RowEvidence, file: FileEvidence, declared: str | None, problem: str | None
) -> HashedFile:
    reason = file.trouble.message if file.trouble else problem
    return HashedFile(
        row=row.row.label,
        path=file.path,
        sha256=file.sha256,
        size=file.digest.size if file.digest else None,
        declared=declared,
        problem=reason,
    )
