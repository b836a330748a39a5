# SPDX-License-Identifier: Apache-2.0
"""Choose where the rows of an index have their id.

An id is the keys of the row, or else a field with a usual name whose values are all there and
different, or else the name of the model. A field is never chosen only because its values differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from provenance.artifacts.forms import is_whole
from provenance.frozen import dataclass
from provenance.operations.adoption.columns import Column, path_text, plain, reference
from provenance.operations.adoption.documents import Document
from provenance.operations.adoption.outline import Item
from provenance.operations.adoption.usual_fields import IDS
from provenance.registry.references import MAX_KEY, part_of
from provenance.registry.rows import MAX_ID

_ID: Final = re.compile(r"[^\s\\\x00-\x1f\x7f]+")


@dataclass(frozen=True)
class Id:
    """A reference to an id, with the id of each row.

    Attributes:
        text: The reference.
        piece: The reference in a template.
        values: The ids.
        is_key: Whether it consists of keys alone.
    """

    text: str
    piece: str
    values: tuple[str, ...]
    is_key: bool = False

    @property
    def is_unique(self) -> bool:
        """Whether each row has an id, and all are different."""
        return all(self.values) and len(set(self.values)) == len(self.values)

    @property
    def is_tidy(self) -> bool:
        """Whether all ids can be part of a path: no blanks, and not longer than ids may be."""
        return all(
            len(v) <= MAX_ID
            and _ID.fullmatch(v)
            and not v.startswith("/")
            and ".." not in v.split("/")
            for v in self.values
        )


def of_rows(
    rows: Sequence[Item],
    keys: Sequence[int],
    found: Sequence[Column],
    documents: Sequence[Document],
) -> Iterator[Id]:
    """Yield what could be the id of the rows, the best first, without their models.

    Args:
        rows: The rows.
        keys: How far above each row its keys are, from the farthest to the nearest; 0 for its own.
        found: The fields of the rows.
        documents: The documents that the rows are in.
    """
    above = _key(rows, [k for k in keys if k <= MAX_KEY])
    if above is not None and 0 in keys:
        yield above
    named = list(_named(found))
    yield from named
    if above is not None and 0 not in keys:
        for one in named:
            yield joined(above, one)
    index = of_index(rows, documents)
    if index is not None:
        last = [one for one in (above if 0 in keys else None, *named) if one is not None]
        for one in last:
            yield joined(index, one)
        yield index


def of_models(rows: Sequence[Item], text: str, models: Sequence[str | None]) -> Iterator[Id]:
    """Yield ids made of the names of the models, where each row has one under `text`."""
    if all(models):
        names = [str(model) for model in models]
        for part in ("|stem", ""):
            made = tuple(part_of(name, "stem") if part else name for name in names)
            piece = f"{{{text}{part}}}"
            yield Id(piece, piece, made)


def of_index(rows: Sequence[Item], documents: Sequence[Document]) -> Id | None:
    """Return the id of rows in several documents that the path of each document gives."""
    if len(documents) < 2:
        return None
    folders = {d.folder for d in documents}
    for parts in ("folder|name", "folder", "stem"):
        if parts == "stem" and len(folders) > 1:
            continue
        values = []
        for row in rows:
            value = documents[row.document].path
            for part in parts.split("|"):
                value = part_of(value, part)
            values.append(value)
        piece = f"{{index|{parts}}}"
        if len({*values}) == len({row.document for row in rows}):
            return Id(piece, piece, tuple(values))
    return None


def joined(first: Id, second: Id) -> Id:
    """Return the id of two parts with a slash between them."""
    text = f"{first.piece}/{second.piece}"
    pairs = zip(first.values, second.values, strict=True)
    return Id(text, text, tuple(f"{a}/{b}" if a and b else "" for a, b in pairs))


def _key(rows: Sequence[Item], levels: Sequence[int]) -> Id | None:
    if not levels:
        return None
    pieces = [f"{{~{level or ''}}}" for level in levels]
    text = pieces[0][1:-1] if len(pieces) == 1 else "/".join(pieces)
    values = tuple("/".join(str(r.location[-1 - level]) for level in levels) for r in rows)
    return Id(text, "/".join(pieces), values, is_key=True)


def _named(found: Sequence[Column]) -> Iterator[Id]:
    by_name = {plain(c.names[0]): c for c in reversed(found) if len(c.names) == 1}
    for name in IDS:
        column = by_name.get(name)
        if column is None:
            continue
        values = column.values
        if all(is_whole(v) or isinstance(v, str) for v in values):
            piece = f"{{{path_text(column.names)}}}"
            yield Id(reference(column.names), piece, tuple(str(v) for v in values))
