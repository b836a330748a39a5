# SPDX-License-Identifier: Apache-2.0
"""The mutants of a file: each is one change, by one operator, at one place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

from tests.mutation.operators import Operator, operators

ROOT: Final = Path(__file__).resolve().parents[2]
RULES: Final = ROOT / "provenance" / "gate" / "rules"

_WORDS: Final = ("fstring", "decorator")
"""What is left as it is: the words of messages, and decorators. So is `strict=`, an assertion."""

_CUT: Final = 40
"""A slice to so many or more is where a text of a message is cut; so is such a limit of `shown`."""

_NOT_ARITHMETIC: Final = ("parameters", "param", "argument", "star_expr", "testlist_star_expr")
"""Where a star is no product."""


@dataclass(frozen=True)
class Mutant:
    """A change of one line.

    Attributes:
        path: The file, relative to the folder of rules.
        line: The number of the line, counted from 1.
        operator: Its name.
        occurrence: Which of the places that the operator finds in the file.
        was: The line as it is.
    """

    path: str
    line: int
    operator: str
    occurrence: int
    was: str

    def source(self) -> str:
        """The whole file with the change."""
        found = mutate_code((RULES / self.path).read_text("utf-8"), _OPERATORS[self.operator],
                            self.occurrence)  # fmt: skip
        assert isinstance(found, str), self
        return found

    def becomes(self, source: str) -> str:
        """The line with the change, given the source with it."""
        old = (RULES / self.path).read_text("utf-8").splitlines()
        new = source.splitlines()
        # Where the change is on a later line than its node begins, that line is the one.
        place = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), 0)
        return new[place].strip()


def mutants(path: Path) -> Sequence[Mutant]:
    """The mutants of one file, in the order of its lines."""
    source = path.read_text("utf-8")
    nodes, lines = list(ast_nodes(get_ast(source))), source.splitlines()
    name = str(path.relative_to(RULES))
    found = [
        Mutant(name, line, operator, occurrence, lines[line - 1].strip())
        for operator, how in _OPERATORS.items()
        for occurrence, (node, line) in enumerate(_places(nodes, how))
        if not _is_left(node)
    ]
    return sorted(found, key=lambda m: (m.line, m.operator, m.occurrence))


def _places(nodes: Sequence[Any], operator: Operator) -> Iterator[tuple[Any, int]]:
    for node in nodes:
        for (line, _), _ in operator.mutation_positions(node):
            yield node, line


def _is_left(node: Any) -> bool:
    """Whether the node is part of words, or of an annotation, which is never evaluated."""
    if node.type == "operator" and node.parent.type in _NOT_ARITHMETIC:
        return True
    if node.type == "number" and (node.parent.type in ("subscript", "sliceop") or _is_shown(node)):
        return int(node.value) >= _CUT
    child, parent = node, node.parent
    while parent is not None:
        annotation = (parent.type == "annassign" and child is parent.children[1]) or (
            parent.type == "tfpdef" and child is parent.children[-1]
        )
        returned = parent.type == "funcdef" and child is parent.annotation
        strict = parent.type == "argument" and parent.children[0].get_code().strip() == "strict"
        if parent.type in _WORDS or annotation or returned or strict:
            return True
        child, parent = parent, parent.parent
    return False


def _is_shown(node: Any) -> bool:
    called = node.parent.parent.get_previous_leaf() if node.parent.type == "arglist" else None
    return called is not None and called.value == "shown"


_OPERATORS: Final = operators()
