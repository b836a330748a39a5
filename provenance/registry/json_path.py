# SPDX-License-Identifier: Apache-2.0
"""Select nodes of a document with a subset of JSONPath (RFC 9535).

The subset has names, wildcards and filters, and no descendants (`..`), indices, slices, functions
or parentheses. So each step visits a node once, and the cost of a path is its number of steps times
the number of nodes (docs/adr/0025-indexes-of-any-shape.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, NoReturn, TypeAlias

from provenance.artifacts.documents.strict_json import JsonPath
from provenance.frozen import dataclass

MAX_LENGTH: Final = 512
"""Characters of a path."""

MAX_STEPS: Final = 16
"""Steps of a path."""


@dataclass(frozen=True, slots=True)
class Node:
    """A value of a document.

    Attributes:
        location: The keys and indices that lead to it.
        value: The value.
    """

    location: JsonPath
    value: Any


class JsonPathError(ValueError):
    """The text is not a path of the subset.

    Attributes:
        help: How to write it, or None.
    """

    def __init__(self, message: str, help: str | None = None) -> None:
        super().__init__(message)
        self.help = help


@dataclass(frozen=True, slots=True)
class Names:
    """A step to the members of an object with these names, in this order."""

    names: tuple[str, ...]

    def below(self, node: Node) -> Iterator[Node]:
        """Yield the nodes that the step selects."""
        if isinstance(node.value, dict):
            for name in self.names:
                if name in node.value:
                    yield Node((*node.location, name), node.value[name])


@dataclass(frozen=True, slots=True)
class Wildcard:
    """A step to all members of an object or elements of an array."""

    def below(self, node: Node) -> Iterator[Node]:
        """Yield the nodes that the step selects."""
        for key, value in _children(node.value):
            yield Node((*node.location, key), value)


@dataclass(frozen=True, slots=True)
class Filter:
    """A step to the children for which all conditions of one alternative hold."""

    alternatives: tuple[tuple[Condition, ...], ...]

    def below(self, node: Node) -> Iterator[Node]:
        """Yield the nodes that the step selects."""
        for key, value in _children(node.value):
            if any(all(c.holds(value) for c in every) for every in self.alternatives):
                yield Node((*node.location, key), value)


@dataclass(frozen=True, slots=True)
class Condition:
    """A test of one value of a child: that it exists, or that it equals a literal.

    Attributes:
        names: The path of the value below the child.
        negated: Whether the value must be missing, or differ.
        literal: The literal in a tuple, or None to test only whether the value exists.
    """

    names: tuple[str, ...]
    negated: bool
    literal: tuple[Any] | None

    def holds(self, value: Any) -> bool:
        """Return whether the condition holds for a child."""
        for name in self.names:
            if not isinstance(value, dict) or name not in value:
                return self.negated  # a missing value equals no literal
            value = value[name]
        found = self.literal is None or _equal(value, self.literal[0])
        return found is not self.negated


Step: TypeAlias = Names | Wildcard | Filter


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path."""

    text: str
    steps: tuple[Step, ...]

    def select(self, node: Node) -> list[Node]:
        """Return the selected nodes below `node`, each once, in the order of RFC 9535."""
        nodes = [node]
        for step in self.steps:
            nodes = [found for one in nodes for found in step.below(one)]
        return nodes

    @property
    def is_singular(self) -> bool:
        """Whether it selects at most one node."""
        return all(isinstance(step, Names) and len(step.names) == 1 for step in self.steps)


def normalized(location: Iterable[str | int]) -> str:
    """Return the normalized path of a location (RFC 9535, section 2.7)."""
    return "$" + "".join(
        f"[{step}]" if isinstance(step, int) else f"['{_escaped(step)}']" for step in location
    )


