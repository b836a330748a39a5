# SPDX-License-Identifier: Apache-2.0
"""The registry: the JSON index of a repository's models, and its rows.

A registry is an object whose `models` is a list of rows; `FieldNames` says what another one calls
them. Wrong types inside a row do not stop the reading: a row keeps its fields verbatim, its typed
properties are None where the value has another type, and rule REG101 names the field. Only what is
no registry at all is an error here.
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
"""The fields that this project reads. Other fields are a registry's own, and signed verbatim."""

ITSELF: Final = "."
"""`FieldNames.rows` of a registry that is the list of rows itself."""

INT8_MODES: Final = ("dynamic", "qat", "static")
"""Values of `quant_mode` for which the runtime opens `<stem>.int8.onnx` instead."""

OTHER_MODES: Final = ("fp32", "fp16", "bf16", "none")
"""Values of `quant_mode` for which it opens the `.onnx` itself."""

INT8_SUFFIX: Final = ".int8.onnx"
"""How the file of an int8 variant ends."""

MAX_ID: Final = 128
"""Characters of an id: it stands in every message about its row."""

DIGEST_FIELDS: Final = ("sha256", "int8_sha256", "external_data_sha256")


@dataclass(frozen=True)
class FieldNames:
    """What a registry calls the list of its rows, and the fields of `FIELDS` in a row.

    Rules, messages and documents speak of fields by this project's names; only where a registry is
    read, edited or pointed at are its own names used.
    """

    rows: str = "models"
    renamed: Mapping[str, str] = field(default_factory=dict)

    def of(self, field: str) -> str:
        """What the registry calls `field`."""
        return self.renamed.get(field, field)

    def known_as(self, key: str) -> str | None:
        """The field that the registry's `key` is; None where a row's own key hides behind one."""
        for known, name in self.renamed.items():
            if name == key:
                return known
        return None if key in self.renamed else key

    def canonical(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """A row under this project's names, in its own order. What these hide is left out."""
        if not self.renamed:
            return row
        known = ((self.known_as(key), value) for key, value in row.items())
        return {key: value for key, value in known if key is not None}

    @property
    def path(self) -> JsonPath:
        """Where the list of rows stands."""
        return () if self.rows == ITSELF else (self.rows,)

    @property
    def stock(self) -> bool:
        """Whether the stock C consumer, which scans for `"onnx"`, can read such a registry."""
        return not {"onnx", "sigstore_bundle"} & self.renamed.keys()


def is_blank(value: object) -> bool:
    """Whether a text says nothing: nobody is named, nothing licensed, without letter and digit."""
    return isinstance(value, str) and not any(map(str.isalnum, value))


class Classification(StrEnum):
    """What a row claims of its model.

    PRODUCTION is a claim that needs evidence (SID417). An UNCLAIMED row claims nothing: its
    evidence may be missing, and must agree where it exists.
    """

    PRODUCTION = "production"
    SMOKE = "smoke"
    UNCLAIMED = "unclaimed"

    @property
    def said(self) -> str:
        """What the row says, as a clause of a message."""
        if self is Classification.UNCLAIMED:
            return "the row says neither smoke nor production"
        return f"the row says {self.value}"


@dataclass(frozen=True, slots=True)
class Row:
    """One model's entry; `index` is its place in the registry, `position` that in its text.

    `fields` are the row's under this project's names, `verbatim` is the row as it stands there.
    `label` is the id, or a name for a row without one that is short enough to be shown. `onnx` is
    the model's file and `sigstore_bundle` the row bundle, relative to the registry's folder.
    """

    index: int
    fields: Mapping[str, Any]
    verbatim: Mapping[str, Any]
    position: Position = START
    label: str = field(init=False, repr=False, compare=False)
    onnx: str | None = field(init=False, repr=False, compare=False)
    sigstore_bundle: str | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make once what every finding, result and rule about the row asks for."""
        id = self.text("id")
        label = id if id is not None and len(id) <= MAX_ID else f"#{self.index}"
        object.__setattr__(self, "label", label)
        object.__setattr__(self, "onnx", self.text("onnx"))
        object.__setattr__(self, "sigstore_bundle", self.text("sigstore_bundle"))

    @classmethod
    def of(
        cls, index: int, verbatim: Mapping[str, Any], names: FieldNames, position: Position = START
    ) -> Row:
        """A row of a registry with these names."""
        return cls(index, names.canonical(verbatim), verbatim, position)

    def text(self, field: str) -> str | None:
        """The value of `field` where it is a text that says something."""
        value = self.fields.get(field)
        if not isinstance(value, str):
            return None
        return value if value[:1].isalnum() or not is_blank(value) else None

    def digest(self, field: str) -> str | None:
        """Return a digest as it is compared: a SHA-256 in lower-case hex, however it is spelled.

        Any other string that says something is returned as it is.
        """
        value = self.text(field)
        return None if value is None else digest.canonical(value)

    @property
    def smoke(self) -> bool:
        """Whether the row says that its model is a placeholder."""
        return self.fields.get("smoke") is True

    @property
    def classification(self) -> Classification:
        """What the row claims, by `smoke`. Another JSON type claims nothing (REG101)."""
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
        """Whether the row asks the runtime to open an int8 variant beside the model."""
        is_said = self.text("quant_mode") in INT8_MODES or "int8_sha256" in self.fields
        return is_said and not self.is_variant

    @property
    def is_variant(self) -> bool:
        """Whether the row's model is itself an int8 variant, which another row may have, too."""
        return self.onnx is not None and self.onnx.endswith(INT8_SUFFIX)


def int8_of(model: str) -> str:
    """The name of the int8 variant of the model with this name."""
    return model.removesuffix(".onnx") + INT8_SUFFIX


@dataclass(frozen=True)
class Registry:
    """A registry as read. `path` and `folder` are relative to the repository's root.

    Its text is kept packed: only to point at a field, or to edit one, it is needed again.
    `keys` are the members of the object that the registry is, the list of rows among them;
    `members` are the values of the others.
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
        """Where each value stands; the text is walked when it is first asked for."""
        return SourceMap(unpack(self.packed))

    def locate(self, row: Row | int, field: str | None = None) -> Position:
        """Where `field` of `row` stands, or the row where the field is absent."""
        if isinstance(row, Row):
            path = () if field is None or field not in row.fields else (self.names.of(field),)
            return self.position_of(row.index, path) or row.position
        member = self.source.find(self.path_of(row))
        return self.source.position(member.start) if member else START

    def position_of(self, row: int, path: JsonPath) -> Position | None:
        """Where the value at a path below a row stands, or what holds it; None for the row."""
        for end in range(len(path), 0, -1):
            member = self.source.find((*self.path_of(row), *path[:end]))
            if member is not None:
                return self.source.position(member.start)
        return None

    def path_of(self, row: Row | int, *fields: str) -> JsonPath:
        """The path of a row, or of one of its fields and what is below that, in the JSON text."""
        index = row if isinstance(row, int) else row.index
        below = (self.names.of(fields[0]), *fields[1:]) if fields else ()
        return (*self.names.path, index, *below)

    def absolute(self, name: str) -> str:
        """A name relative to the registry's folder, as a path relative to the root."""
        return paths.join(self.folder, name)

    def name_of(self, path: str) -> str:
        """A path relative to the root, as a name relative to the registry's folder."""
        return paths.relative(self.folder, path)


def read(tree: paths.Tree, path: str, names: FieldNames | None = None) -> Registry:
    """Read the registry at `path` (relative to the root).

    Raises:
        InputError: No such file, too large, not strict JSON, or no object with a list `models`.
    """
    try:
        # Its bytes have no name here: there is no need for them once they are decoded.
        return parse_bytes(tree.read(path, limits.REGISTRY), path, names)
    except paths.FileError as e:
        help: str | None = "Set `registry` in the configuration to the registry's path."
        if e.problem in (paths.FileProblem.TOO_LARGE, paths.FileProblem.POINTER):
            help = e.help  # another path would not solve it
        raise InputError(f"the registry {e.message}", help=help) from e


def parse_bytes(data: bytes, path: str, names: FieldNames | None = None) -> Registry:
    """The registry that `data` holds; `path` is where it was read. Raises InputError."""
    names = names or FieldNames()
    repeated: list[str] = []
    found, packed = digest.of_bytes(data), pack(data)
    try:
        text = decode(data)
        del data
        value = parse(text, duplicate_keys=repeated, nesting=limits.REGISTRY_NESTING)
    except JsonError as e:
        shape = _shape(names)
        help = f"Correct it there, or set `registry` in the configuration to the path of {shape}."
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


_OTHER_SHAPE: Final = "Where yours has another shape, say so in `fields` of the configuration."


def _shape(names: FieldNames) -> str:
    return "a list of rows" if names.rows == ITSELF else f"an object with a list `{names.rows}`"
