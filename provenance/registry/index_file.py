# SPDX-License-Identifier: Apache-2.0
"""Index files: JSON, YAML, TOML and checksum files, with the position of each value and its edits.

All formats are read as JSON values. JSON can be edited in any way; in the other formats, a string
that exists can be replaced.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from provenance.artifacts import limits
from provenance.artifacts.digest import Digest
from provenance.artifacts.documents import checksum_lines, json_edit, toml_text
from provenance.artifacts.documents.json_edit import Edit, Raw, Set
from provenance.artifacts.documents.source_map import SourceMap
from provenance.artifacts.documents.strict_json import (
    JsonError,
    JsonPath,
    Position,
    decode,
    parse,
)
from provenance.artifacts.packed import unpack
from provenance.errors import InputError
from provenance.frozen import dataclass
from provenance.registry.json_path import normalized
from provenance.registry.mapping import Format, Index

if TYPE_CHECKING:  # loaded only for an index of that format
    from provenance.artifacts.documents.toml_places import Place
    from provenance.artifacts.documents.yaml_document import YamlDocument

SUFFIXES: Final[Mapping[str, Format]] = {
    ".json": Format.JSON,
    ".yaml": Format.YAML,
    ".yml": Format.YAML,
    ".toml": Format.TOML,
}
"""The formats by the suffix of a file name."""


class IndexFormatError(ValueError):
    """The text is not an index of its format. The message is a clause.

    Attributes:
        position: The position of the fault, or None.
    """

    def __init__(self, message: str, position: Position | None = None) -> None:
        super().__init__(message)
        self.position = position


@dataclass(frozen=True)
class IndexFile:
    """One file of a registry.

    Attributes:
        path: The path relative to the root.
        format: The format.
        packed: The text, compressed. It is needed only to find positions and to edit values.
        digest: The digest of the bytes.
        mapping: How its rows are read.
        base: The folder that its names are relative to.
        not_rows: The location and the JSON type of each selected node that is not an object.
        repeated_keys: The keys that an object has more than once.
        keys: The keys of the object at the top, including that of the list of rows.
        members: For an index in this project's own shape, the members at the top without the rows.
    """

    path: str
    format: Format
    packed: bytes
    digest: Digest
    mapping: Index
    base: str
    not_rows: tuple[tuple[JsonPath, str], ...] = ()
    repeated_keys: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    members: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_stock(self) -> bool:
        """Whether it is JSON in this project's own shape, without a mapping."""
        mapping = self.mapping
        return self.format is Format.JSON and mapping.rows is None and mapping.is_stock

    @property
    def text(self) -> str:
        """The text of the file."""
        return unpack(self.packed)

    @cached_property
    def source(self) -> SourceMap:
        """The position of each value of a JSON file. The text is scanned on first use."""
        return SourceMap(self.text)

    def opened(self, text: str) -> IndexFile:
        """Return a copy that looks for positions in `text`, its text, without unpacking it."""
        copy = replace(self)
        if self.format is Format.JSON:
            vars(copy)["source"] = SourceMap(text)
        return copy

    def position(self, location: JsonPath) -> Position | None:
        """Return the position of a value, or of the nearest container around it."""
        for end in range(len(location), 0, -1):
            found = self._position(location[:end])
            if found is not None:
                return found
        return None

    def _position(self, location: JsonPath) -> Position | None:
        if self.format is Format.JSON:
            member = self.source.find(location)
            return None if member is None else self.source.position(member.start)
        if self.format is Format.YAML:
            return self._yaml.positions.get(location)
        if self.format is Format.TOML:
            place = self._toml.get(location)
            return None if place is None else _position(self._lines, place.key_start)
        line = self._checksums.get(location[0]) if location else None
        return None if line is None else Position(line.line, 1)

    @cached_property
    def _yaml(self) -> YamlDocument:
        from provenance.artifacts.documents import yaml_document

        return yaml_document.read(self.text, positions=True)

    @cached_property
    def _toml(self) -> Mapping[JsonPath, Place]:
        from provenance.artifacts.documents import toml_places

        return toml_places.places(self.text)

    @cached_property
    def _checksums(self) -> Mapping[Any, checksum_lines.Checksum]:
        return dict(enumerate(checksum_lines.read(self.text)))

    @cached_property
    def _lines(self) -> Sequence[int]:
        starts = [0]
        for line in self.text.split("\n"):
            starts.append(starts[-1] + len(line) + 1)
        return starts

    @cached_property
    def duplicates(self) -> tuple[tuple[JsonPath, Position], ...]:
        """The path and position of each second and further member with the same key."""
        if self.format is Format.JSON:
            found = self.source.duplicates
            return tuple(
                (m.path, self.source.position(m.start if m.key_start is None else m.key_start))
                for m in found
            )
        return tuple(self._yaml.duplicates) if self.format is Format.YAML else ()

    def reaches(self, edit: Edit) -> bool:
        """Return whether an edit can be made: all values that it addresses exist."""
        if self.format is Format.JSON:
            return json_edit.reaches(self.source, edit)
        return isinstance(edit, Set) and self._written(edit) is not None

    def edited(self, edits: Iterable[Edit]) -> str:
        """Return the text after edits. All other characters stay as they are.

        Raises:
            InputError: If an edit addresses a value that is missing or cannot be edited, or two
                edits overlap.
        """
        if self.format is Format.JSON:
            return json_edit.edit(self.source, edits, self.path)
        changes: dict[int, tuple[int, str]] = {}
        for edit in edits:
            found = self._written(edit)
            if found is None:
                raise InputError(
                    f"{self.path}: {normalized(edit.path)} cannot be edited in this file",
                    help="Edit it by hand"
                    + (f": write {edit.value!r}." if isinstance(edit, Set) else "."),
                )
            changes[found[0]] = found[1:]
        text, parts, done = self.text, [], 0
        for start, (end, new) in sorted(changes.items()):
            parts += [text[done:start], new]
            done = end
        return "".join((*parts, text[done:]))

    def _written(self, edit: Edit) -> tuple[int, int, str] | None:
        """Return the place of a string and its new spelling, or None if it cannot be edited."""
        if not isinstance(edit, Set) or isinstance(edit.value, Raw):
            return None
        value = edit.value
        if self.format is Format.YAML:
            from provenance.artifacts.documents import yaml_document

            scalar = self._yaml.scalars.get(edit.path)
            if scalar is None:
                return None
            new = (
                yaml_document.replaced(self.text, scalar, value)
                if isinstance(value, str)
                else yaml_document.plain(value)
            )
            return None if new is None else (scalar.start, scalar.end, new)
        if self.format is Format.TOML:
            from provenance.artifacts.documents import toml_places

            place = self._toml.get(edit.path)
            old = "" if place is None else self.text[place.start : place.end]
            spelled = toml_places.replaced(old, value)
            return None if place is None or spelled is None else (place.start, place.end, spelled)
        line = self._checksums.get(edit.path[0])
        if line is None or not isinstance(value, str) or edit.path[-1] in ("onnx", "path", "id"):
            return None
        return line.start, line.start + len(line.digest), value