@lru_cache(maxsize=256)
def parse(text: str) -> Path:
    """Return the path in `text`.

    Raises:
        JsonPathError: If it is not a path of the subset.
    """
    if len(text) > MAX_LENGTH:
        raise JsonPathError(f"a path of {len(text):,} characters; at most {MAX_LENGTH} are read")
    return _Parser(text).path()


class _Parser:
    """Reads one path from left to right, and reports the column of what it does not expect."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def path(self) -> Path:
        if not self._takes("$"):
            raise JsonPathError(
                f"{self._text[:80]!r}: a path begins with $", f'For example: "$.{self._text[:80]}"'
            )
        steps: list[Step] = []
        while self._at < len(self._text):
            steps.append(self._step())
            if len(steps) > MAX_STEPS:
                raise JsonPathError(f"a path of more than {MAX_STEPS} steps")
        return Path(self._text, tuple(steps))

    def _step(self) -> Step:
        self._blanks()
        if self._looks_at(".."):
            self._refuse("`..` is not supported", "Write each step, with * for any name.")
        if self._takes("."):
            return Wildcard() if self._takes("*") else Names((self._name(),))
        if not self._takes("["):
            self._refuse("expected `.name` or `[`", _IN_QUOTES)
        self._blanks()
        step: Step
        if self._takes("*"):
            step = Wildcard()
        elif self._takes("?"):
            step = self._filter()
        else:
            step = self._names()
        self._blanks()
        if not self._takes("]"):
            self._refuse("expected `]`")
        return step

    def _name(self) -> str:
        start = self._at
        found = self._matches(_NAME)
        if found is None:
            self._refuse("expected a name", _IN_QUOTES)
        if self._looks_at("("):
            self._refuse("functions are not supported", at=start)
        return found

    def _names(self) -> Names:
        names: list[str] = []
        while True:
            self._blanks()
            start = self._at
            if self._matches(_NUMBER) is not None or self._looks_at(":"):
                help = "Rows move within a list. Select them by a value: [?@.name == 'x']."
                self._refuse("elements of a list are not selected by number", help, start)
            name = self._string()
            if name is None:
                self._refuse("expected a name in quotes, `*` or `?`")
            if name in names:
                self._refuse("the name occurs twice", at=start)
            names.append(name)
            self._blanks()
            if not self._takes(","):
                return Names(tuple(names))

    def _filter(self) -> Filter:
        alternatives = [self._every()]
        while self._takes("||"):
            alternatives.append(self._every())
        return Filter(tuple(alternatives))

    def _every(self) -> tuple[Condition, ...]:
        conditions = [self._condition()]
        while self._takes("&&"):
            conditions.append(self._condition())
        return tuple(conditions)

    def _condition(self) -> Condition:
        self._blanks()
        negated = self._takes("!")
        self._blanks()
        if self._looks_at("("):
            self._refuse("parentheses are not supported", "Write a && b || c && d.")
        literal = None if negated else self._literal()
        if literal is not None:  # 'x' == @.a
            equals = self._operator()
            if equals is None:
                self._refuse("expected == or !=")
            self._blanks()
            names = self._query()
        else:
            start = self._at
            names = self._query()
            equals = None if negated else self._operator()
            if equals is not None:
                self._blanks()
                literal = self._literal()
                if literal is None:
                    self._refuse("expected a string, a whole number, true, false or null")
            elif not names:
                self._refuse("expected a member, such as @.name", at=start)
        self._blanks()
        return Condition(names, negated if equals is None else not equals, literal)

    def _query(self) -> tuple[str, ...]:
        start = self._at
        if not self._takes("@"):
            if self._matches(_NAME) is not None and self._looks_at("("):
                self._refuse("functions are not supported", at=start)
            self._refuse("expected `@`", "A condition looks like @.kind == 'model'.", start)
        names: list[str] = []
        while self._looks_at((".", "[")):
            step = self._step()
            if not isinstance(step, Names) or len(step.names) != 1:
                self._refuse("a condition needs the path of a single value")
            names.append(step.names[0])
        return tuple(names)

    def _operator(self) -> bool | None:
        """Return whether the next operator is ==, or None without an operator."""
        self._blanks()
        if self._takes("=="):
            return True
        if self._takes("!="):
            return False
        if self._looks_at(("<", ">", "=")):
            self._refuse("only == and != are supported")
        return None

    def _literal(self) -> tuple[Any] | None:
        """Return the next literal in a tuple, or None."""
        text = self._string()
        if text is not None:
            return (text,)
        number = self._matches(_NUMBER)
        if number is not None:
            if self._looks_at((".", "e", "E")):
                self._refuse("only whole numbers are supported")
            return (int(number),)
        word = self._matches(_WORD)
        return None if word is None else ({"true": True, "false": False, "null": None}[word],)

    def _string(self) -> str | None:
        start = self._at
        found = self._matches(_STRING)
        if found is None:
            if self._looks_at(("'", '"')):
                self._refuse("not a valid string")
            return None
        quote, inner = found[0], found[1:-1]
        if quote == "'":  # JSON escapes the other quote
            inner = re.sub(r"\\(.)|\"", _as_json, inner, flags=re.DOTALL)
        try:
            text: str = json.loads(f'"{inner}"')
            text.encode("utf-8")  # refuses lone surrogates
        except (ValueError, UnicodeEncodeError):
            self._refuse("not a valid string", at=start)
        return text

    def _blanks(self) -> None:
        self._matches(_BLANKS)

    def _looks_at(self, text: str | tuple[str, ...]) -> bool:
        return self._text.startswith(text, self._at)

    def _takes(self, text: str) -> bool:
        found = self._looks_at(text)
        self._at += len(text) if found else 0
        return found

    def _matches(self, pattern: re.Pattern[str]) -> str | None:
        match = pattern.match(self._text, self._at)
        if match is None:
            return None
        self._at = match.end()
        return match[0]

    def _refuse(self, reason: str, help: str | None = None, at: int | None = None) -> NoReturn:
        at = self._at if at is None else at
        rest = repr(self._text[at : at + 20]) if at < len(self._text) else "the end"
        raise JsonPathError(f"{self._text!r}, column {at + 1}, at {rest}: {reason}", help)


_IN_QUOTES: Final = "Write names with other characters in quotes: ['a-b']."


def _children(value: Any) -> Iterable[tuple[str | int, Any]]:
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()


def _equal(value: Any, literal: Any) -> bool:
    """Return whether a value equals a literal: 1 equals 1.0, and true does not equal 1."""
    if isinstance(value, bool) or isinstance(literal, bool):
        return value is literal
    if isinstance(value, (int, float)) and isinstance(literal, int):
        return value == literal
    return type(value) is type(literal) and value == literal


def _as_json(match: re.Match[str]) -> str:
    if match[0] == '"':
        return '\\"'
    # \" is no escape in single quotes, and \' is no escape in JSON.
    return {"'": "'", '"': "\\?"}.get(match[1], match[0])


def _escaped(name: str) -> str:
    return "".join(_ESCAPES.get(c) or (f"\\u{ord(c):04x}" if c < " " else c) for c in name)


_ESCAPES: Final[Mapping[str, str]] = {
    "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", "'": "\\'", "\\": "\\\\",
}  # fmt: skip
_NAME: Final = re.compile(r"[A-Za-z_\u0080-\ud7ff\ue000-\U0010ffff][\w\u0080-\U0010ffff]*", re.A)
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?![0-9])")
_WORD: Final = re.compile(r"(?:true|false|null)(?![\w\u0080-\U0010ffff])", re.A)
_STRING: Final = re.compile(
    r"'(?:[^'\\\x00-\x1f]|\\[^\x00-\x1f])*+'|\"(?:[^\"\\\x00-\x1f]|\\[^\x00-\x1f])*+\""
)
_BLANKS: Final = re.compile(r"[ \t\n\r]*")
