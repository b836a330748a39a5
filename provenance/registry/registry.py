# SPDX-License-Identifier: Apache-2.0
"""A registry: the rows of one or several index files."""

from __future__ import annotations

from functools import cached_property

from provenance.artifacts import paths
from provenance.artifacts.digest import Digest
from provenance.artifacts.documents.strict_json import START, JsonPath, Position
from provenance.frozen import dataclass
from provenance.registry.index_file import IndexFile
from provenance.registry.mapping import Index
from provenance.registry.rows import Row


@dataclass(frozen=True, slots=True)
class MappingNote:
    """Something that a mapping leaves out or does not find (REG109).

    Attributes:
        number: The place of the `[registry]` table in the configuration, counted from 0.
        key: The key of the table that it is about.
        message: What was found.
        help: What to do next.
    """

    number: int
    key: str
    message: str
    help: str


@dataclass(frozen=True)
class Registry:
    """A registry. Names in rows are relative to `folder`, which is relative to the root.

    Attributes:
        files: The index files, at least one.
        rows: The rows of all of them.
        folder: The folder that names are relative to; "." for the root.
        notes: What the mapping leaves out or does not find.
    """

    files: tuple[IndexFile, ...]
    rows: tuple[Row, ...]
    folder: str
    notes: tuple[MappingNote, ...] = ()

    @property
    def path(self) -> str:
        """The path of the first index file, relative to the root."""
        return self.files[0].path

    @property
    def digest(self) -> Digest:
        """The digest of the first index file."""
        return self.files[0].digest

    @property
    def stock(self) -> IndexFile | None:
        """The only index file, if it is JSON in this project's own shape, or None."""
        file = self.files[0]
        return file if len(self.files) == 1 and file.is_stock else None

    @cached_property
    def labels(self) -> frozenset[str]:
        """The labels of all rows."""
        return frozenset(row.label for row in self.rows)

    @property
    def repeated_keys(self) -> tuple[str, ...]:
        """The keys that an object in an index file has more than once."""
        return tuple(key for file in self.files for key in file.repeated_keys)

    def file_of(self, row: Row) -> IndexFile:
        """Return the index file of a row."""
        return self.files[row.source]

    def mapping_of(self, row: Row) -> Index:
        """Return the mapping by which a row was read."""
        return self.files[row.source].mapping

    def locate(self, row: Row, field: str | None = None) -> Position:
        """Return the position of `field` of `row`, or of the row if the field is missing."""
        if field is None or field not in row.fields:
            return row.position
        return self.position_of(row, row.place(field)) or row.position

    def position_of(self, row: Row, place: JsonPath) -> Position | None:
        """Return the position of a value in a row's index file, or of the nearest around it.

        None if nothing below the row is there.
        """
        found = self.file_of(row).position(place)
        return found if found is None or len(place) > len(row.location) else row.position

    def absolute(self, name: str) -> str:
        """Return a name that is relative to the registry's folder, relative to the root."""
        return paths.join(self.folder, name)

    def name_of(self, path: str) -> str:
        """Return a path that is relative to the root, relative to the registry's folder."""
        return paths.relative(self.folder, path)


def start_of(file: IndexFile, location: JsonPath) -> Position:
    """Return the position of a value of an index file, or the start of the file."""
    return file.position(location) or START
