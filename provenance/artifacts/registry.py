# SPDX-License-Identifier: Apache-2.0
"""The registry: the JSON index of a repository's models, and its rows.

A registry is an object whose `models` is a list of rows; `FieldNames` maps other names to these. A
value of the wrong type in a row does not stop the reading: the row keeps its fields verbatim, the
typed property is None, and rule REG101 reports the field. Reading fails only if the file is not a
registry at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

from provenance.artifacts import digest, limits, paths
from provenance.artifacts.documents.source_map import SourceMap
from provenance.artifacts.documents.strict_json import (
    START,
    JsonError,
    JsonPath,
    Position,
    decode,
    parse,
    type_name,
)
from provenance.artifacts.packed import pack, unpack
from provenance.errors import InputError
from provenance.frozen import dataclass

FIELDS: Final = (
    "id",
    "kind",
    "onnx",
    "sha256",
    "int8_sha256",
    "external_data_sha256",
    "opset",
    "smoke",
    "quant_mode",
    "license",
    "license_url",
    "sigstore_bundle",
    "notes",
    "description",
)
"""The fields that this project reads. Other fields are ignored, but signed verbatim."""

ITSELF: Final = "."
"""The value of `FieldNames.rows` for a registry that is itself the list of rows."""

INT8_MODES: Final = ("dynamic", "qat", "static")
"""Values of `quant_mode` for which the runtime opens `<stem>.int8.onnx` instead."""

OTHER_MODES: Final = ("fp32", "fp16", "bf16", "none")
"""Values of `quant_mode` for which the runtime opens the `.onnx` file itself."""

INT8_SUFFIX: Final = ".int8.onnx"
"""The end of the file name of an int8 variant."""

MAX_ID: Final = 128
"""Characters of an id. It is part of every message about its row."""

DIGEST_FIELDS: Final = ("sha256", "int8_sha256", "external_data_sha256")


@dataclass(frozen=True)
class FieldNames:
    """The names in a registry for its list of rows, and for the fields of `FIELDS` in a row.

    Rules, messages and documents use this project's names. The registry's own names are used only
    to read it, to edit it, and to find positions in it.
    """

    rows: str = "models"
    renamed: Mapping[str, str] = field(default_factory=dict)

    def of(self, field: str) -> str:
        """Return the registry's name for `field`."""
        return self.renamed.get(field, field)

    def known_as(self, key: str) -> str | None:
        """Return the field that the registry's `key` holds, or None if a renamed field hides it."""
        for known, name in self.renamed.items():
            if name == key:
                return known
        return None if key in self.renamed else key

    def canonical(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a row under this project's names, in its own order, without hidden keys."""
        if not self.renamed:
            return row
        known = ((self.known_as(key), value) for key, value in row.items())
        return {key: value for key, value in known if key is not None}

    @property
    def path(self) -> JsonPath:
        """The path of the list of rows."""
        return () if self.rows == ITSELF else (self.rows,)

    @property
    def stock(self) -> bool:
        """Whether the stock C consumer, which scans for `"onnx"`, can read such a registry."""
        return not {"onnx", "sigstore_bundle"} & self.renamed.keys()


def is_blank(value: object) -> bool:
    """Return whether a value is a string without a letter or digit: it names nothing."""
    return isinstance(value, str) and not any(map(str.isalnum, value))


class Classification(StrEnum):
    """What a row claims about its model.

    PRODUCTION is a claim that needs evidence (SID417). An UNCLAIMED row claims nothing: evidence
    may be missing, but evidence that exists must agree.
    """

    PRODUCTION = "production"
    SMOKE = "smoke"
    UNCLAIMED = "unclaimed"

    @property
    def said(self) -> str:
        """The classification as a clause of a message."""
        if self is Classification.UNCLAIMED:
            return "the row says neither smoke nor production"
        return f"the row says {self.value}"


@dataclass(frozen=True, slots=True)
class Row:
    """The entry of one model in the registry.

    Attributes:
        index: The index of the row in the list of rows.
        fields: The fields under this project's names.
        verbatim: The row as it is in the registry.
        position: The position of the row in the text of the registry.
        label: The id, or `#INDEX` if the id is missing or too long to be shown.
        onnx: The model's file, relative to the registry's folder.
        sigstore_bundle: The row bundle, relative to the registry's folder.
    """

    index: int
    fields: Mapping[str, Any]
    verbatim: Mapping[str, Any]
    position: Position = START
    label: str = field(init=False, repr=False, compare=False)
    onnx: str | None = field(init=False, repr=False, compare=False)
    sigstore_bundle: str | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compute the values that every finding, result and rule about the row needs."""
        id = self.text("id")
        label = id if id is not None and len(id) <= MAX_ID else f"#{self.index}"
        object.__setattr__(self, "label", label)
        object.__setattr__(self, "onnx", self.text("onnx"))
        object.__setattr__(self, "sigstore_bundle", self.text("sigstore_bundle"))

    @classmethod
    def of(
        cls, index: int, verbatim: Mapping[str, Any], names: FieldNames, position: Position = START
    ) -> Row:
        """Return a row of a registry with these field names."""
        return cls(index, names.canonical(verbatim), verbatim, position)

    def text(self, field: str) -> str | None:
        """Return the value of `field` if it is a string with a letter or digit, or None."""
        value = self.fields.get(field)
        if not isinstance(value, str):
            return None
        return value if value[:1].isalnum() or not is_blank(value) else None

    def digest(self, field: str) -> str | None:
        """Return the digest in `field` in a form to compare, or None.

        A SHA-256 of any spelling is returned in lower-case hex, any other string unchanged.
        """
        value = self.text(field)
        return None if value is None else digest.canonical(value)

    @property
    def smoke(self) -> bool:
        """Whether the row says that its model is a placeholder."""
        return self.fields.get("smoke") is True

    @property
    def classification(self) -> Classification:
        """What the row claims in `smoke`. A value that is not a boolean claims nothing (REG101)."""
        if self.smoke:
            return Classification.SMOKE
        return Classification.PRODUCTION if self.claims_production else Classification.UNCLAIMED

    @property
    def claims_production(self) -> bool:
        """Whether the row says that its model is for production."""
        return self.fields.get("smoke") is False

    @property
    def external_data_sha256(self) -> Mapping[str, Any]:
        """Declared digests of external-data files, by name relative to the registry's folder."""
        value = self.fields.get("external_data_sha256")
        return value if isinstance(value, dict) else {}

    @property
    def quantized(self) -> bool:
        """Whether the row tells the runtime to open an int8 variant beside the model."""
        has_int8 = self.text("quant_mode") in INT8_MODES or "int8_sha256" in self.fields
        return has_int8 and not self.is_variant

    @property
    def is_variant(self) -> bool:
        """Whether the row's model is itself an int8 variant. Another row may have the same file."""
        return self.onnx is not None and self.onnx.endswith(INT8_SUFFIX)


def int8_of(model: str) -> str:
    """Return the name of the int8 variant of the model file `model`."""
    return model.removesuffix(".onnx") + INT8_SUFFIX


@dataclass(frozen=True)
class Registry:
    """A registry. `path` and `folder` are relative to the repository's root.

    Attributes:
        packed: The text, compressed. It is needed only to find positions and to edit fields.
        not_rows: The index and the JSON type of each entry in the list of rows that is not an
            object.
        repeated_keys: The keys that an object in the registry has more than once.
        keys: The keys of the registry object, including that of the list of rows.
        members: The other members of the registry object, without the list of rows.
    """

    path: str
    packed: bytes
    digest: digest.Digest
    rows: tuple[Row, ...]
    not_rows: tuple[tuple[int, str], ...] = ()
    repeated_keys: tuple[str, ...] = ()
    names: FieldNames = FieldNames()
    keys: tuple[str, ...] = ()
    members: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def labels(self) -> frozenset[str]:
        """The labels of all rows."""
        return frozenset(row.label for row in self.rows)

    @cached_property
    def folder(self) -> str:
        """The registry's folder; "." for the root."""
        return self.path.rpartition("/")[0] or "."

    @cached_property
    def source(self) -> SourceMap:
        """The position of each value. The text is scanned on first use."""
        return SourceMap(unpack(self.packed))

    def locate(self, row: Row | int, field: str | None = None) -> Position:
        """Return the position of `field` of `row`, or of the row if the field is missing."""
        if isinstance(row, Row):
            path = () if field is None or field not in row.fields else (self.names.of(field),)
            return self.position_of(row.index, path) or row.position
        member = self.source.find(self.path_of(row))
        return self.source.position(member.start) if member else START

    def position_of(self, row: int, path: JsonPath) -> Position | None:
        """Return the position of the value at `path` in a row, or of the nearest object around it.

        None if that is the row itself.
        """
        for end in range(len(path), 0, -1):
            member = self.source.find((*self.path_of(row), *path[:end]))
            if member is not None:
                return self.source.position(member.start)
        return None

    def path_of(self, row: Row | int, *fields: str) -> JsonPath:
        """Return the JSON path of a row, of one of its fields, or of a value below that field."""
        index = row if isinstance(row, int) else row.index
        below = (self.names.of(fields[0]), *fields[1:]) if fields else ()
        return (*self.names.path, index, *below)

    def absolute(self, name: str) -> str:
        """Return a name that is relative to the registry's folder, relative to the root."""
        return paths.join(self.folder, name)

    def name_of(self, path: str) -> str:
        """Return a path that is relative to the root, relative to the registry's folder."""
        return paths.relative(self.folder, path)


def read(tree: paths.Tree, path: str, names: FieldNames | None = None) -> Registry:
    """Read the registry at `path` (relative to the root).

    Raises:
        InputError: If the file is missing, too large, not strict JSON, or not an object with a list
            `models`.
    """
    try:
        # The bytes are not kept in a variable, so that they are freed once they are decoded.
        return parse_bytes(tree.read(path, limits.REGISTRY), path, names)
    except paths.FileError as e:
        help: str | None = "Set `registry` in the configuration to the registry's path."
        if e.problem in (paths.FileProblem.TOO_LARGE, paths.FileProblem.POINTER):
            help = e.help  # another path would not help
        raise InputError(f"the registry {e.message}", help=help) from e


def parse_bytes(data: bytes, path: str, names: FieldNames | None = None) -> Registry:
    """Return the registry in `data`, which was read at `path`.

    Raises:
        InputError: If `data` is not a registry.
    """
    names = names or FieldNames()
    repeated: list[str] = []
    found, packed = digest.of_bytes(data), pack(data)
    try:
        text = decode(data)
        del data
        value = parse(text, duplicate_keys=repeated, nesting=limits.REGISTRY_NESTING)
    except JsonError as e:
        shape = _shape(names)
        help = f"Correct the file, or set `registry` in the configuration to the path of {shape}."
        raise InputError(f"{path}: {e}", help=help) from e
    top = value if isinstance(value, dict) else {}
    is_list = names.rows == ITSELF
    if not is_list and top is not value:
        message = f"{path}: expected {_shape(names)}, found {type_name(value)}"
        raise InputError(message, help=_OTHER_SHAPE)
    rows = value if is_list else top.get(names.rows)
    if not isinstance(rows, list):
        at = "" if is_list else f"field `{names.rows}`: "
        found_rows = type_name(rows) if is_list or names.rows in top else "no such field"
        raise InputError(
            f"{path}: {at}expected a list of rows, found {found_rows}",
            help=f'A registry looks like {{"schema_version": 1, "models": [{{"id": …}}]}}. '
            f"{_OTHER_SHAPE}",
        )
    if len(rows) > limits.ROWS:
        raise InputError(f"{path}: {len(rows):,} rows; at most {limits.ROWS:,} are read")
    return Registry(
        path=path,
        packed=packed,
        digest=found,
        rows=tuple(_rows(text, rows, names)),
        not_rows=tuple((i, type_name(r)) for i, r in enumerate(rows) if not isinstance(r, dict)),
        repeated_keys=tuple(repeated),
        names=names,
        keys=tuple(top),
        members={k: v for k, v in top.items() if k != names.rows},
    )


def _rows(text: str, rows: list[Any], names: FieldNames) -> Iterator[Row]:
    source = SourceMap(text)
    for index, row in enumerate(rows):
        if isinstance(row, dict):
            member = source.find((*names.path, index))
            position = source.position(member.start) if member else START
            yield Row.of(index, row, names, position)


_OTHER_SHAPE: Final = "Other shapes and other field names are not supported."


def _shape(names: FieldNames) -> str:
    return "a list of rows" if names.rows == ITSELF else f"an object with a list `{names.rows}`"
