# SPDX-License-Identifier: Apache-2.0
"""Make a row of a node of an index, through its mapping."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from provenance.artifacts import paths
from provenance.artifacts.documents.strict_json import JsonPath, Position
from provenance.frozen import dataclass
from provenance.registry.json_path import Node, normalized
from provenance.registry.mapping import FileMapping, Index
from provenance.registry.references import (
    INDEX_WORD,
    AmbiguousError,
    Found,
    Reference,
    Template,
    as_text,
    is_silent,
)
from provenance.registry.rows import DeclaredDigest, DeclaredFile, Row, Unreadable
from provenance.registry.stock_rows import DigestError, own_files, read_digest, read_size

_OF_MODEL: Final = ("sha384", "sha512", "blake2b", "sha1", "md5", "digest")
_ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class _Value:
    """The value of a field, where it is, and whether the mapping supplied it."""

    value: Any
    place: JsonPath | None
    supplied: bool = False


class MappedRow:
    """Reads one row. Fields are resolved when a template needs them, each once.

    Attributes:
        found: The mapped fields for which the node has a value.
    """

    def __init__(self, index: Index, node: Node, path: str) -> None:
        self._index, self._node, self._path = index, node, path
        self._known: dict[str, _Value | None] = {}
        self._unreadable: list[Unreadable] = []
        self.found: set[str] = set()

    def row(self, number: int, position: Position) -> Row:
        """Return the row.

        Raises:
            MappingError: If a reference does not fit the index.
        """
        names = self._index.names if self._index.is_mapped else self._own_names()
        values = {name: value for name in names if (value := self._get(name)) is not None}
        address = values.get("onnx")
        if address is not None and _is_address(address.value):
            values.setdefault("url", values.pop("onnx"))
        digests = tuple(self._digests(values))
        fields = {n: v.value for n, v in values.items() if n not in _OF_MODEL}
        self._retype(fields)
        verbatim = self._node.value if isinstance(self._node.value, dict) else {}
        if not isinstance(self._node.value, dict):
            verbatim = {"value": self._node.value}
        return Row(
            number,
            fields,
            verbatim,
            position,
            at=self._node.location,
            places={n: v.place for n, v in values.items() if v.place is not None},
            digests=digests,
            files=tuple(self._files()),
            unreadable=tuple(self._unreadable),
            supplied=frozenset(n for n, v in values.items() if v.supplied),
        )

    def _own_names(self) -> tuple[str, ...]:
        """Return the names of the node's members: without a mapping they are fields."""
        own = tuple(self._node.value)
        return (*own, *(n for n in self._index.defaults if n not in own))

    def _word(self, name: str) -> str | None:
        if name == INDEX_WORD:
            return self._path
        found = self._get(name)
        return None if found is None else as_text(found.value)

    def _get(self, name: str) -> _Value | None:
        known: Any = self._known.get(name, _ABSENT)
        if known is _ABSENT:
            known = self._known[name] = self._resolved(name)
        found: _Value | None = known
        return found

    def _resolved(self, name: str) -> _Value | None:
        index = self._index
        if index.is_mapped:
            reference = index.fields.get(name)
            found = None if reference is None else self._find(name, reference, self._node)
        else:
            value = self._node.value.get(name)
            found = None if is_silent(value) else Found(value, (*self._node.location, name))
        if found is not None:
            self.found.add(name)
            meanings = index.values.get(name)
            if meanings is not None and isinstance(found.value, (str, int)):
                meaning = meanings.get(str(found.value))
                if meaning is None:
                    return _Value(found.value, found.location)
                if not is_silent(meaning):
                    return _Value(meaning, found.location, supplied=True)
            else:
                return _Value(found.value, found.location)
        default = index.defaults.get(name)
        if isinstance(default, Template):
            made = default.find(self._node, self._word)
            return None if made is None else _Value(made.value, None, supplied=True)
        return None if default is None else _Value(default, None, supplied=True)

    def _find(self, name: str, reference: Reference, node: Node) -> Found | None:
        try:
            return reference.find(node, self._word)
        except AmbiguousError as e:
            values = ", ".join(f"{n.value!r:.40}" for n in e.found[:3])
            places = ", ".join(normalized(n.location) for n in e.found[:3])
            self._unreadable.append(
                Unreadable(
                    name,
                    f"`{name}` has several different values: {values} ({places})",
                    "Map the field by a path that selects one of them.",
                    e.found[0].location,
                )
            )
            return None

    def _retype(self, fields: dict[str, Any]) -> None:
        """Read values that an index may write as strings: numbers and booleans."""
        for name in ("id", "onnx", "url", "license", "quant_mode", "sidecar"):
            value = fields.get(name)
            if isinstance(value, int) and not isinstance(value, bool):
                fields[name] = str(value)
        opset = fields.get("opset")
        if isinstance(opset, str) and opset.isascii() and opset.isdigit() and len(opset) < 10:
            fields["opset"] = int(opset)
        smoke = fields.get("smoke")
        if smoke in ("true", "false"):
            fields["smoke"] = smoke == "true"
        if "size" in fields:
            size = read_size(fields["size"])
            if size is None:
                self._refuse("size", f"`size`: expected bytes, found {fields.pop('size')!r:.40}")
            else:
                fields["size"] = size
        sha256 = fields.get("sha256")
        if isinstance(sha256, int):
            fields["sha256"] = str(sha256)

    def _refuse(self, field: str, message: str, place: JsonPath | None = None) -> None:
        help = "Write a whole number of bytes, or remove it from the mapping."
        self._unreadable.append(Unreadable(field, message, help, place))

    def _digests(self, values: dict[str, _Value]) -> Iterator[DeclaredDigest]:
        """Yield the digests of the model. A SHA-256 in `digest` becomes the field `sha256`."""
        for name in _OF_MODEL:
            found = values.get(name)
            if found is None:
                continue
            try:
                read = read_digest(name, _as_written(found.value), found.place)
            except DigestError as e:
                self._unreadable.append(Unreadable(name, f"`{name}`: {e}", e.help, found.place))
                continue
            if read.algorithm == "sha256":
                values.setdefault("sha256", _Value(found.value, found.place))
            else:
                yield read

    def _files(self) -> Iterator[DeclaredFile]:
        if not self._index.is_mapped:
            yield from own_files(self._node, self._unreadable)
            return
        for mapping in self._index.files:
            for node in mapping.each.select(self._node):
                file = self._file(mapping, node)
                if file is not None:
                    yield file

    def _file(self, mapping: FileMapping, node: Node) -> DeclaredFile | None:
        path = None if mapping.path is None else self._find("files", mapping.path, node)
        url = None if mapping.url is None else self._find("files", mapping.url, node)
        name = None if path is None else as_text(path.value)
        address = None if url is None else as_text(url.value)
        if name is not None and _is_address(name):
            name, address = None, address or name
        if name is None and address is None:
            return None
        digests: list[DeclaredDigest] = []
        size, size_place = None, None
        for key, reference in mapping.declared.items():
            found = self._find("files", reference, node)
            value = None if found is None else _as_written(found.value)
            meaning = self._index.values.get(key, {}).get(str(value))
            value = meaning if meaning is not None else value
            if found is None or is_silent(value):
                continue
            if key == "size":
                size, size_place = read_size(value), found.location
                if size is None:
                    message = f"`size` of {name or address!r}: expected bytes, found {value!r:.40}"
                    self._refuse("files", message, found.location)
                continue
            try:
                digests.append(read_digest(key, value, found.location))
            except DigestError as e:
                message = f"`{key}` of {name or address}: {e}"
                self._unreadable.append(Unreadable("files", message, e.help, found.location))
        place = path.location if path is not None else None
        if name is not None and paths.unsafe_reason(name) is None:
            name = paths.join("", name)
        return DeclaredFile(name, address, tuple(digests), size, place, size_place)


def _as_written(value: Any) -> Any:
    """Return a digest of decimal digits, which a reader takes for a number, as a string."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _is_address(value: object) -> bool:
    return isinstance(value, str) and "://" in value
