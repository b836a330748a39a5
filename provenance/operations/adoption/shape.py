# SPDX-License-Identifier: Apache-2.0
"""Find a repository's registry, and how it names its rows and their fields.

A field is recognized by its values. Its name decides only if several fields have fitting values.
What remains ambiguous is left to the author.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from itertools import chain
from typing import Any, Final

from provenance.artifacts import limits
from provenance.artifacts.digest import sha256_of
from provenance.artifacts.documents.strict_json import JsonError, decode, parse
from provenance.artifacts.ensemble import is_manifest
from provenance.artifacts.forms import FLAG, is_whole
from provenance.artifacts.paths import FileError, Tree
from provenance.artifacts.spdx import alternatives
from provenance.attestations import bundle as bundles
from provenance.frozen import dataclass
from provenance.registry.rows import FIELDS, INT8_MODES

_SKIP: Final = {"node_modules", "__pycache__", "site-packages", "build", "dist", "venv"}
_MAX_FILES: Final = 100_000
_OPSETS: Final = range(1, 100)
"""Plausible opset versions: ONNX published 26 in ten years."""

Row = Mapping[str, Any]

ITSELF: Final = "."
"""The value of `FieldNames.rows` for a file that is itself the list of rows."""


@dataclass(frozen=True)
class FieldNames:
    """The names in a file for its list of rows, and for the fields of a row."""

    rows: str = "models"
    renamed: Mapping[str, str] = field(default_factory=dict)

    def of(self, field: str) -> str:
        """Return the file's name for `field`."""
        return self.renamed.get(field, field)

    @property
    def path(self) -> tuple[str, ...]:
        """The path of the list of rows."""
        return () if self.rows == ITSELF else (self.rows,)


@dataclass(frozen=True)
class Shape:
    """A JSON file that can be read as a registry.

    Attributes:
        path: The path of the file.
        rows: The number of its rows.
        names: The names of its rows and fields, as far as they are certain.
        unsure: For each other field, the keys that could be it.
        complete: Whether the rows have a model and a digest.
    """

    path: str
    rows: int
    names: FieldNames
    unsure: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    complete: bool = True

    @property
    def stock(self) -> bool:
        """Whether its rows are under `models`, each with its model under `onnx`."""
        return self.names.rows == FieldNames.rows and self.names.of("onnx") == "onnx"


def registries(tree: Tree) -> Iterator[Shape]:
    """Yield the JSON files below the root that can be read as registries, ordered by path."""
    for path in files(tree, (".json",)):
        yield from shapes_of(tree, path)


def shapes_of(tree: Tree, path: str) -> Iterator[Shape]:
    """Yield each way in which the file at `path` can be read as a registry, if any."""
    try:
        data = tree.read(path, limits.REGISTRY)
        if b".onnx" not in data:
            return
        value = parse(decode(data), duplicate_keys=[])
    except (FileError, JsonError):
        return  # not a registry
    lists = {ITSELF: value} if isinstance(value, list) else value if isinstance(value, dict) else {}
    for key, rows in lists.items():
        objects = [r for r in rows if isinstance(r, dict)] if isinstance(rows, list) else []
        if objects and not (key == "members" and is_manifest(lists)):
            shape = _shape(path, key, objects)
            if shape is not None:
                yield shape


def files(tree: Tree, suffixes: tuple[str, ...]) -> Iterator[str]:
    """Yield the files below the root with one of these suffixes, except in folders of tools."""
    seen = 0
    for folder, folders, names in os.walk(tree.root):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in _SKIP)
        for name in sorted(names):
            seen += 1
            if seen > _MAX_FILES:
                return
            if name.endswith(suffixes):
                path = os.path.relpath(os.path.join(folder, name), tree.root)
                yield path.replace(os.sep, "/")


def _digest(value: Any) -> bool:
    return sha256_of(value) is not None


def _label(value: Any) -> bool:
    plain = isinstance(value, str) and 0 < len(value) <= 128 and not _digest(value)
    return plain and "://" not in value and not value.endswith((".onnx", ".json"))


@dataclass(frozen=True)
class _Field:
    """How a field is recognized.

    Attributes:
        fits: Whether a value fits the field.
        named: The names that the field usually has, the best first.
        by_name: Whether it is certain only under one of these names.
        marked: Whether its name must contain `int8`.
    """

    fits: Callable[[Any], bool]
    named: Sequence[str] = ()
    by_name: bool = False
    marked: bool = False


