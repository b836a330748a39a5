# SPDX-License-Identifier: Apache-2.0
"""The mapping of an index to rows: the `[registry]` table of the configuration.

Without `fields` and `files`, an index has this project's own names. With them, only what is mapped
is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import field
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

from provenance.artifacts import paths
from provenance.artifacts.documents.toml_tables import Table
from provenance.artifacts.forms import FILLED, OBJECT, Form, is_names, is_whole
from provenance.errors import InputError
from provenance.frozen import dataclass
from provenance.registry.json_path import JsonPathError, Path, parse
from provenance.registry.references import (
    MappingError,
    Reference,
    Template,
    reference,
    template,
)

TEXTS: Final = ("kind", "license", "license_url", "quant_mode", "notes", "description")
"""Fields that are strings and have no other meaning for the reading."""

DIGESTS: Final = ("sha256", "sha384", "sha512", "blake2b", "sha1", "md5")
"""Digests of a file, by algorithm. `blake2b` has 64 bytes."""

OF_FILE: Final = (*DIGESTS, "digest", "size")
"""Fields about one file. `digest` is a value that names its algorithm, such as `sha256:…`."""

FIELDS: Final = (
    *("id", "onnx", "url"),
    *OF_FILE,
    *TEXTS,
    *("opset", "smoke", "sigstore_bundle", "int8_sha256", "external_data_sha256", "sidecar"),
)
"""The fields of a row that a mapping can name."""

WEAKENING: Final = (
    *("sha256", "license", "smoke", "quant_mode", "int8_sha256", "external_data_sha256"),
    "sigstore_bundle",
)
"""Fields whose loss weakens the judgement. A row that has a member of such a name, which the
mapping does not read, is a warning (REG109)."""


class Format(StrEnum):
    """The format of an index file."""

    JSON = "json"
    YAML = "yaml"
    TOML = "toml"
    MD5 = "md5sums"
    SHA1 = "sha1sums"
    SHA256 = "sha256sums"
    SHA384 = "sha384sums"
    SHA512 = "sha512sums"
    BLAKE2B = "b2sums"

    @property
    def algorithm(self) -> str | None:
        """The algorithm of a checksum file, or None for another format."""
        if self is Format.BLAKE2B:
            return "blake2b"
        return self.value.removesuffix("sums") if self.value.endswith("sums") else None


@dataclass(frozen=True, slots=True)
class FileMapping:
    """Where a row names files beside its model, or in place of it: `[[registry.files]]`.

    Attributes:
        each: The nodes below the row, each of which names one file.
        path: The path of the file, relative to the base, or None.
        url: The address of the file, or None.
        declared: Its digests and its size, by field.
    """

    each: Path
    path: Reference | None
    url: Reference | None
    declared: Mapping[str, Reference]


@dataclass(frozen=True)
class Index:
    """One `[registry]` table: how the rows of one or several index files are read.

    Attributes:
        paths: The paths of the files. In a table, `*`, `?`, `[…]` and `**` match.
        format: The format, or None to take it from the name of each file.
        rows: The path of the rows, or None for those of this project's own shape.
        base: The folder that files, bundles and sidecars are relative to, or None for the folder of
            the index.
        skips_absent: Whether a file that is not in the tree is counted instead of reported.
        allows_shared: Whether several rows may have the same file.
        fields: Where a row has each field.
        files: Where a row names further files.
        values: What a value of the index means, by field. An empty string: it says nothing.
        defaults: What a row means that does not have a field.
        number: The place of the table in the configuration, counted from 0.
        literal: Whether the paths are names, in which no character matches another.
        sha256: The digest of the table, as in the predicate of a row bundle.
    """

    paths: tuple[str, ...]
    format: Format | None = None
    rows: Path | None = None
    base: str | None = None
    skips_absent: bool = False
    allows_shared: bool = False
    fields: Mapping[str, Reference] = field(default_factory=dict)
    files: tuple[FileMapping, ...] = ()
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    defaults: Mapping[str, Template | bool | int] = field(default_factory=dict)
    number: int = 0
    literal: bool = False
    sha256: str = hashlib.sha256(b"{}").hexdigest()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The fields that rows can have through this mapping."""
        return tuple(name for name in FIELDS if name in self.fields or name in self.defaults)

    @property
    def is_mapped(self) -> bool:
        """Whether fields or files are mapped, so that nothing else is read."""
        return bool(self.fields or self.files)

    @property
    def is_stock(self) -> bool:
        """Whether rows have this project's shape, and nothing is added to them."""
        return not (self.is_mapped or self.values or self.defaults)


