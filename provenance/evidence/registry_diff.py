# SPDX-License-Identifier: Apache-2.0
"""What two states of a registry differ in: rows and fields that were lost, digests that changed.

Rows are matched by `id`; a row that has lost its id, by its file. Rules report what is found here,
`restore` puts it back: both speak of the same fields, by the names that the registry gives them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, Final

from provenance.artifacts.digest import sha256_of
from provenance.artifacts.documents.json_edit import Insert, Raw, Set
from provenance.artifacts.documents.strict_json import JsonPath
from provenance.artifacts.registry import FIELDS, Registry, Row, is_blank
from provenance.frozen import dataclass

OF_BYTES: Final = (
    "onnx",
    "sha256",
    "int8_sha256",
    "external_data_sha256",
    "opset",
    "quant_mode",
    "smoke",
)
"""Fields that say something of the model's bytes: of other bytes, an old value would be a lie."""

EMPTY_IS_LOST: Final = ("license", "license_url", "sigstore_bundle")
"""Fields that a blank text does not fill, as the rules LIC201 to LIC203 see it."""


@dataclass(frozen=True, slots=True)
class LostField:
    """A field that was there at the baseline and is not now.

    Attributes:
        row: The present row; None for a field of the registry itself.
        key: What the registry calls it.
        field: What this project calls it; None where it is the registry's own.
        was: Its value at the baseline; of a field of the registry itself, as it stood there.
        after: The nearest key before it that is still there.
    """

    row: Row | None
    key: str
    field: str | None
    was: Any
    after: str | None


@dataclass(frozen=True, slots=True)
class LostRow:
    """A row that was there at the baseline and is not now.

    `renamed` is a present row that is new, or has the id of another row, and names the same file or
    the same bytes.
    """

    row: Row
    renamed: Row | None


@dataclass(frozen=True)
class Comparison:
    """What became of the registry `then` in the registry `now`."""

    then: Registry
    now: Registry

    def was(self, row: Row) -> Row | None:
        """The row of the baseline that a present row is."""
        id = row.text("id")
        return self._then.get(id) if id is not None else self._nameless.get(row.index)

    def lost_fields(self, row: Row) -> Iterator[LostField]:
        """The fields that a present row had at the baseline, in the order that it had them."""
        names = self.then.names
        was = self.was(row)
        after: str | None = None
        for key, value in was.verbatim.items() if was is not None else ():
            field = names.known_as(key)
            if key not in row.verbatim or _is_emptied(field, row.verbatim[key], value):
                yield LostField(row, key, field, value, after)
            if key in row.verbatim:
                after = key

    @cached_property
    def lost_keys(self) -> frozenset[str]:
        """The keys that any row has lost."""
        return frozenset(lost.key for row in self.now.rows for lost in self.lost_fields(row))

    def lost_fields_of_registry(self) -> Iterator[LostField]:
        """The fields beside the list of rows that the registry itself had."""
        here = frozenset(self.now.keys)
        after: str | None = None
        for key in self.then.keys:
            if key in here:
                after = key
            else:
                yield LostField(None, key, None, self._raw((key,)).text, after)

    def lost_rows(self) -> Iterable[LostRow]:
        """The rows whose id is no more, in the order that they had."""
        return self.lost.values()

    @cached_property
    def lost(self) -> Mapping[str, LostRow]:
        """The same by their id."""
        found: dict[str, LostRow] = {}
        seen = set(self._now)
        seen.update(row.label for row in self._nameless.values())
        for row in self.then.rows:
            id = row.text("id")
            if id is not None and id not in seen:
                seen.add(id)  # a second row of the same id says nothing new
                found[id] = LostRow(row, self._renamed(row))
        return found

    @cached_property
    def renamed(self) -> Mapping[int, Row]:
        """By the place of a present row, what it was before it had another id."""
        found = ((lost.row, lost.renamed) for lost in self.lost_rows())
        return {now.index: was for was, now in found if now is not None}

    def field_edit(self, lost: LostField) -> Insert | Set:
        """The edit of the present registry that puts a field back where it stood."""
        if lost.row is None:
            return Insert((lost.key,), self._raw((lost.key,)), lost.after)
        was = self.was(lost.row)
        assert was is not None  # else nothing of it is lost
        raw = self._raw((*self.then.path_of(was), lost.key))
        path = (*self.now.path_of(lost.row), lost.key)
        if lost.key in lost.row.verbatim:
            return Set(path, raw)
        return Insert(path, raw, lost.after)

    def row_edit(self, lost: LostRow) -> Insert:
        """The edit of the present registry that puts a row back where it stood."""
        raw = self._raw(self.then.path_of(lost.row))
        neighbour = self.neighbour(lost)
        after = None if neighbour is None else neighbour.index
        return Insert((*self.now.names.path, 0 if after is None else after + 1), raw, after)

    def neighbour(self, lost: LostRow) -> Row | None:
        """The present row that a lost one stood behind; None where it was the first."""
        return self._neighbours.get(lost.row.index)

    def _raw(self, path: JsonPath) -> Raw:
        return Raw.of(self.then.source, path, f"{self.then.path} of the baseline")

    def _renamed(self, lost: Row) -> Row | None:
        for mark in _marks(lost):
            found = self._new_by_mark.get(mark)
            if found is not None:
                return found
        return None

    @cached_property
    def _nameless(self) -> Mapping[int, Row]:
        """What rows without an id were, by their present place."""
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
        # Also one that took the id of another row, which REG102 reports.
        ids.update(id for id in ids if id not in self._then)
        new = (row for row in self.now.rows if row.text("id") and ids[row.text("id")] > 1)
        found: dict[tuple[str, str], Row] = {}
        for row in new:
            for mark in _marks(row):
                found.setdefault(mark, row)
        return found


def _by_id(registry: Registry) -> dict[str, Row]:
    """The rows by id; the first of those with one id (REG102 reports the others)."""
    found: dict[str, Row] = {}
    for row in registry.rows:
        id = row.text("id")
        if id is not None:
            found.setdefault(id, row)
    return found


def changed_digests(row: Row, was: Row) -> dict[str, tuple[str, str]]:
    """The digests that a row declared and now declares otherwise: by file, then and now.

    Files are `sha256` and `int8_sha256` for the models, and names for external data.
    """
    found = [(f, was.fields.get(f), row.fields.get(f)) for f in ("sha256", "int8_sha256")]
    data, former = row.external_data_sha256, was.external_data_sha256
    found += [(name, former.get(name), data.get(name)) for name in former]
    pairs = ((file, sha256_of(then), sha256_of(now)) for file, then, now in found)
    return {file: (then, now) for file, then, now in pairs if then and now and then != now}


def _marks(row: Row) -> Iterator[tuple[str, str]]:
    """What a row is known by without its id: its file, or its bytes."""
    for field, value in (("onnx", row.onnx), ("sha256", row.digest("sha256"))):
        if value is not None:
            yield field, value


def _is_emptied(field: str | None, now: Any, then: Any) -> bool:
    """Whether a field that is there says nothing any more. In a registry's own, null may be meant.

    Of the fields that this project reads, none may be null.
    """
    if field in FIELDS and now is None:
        return then is not None
    return field in EMPTY_IS_LOST and is_blank(now) and not is_blank(then)
