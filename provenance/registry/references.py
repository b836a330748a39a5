# SPDX-License-Identifier: Apache-2.0
"""References: where a mapping finds a value of a row or of a file in an index.

The first character determines the kind: `$` is a path below the node, `~` the key of the node (`~1`
the key above it), a string with braces is a template, and any other string is the name of a member.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any, Final, Protocol
from urllib.parse import unquote, urlsplit

from provenance.artifacts.documents.strict_json import JsonPath, same, type_name
from provenance.frozen import dataclass
from provenance.registry.json_path import JsonPathError, Node, Path, parse

MAX_KEY: Final = 9
"""The highest key above a node that `~9` names."""

INDEX_WORD: Final = "index"
"""The word of a template that stands for the path of the index file."""

PARTS: Final = ("name", "stem", "folder")


class MappingError(ValueError):
    """A mapping that is not valid, or does not fit the index.

    Attributes:
        help: How to correct it, or None.
    """

    def __init__(self, message: str, help: str | None = None) -> None:
        super().__init__(message)
        self.help = help


@dataclass(frozen=True, slots=True)
class Found:
    """A value of an index.

    Attributes:
        value: The value.
        location: Where it is, or None if it was made of a template or a key: it cannot be edited.
    """

    value: Any
    location: JsonPath | None = None


class AmbiguousError(ValueError):
    """A path selects different values, so a row has no single one.

    Attributes:
        found: The selected values.
    """

    def __init__(self, found: list[Node]) -> None:
        super().__init__("several different values")
        self.found = found


Words = Callable[[str], "str | None"]
"""Returns the value of a word of a template for the current row, or None if it has no value."""


class Reference(Protocol):
    """Where a value is found."""

    @property
    def words(self) -> tuple[str, ...]:
        """The words of this project that it needs."""

    def find(self, node: Node, words: Words) -> Found | None:
        """Return the value for `node`, or None if it says nothing.

        Raises:
            AmbiguousError: If a path selects different values.
            MappingError: If the node has no such key.
        """


@dataclass(frozen=True, slots=True)
class Member:
    """The member of the node with a name."""

    name: str
    words: tuple[str, ...] = ()

    def find(self, node: Node, words: Words) -> Found | None:
        """Return the value of the member."""
        value = node.value.get(self.name) if isinstance(node.value, dict) else None
        return None if is_silent(value) else Found(value, (*node.location, self.name))


@dataclass(frozen=True, slots=True)
class Below:
    """The value that a path selects below the node."""

    path: Path
    words: tuple[str, ...] = ()

    def find(self, node: Node, words: Words) -> Found | None:
        """Return the selected value. Equal values count as one."""
        said = [n for n in self.path.select(node) if not is_silent(n.value)]
        if not said:
            return None
        if any(not same(said[0].value, other.value) for other in said[1:]):
            raise AmbiguousError(said)
        return Found(said[0].value, said[0].location)


@dataclass(frozen=True, slots=True)
class Key:
    """The key of the node (0), or a key above it."""

    level: int
    words: tuple[str, ...] = ()

    def find(self, node: Node, words: Words) -> Found | None:
        """Return the key."""
        name = "~" if not self.level else f"~{self.level}"
        if self.level >= len(node.location):
            raise MappingError(f"{name}: there is no key that far above")
        key = node.location[-1 - self.level]
        if isinstance(key, int):
            raise MappingError(
                f"{name} is a key, and this is an element of a list",
                'Name a member of the row, such as "name", or a key further above: {~1}.',
            )
        return None if is_silent(key) else Found(key)


@dataclass(frozen=True, slots=True)
class _Word:
    """A word of this project in a template."""

    name: str

    @property
    def words(self) -> tuple[str, ...]:
        return (self.name,)

    def find(self, node: Node, words: Words) -> Found | None:
        value = words(self.name)
        return None if value is None else Found(value)


@dataclass(frozen=True, slots=True)
class _Placeholder:
    """A reference in braces, with the parts of its value that are taken one after the other."""

    reference: Reference
    parts: tuple[str, ...]

    def text(self, node: Node, words: Words) -> str | None:
        found = self.reference.find(node, words)
        if found is None:
            return None
        value = as_text(found.value)
        for part in self.parts:
            value = part_of(value, part)
        return value


@dataclass(frozen=True, slots=True)
class Template:
    """A string with placeholders. It says nothing if one of them says nothing."""

    pieces: tuple[str | _Placeholder, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """The words of this project that it needs."""
        return tuple(w for p in self.pieces if not isinstance(p, str) for w in p.reference.words)

    @property
    def needs_node(self) -> bool:
        """Whether a placeholder reads the index itself, so that it cannot be a default."""
        placeholders = (p for p in self.pieces if not isinstance(p, str))
        return any(not isinstance(p.reference, _Word) for p in placeholders)

    def reversed(self, text: str) -> tuple[Reference, str] | None:
        """Return the member that a row has to have so that the template gives `text`.

        This is a guess for a path whose last segment is the only thing that the row says, and None
        for any other template. Callers fill the template in to see whether it is right.
        """
        own = [p for p in self.pieces if isinstance(p, _Placeholder)]
        own = [p for p in own if not isinstance(p.reference, _Word)]
        if len(own) != 1 or own[0].parts:
            return None
        at = self.pieces.index(own[0])
        behind = self.pieces[at + 1 :]
        ending = "".join(piece for piece in behind if isinstance(piece, str))
        if any(not isinstance(piece, str) for piece in behind) or not text.endswith(ending):
            return None
        rest = text[: len(text) - len(ending)] if ending else text
        before = self.pieces[at - 1] if at else ""
        is_segment = isinstance(before, str) and before.endswith("/")
        return own[0].reference, rest.rpartition("/")[2] if is_segment else rest

    def find(self, node: Node, words: Words) -> Found | None:
        """Return the string with all placeholders filled in."""
        texts: list[str] = []
        for piece in self.pieces:
            text = piece if isinstance(piece, str) else piece.text(node, words)
            if text is None:
                return None
            texts.append(text)
        return Found("".join(texts))


def reference(text: str, words: Collection[str]) -> Reference:
    """Return the reference in `text`. A template may use `words` and `index`.

    Raises:
        MappingError: If it is not valid.
    """
    if text.startswith("$"):
        return Below(_path(text))
    if _KEY.fullmatch(text):
        return Key(int(text[1:] or 0))
    if text.startswith("~"):
        raise MappingError(f"{text!r:.80}: keys are ~, and ~1 to ~{MAX_KEY} above it")
    return template(text, words) if "{" in text or "}" in text else Member(text)


def template(text: str, words: Collection[str]) -> Template:
    """Return the template in `text`. A text without braces is one too.

    Raises:
        MappingError: If it is not valid.
    """
    pieces: list[str | _Placeholder] = []
    for literal, inside in _pieces(text):
        if literal:
            pieces.append(literal)
        if inside is not None:
            pieces.append(_placeholder(inside, words))
    return Template(tuple(pieces))


def _pieces(text: str) -> list[tuple[str, str | None]]:
    """Return each literal with the placeholder behind it. Braces in quotes belong to a path."""
    found: list[tuple[str, str | None]] = []
    end = 0
    for match in _BRACES.finditer(text):
        found.append((text[end : match.start()], match[1]))
        end = match.end()
    found.append((text[end:], None))
    if any(set("{}") & set(literal) for literal, _ in found):
        raise MappingError(f"{text!r:.80}: a brace without its counterpart")
    return found


def _placeholder(inside: str, words: Collection[str]) -> _Placeholder:
    source, *parts = [part.strip() for part in _PARTS.findall(inside)] or [""]
    for part in parts:
        if part not in PARTS:
            raise MappingError(
                f"{{{inside[:80]}}}: a part is one of {', '.join(PARTS)}", near(part, PARTS)
            )
    if source.startswith(("$", "~")):
        return _Placeholder(reference(source, ()), tuple(parts))
    if source != INDEX_WORD and source not in words:
        raise MappingError(
            f"{{{source[:80]}}} is not a field of this project",
            near(source, words, "{%s}")
            or f"For a member of the row, write {{$.{source[:80]}}}. "
            f"Fields: {', '.join(sorted((*words, INDEX_WORD)))}.",
        )
    return _Placeholder(_Word(source), tuple(parts))


def near(text: str, known: Collection[str], shape: str = "%s") -> str | None:
    """Return a help that names the nearest known word, or None."""
    import difflib

    found = difflib.get_close_matches(text, known, 1, 0.7)
    return f"Did you mean `{shape % found[0]}`?" if found else None


def _path(text: str) -> Path:
    try:
        return parse(text)
    except JsonPathError as e:
        raise MappingError(str(e), e.help) from e


def is_silent(value: object) -> bool:
    """Return whether a value says nothing: null, or a string without a letter or digit."""
    return value is None or (isinstance(value, str) and not any(map(str.isalnum, value)))


def as_text(value: object) -> str:
    """Return a string, or a whole number in decimal digits.

    Raises:
        MappingError: If it is another value.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise MappingError(f"a template needs a string, and found {type_name(value)}")


def part_of(text: str, part: str) -> str:
    """Return the last segment of a path or address, the same without suffix, or its folder.

    The folder of a single segment is ".".
    """
    if "://" in text:
        text = unquote(urlsplit(text).path).lstrip("/")
    folder, _, name = text.rstrip("/").rpartition("/")
    if part == "folder":
        return folder or "."
    return name if part == "name" else name[: name.rfind(".")] if "." in name[1:] else name


_KEY: Final = re.compile(rf"~[1-{MAX_KEY}]?")
_BRACES: Final = re.compile(r"\{((?:[^{}'\"]|'[^']*'|\"[^\"]*\")*+)\}")
_PARTS: Final = re.compile(r"(?:[^|'\"]|\|\||'[^']*'|\"[^\"]*\")++")
