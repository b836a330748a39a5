# SPDX-License-Identifier: Apache-2.0
"""Edit the rows of an index in this project's own shape: add, change and remove them.

Everything else in the file keeps its characters.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from provenance.artifacts.documents.json_edit import Edit, Insert, Raw, Remove, Set
from provenance.artifacts.documents.strict_json import same
from provenance.registry.index_file import IndexFile
from provenance.registry.reading import STOCK_ROWS
from provenance.registry.rows import Row


def added_row(file: IndexFile, rows: Sequence[Row], fields: Mapping[str, Any]) -> Edit:
    """Return the edit that adds a row.

    It is added at the end, or by its id if the rows are sorted by their ids. Its keys are sorted if
    those of all other rows are.
    """
    if len(rows) > 1 and all(_is_sorted(list(row.verbatim)) for row in rows):
        fields = dict(sorted(fields.items()))
    ids = [row.label for row in rows]
    at = len(rows) + len(file.not_rows)
    if len(ids) > 1 and _is_sorted(ids) and not file.not_rows:
        at = next((n for n, id in enumerate(ids) if id > str(fields["id"])), at)
    if not rows and not file.not_rows:  # the empty list has no line to be formatted like
        return Set(STOCK_ROWS, _placed(file, STOCK_ROWS, [dict(fields)]))
    return Insert((*STOCK_ROWS, at), _raw(file, dict(fields)), after=at - 1 if at else None)


def changed_row(
    file: IndexFile, row: Row, fields: Mapping[str, Any], order: Sequence[str]
) -> list[Edit]:
    """Return the edits that give a row these values. A field whose value is None is removed.

    Args:
        file: The index file.
        row: The row.
        fields: The new values. Other fields stay as they are.
        order: The order of keys, by which a new field finds its place.
    """
    edits: list[Edit] = []
    present = list(row.verbatim)
    for key in sorted(fields, key=order.index):
        value = fields[key]
        here = key in row.verbatim
        if value is None:
            edits += [Remove((*row.location, key))] if here else []
        elif not here:
            before = [k for k in order[: order.index(key)] if k in present]
            after = before[-1] if before else None
            edits.append(Insert((*row.location, key), _raw(file, value), after))
        elif not same(row.verbatim[key], value):
            place = (*row.location, key)
            edits.append(Set(place, _placed(file, place, value)))
    return edits


def removed_row(row: Row) -> Edit:
    """Return the edit that removes a row."""
    return Remove(row.location)


def _is_sorted(values: Sequence[str]) -> bool:
    return all(a < b for a, b in pairwise(values))


def _raw(file: IndexFile, value: Any) -> Raw:
    """Return a value as JSON text with the indentation of the file."""
    step = _step(file)
    text = json.dumps(value, indent=step, ensure_ascii=file.text.isascii())
    return Raw(text)


def _placed(file: IndexFile, place: tuple[str | int, ...], value: Any) -> Raw:
    """Return a value as JSON text that replaces the value at `place`."""
    raw = _raw(file, value)
    member = file.source.find(place)
    if member is None or member.key_start is None or "\n" not in raw.text:
        return raw
    line = file.text.rfind("\n", 0, member.key_start) + 1
    indent = file.text[line : member.key_start]
    gap = "\n" + indent if not indent.strip() else " "
    return Raw(raw.placed(gap))


def _step(file: IndexFile) -> int | str | None:
    """Return the indentation of one level, or None if the file is on one line."""
    for line in file.text.splitlines()[1:]:
        indent = line[: len(line) - len(line.lstrip(" \t"))]
        if indent:
            return "\t" if indent[0] == "\t" else len(indent)
    return None
