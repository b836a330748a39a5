# SPDX-License-Identifier: Apache-2.0
"""Compare two states of a registry: lost rows, lost fields, changed digests.

Rows are matched by `id`, or by file if a row has lost its id. Rules report the differences, and
`restore` reverts them. Both use the field names of the registry.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, Final

from provenance.artifacts.digest import sha256_of
from provenance.artifacts.documents.json_edit import Insert, Raw, Set
from provenance.artifacts.documents.strict_json import JsonPath
from provenance.frozen import dataclass
from provenance.registry.reading import STOCK_ROWS
from provenance.registry.registry import Registry
from provenance.registry.rows import FIELDS, DeclaredFile, Row, is_blank

OF_BYTES: Final = (
    "onnx",
    "sha256",
    "int8_sha256",
    "external_data_sha256",
    "opset",
    "quant_mode",
    "smoke",
)
"""Fields that describe the model's bytes. For other bytes, an old value would be wrong."""

EMPTY_IS_LOST: Final = ("license", "license_url", "sigstore_bundle")
"""Fields for which a blank string counts as missing, as in the rules LIC201 to LIC203."""


@dataclass(frozen=True, slots=True)
class LostField:
    """A field that existed at the baseline and is missing now.

    Attributes:
        row: The present row, or None for a field of the registry itself.
        key: The registry's name for the field.
        field: This project's name for the field, or None if it is the registry's own.
        was: Its value at the baseline; for a field of the registry itself, as text.
        after: The nearest key before it that still exists, or None.
    """

    row: Row | None
    key: str
    field: str | None
    was: Any
    after: str | None


@dataclass(frozen=True, slots=True)
class LostRow:
    """A row that existed at the baseline and is missing now.

    Attributes:
        row: The row at the baseline.
        renamed: A present row with the same file or bytes that is new or has another row's id, or
            None.
    """

    row: Row
    renamed: Row | None


@dataclass(frozen=True)
class Comparison:
    """The differences between the registry `then` and the registry `now`."""

    then: Registry
    now: Registry

    def was(self, row: Row) -> Row | None:
        """Return the row of the baseline that matches a present row, or None."""
        id = row.text("id")
        return self._then.get(id) if id is not None else self._nameless.get(row.index)

    def lost_fields(self, row: Row) -> Iterator[LostField]:
        """Yield the fields that a present row has lost, in their order at the baseline."""
        was = self.was(row)
        if was is not None and (was.places is not None or row.places is not None):
            yield from _lost_of_mapped(row, was)
            return
        after: str | None = None
        for key, value in was.verbatim.items() if was is not None else ():
            field = key
            if key not in row.verbatim or _is_emptied(field, row.verbatim[key], value):
                yield LostField(row, key, field, value, after)
            if key in row.verbatim:
                after = key

    @cached_property
    def lost_keys(self) -> frozenset[str]:
        """The keys that rows have lost."""
        return frozenset(lost.key for row in self.now.rows for lost in self.lost_fields(row))

    def lost_fields_of_registry(self) -> Iterator[LostField]:
        """Yield the fields that the registry itself has lost, beside its list of rows."""
        here = frozenset(self.now.files[0].keys)
        after: str | None = None
        if self.then.stock is None or self.now.stock is None:
            return
        for key in self.then.files[0].keys:
            if key in here:
                after = key
            else:
                yield LostField(None, key, None, self._raw((key,)).text, after)

    def lost_rows(self) -> Iterable[LostRow]:
        """Return the rows whose id no longer exists, in their order at the baseline."""
        return self.lost.values()

    @cached_property
    def lost(self) -> Mapping[str, LostRow]:
        """The lost rows by id."""
        found: dict[str, LostRow] = {}
        seen = set(self._now)
        seen.update(row.label for row in self._nameless.values())
        for row in self.then.rows:
            id = row.text("id")
            if id is not None and id not in seen:
                seen.add(id)  # a second row with the same id is ignored
                found[id] = LostRow(row, self._renamed(row))
        return found

    @cached_property
    def renamed(self) -> Mapping[int, Row]:
        """The former row of each present row whose id has changed, by its place."""
        found = ((lost.row, lost.renamed) for lost in self.lost_rows())
        return {now.index: was for was, now in found if now is not None}

    def field_edit(self, lost: LostField) -> Insert | Set:
        """Return the edit that puts a field back in its old place in the present registry."""
        if lost.row is None:
            return Insert((lost.key,), self._raw((lost.key,)), lost.after)
        was = self.was(lost.row)
        assert was is not None  # otherwise it has lost nothing
        raw = self._raw((*was.location, lost.key))
        path = (*lost.row.location, lost.key)
        if lost.key in lost.row.verbatim:
            return Set(path, raw)
        return Insert(path, raw, lost.after)

    def row_edit(self, lost: LostRow) -> Insert:
        """Return the edit that puts a row back in its old place in the present registry."""
        raw = self._raw(lost.row.location)
        neighbour = self.neighbour(lost)
        after = None if neighbour is None else neighbour.index
        return Insert((*STOCK_ROWS, 0 if after is None else after + 1), raw, after)

    def neighbour(self, lost: LostRow) -> Row | None:
        """Return the present row that preceded a lost one, or None if it was the first."""
        return self._neighbours.get(lost.row.index)

    def _raw(self, path: JsonPath) -> Raw:
        return Raw.of(self.then.files[0].source, path, f"{self.then.path} of the baseline")

    def _renamed(self, lost: Row) -> Row | None:
        for mark in _marks(lost):
            found = self._new_by_mark.get(mark)
            if found is not None:
                return found
        return None

    @cached_property
    def _nameless(self) -> Mapping[int, Row]:
        """The former rows of present rows without an id, by place."""
        nameless = [row for row in self.now.rows if row.text("id") is None and row.onnx]
        if not nameless:
            return {}
        gone = {row.onnx: row for id, row in self._then.items() if id not in self._now}
        return {row.index: gone[row.onnx] for row in nameless if row.onnx in gone}

    @cached_property
    def _now(self) -> Mapping[str, Row]:
        return _by_id(self.now)

    @cached_property
    def _then(self) -> Mapping[str, Row]:
        return _by_id(self.then)

    @cached_property
    def _neighbours(self) -> Mapping[int, Row | None]:
        found: dict[int, Row | None] = {}
        here: Row | None = None
        for row in self.then.rows:
            found[row.index] = here
            here = self._now.get(row.text("id") or "", here)
        return found

    @cached_property
    def _new_by_mark(self) -> Mapping[tuple[str, str], Row]:
        ids = Counter(row.text("id") for row in self.now.rows)
        # A row may also have taken the id of another row, which REG102 reports.
        ids.update(id for id in ids if id not in self._then)
        new = (row for row in self.now.rows if row.text("id") and ids[row.text("id")] > 1)
        found: dict[tuple[str, str], Row] = {}
        for row in new:
            for mark in _marks(row):
                found.setdefault(mark, row)
        return found