_KNOWN: Final[Mapping[str, _Field]] = {
    "onnx": _Field(
        lambda v: isinstance(v, str) and v.endswith(".onnx"),
        ("file", "path", "filename", "model_file", "model", "model_path"),
    ),
    "sha256": _Field(
        _digest, ("digest", "hash", "checksum", "sha", "onnx_sha256", "file_sha256", "model_sha256")
    ),
    "int8_sha256": _Field(_digest, marked=True),
    "external_data_sha256": _Field(
        lambda v: isinstance(v, dict) and bool(v) and all(map(_digest, v.values()))
    ),
    "id": _Field(_label, ("name", "model_id", "key", "slug", "identifier", "model")),
    "kind": _Field(_label, ("type", "task", "role"), by_name=True),
    "opset": _Field(
        lambda v: is_whole(v) and v in _OPSETS,
        ("onnx_opset", "opset_version", "opsetVersion"),
        by_name=True,
    ),
    "smoke": _Field(
        FLAG.has,
        ("is_smoke", "placeholder", "is_placeholder", "stub", "dummy"),
        by_name=True,
    ),
    "quant_mode": _Field(lambda v: v in ("fp32", *INT8_MODES)),
    "license_url": _Field(
        lambda v: isinstance(v, str) and "://" in v,
        ("licence_url", "licenseUrl", "licenceUrl", "license_link", "licence_link", "license_uri"),
        by_name=True,
    ),
    "license": _Field(
        _label,
        ("licence", "spdx", "spdx_id", "license_id", "licence_id", "spdx_expression"),
        by_name=True,
    ),
    "sigstore_bundle": _Field(lambda v: isinstance(v, str) and v.endswith(bundles.SUFFIX)),
}
"""The fields of `FIELDS` that are searched for. The others are not judged."""


def _shape(path: str, key: str, rows: Sequence[Row]) -> Shape | None:
    """Return how the rows under `key` name their fields, or None if no field holds models."""
    values: dict[str, list[Any]] = {}
    for row in rows:
        for name, value in row.items():
            values.setdefault(name, []).append(value)
    renamed: dict[str, str] = {}
    unsure: dict[str, tuple[str, ...]] = {}
    for known, how in _KNOWN.items():
        if known in values:
            continue
        free = [n for n in values if n not in renamed.values() and n not in FIELDS]
        could = [n for n in free if _may_be(known, how, n, values[n], len(rows))]
        usual = [n for n in how.named if n in could]
        if usual or len(could) == 1:
            renamed[known] = (usual or could)[0]
        elif could:
            unsure[known] = tuple(could)
    found = {*renamed, *unsure, *(k for k in _KNOWN if k in values)}
    if "onnx" not in found:
        return None
    if renamed:  # otherwise it has the supported shape, and the rest are fields of its own
        taken = {*values} & {*FIELDS, *renamed.values(), *chain.from_iterable(unsure.values())}
        for known in (k for k in _KNOWN if k not in found):
            could = [n for n in values if n not in taken and _could_be(known, values[n], len(rows))]
            if could:
                unsure[known] = tuple(could)
    in_order = dict(sorted(renamed.items(), key=lambda item: FIELDS.index(item[0])))
    return Shape(path, len(rows), FieldNames(key, in_order), unsure, "sha256" in found)


def _may_be(known: str, how: _Field, name: str, values: Sequence[Any], rows: int) -> bool:
    if how.by_name and name not in how.named:
        return False
    if how.marked != ("int8" in name.casefold()) or not all(map(how.fits, values)):
        return False
    # Ids are unique.
    return known != "id" or (len(values) == rows and len(set(values)) == rows)


def _could_be(known: str, values: Sequence[Any], rows: int) -> bool:
    """Whether a field with an unknown name could be `known`, judged by its values alone.

    Strings could be a `license` only if all are SPDX expressions, or a `kind` only if rows share
    them.
    """
    if known == "id" or not all(map(_KNOWN[known].fits, values)):
        return False
    if known == "license":
        return all(alternatives(v) is not None for v in values)
    if known == "kind":
        return len(values) == rows and 1 < len(set(values)) < rows
    return True
