# SPDX-License-Identifier: Apache-2.0
"""`hash`: compute the digest of every model file, and write it into its row with a minimal diff.

A digest of other bytes is replaced only if the user names its row.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from provenance.artifacts import digest, writing
from provenance.artifacts.documents.json_edit import Edit, Insert, Set
from provenance.artifacts.documents.strict_json import JsonPath, type_name
from provenance.artifacts.writing import Change
from provenance.config import Config
from provenance.errors import InputError
from provenance.evidence.collect import read_rows
from provenance.evidence.progress import Progress
from provenance.evidence.rows import FileEvidence, ModelEvidence, RowEvidence
from provenance.frozen import dataclass
from provenance.gate.finding import Verdict
from provenance.gate.rules.digest_fields import is_empty
from provenance.operations.load_evidence import known_rows, load_evidence
from provenance.registry.registry import Registry
from provenance.registry.rows import DeclaredDigest, Row


@dataclass(frozen=True, slots=True)
class HashedFile:
    """A model file, its digest, and what its row declares.

    Attributes:
        path: Relative to the repository's root, or None if the row names no file.
        field: The registry's name for the field that holds the digest.
        declared: The digest as the row spells it, or None if the row has no field for it.
        problem: Why the file could not be hashed, or None.
        missing: The required field that the row lacks, or None.
        refused: Why the digest in the row is not replaced, or None.
    """

    row: str
    path: str | None
    sha256: str | None
    size: int | None
    declared: str | None
    problem: str | None
    field: str = ""
    missing: str | None = None
    refused: str | None = None

    @property
    def matches(self) -> bool:
        """Whether the row declares the digest of these bytes, in any spelling."""
        return self.sha256 is not None and digest.sha256_of(self.declared) == self.sha256

    @property
    def wrong(self) -> bool:
        """Whether the row has a value for the digest, and it is not the digest of these bytes."""
        return self.declared is not None and not self.matches

    @property
    def acceptable(self) -> bool:
        """Whether `accept` would replace the value in the row."""
        if self.refused is None:
            return False
        written = digest.parse(self.declared)
        return written is None or written.sha256 is not None


@dataclass(frozen=True)
class Hashes:
    """All model files, with the diff that was or would be written to the registry."""

    registry: str
    files: tuple[HashedFile, ...]
    diff: str
    written: bool

    @property
    def verdict(self) -> Verdict:
        """FAILED if a file cannot be hashed, or its row does not declare its digest."""
        if any(
            f.problem or f.missing or f.refused or (f.wrong and not self.written)
            for f in self.files
        ):
            return Verdict.FAILED
        return Verdict.VERIFIED if self.files else Verdict.NOTHING


def hash_models(
    config: Config,
    *,
    rows: Sequence[str] = (),
    write: bool = False,
    add_external_data: bool = False,
    accept: Sequence[str] = (),
    progress: Progress | None = None,
) -> Hashes:
    """Hash every model file of the registry, or of the rows with the given ids.

    Args:
        config: The configuration.
        rows: The rows, or all if empty.
        write: Fill in the digests that the rows have a field for. Nothing else is changed.
        add_external_data: Also add `external_data_sha256` to rows whose weights no digest covers.
        accept: The rows in which a digest of other bytes is replaced. Its spelling is kept.
        progress: Receives how much has been read.

    Raises:
        InputError: If the registry cannot be read or written, or a row of `accept` is not among
            the rows that are hashed.
    """
    around = load_evidence(config, rows=rows)
    registry = around.registry
    known_rows(registry, accept)
    shared = Counter(row.label for row in registry.rows)
    for label in accept:
        if shared[label] > 1:
            raise InputError(
                f"--accept {label}: {shared[label]} rows have this id",
                help="Give each row an id of its own.",
            )
        if rows and label not in rows:
            raise InputError(
                f"--accept {label}: this row is not among the rows to hash",
                help="Name it among the rows, too.",
            )
    found = [
        entry
        for row in read_rows(around, progress)
        for entry in _entries(registry, row, add_external_data, accept)
    ]
    changes = _changes(registry, found)
    if write:
        writing.write_changes(around.root, changes)
    return Hashes(
        registry=registry.path,
        files=tuple(e.file for e in found),
        diff="".join(change.diff for change in changes),
        written=write and any(change.diff for change in changes),
    )


@dataclass(frozen=True, slots=True)
class _Entry:
    """A file, and the edit that writes its digest, if any.

    Attributes:
        file: The file.
        edits: The row, and the edit of a field that it has.
        added: A row, with the name and digest to add to its `external_data_sha256`.
    """

    file: HashedFile
    edits: tuple[tuple[Row, Set], ...] = ()
    added: tuple[Row, str, str] | None = None


def _entries(
    registry: Registry, row: RowEvidence, add_external_data: bool, accept: Collection[str]
) -> Iterator[_Entry]:
    label = row.label
    if not row.models and not row.entry.files and not row.remote:
        called = row.called("onnx")
        reason = f"the row names no file: `{called}` is missing or not a file name"
        yield _Entry(HashedFile(label, None, None, None, None, reason, called))
    accepted = label in accept
    if row.entry.places is not None or row.entry.files or row.entry.digests:
        yield from _listed_entries(row, accepted)
        if row.entry.places is not None:
            return
    seen: set[str] = set()
    for model in row.models:
        if model in row.further:
            continue
        field = "int8_sha256" if model is row.int8 else "sha256"
        yield _declared(registry, row, model, (field,), accepted)
        if model is row.onnx is row.variant and "int8_sha256" in row.entry.fields:
            yield _declared(registry, row, model, ("int8_sha256",), accepted)
        for file in model.external:
            if file.name in seen:
                continue
            seen.add(file.name)
            if file.name in row.entry.external_data_sha256:
                where = ("external_data_sha256", file.name)
                yield _declared(registry, row, file, where, accepted)
            else:
                meant = accepted or not row.replaced(model)
                yield _uncovered(registry, row, file, add_external_data and meant, accepted)


def _listed_entries(row: RowEvidence, accepted: bool) -> Iterator[_Entry]:
    """Yield an entry for each digest of a mapped row, and of the files in `files`.

    A digest is replaced where it is written. A file without one gets an entry that shows its
    SHA-256, because only the author knows where the index should have it.
    """
    for file in row.model_files:
        listed = row.listed(file) if row.entry.files else None
        digests = row.other_digests(file)
        if listed is not None:
            digests += tuple(d for d in listed.digests if d.algorithm == "sha256")
        elif file is row.onnx and row.entry.places is None:
            digests = tuple(d for d in digests if d.algorithm != "sha256")
        elif file is row.onnx and (sha256 := row.entry.digest("sha256")) is not None:
            place = (row.entry.places or {}).get("sha256")
            digests = (DeclaredDigest("sha256", sha256, place), *digests)
        elif file is not row.onnx and row.entry.places is None:
            continue  # the fields of the row's own model and its external data follow
        for declared in digests:
            yield _compared(row, file, declared, accepted)
        if not digests:
            yield _Entry(_hashed(row, file, "sha256"))


def _compared(
    row: RowEvidence, file: FileEvidence, declared: DeclaredDigest, accepted: bool
) -> _Entry:
    """Return the entry of one declared digest, with the edit that replaces a wrong one."""
    found = _hashed(row, file, declared.algorithm)
    actual = file.digest.of(declared.algorithm) if file.digest is not None else None
    is_right = actual is None or actual == declared.hex
    if declared.algorithm == "sha256":
        found = replace(found, declared=declared.hex)
    if found.problem is not None or is_right:
        return _Entry(found)
    if not accepted:
        says = f"its {declared.algorithm} is {declared.hex}, that of other bytes"
        return _Entry(replace(found, refused=says))
    if declared.place is None:
        says = f"write the {declared.algorithm} {actual} by hand: a template makes the present one"
        return _Entry(replace(found, refused=says))
    written = digest.parse(_value_at(row.entry, declared.place))
    new = actual if written is None or actual is None else written.respell(actual)
    edits = [(row.entry, Set(declared.place, new)), *_size_edits(row, file)]
    return _Entry(found, tuple(edits))


def _size_edits(row: RowEvidence, file: FileEvidence) -> Iterator[tuple[Row, Set]]:
    """Yield the edit of a size that is wrong for the file whose digest is replaced."""
    listed = row.listed(file) if row.entry.files else None
    place = None if listed is None else listed.size_place
    if listed is None and file is row.onnx:
        place = (row.entry.places or {}).get("size")
    size = row.declared_size(file)
    if place is not None and file.digest is not None and size not in (None, file.digest.size):
        is_text = isinstance(_value_at(row.entry, place), str)
        new = file.digest.size
        yield row.entry, Set(place, str(new) if is_text else new)


def _value_at(row: Row, place: JsonPath) -> Any:
    """Return the value at a location in the row as it is written."""
    value: Any = row.verbatim
    for step in place[len(row.location) :]:
        value = value[step]
    return value


def _declared(
    registry: Registry,
    row: RowEvidence,
    file: FileEvidence,
    where: tuple[str, ...],
    accepted: bool,
) -> _Entry:
    """Return the entry of a file whose digest has a field in the row, or must have one."""
    holder = row.entry.fields
    called, *entry = (row.called(where[0]), *where[1:])
    if entry:
        holder = row.entry.external_data_sha256
    value = holder.get(where[-1])
    problem = _problem(file)
    refused, new = None, None
    if where[-1] in holder and problem is None and file.sha256 is not None:
        refused, new = _decide(value, file.sha256, accepted)
    found = replace(
        _hashed(row, file, ".".join((called, *entry))),
        declared=_as_text(value) if where[-1] in holder else None,
        missing=called if where[-1] not in holder and problem is None else None,
        refused=refused,
    )
    edit = Set(row.entry.place(*where), new) if new else None
    return _Entry(found, ((row.entry, edit),) if edit else ())


def _hashed(row: RowEvidence, file: FileEvidence, field: str) -> HashedFile:
    """Return a file as it was read, not yet compared with its row."""
    size = file.digest.size if file.digest else None
    return HashedFile(row.label, file.path, file.sha256, size, None, _problem(file), field)


def _uncovered(
    registry: Registry, row: RowEvidence, file: FileEvidence, add: bool, accepted: bool
) -> _Entry:
    """Return the entry of an external-data file that the row has no digest for."""
    value = row.entry.fields.get("external_data_sha256")
    called = row.called("external_data_sha256")
    problem, refused = _problem(file), None
    if add and not accepted and not is_empty(value) and not isinstance(value, dict):
        refused = f"`{called}` is {type_name(value)}, not an object"
    found = replace(_hashed(row, file, f"{called}.{file.name}"), refused=refused)
    if not add or refused or problem or file.sha256 is None:
        return _Entry(found)
    return _Entry(found, added=(row.entry, file.name, file.sha256))


def _changes(registry: Registry, entries: Sequence[_Entry]) -> list[Change]:
    """Return the edits of all entries, a change for each index file.

    Raises:
        InputError: If a key is repeated, so it is not clear which one to edit.
    """
    edits: dict[int, list[Edit]] = {}
    for row, edit in (each for entry in entries for each in entry.edits):
        edits.setdefault(row.source, []).append(edit)
    added: dict[int, tuple[Row, dict[str, str]]] = {}
    for row, name, sha256 in (e.added for e in entries if e.added is not None):
        added.setdefault(row.index, (row, {}))[1][name] = sha256
    for row, missing in added.values():
        edits.setdefault(row.source, []).extend(_additions(row, missing))
    if edits and registry.repeated_keys:
        raise InputError(
            f"{registry.path}: the key `{registry.repeated_keys[0][:60]}` is repeated in an object",
            help="Keep one of the two. Until then, no digest is written.",
        )
    found = [(registry.files[number], these) for number, these in edits.items()]
    return [Change(file.path, file.text, file.edited(these)) for file, these in found]


def _additions(row: Row, missing: dict[str, str]) -> Iterator[Edit]:
    fields = row.fields
    field = row.place("external_data_sha256")
    declared = row.external_data_sha256
    if "external_data_sha256" not in fields:
        before = next((f for f in _ABOVE if f in fields), None)
        yield Insert(field, missing, after=before)
    elif not declared:
        yield Set(field, missing)
    else:
        # Members are added one by one: replacing the object would undo edits inside it.
        last = list(declared)[-1]
        for name, sha256 in missing.items():
            yield Insert((*field, name), sha256, after=last)


_ABOVE: Final = ("sha256", "onnx", "id")
"""Fields below which `external_data_sha256` is added: the first one that the row has."""


def _decide(value: Any, sha256: str, accepted: bool) -> tuple[str | None, str | None]:
    """Return why the digest in a row is not replaced, or None, and the digest to write, or None.

    A digest of another algorithm is never replaced: it does not belong to this project.
    """
    if is_empty(value):
        return None, sha256
    written = digest.parse(value)
    if written is not None and written.sha256 is None:
        return f"it holds {digest.called(written)}, and only a SHA-256 is replaced", None
    if written is not None and written.sha256 == sha256:
        return None, None
    if accepted:
        return None, written.respell(sha256) if written else sha256
    if written is None:
        return "it is not a digest", None
    return "it declares other bytes", None


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _problem(file: FileEvidence) -> str | None:
    if file.problem is not None:
        return file.problem.message
    return file.not_onnx if isinstance(file, ModelEvidence) else None
