# SPDX-License-Identifier: Apache-2.0
"""The result of `list`, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from provenance.operations.list_rows import ListedRow, Listing
from provenance.output.machine import members
from provenance.output.text import Style, printable, size

_HEAD: Final = ("ID", "FILE", "SIZE", "LICENSE", "STATE", "SIGNED BY", "SIGNED")
_RIGHT: Final = 2
"""The column that is aligned to the right."""

_WIDEST: Final = 60
"""Characters of the widest column. Longer values push the rest of their line to the right."""


def table(listing: Listing, style: Style) -> str:
    """Return a line for each row, with aligned columns."""
    if not listing.rows:
        return f"{style.error('NOTHING')}: {printable(listing.registry)} has no rows\n"
    lines = [_HEAD, *(_cells(row) for row in listing.rows)]
    widths = [min(_WIDEST, max(map(len, column))) for column in zip(*lines, strict=True)]
    head, *rows = ("  ".join(_aligned(cells, widths)).rstrip() for cells in lines)
    return "\n".join((style.strong(head), *rows)) + "\n"


def _cells(row: ListedRow) -> tuple[str, ...]:
    signer = row.signer or "-"
    if row.refused:
        signer = f"does not verify ({', '.join(row.refused)})"
    time = row.time if row.time is not None and not row.refused else None
    values = (row.id, row.path, size(row.size), row.license, row.state, signer, time)
    return tuple(printable(value or "-") for value in values)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        cell.rjust(width) if number == _RIGHT else cell.ljust(width)
        for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]


def as_json(listing: Listing) -> dict[str, Any]:
    """Return the rows as JSON, version 1. `signed` is null without a trusted signature."""
    return {
        "version": 1,
        "registry": listing.registry,
        "note": listing.note,
        "rows": [
            {
                **members(row, "id", "path", "size", "license", "state"),
                "signed": None if row.signer is None else members(row, "signer", "time", "source"),
                "refused": list(row.refused),
            }
            for row in listing.rows
        ],
    }
