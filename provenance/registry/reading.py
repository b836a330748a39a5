# SPDX-License-Identifier: Apache-2.0
"""Read a registry: find its index files, parse them, and make rows of their nodes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import translate
from itertools import islice
from typing import Any, Final, Protocol

from provenance.artifacts import digest, limits, paths
from provenance.artifacts.documents.strict_json import START, JsonPath, type_name
from provenance.artifacts.packed import pack
from provenance.errors import InputError
from provenance.registry import index_file
from provenance.registry.index_file import IndexFile
from provenance.registry.json_path import Node, Path
from provenance.registry.mapped_rows import MappedRow
from provenance.registry.mapping import WEAKENING, Format, Index, stock
from provenance.registry.references import MappingError
from provenance.registry.registry import MappingNote, Registry
from provenance.registry.rows import Row
from provenance.registry.stock_rows import stock_row

STOCK_ROWS: Final = ("models",)
"""The location of the list of rows in an index of this project's own shape."""

_STOCK_KEY: Final = STOCK_ROWS[0]


class Files(Protocol):
    """The files of a tree or of a commit, by path relative to its root."""

    def read(self, path: str, limit: int) -> bytes:
        """Return the bytes of a file, at most `limit`. Raises FileError."""

    def names_in(self, folder: str) -> Sequence[str]:
        """Return the names of the files in a folder."""

    def folders_in(self, folder: str) -> Sequence[str]:
        """Return the names of the folders in a folder."""


def read(files: Files, indexes: Sequence[Index]) -> Registry:
    """Read the registry of `indexes`, which a configuration declares.

    Raises:
        InputError: If an index file is missing, too large, or not valid in its format, or a mapping
            does not fit it.
    """
    parts = [
        parse_bytes(_contents(files, path, index), path, index)
        for index in indexes
        for path in _paths(files, index)
    ]
    return joined(parts)


def edited(registry: Registry, texts: Mapping[str, str]) -> Registry:
    """Return the registry as it would be with new texts of its index files, by path.

    Raises:
        InputError: If a text is not a valid index.
    """
    return joined(
        [
            parse_bytes(texts.get(f.path, f.text).encode("utf-8"), f.path, f.mapping)
            for f in registry.files
        ]
    )


def nowhere(
    path: str,
    rows: tuple[Row, ...] = (),
    found: digest.Digest | None = None,
    folder: str | None = None,
) -> Registry:
    """Return the registry of `rows` that were not read from the index file at `path`.

    Their names are relative to `folder`, by default that of the index.
    """
    file = IndexFile(
        path=path,
        format=Format.JSON,
        packed=pack(b"{}"),
        digest=found or digest.of_bytes(b""),
        mapping=stock(path),
        base=path.rpartition("/")[0] or ".",
    )
    return Registry((file,), rows, file.base if folder is None else folder)


def joined(parts: Sequence[Registry]) -> Registry:
    """Return one registry with the rows of several, whose names are relative to a common folder.

    Raises:
        InputError: If there are too many rows.
    """
    if len(parts) == 1:
        return parts[0]
    folder = _common([part.folder for part in parts])
    rows: list[Row] = []
    at = 0
    for number, part in enumerate(parts):
        for row in part.rows:
            moved = _moved(row, part.folder, folder)
            rows.append(replace(moved, index=at + row.index, source=number, at=row.location))
        at += len(part.rows) + len(part.files[0].not_rows)
    if len(rows) > limits.ROWS:
        raise InputError(f"{parts[0].path}: {len(rows):,} rows; at most {limits.ROWS:,} are read")
    files = tuple(file for part in parts for file in part.files)
    notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    return Registry(files, tuple(rows), folder, notes)


def _contents(files: Files, path: str, index: Index) -> bytes:
    try:
        return files.read(path, index_file.limit_of(_format(path, index)))
    except paths.FileError as e:
        help: str | None = "Set `registry` in the configuration to the registry's path."
        if e.problem in (paths.FileProblem.TOO_LARGE, paths.FileProblem.POINTER):
            help = e.help  # another path would not help
        raise InputError(f"the registry {e.message}", help=help) from e


