# SPDX-License-Identifier: Apache-2.0
"""The proposed reading of an index: its tables in the configuration, each line with its proof."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

from provenance.artifacts.documents.toml_text import quoted
from provenance.frozen import dataclass
from provenance.operations.adoption.columns import Line

TODO = "TODO"
"""What stands for a value that only the author knows."""

_WIDTH = 100


@dataclass(frozen=True)
class Proposed:
    """One `[registry]` table.

    Attributes:
        paths: The paths or patterns of the index files.
        lines: The lines of the table after `path`.
        fields: The lines of [registry.fields].
        files: The lines of each [[registry.files]].
        values: The lines of [registry.values], by field.
        defaults: The lines of [registry.defaults].
        notes: Comments above the table.
        hints: Names of files beside every model that are proposed in comments.
    """

    paths: tuple[str, ...]
    lines: tuple[Line, ...] = ()
    fields: tuple[Line, ...] = ()
    files: tuple[tuple[Line, ...], ...] = ()
    values: Mapping[str, tuple[Line, ...]] = field(default_factory=dict)
    defaults: tuple[Line, ...] = ()
    notes: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()


@dataclass(frozen=True)
class Counts:
    """The files that rows name.

    Attributes:
        here: Those on disk.
        pointers: Those that are Git LFS pointers.
        missing: Those that are missing.
        remote: Those of which the index only has an address.
        proved: Those whose declared digests are theirs.
        differing: Those on disk with another digest than declared.
        shared: Those that several rows have.
    """

    here: int = 0
    pointers: int = 0
    missing: int = 0
    remote: int = 0
    proved: int = 0
    differing: int = 0
    shared: int = 0

    @property
    def total(self) -> int:
        """The number of all files."""
        return self.here + self.pointers + self.missing + self.remote


@dataclass(frozen=True)
class Candidate:
    """Another index that was found.

    Attributes:
        path: Its path, or the pattern of its paths.
        rows: The number of its rows.
        proved: The number of files whose digest it proves.
    """

    path: str
    rows: int
    proved: int


@dataclass(frozen=True)
class Proposal:
    """The reading of the index of a repository.

    Attributes:
        tables: The tables.
        is_stock: Whether the index has this project's own shape, so that one line suffices.
        rows: The number of rows.
        counts: The files that the rows name.
        todo: What the author has to fill in.
        notes: What was left out, and what is uncertain.
        others: Other indexes, which were not chosen.
        unnamed: ONNX files that no row names.
    """

    tables: tuple[Proposed, ...]
    is_stock: bool
    rows: int
    counts: Counts
    todo: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    others: tuple[Candidate, ...] = ()
    unnamed: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """The path of the first index file, or the pattern of the first paths."""
        return self.tables[0].paths[0]

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths and patterns of all index files."""
        return tuple(dict.fromkeys(path for table in self.tables for path in table.paths))

    def lines(self, prefix: str = "") -> Iterator[str]:
        """Yield the text of the tables, or the one line for an index of this project's shape."""
        if self.is_stock:
            yield "# The JSON file with a row for each model, relative to this file."
            yield f"registry = {quoted(self.path)}"
            return
        yield '# How the index is read. What is "proved" was compared with the files on disk.'
        several = len(self.tables) > 1
        for number, table in enumerate(self.tables):
            if number:
                yield ""
            yield from _table(table, f"{prefix}registry", several)


def _table(table: Proposed, name: str, several: bool) -> Iterator[str]:
    yield from (f"# {note}" for note in table.notes)
    yield f"[[{name}]]" if several else f"[{name}]"
    if len(table.paths) == 1:
        yield f"path = {quoted(table.paths[0])}"
    else:
        yield from array("path", table.paths)
    yield from map(_line, table.lines)
    if table.fields:
        yield ""
        yield f"[{name}.fields]"
        yield from map(_line, table.fields)
    for lines in table.files:
        yield ""
        yield f"[[{name}.files]]"
        yield from map(_line, lines)
    if table.hints:
        yield ""
        yield "# Beside every model, but no row names them. To release them as well:"
    for hint in table.hints:
        yield f"# [[{name}.files]]"
        yield f"# path = {quoted('{onnx|folder}/' + hint)}"
    for key, lines in table.values.items():
        yield ""
        yield f"[{name}.values.{key}]"
        yield from (_line(Line(quoted(one.key), one.value, one.comment)) for one in lines)
    if table.defaults:
        yield ""
        yield f"[{name}.defaults]"
        yield from map(_line, table.defaults)


def _line(line: Line) -> str:
    text = f"{line.key} = {quoted(line.value)}"
    return f"{text}  # {line.comment}" if line.comment else text


def array(key: str, values: Sequence[str]) -> Iterator[str]:
    """Yield a list of strings: on one line if it fits, or else one line for each string."""
    line = f"{key} = [{', '.join(map(quoted, values))}]"
    if len(line) <= _WIDTH:
        yield line
        return
    yield f"{key} = ["
    yield from (f"    {quoted(value)}," for value in values)
    yield "]"