def stock(path: str) -> Index:
    """Return the reading of one index in this project's own shape."""
    return Index((path,), literal=True)


def parse_registry(table: Table) -> tuple[Index, ...]:
    """Return the reading of all indexes from the key `registry` of a configuration.

    Raises:
        InputError: If it is missing or not valid.
    """
    value = table.values.get("registry")
    if isinstance(value, dict):
        return (_index(Table(value, _KEYS, table.path, "registry"), 0),)
    if isinstance(value, list) and value and all(map(OBJECT.has, value)):
        found = table.tables("registry", _KEYS)
        return tuple(_index(one, number) for number, one in enumerate(found))
    return (stock(_safe(table.need("registry", _PATH), table)),)


def _index(table: Table, number: int) -> Index:
    written = table.need("path", _PATHS)
    names = [written] if isinstance(written, str) else written
    rows = table.optional("rows")
    base = table.optional("base")
    try:
        fields = {
            name: _reference(table, f"fields.{name}", value)
            for name, value in _strings(table, "fields", FIELDS)
        }
        index = Index(
            paths=tuple(_safe(name.strip(), table) for name in names),
            format=_format(table),
            rows=None if rows is None else _path(table, "rows", rows),
            base=None if base is None else _safe(base, table),
            skips_absent=table.get("absent", _ABSENT, "fail") == "skip",
            allows_shared=table.get("shared", _SHARED, "fail") == "allow",
            fields=fields,
            files=tuple(_file(one) for one in table.tables("files", _FILE_KEYS)),
            values=_values(table),
            defaults=_defaults(table),
            number=number,
            sha256=digest_of(table.values),
        )
    except MappingError as e:
        raise table.error(str(e), e.help) from e
    _check(table, index)
    return index


def _check(table: Table, index: Index) -> None:
    """Refuse a mapping that cannot give rows, whatever the index says."""
    if index.is_mapped and "id" not in index.fields:
        raise table.error(
            "`fields.id` is missing; expected where a row has its id",
            help='For example: id = "name", id = "~" for the key of the row, '
            'or id = "{onnx|stem}".',
        )
    orphan = next((f for f in OF_FILE if f in index.fields), None)
    if orphan is not None and not {"onnx", "url"} & index.fields.keys():
        raise table.error(
            f"`fields.{orphan}` is about the file of `onnx`, which is not mapped",
            help=f"The {orphan} of a file of [[registry.files]] belongs in that table.",
        )
    needs: dict[str, tuple[str, ...]] = {f: r.words for f, r in index.fields.items()}
    for name, default in index.defaults.items():
        words = default.words if isinstance(default, Template) else ()
        needs[name] = (*needs.get(name, ()), *words)
    for name in needs:
        way = _cycle(needs, name)
        if way:
            raise table.error(f"`{name}` needs its own value: {' -> '.join(way)}")


def _cycle(needs: Mapping[str, tuple[str, ...]], start: str) -> list[str]:
    """Return the way from a field through the words of templates back to it, or []."""
    ways = [[start, word] for word in needs.get(start, ())]
    seen = {start}
    while ways:
        way = ways.pop()
        if way[-1] == start:
            return way
        if way[-1] not in seen:
            seen.add(way[-1])
            ways += [[*way, word] for word in needs.get(way[-1], ())]
    return []


def _file(table: Table) -> FileMapping:
    def at(key: str) -> Reference | None:
        value = table.optional(key)
        return None if value is None else _reference(table, key, value)

    path, url = at("path"), at("url")
    if path is None and url is None:
        raise table.error("`path` or `url` is missing; expected where a file is named")
    declared = {key: found for key in OF_FILE if (found := at(key)) is not None}
    return FileMapping(_path(table, "each", table.get("each", FILLED, "$")), path, url, declared)