def _format(path: str, index: Index) -> Format:
    found = index.format or index_file.format_of(path)
    if found is None and not index.is_stock:
        raise InputError(
            f"{path}: the name of the file does not tell its format",
            help=f"Set `format` in [registry] to one of {', '.join(Format)}.",
        )
    return found or Format.JSON


def _paths(files: Files, index: Index) -> list[str]:
    """Return the index files of one table, in the order of the table, sorted for a pattern."""
    found: dict[str, None] = {}
    for pattern in index.paths:
        if index.literal or not _is_pattern(pattern):
            found[pattern] = None
            continue
        matched = sorted(islice(_matching(files, pattern), limits.INDEX_FILES + 1))
        if not matched:
            raise InputError(
                f"no file matches the path {pattern!r} of the registry",
                help="In a path, * and ? match within a folder, and ** matches any folders.",
            )
        found.update(dict.fromkeys(matched))
    if len(found) > limits.INDEX_FILES:
        raise InputError(
            f"the registry has more than {limits.INDEX_FILES:,} index files; no more are read"
        )
    return list(found)


def _is_pattern(path: str) -> bool:
    return any(mark in path for mark in "*?[")


def _matching(files: Files, pattern: str) -> Iterator[str]:
    steps = pattern.split("/")
    waiting: list[tuple[str, int]] = [(".", 0)]
    seen = set(waiting)
    while waiting:
        folder, at = waiting.pop()
        step = steps[at]
        below = [(folder, at + 1)] if step == "**" and at + 1 < len(steps) else []
        if at + 1 == len(steps):
            matches = re.compile(translate("*" if step == "**" else step)).match
            for name in files.names_in(folder):
                if matches(name):
                    yield paths.join(folder, name)
        if at + 1 < len(steps) or step == "**":
            below += _folders(files, folder, step, at)
        for place in below:
            if place not in seen:
                seen.add(place)
                waiting.append(place)
        if len(seen) > limits.FOLDER_ENTRIES:
            raise InputError(f"the path {pattern!r} of the registry leads into too many folders")


def _folders(files: Files, folder: str, step: str, at: int) -> list[tuple[str, int]]:
    if step == "**":
        found = [n for n in files.folders_in(folder) if not n.startswith(".")]
        return [(paths.join(folder, name), at) for name in found]
    matches = re.compile(translate(step)).match
    return [(paths.join(folder, n), at + 1) for n in files.folders_in(folder) if matches(n)]


def parse_bytes(data: bytes, path: str, index: Index | None = None) -> Registry:
    """Return the registry in `data`, which was read at `path`.

    Raises:
        InputError: If `data` is not a valid index, or the mapping does not fit it.
    """
    index = index or stock(path)
    format = _format(path, index)
    repeated: list[str] = []
    found, packed = digest.of_bytes(data), pack(data)
    try:
        text = index_file.decoded(data)
        del data  # a large registry takes tens of megabytes
        value = index_file.value_of(text, format, repeated)
    except index_file.IndexFormatError as e:
        help = "Correct the file, or set `registry` in the configuration to the registry's path."
        raise InputError(f"{path}: {e}", help=help) from e
    base = path.rpartition("/")[0] or "."
    file = IndexFile(
        path=path,
        format=format,
        packed=packed,
        digest=found,
        mapping=index,
        base=base if index.base is None else index.base,
        repeated_keys=tuple(repeated),
        keys=tuple(value) if isinstance(value, dict) else (),
    )
    nodes = _nodes(value, file)
    if len(nodes) > limits.ROWS:
        raise InputError(f"{path}: {len(nodes):,} rows; at most {limits.ROWS:,} are read")
    # With a mapping, a row can also be a string, such as the name of its file.
    not_rows = [
        (n.location, type_name(n.value))
        for n in nodes
        if not isinstance(n.value, dict) and not index.is_mapped
    ]
    if file.is_stock and isinstance(value, dict):
        file = replace(file, members={k: v for k, v in value.items() if k != _STOCK_KEY})
    file = replace(file, not_rows=tuple(not_rows))
    opened = file.opened(text)  # only while the rows are read: the text stays packed
    if index.is_stock:
        rows = tuple(_stock_rows(opened, nodes))
        return Registry((file,), rows, file.base)
    try:
        return Registry((file,), *_mapped(opened, nodes))
    except MappingError as e:
        raise InputError(f"{path}: {e}", help=e.help) from e


