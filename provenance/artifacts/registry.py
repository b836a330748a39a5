# SPDX-License-Identifier: Apache-2.0
"""The registry: the JSON index of a repository's models, its rows, and minimal-diff editing.

A registry is an object whose `models` is a list of rows. Wrong types inside a row do not stop the
reading: a row keeps its fields verbatim, its typed properties are None where the value has another
type, and rule REG101 names the field. Only what is no registry at all is an error here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from provenance.artifacts import digest, limits, paths
from provenance.artifacts.strict_json import (
    JsonError,
    JsonPath,
    Position,
    SourceMap,
    decode,
    parse,
    type_name,
)
from provenance.errors import InputError

ROWS: Final = "models"
INT8_MODES: Final = ("dynamic", "qat", "static")
"""Values of `quant_mode` for which the runtime opens `<stem>.int8.onnx` instead."""

DIGEST_FIELDS: Final = ("sha256", "int8_sha256", "external_data_sha256")


@dataclass(frozen=True)
class Row:
    """One model's entry. `fields` is the row verbatim; `index` its place in the registry."""

    index: int
    fields: Mapping[str, Any]

    def text(self, field: str) -> str | None:
        """The value of `field` where it is a non-empty string."""
        value = self.fields.get(field)
        return value if isinstance(value, str) and value else None

    @property
    def label(self) -> str:
        """The id, or a name for a row without one."""
        return self.text("id") or f"#{self.index}"

    @property
    def onnx(self) -> str | None:
        """The model's file, relative to the registry's folder."""
        return self.text("onnx")

    @property
    def sigstore_bundle(self) -> str | None:
        """The row bundle's path, relative to the registry's folder."""
        return self.text("sigstore_bundle")

    @property
    def smoke(self) -> bool:
        """Whether the row says that its model is a placeholder; production unless it says so."""
        return self.fields.get("smoke") is True

    @property
    def external_data_sha256(self) -> Mapping[str, Any]:
        """Declared digests of external-data files, by name relative to the registry's folder."""
        value = self.fields.get("external_data_sha256")
        return value if isinstance(value, dict) else {}

    @property
    def quantized(self) -> bool:
        """Whether the runtime is told to open the int8 variant."""
        return self.text("quant_mode") in INT8_MODES or "int8_sha256" in self.fields


@dataclass(frozen=True)
class Registry:
    """A registry as read. `path` and `folder` are relative to the repository's root."""

    path: str
    text: str
    digest: digest.Digest
    rows: tuple[Row, ...]
    not_rows: tuple[tuple[int, str], ...] = ()
    repeated_keys: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """The registry's folder; "." for the root."""
        return self.path.rpartition("/")[0] or "."

    @cached_property
    def source(self) -> SourceMap:
        """Where each value stands; the text is walked when it is first asked for."""
        return SourceMap(self.text)

    def locate(self, row: Row | int, field: str | None = None) -> Position:
        """Where `field` of `row` stands, or the row where the field is absent."""
        index = row if isinstance(row, int) else row.index
        member = None if field is None else self.source.find((ROWS, index, field))
        if member is None:
            member = self.source.find((ROWS, index))
        return self.source.position(member.start) if member else Position(1, 1)

    def absolute(self, name: str) -> str:
        """A name relative to the registry's folder, as a path relative to the root."""
        return paths.join(self.folder, name)

    def name_of(self, path: str) -> str:
        """A path relative to the root, as a name relative to the registry's folder."""
        return paths.relative(self.folder, path)


def read(tree: paths.Tree, path: str) -> Registry:
    """Read the registry at `path` (relative to the root).

    Raises:
        InputError: No such file, too large, not strict JSON, or no object with a list `models`.
    """
    try:
        data = tree.read(path, limits.REGISTRY)
    except paths.FileError as e:
        where = "Set `registry` in the configuration to the registry's path."
        raise InputError(
            f"the registry {e.message}",
            help=e.help if e.trouble is paths.Trouble.TOO_LARGE else where,
        ) from e
    return parse_bytes(data, path)


def parse_bytes(data: bytes, path: str) -> Registry:
    """The registry that `data` holds; `path` is where it was read. Raises InputError."""
    repeated: list[str] = []
    try:
        text = decode(data)
        value = parse(text, duplicate_keys=repeated)
    except JsonError as e:
        raise InputError(
            f"{path}: {e}", help="The registry is a JSON object with a list `models`."
        ) from e
    if not isinstance(value, dict):
        raise InputError(
            f"{path}: expected an object with a list `{ROWS}`, found {type_name(value)}"
        )
    rows = value.get(ROWS)
    if not isinstance(rows, list):
        found = type_name(rows) if ROWS in value else "no such field"
        raise InputError(
            f"{path}: field `{ROWS}`: expected a list of rows, found {found}",
            help=f'A registry looks like {{"schema_version": 1, "{ROWS}": [{{"id": …}}]}}.',
        )
    if len(rows) > limits.ROWS:
        raise InputError(f"{path}: {len(rows):,} rows; at most {limits.ROWS:,} are read")
    return Registry(
        path=path,
        text=text,
        digest=digest.of_bytes(data),
        rows=tuple(Row(i, row) for i, row in enumerate(rows) if isinstance(row, dict)),
        not_rows=tuple((i, type_name(r)) for i, r in enumerate(rows) if not isinstance(r, dict)),
        repeated_keys=tuple(repeated),
    )


@dataclass(frozen=True, slots=True)
class Edit:
    """Set the value at `path`. A new member goes after the member `after` of the same object."""

    path: JsonPath
    value: Any
    after: str | None = None


def edit(registry: Registry, edits: Iterable[Edit]) -> str:
    """The registry's text with `edits` done and every other character kept.

    Raises:
        InputError: An edit addresses an object that is not there.
    """
    changes: list[tuple[int, int, str]] = []
    for change in edits:
        member = registry.source.find(change.path)
        encoded = json.dumps(change.value, ensure_ascii=registry.text.isascii())
        if member is not None:
            changes.append((member.start, member.end, encoded))
        else:
            changes.append(_insertion(registry, change))
    text = registry.text
    for start, end, new in sorted(changes, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _insertion(registry: Registry, change: Edit) -> tuple[int, int, str]:
    source = registry.source
    *parent, key = change.path
    neighbour = source.find((*parent, change.after or ""))
    if neighbour is None or neighbour.key_start is None:
        raise InputError(
            f"{registry.path}: cannot add `{key}`: there is no `{change.after}` to put it after"
        )
    # The white space before the neighbour is how this file sets off members of this object.
    before = registry.text[: neighbour.key_start]
    gap = before[len(before.rstrip(" \t\r\n")) :]
    if isinstance(change.value, dict) and "\n" in gap:
        step = _indent_step(gap, len(change.path))
        lines = f",{gap}{step}".join(
            f"{json.dumps(k)}: {json.dumps(v)}" for k, v in change.value.items()
        )
        encoded = f"{{{gap}{step}{lines}{gap}}}"
    else:
        encoded = json.dumps(change.value, ensure_ascii=registry.text.isascii())
    return neighbour.end, neighbour.end, f",{gap}{json.dumps(key)}: {encoded}"


def _indent_step(gap: str, depth: int) -> str:
    indent = gap.rpartition("\n")[2]
    return "\t" if "\t" in indent else " " * max(1, len(indent) // depth)
