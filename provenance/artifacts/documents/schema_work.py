# SPDX-License-Identifier: Apache-2.0
"""The state of an evaluation of a schema: violations, remaining work, and resolved references.

References to other documents are not followed.
"""

from __future__ import annotations

import json
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

from provenance.artifacts.documents import pattern_syntax, strict_json
from provenance.artifacts.documents.linear_pattern import Pattern
from provenance.artifacts.documents.pattern_syntax import PatternError
from provenance.artifacts.documents.strict_json import JsonPath
from provenance.frozen import dataclass

VIOLATIONS: Final = 1_000
"""Violations after which the evaluation stops."""

SHOWN: Final = 60
"""Characters of a value in a message, and number of parts that are listed as not evaluated."""

Outcome: TypeAlias = bool | None
"""Whether a value is valid, or None if that was not evaluated."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A value that the schema does not allow.

    Attributes:
        path: The path of the value.
        keyword: The keyword that does not allow it.
        where: The location of the keyword in the schema.
        says: The message, which follows the name of the value.
        help: What to do.
        member: The key that is missing or not allowed, or None.
    """

    path: JsonPath
    keyword: str
    where: str
    says: str
    help: str
    member: str | None = None


class StoppedError(Exception):
    """The evaluation stops, because a limit is exceeded."""


class UnresolvedError(Exception):
    """A reference cannot be resolved in this document. The message says why."""


class Work:
    """The state of one evaluation: violations, parts that are not evaluated, and steps left."""

    def __init__(self, schema: Any, draft: str, steps: int) -> None:
        self.root = schema
        self.draft = draft
        self.violations: list[Violation] = []
        self.unevaluated: dict[str, None] = {}
        self.silent = 0
        self._left = steps
        self._patterns: dict[str, Pattern | None] = {}
        self._enums: dict[int, frozenset[Any]] = {}
        self._active: set[tuple[int, JsonPath]] = set()
        self._targets: dict[str, tuple[Any, str]] = {}
        self._anchors: dict[str, tuple[Any, str]] | None = None

    def key(self, value: Any) -> Any:
        """Return a key that is equal for equal JSON values: 1 and 1.0 are equal, 1 and true not."""
        self.spend()
        if isinstance(value, bool) or value is None:
            return (type(value), value)
        if isinstance(value, list):
            return tuple(map(self.key, value))
        if isinstance(value, dict):
            return frozenset((key, self.key(member)) for key, member in value.items())
        if isinstance(value, str):
            self.spend(len(value) // 100)
        return value

    def spend(self, steps: int = 1) -> None:
        """Use up steps. Raises StoppedError if none are left."""
        self._left -= steps
        if self._left < 0:
            self.unknown("it takes too many steps: the rest")
            raise StoppedError

    def unknown(self, what: str) -> Outcome:
        """Note a part of the schema that is not evaluated. Returns None."""
        if len(self.unevaluated) < SHOWN:
            self.unevaluated[what[:300]] = None
        return None

    def fail(
        self,
        path: JsonPath,
        where: str,
        keyword: str,
        says: str,
        help: str,
        member: str | None = None,
    ) -> bool:
        """Note a violation, except while alternatives are tried. Returns False."""
        if not self.silent:
            self.violations.append(Violation(path, keyword, where, says, help, member))
            if len(self.violations) >= VIOLATIONS:
                self.unknown(f"after {VIOLATIONS:,} violations: the rest")
                raise StoppedError
        return False

    def matches(self, text: Any, value: str, where: str) -> Outcome:
        """Return whether a value matches the pattern at a place in the schema."""
        if not isinstance(text, str):
            return self.unknown(f"{where} is not a pattern")
        if text not in self._patterns:
            try:
                self._patterns[text] = pattern_syntax.compile_pattern(text)
            except PatternError as e:
                self._patterns[text] = None
                self.unknown(f"the pattern at {where} {e}")
            self.spend(len(text) * 10)
        pattern = self._patterns[text]
        if pattern is None:
            return None
        before = pattern.cost
        matches = pattern.search(value)
        self.spend(pattern.cost - before)
        return matches

    def resolve(self, ref: Any) -> tuple[Any, str]:
        """Return the schema that a reference refers to, and its location.

        Raises:
            UnresolvedError: If the reference cannot be resolved in this document.
        """
        if not isinstance(ref, str):
            raise UnresolvedError("not a reference")
        known = self._targets.get(ref)
        if known is None:
            known = self._targets[ref] = self._resolve(ref)
        return known

    def _resolve(self, ref: str) -> tuple[Any, str]:
        document, _, fragment = ref.partition("#")
        own = self.root.get("$id", self.root.get("id")) if isinstance(self.root, dict) else None
        if document and document != str(own).partition("#")[0]:
            raise UnresolvedError("it refers to another document")
        anchors = self._known_anchors()
        fragment = unquote(fragment)
        if fragment and not fragment.startswith("/"):
            if fragment not in anchors:
                raise UnresolvedError("its target does not exist")
            return anchors[fragment]
        found = self.root
        for step in fragment.split("/")[1:]:
            self.spend()
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and key in found:
                found = found[key]
            elif isinstance(found, list) and key.isdecimal() and int(key[:9]) < len(found):
                found = found[int(key[:9])]
            else:
                raise UnresolvedError("its target does not exist")
        return found, f"#{fragment}"

    def _known_anchors(self) -> dict[str, tuple[Any, str]]:
        """Return the schemas with an anchor, by its name."""
        if self._anchors is None:
            self._anchors = {}
            left: list[tuple[Any, str]] = [(self.root, "#")]
            while left:
                at, where = left.pop()
                self.spend()
                if isinstance(at, dict):
                    self._name(at, where)
                    left += [
                        (v, f"{where}/{k}") for k, v in at.items() if k not in ("enum", "const")
                    ]
                elif isinstance(at, list):
                    left += [(v, f"{where}/{i}") for i, v in enumerate(at)]
        return self._anchors

    def _name(self, at: dict[str, Any], where: str) -> None:
        assert self._anchors is not None
        anchor = at.get("$anchor")
        if isinstance(anchor, str):
            self._anchors[anchor] = at, where
        own = at.get("id" if self.draft == "draft-04" else "$id")
        if isinstance(own, str) and at is not self.root:
            if own.startswith("#"):
                self._anchors[own[1:]] = at, where
            else:
                self.unknown(f"{where} is a document of its own (`$id`)")


def shown(value: Any) -> str:
    """Return a value as messages show it: scalars shortened, containers by their type."""
    if not isinstance(value, str | int | float | bool | None):
        return strict_json.type_name(value)
    text = repr(value) if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
