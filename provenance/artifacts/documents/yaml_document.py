# SPDX-License-Identifier: Apache-2.0
"""Read a YAML document as JSON values, and find the position of each value.

The document is built from the events of the parser, without constructors: a plain scalar is null, a
boolean or a number only if YAML 1.2 and JSON spell it alike, and a string otherwise. So an unquoted
MD5 such as `58e30490000000000000000000000000` keeps its text. Anchors, tags and merge keys are
refused, because a node in two places cannot be edited or signed as one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from provenance.artifacts import limits
from provenance.artifacts.documents.strict_json import JsonPath, Position
from provenance.frozen import dataclass

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]*")
_FLOAT: Final = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][+-]?[0-9]+)?")
_MAX_DIGITS: Final = 308
_WORDS: Final = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./+=-]*(?::[A-Za-z0-9_./+=-]+)*")


class YamlDocumentError(ValueError):
    """The text is not a document of this subset. The message is a clause, with its line.

    Attributes:
        position: The position of the fault, or None if it is not known.
    """

    def __init__(self, message: str, mark: Any = None) -> None:
        at = None if mark is None else Position(mark.line + 1, mark.column + 1)
        super().__init__(message if at is None else f"{message}, at line {at.line}")
        self.position = at


@dataclass(frozen=True, slots=True)
class Scalar:
    """The place of a scalar in the text, as character offsets, and its style.

    Attributes:
        style: The quote, `|` or `>` for a block, or None for a plain scalar.
    """

    start: int
    end: int
    style: str | None


@dataclass(frozen=True)
class YamlDocument:
    """A document with its places.

    Attributes:
        value: The value, made of JSON types.
        duplicates: The path and position of each second member with the same key. The last counts.
        positions: The position of each value, or empty if they were not asked for.
        scalars: The place of each scalar, or empty if they were not asked for.
    """

    value: Any
    duplicates: tuple[tuple[JsonPath, Position], ...]
    positions: dict[JsonPath, Position]
    scalars: dict[JsonPath, Scalar]


def read(text: str, *, positions: bool = False) -> YamlDocument:
    """Return the document in `text`, with positions if they are asked for.

    Raises:
        YamlDocumentError: If `text` is not a document of this subset.
    """
    builder = _Builder(keeps=positions)
    try:
        for event in _events(text):
            builder.take(event)
    except yaml.YAMLError as e:
        reason = str(getattr(e, "problem", None) or "not YAML")
        raise YamlDocumentError(f"is not YAML: {reason}", getattr(e, "problem_mark", None)) from e
    found = builder.documents
    if not found:
        raise YamlDocumentError("is empty")
    places = builder.positions, builder.scalars
    return YamlDocument(found[0], tuple(builder.duplicates), *places)


def replaced(text: str, scalar: Scalar, new: str) -> str | None:
    """Return the spelling of a new string in the style of a scalar, or None for a block scalar."""
    if scalar.style == "'" and new.isprintable():
        return "'" + new.replace("'", "''") + "'"
    if scalar.style is None and _PLAIN.fullmatch(new) and _is_text(new):
        return new
    return None if scalar.style in ("|", ">") else _quoted(new)


def _quoted(text: str) -> str:
    import json

    return json.dumps(text)


def _is_text(value: str) -> bool:
    """Return whether readers of YAML 1.1 and 1.2 take a plain scalar for a string."""
    tag: str = yaml.SafeLoader("").resolve(yaml.ScalarNode, value, (True, False))  # type: ignore[no-untyped-call]
    return tag.endswith(":str") and isinstance(_resolved(value), str)


def _events(text: str) -> Iterator[Any]:
    levels = 0
    event: Any
    for count, event in enumerate(yaml.parse(text, Loader=_LOADER)):
        if count > limits.JSON_VALUES:
            raise YamlDocumentError(f"has more than {limits.JSON_VALUES:,} values")
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            raise YamlDocumentError("an alias: a node in two places cannot be edited as one", mark)
        if getattr(event, "anchor", None) is not None:
            raise YamlDocumentError(f"the anchor &{event.anchor} is not supported", mark)
        if getattr(event, "tag", None) not in (None, "!"):
            raise YamlDocumentError(f"the tag {event.tag} is not supported", mark)
        if isinstance(event, yaml.CollectionStartEvent):
            levels += 1
            if levels > limits.REGISTRY_NESTING:
                raise YamlDocumentError("is nested too deeply", mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            levels -= 1
        yield event


@dataclass(slots=True)
class _Open:
    """A mapping or sequence that is being read."""

    value: Any
    location: JsonPath
    key: str | None = None


class _Builder:
    def __init__(self, *, keeps: bool) -> None:
        self._keeps = keeps
        self._stack: list[_Open] = []
        self.documents: list[Any] = []
        self.duplicates: list[tuple[JsonPath, Position]] = []
        self.positions: dict[JsonPath, Position] = {}
        self.scalars: dict[JsonPath, Scalar] = {}

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            value: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
            if self._is_key:
                raise YamlDocumentError("a key that is not a string", event.start_mark)
            location = self._add(value, event)
            self._stack.append(_Open(value, location))
        elif isinstance(event, yaml.CollectionEndEvent):
            self._stack.pop()
        elif isinstance(event, yaml.DocumentStartEvent) and self.documents:
            raise YamlDocumentError("has a second document", event.start_mark)

    @property
    def _is_key(self) -> bool:
        top = self._stack[-1] if self._stack else None
        return top is not None and isinstance(top.value, dict) and top.key is None

    def _scalar(self, event: Any) -> None:
        if not self._is_key:
            style = event.style or None  # the C parser has an empty style for plain scalars
            value = event.value if style else _resolved(event.value)
            location = self._add(value, event)
            if self._keeps:
                start, end = event.start_mark.index, event.end_mark.index
                self.scalars[location] = Scalar(start, end, style)
            return
        top = self._stack[-1]
        if event.value == "<<" and not event.style:
            raise YamlDocumentError("a merge key (<<) is not supported", event.start_mark)
        top.key = event.value
        if event.value in top.value:
            mark = event.start_mark
            place = Position(mark.line + 1, mark.column + 1)
            self.duplicates.append(((*top.location, event.value), place))

    def _add(self, value: Any, event: Any) -> JsonPath:
        """Add a value to the open mapping or sequence, and return its location."""
        if not self._stack:
            self.documents.append(value)
            location: JsonPath = ()
        else:
            top = self._stack[-1]
            if isinstance(top.value, list):
                key: str | int = len(top.value)
                top.value.append(value)
            else:
                assert top.key is not None
                key, top.key = top.key, None
                top.value[key] = value
            is_needed = self._keeps or not isinstance(event, yaml.ScalarEvent)
            location = (*top.location, key) if is_needed else ()
        if self._keeps:
            mark = event.start_mark
            self.positions[location] = Position(mark.line + 1, mark.column + 1)
        return location


def _resolved(text: str) -> Any:
    """Return the value of a plain scalar."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text) and len(text) <= _MAX_DIGITS:
        return int(text)
    if _FLOAT.fullmatch(text) and repr(float(text)) == text:
        return float(text)
    return text


def plain(value: object) -> str | None:
    """Return the spelling of a boolean or a whole number, or None for another value."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else None