def _position(starts: Sequence[int], offset: int) -> Position:
    from bisect import bisect_right

    line = bisect_right(starts, offset)
    return Position(line, offset - starts[line - 1] + 1)


def format_of(path: str) -> Format | None:
    """Return the format that the name of a file tells, or None."""
    name = path.rpartition("/")[2].lower()
    for suffix, found in SUFFIXES.items():
        if name.endswith(suffix):
            return found
    plain = name.removesuffix(".txt").replace("_", "").replace("-", "")
    for found in Format:
        if found.algorithm is not None:
            kind = found.algorithm if found is not Format.BLAKE2B else "b2"
            if plain in (f"{kind}sums", f"{kind}sum", kind) or plain.endswith(
                (f".{kind}", f".{kind}sum", f".{kind}sums")
            ):
                return found
    return None


def limit_of(format: Format) -> int:
    """Return the largest size of an index file in bytes."""
    return limits.INDEX if format in (Format.YAML, Format.TOML) else limits.REGISTRY


def value_of(text: str, format: Format, repeated: list[str]) -> Any:
    """Return the value of an index file as JSON types. Repeated keys are appended to `repeated`.

    Raises:
        IndexFormatError: If the text is not of its format, or exceeds a limit.
    """
    if format is Format.JSON:
        try:
            return parse(text, duplicate_keys=repeated, nesting=limits.REGISTRY_NESTING)
        except JsonError as e:
            raise IndexFormatError(str(e), e.position) from e
    if format is Format.YAML:
        from provenance.artifacts.documents import yaml_document

        try:
            document = yaml_document.read(text)
        except yaml_document.YamlDocumentError as e:
            raise IndexFormatError(str(e), e.position) from e
        repeated += [str(path[-1]) for path, _ in document.duplicates]
        return document.value
    if format is Format.TOML:
        try:
            return _as_json(toml_text.parse(text))
        except toml_text.TomlError as e:
            raise IndexFormatError(f"is {e}") from e
    return list(_rows_of_checksums(text, format))


def decoded(data: bytes) -> str:
    """Return the text of an index file. Raises IndexFormatError if it is not UTF-8."""
    try:
        return decode(data)
    except JsonError as e:
        raise IndexFormatError(str(e).replace("JSON is UTF-8", "expected UTF-8"), e.position) from e


def _as_json(value: Any) -> Any:
    """Return a TOML value as JSON types: dates and times become ISO strings.

    Raises:
        IndexFormatError: If it contains NaN or an infinity.
    """
    if isinstance(value, dict):
        return {key: _as_json(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_as_json(each) for each in value]
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        raise IndexFormatError(f"contains {value}, which JSON and signed statements cannot have")
    return value


def _rows_of_checksums(text: str, format: Format) -> Iterable[dict[str, Any]]:
    """Yield a row in this project's own shape for each line."""
    try:
        for line in checksum_lines.read(text):
            algorithm = line.algorithm or format.algorithm or ""
            name = line.name.removeprefix("./")
            if name.endswith(".onnx") and algorithm == "sha256":
                yield {"id": name, "onnx": name, "sha256": line.digest}
            else:
                yield {"id": name, "files": [{"path": name, algorithm: line.digest}]}
    except checksum_lines.ChecksumError as e:
        raise IndexFormatError(str(e), e.position) from e