def _lost_of_mapped(row: Row, was: Row) -> Iterator[LostField]:
    """Yield what a row has lost if one of the two states was read through a mapping.

    A field that the former row had itself, and that the present row has only from `defaults` or
    `values`, is lost: the configuration cannot vouch for the index.
    """
    for field, value in was.fields.items():
        moved = field in row.supplied and field not in was.supplied
        if field not in row.fields or moved or _is_emptied(field, row.fields[field], value):
            yield LostField(row, was.called(field), field, value, None)
    for digest in was.digests:
        if not any(now.algorithm == digest.algorithm for now in row.digests):
            yield LostField(row, was.called(digest.algorithm), "digests", digest.hex, None)
    here = {file.name or file.url: file for file in row.files}
    here |= {row.onnx: DeclaredFile(row.onnx, digests=row.digests)} if row.onnx else {}
    for file in was.files:
        now = here.get(file.name or file.url)
        if now is None:
            yield LostField(row, f"{file.name or file.url}", "files", "this file", None)
            continue
        for digest in file.digests:
            if now.digest(digest.algorithm) is None:
                key = f"{digest.algorithm} of {file.name or file.url}"
                yield LostField(row, key, "files", digest.hex, None)


def _by_id(registry: Registry) -> dict[str, Row]:
    """Return the rows by id, and the first row if several have the same id (REG102)."""
    found: dict[str, Row] = {}
    for row in registry.rows:
        id = row.text("id")
        if id is not None:
            found.setdefault(id, row)
    return found


def changed_digests(row: Row, was: Row) -> dict[str, tuple[str, str]]:
    """Return the declared digests of a row that have changed: the former and the present one.

    The keys are `sha256` and `int8_sha256` for the models, and file names for external data.
    """
    found = [(f, was.fields.get(f), row.fields.get(f)) for f in ("sha256", "int8_sha256")]
    data, former = row.external_data_sha256, was.external_data_sha256
    found += [(name, former.get(name), data.get(name)) for name in former]
    pairs = ((file, sha256_of(then), sha256_of(now)) for file, then, now in found)
    changed = {file: (then, now) for file, then, now in pairs if then and now and then != now}
    return changed | dict(_changed_further(row, was))


def _changed_further(row: Row, was: Row) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the changed digests of other algorithms, and of the files in `files`."""
    now = {d.algorithm: d.hex for d in row.digests}
    for digest in was.digests:
        if now.get(digest.algorithm, digest.hex) != digest.hex:
            yield digest.algorithm, (digest.hex, now[digest.algorithm])
    files = {file.name or file.url or "": file for file in row.files}
    for former in was.files:
        name = former.name or former.url or ""
        present = files.get(name)
        for digest in former.digests if present is not None else ():
            hex = present.digest(digest.algorithm) if present is not None else None
            if hex is not None and hex != digest.hex:
                yield name, (digest.hex, hex)


def _marks(row: Row) -> Iterator[tuple[str, str]]:
    """Yield what identifies a row without its id: its file, or its digest."""
    for field, value in (("onnx", row.onnx), ("sha256", row.digest("sha256"))):
        if value is not None:
            yield field, value


def _is_emptied(field: str | None, now: Any, then: Any) -> bool:
    """Whether a field still exists but has been emptied.

    A null counts as empty only in fields that this project reads. In the registry's own fields, it
    may be intended.
    """
    if field in FIELDS and now is None:
        return then is not None
    return field in EMPTY_IS_LOST and is_blank(now) and not is_blank(then)