def _stock_rows(file: IndexFile, nodes: Iterable[Node]) -> Iterator[Row]:
    for number, node in enumerate(nodes):
        if isinstance(node.value, dict):
            yield stock_row(number, node, file.position(node.location) or START)


def _mapped(file: IndexFile, nodes: list[Node]) -> tuple[tuple[Row, ...], str, tuple[Any, ...]]:
    index = file.mapping
    rows: list[Row] = []
    found: set[str] = set()
    for number, node in enumerate(nodes):
        if index.is_mapped or isinstance(node.value, dict):
            position = file.position(node.location) or START
            reader = MappedRow(index, node, file.path)
            rows.append(reader.row(number, position))
            found |= reader.found
    names = _names(nodes)
    return tuple(rows), file.base, tuple(_notes(file, names, found)) if rows else ()


def _names(nodes: Iterable[Node]) -> dict[str, Any]:
    """Return the names of the members of rows, each with its first value."""
    names: dict[str, Any] = {}
    for node in nodes:
        if isinstance(node.value, dict):
            for name, value in node.value.items():
                names.setdefault(name, value)
    return names


def _notes(file: IndexFile, names: Mapping[str, Any], found: set[str]) -> Iterator[MappingNote]:
    """Yield what the mapping of a file leaves out, or does not find in any row.

    Raises:
        MappingError: If no row has the id or a digest that is mapped.
    """
    index = file.mapping
    shown = ", ".join(sorted(names)[:8])
    for name, reference in index.fields.items():
        if name in found:
            continue
        written = getattr(reference, "name", None)
        message = f"no row has a value for `fields.{name}`; rows have {shown}"
        help = f"A value for all rows belongs under [registry.defaults]: {name} = …"
        if name in ("id", "digest", "size") or name.endswith("256") or name in _DIGESTS:
            raise MappingError(message, f"Correct `fields.{name}`: name a member that rows have.")
        if written is not None and written not in names:
            message = f"no row has the member `{written}` of `fields.{name}`; rows have {shown}"
        yield MappingNote(index.number, name, message, help)
    if index.is_mapped:
        of_row = {name for f in index.files if not f.each.steps for name in f.declared}
        for name in WEAKENING:
            if (
                name in names
                and name not in {*index.fields, *of_row}
                and _has_type(name, names[name])
            ):
                yield MappingNote(
                    index.number,
                    name,
                    f"rows have `{name}`, and the mapping does not read it",
                    f'Add it to [registry.fields]: {name} = "{name}". If it means something else '
                    f"here, say so with values.{name} = {{}} beside it.",
                )


def _has_type(name: str, value: Any) -> bool:
    if name == "smoke":
        return isinstance(value, bool)
    return isinstance(value, dict if name == "external_data_sha256" else str)


