# SPDX-License-Identifier: Apache-2.0
"""The draft of a mapping: one `[registry]` table, and how well it fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from provenance.frozen import dataclass
from provenance.operations.adoption.columns import Line
from provenance.operations.adoption.documents import Document
from provenance.operations.adoption.outline import Pattern


@dataclass(frozen=True)
class Draft:
    """A mapping, and how well it fits.

    Attributes:
        documents: The documents.
        rows: The path of the rows, or None for the rows of this project's own shape.
        number: The number of rows that were found.
        base: The folder that files are relative to, or None for that of the index.
        fields: The lines of [registry.fields].
        files: The lines of each [[registry.files]].
        meanings: Values that stand for something else, by field: the value, and what it means.
        notes: What was left out, or left to the author.
        hints: Names of files that are beside every model, and that no row names.
        proved: The number of files whose digest is proved.
        here: The number of different files that are on disk.
        found: The number of times that a file on disk is named.
        models: The number of models that are named.
        covers: The paths of the files on disk.
        key: What drafts of lists in one document must have in common to be one table.
        patterns: The paths of the rows.
        filtered: The number of entries that `rows` leaves out, because they name no file.
    """

    documents: tuple[Document, ...]
    rows: str | None
    number: int
    base: str | None = None
    fields: tuple[Line, ...] = ()
    files: tuple[tuple[Line, ...], ...] = ()
    meanings: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    proved: int = 0
    here: int = 0
    found: int = 0
    models: int = 0
    covers: frozenset[str] = frozenset()
    key: tuple[Any, ...] = ()
    patterns: tuple[Pattern, ...] = ()
    filtered: int = 0

    @property
    def score(self) -> tuple[int, int, int]:
        """How well it fits: proved files, files on disk, models that are named."""
        return self.proved, self.here, self.models

    def says(self, name: str) -> bool:
        """Return whether a field is mapped."""
        return any(line.key == name for line in self.fields)