def _strings(table: Table, key: str, known: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Yield the keys and strings of a table below `table`, whose keys are known fields."""
    below = table.table(key, tuple(known), f'[registry.{key}] id = "name"')
    for name in below.values:
        yield name, below.need(name, FILLED)


def _reference(table: Table, key: str, text: str) -> Reference:
    try:
        return reference(text, FIELDS)
    except MappingError as e:
        raise table.error(f"`{key}` {e}", e.help) from e


def _path(table: Table, key: str, text: str) -> Path:
    try:
        return parse(text)
    except JsonPathError as e:
        raise table.error(f"`{key}` {e}", e.help) from e


def _format(table: Table) -> Format | None:
    value = table.get("format", _FORMAT, None)
    return None if value is None else Format(value)


def _values(table: Table) -> dict[str, dict[str, str]]:
    below = table.table("values", FIELDS, 'values.license = {"MIT License" = "MIT"}')
    return {name: below.need(name, _MEANINGS) for name in below.values}


def _defaults(table: Table) -> dict[str, Template | bool | int]:
    below = table.table("defaults", FIELDS, '[registry.defaults] license = "MIT"')
    found: dict[str, Template | bool | int] = {}
    for name in below.values:
        if name in _NO_DEFAULT:
            raise table.error(
                f"`defaults.{name}` is not possible: each row has its own `{name}`",
            )
        if name == "smoke":
            found[name] = below.need(name, _FLAG)
        elif name == "opset":
            found[name] = below.need(name, _WHOLE)
        else:
            found[name] = _default(table, name, below.need(name, FILLED))
    return found


def _default(table: Table, name: str, text: str) -> Template:
    try:
        found = template(text, FIELDS)
    except MappingError as e:
        raise table.error(f"`defaults.{name}` {e}", e.help) from e
    if found.needs_node:
        raise table.error(
            f"`defaults.{name}` {text!r:.80} reads the index",
            help="A default uses fields of this project, such as {id}. "
            "What a row says belongs under [registry.fields].",
        )
    return found


def _safe(path: str, table: Table) -> str:
    """Return a path relative to the root, normalized. Raises InputError if it leaves the root."""
    import os

    reason = paths.unsafe_reason(path)
    normal = os.path.normpath(path).replace(os.sep, "/")
    if reason is None and (normal == ".." or normal.startswith("../")):
        reason = "leaves the folder of the configuration"
    if reason is not None:
        raise InputError(f"{table.path}: `registry` {path!r} {reason}")
    return normal


def digest_of(values: Mapping[str, Any]) -> str:
    """Return the digest of a table: over JSON with sorted keys, ISO dates, and no white space."""
    encoded = json.dumps(
        values, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str
    )
    return hashlib.sha256(encoded.encode("ascii")).hexdigest()


_KEYS: Final = {
    *("path", "format", "rows", "base", "absent", "shared"),
    *("fields", "files", "values", "defaults"),
}
_FILE_KEYS: Final = {"each", "path", "url", *OF_FILE}
_NO_DEFAULT: Final = ("id", "onnx", "url", *OF_FILE, "int8_sha256", "external_data_sha256")
_PATH: Final = Form[str](
    "the path of the registry",
    FILLED.has,
    'registry = "model/tiny/registry.json"',
)
_PATHS: Final = Form[Any](
    "the path of the index, or a list of paths",
    lambda value: (
        FILLED.has(value) or (is_names(value) and bool(value) and all(map(FILLED.has, value)))
    ),
    'path = "models/index.json"',
)
_FORMAT: Final = Form[str](
    f"one of {', '.join(Format)}", lambda value: value in tuple(Format), 'format = "yaml"'
)
_ABSENT: Final = Form[str]('"fail" or "skip"', lambda value: value in ("fail", "skip"))
_SHARED: Final = Form[str]('"fail" or "allow"', lambda value: value in ("fail", "allow"))
_FLAG: Final = Form[bool]("true or false", lambda value: isinstance(value, bool))
_WHOLE: Final = Form[int]("a whole number", is_whole)
_MEANINGS: Final = Form[dict[str, str]](
    "a table of strings",
    lambda value: isinstance(value, dict) and all(isinstance(v, str) for v in value.values()),
    'values.license = {"MIT License" = "MIT"}',
)
