# SPDX-License-Identifier: Apache-2.0
"""The fields of nodes that are alike, and how the configuration refers to them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

from provenance.frozen import dataclass
from provenance.operations.adoption.outline import Outline, Pattern
from provenance.registry.json_path import MAX_LENGTH, normalized
from provenance.registry.references import is_silent

Names: TypeAlias = tuple[str, ...]


@dataclass(frozen=True)
class Column:
    """The values of one field of nodes that are alike.

    Attributes:
        names: The names that lead from the node to the value; empty for the node itself.
        values: The value of each node, or None.
        is_mixed: Whether some nodes have an object or a list there.
    """

    names: Names
    values: tuple[Any, ...]
    is_mixed: bool = False

    @property
    def said(self) -> list[Any]:
        """The values that say something."""
        return [value for value in self.values if not is_silent(value)]

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the last name, in lower case."""
        return words_of(self.names[-1]) if self.names else ()


@dataclass(frozen=True)
class Line:
    """A key of a table, with its value and the comment behind it."""

    key: str
    value: str
    comment: str = ""


def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a name in `snake_case`, `camelCase` or `kebab-case`, in lower case."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name[:200])
    return tuple(word for word in re.split(r"[^A-Za-z0-9]+", parted.lower()) if word)


def stem(names: Names) -> str:
    """Return the last of `names` without the words that say what kind of value it has."""
    words = words_of(names[-1]) if names else ()
    return "_".join(word for word in words if word not in _KINDS)


def plain(name: str) -> str:
    """Return a name in lower case with single underscores between its words."""
    return "_".join(words_of(name))


def path_text(names: Iterable[str]) -> str:
    """Return the path of the value that `names` lead to."""
    return "$" + "".join(f".{n}" if _PLAIN.fullmatch(n) else f"[{in_quotes(n)}]" for n in names)


def reference(names: Names) -> str:
    """Return the reference to the value that `names` lead to."""
    if len(names) == 1 and not names[0].startswith(("$", "~")) and not set("{}") & set(names[0]):
        return names[0]
    return path_text(names)


def is_literal(name: str) -> bool:
    """Return whether a name can be part of a template as it is."""
    return not set("{}") & set(name) and name.isprintable() and "\\" not in name


def in_quotes(name: str) -> str:
    """Return a name in the quotes of a path."""
    return normalized((name,))[2:-1]


def is_expressible(pattern: Pattern) -> bool:
    """Return whether a path with these steps is short enough for a reference."""
    return sum(len(step) + 6 for step in pattern if isinstance(step, str)) < MAX_LENGTH // 2


def columns(outline: Outline, node: Pattern, places: Sequence[tuple[int, Any]]) -> list[Column]:
    """Return the fields of the nodes at a pattern, each with a value for each of `places`."""
    found: list[Column] = []
    numbers = {place: number for number, place in enumerate(places)}
    for pattern, items in outline.leaves.items():
        rest = pattern[len(node) :]
        names = tuple(step for step in rest if isinstance(step, str))
        if pattern[: len(node)] != node or len(names) != len(rest) or not is_expressible(rest):
            continue
        values: list[Any] = [None] * len(places)
        for item in items:
            number = numbers.get(item.place(len(item.location) - len(rest)))
            if number is not None:
                values[number] = item.value
        if any(not is_silent(value) for value in values):
            mixed = pattern in outline.records or (*pattern, None) in outline.nodes
            found.append(Column(names, tuple(values), mixed))
    return found


_KINDS: Final = frozenset(
    (
        *("path", "file", "filename", "name", "url", "sha", "sha256", "sha1", "sha384", "sha512"),
        *("md5", "digest", "checksum", "hash", "bytes", "size", "sum"),
    )
)


_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