def _nodes(value: Any, file: IndexFile) -> list[Node]:
    """Return the nodes that are rows.

    Raises:
        InputError: If the file has none, or no list of rows.
    """
    rows = file.mapping.rows
    if file.format.algorithm is not None:
        return [Node((number,), node) for number, node in enumerate(value)]
    if rows is None:
        return _stock_nodes(value, file)
    nodes = rows.select(Node((), value))
    if len(nodes) == 1 and isinstance(nodes[0].value, list):
        raise InputError(
            f'{file.path}: `rows = "{rows.text}"` is one list, not its rows',
            help=f'Write: rows = "{_text_of(nodes[0].location)}[*]"',
        )
    if not nodes and not _is_empty(value, rows):
        near = ", ".join(f'"{path}"' for path in _candidates(value)) or "none"
        raise InputError(
            f'{file.path}: `rows = "{rows.text}"` gives no row',
            help=f"Paths of lists and objects of objects in the file: {near}.",
        )
    return nodes


def _is_empty(value: Any, rows: Path) -> bool:
    """Return whether the container of the rows is there, and empty."""
    parents = replace(rows, steps=rows.steps[:-1]).select(Node((), value))
    return any(node.value in ([], {}) for node in parents)


def _candidates(value: Any) -> list[str]:
    """Return the paths of at most five lists and objects of objects."""
    found: list[str] = []
    waiting: list[tuple[str, Any]] = [("$", value)]
    visited = 0
    while waiting and len(found) < 5 and visited < 1_000:
        path, each = waiting.pop(0)
        visited += 1
        items = each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
        if items and all(isinstance(item, dict) for item in items):
            found.append(f"{path}[*]" if isinstance(each, list) else f"{path}.*")
        if isinstance(each, dict):
            for key, item in islice(each.items(), 50):
                waiting.append((path + _text_of((key,))[1:], item))
    return found


def _text_of(location: JsonPath) -> str:
    """Return a path to a location, with the short form of simple names."""
    simple = re.compile(r"[A-Za-z_]\w*", re.A).fullmatch
    steps = (f".{s}" if isinstance(s, str) and simple(s) else f"[{s!r}]" for s in location)
    return "$" + "".join(steps)


def _stock_nodes(value: Any, file: IndexFile) -> list[Node]:
    rows = value.get(_STOCK_KEY) if isinstance(value, dict) else None
    if isinstance(rows, list):
        return [Node((_STOCK_KEY, number), row) for number, row in enumerate(rows)]
    found = type_name(value)
    if isinstance(value, dict):
        found = "no such field" if _STOCK_KEY not in value else type_name(rows)
    at = f"field `{_STOCK_KEY}`: " if isinstance(value, dict) else ""
    expected = "a list of rows" if at else f"an object with a list `{_STOCK_KEY}`"
    near = ", ".join(f'rows = "{path}"' for path in _candidates(value)[:2])
    raise InputError(
        f"{file.path}: {at}expected {expected}, found {found}",
        help='A registry looks like {"schema_version": 1, "models": [{"id": …}]}. For another '
        f"shape, the configuration needs a table [registry] that maps it"
        f"{f' ({near})' if near else ''}.",
    )


def _common(folders: Sequence[str]) -> str:
    """Return the deepest folder that contains all folders."""
    return os.path.commonpath([f"/{f}" if f != "." else "/" for f in folders]).lstrip("/") or "."


def _moved(row: Row, base: str, folder: str) -> Row:
    """Return a row with names relative to `folder` instead of `base`."""
    if base == folder:
        return row
    fields = dict(row.fields)
    for name in ("onnx", "sigstore_bundle", "sidecar"):
        value = fields.get(name)
        if isinstance(value, str) and paths.unsafe_reason(value) is None:
            fields[name] = paths.relative(folder, paths.join(base, value))
    data = fields.get("external_data_sha256")
    if isinstance(data, dict):
        fields["external_data_sha256"] = {
            paths.relative(folder, paths.join(base, name)): value for name, value in data.items()
        }
    files = tuple(
        file
        if file.name is None or paths.unsafe_reason(file.name) is not None
        else replace(file, name=paths.relative(folder, paths.join(base, file.name)))
        for file in row.files
    )
    return replace(row, fields=fields, files=files)


_DIGESTS: Final = ("sha384", "sha512", "blake2b", "sha1", "md5")
