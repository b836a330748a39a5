# SPDX-License-Identifier: Apache-2.0
"""Which tests run which lines of the rules, and which of them a mutant is given, in which order."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Final

from tests.mutation.mutants import RULES, Mutant


@dataclass(frozen=True)
class Ran:
    """What one test did.

    Attributes:
        lines: The lines of rules that it ran, by file.
        codes: The rules that it names.
    """

    seconds: float
    lines: Mapping[str, frozenset[int]]
    codes: frozenset[str]


@dataclass
class Reach:
    """What every test did, by its id; `killers` are those that have refused a mutant of a file."""

    tests: Mapping[str, Ran]
    killers: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))

    def killed(self, mutant: Mutant, test: str) -> None:
        """Remember which test it was: it is likely to refuse the next one of the file too."""
        known = self.killers[mutant.path]
        known[test] = known.get(test, 0) + 1

    def of(self, mutant: Mutant) -> list[str]:
        """The tests that run the line of a mutant, the likeliest to refuse it first.

        A line of a class or a module is run on import, when no test runs: these are given the
        tests that run any line of that class, or of the module.
        """
        place = _place(ast.parse((RULES / mutant.path).read_text("utf-8")), mutant.line)
        reached = {
            test: lines.intersection(place.scope)
            for test, ran in self.tests.items()
            if not (lines := ran.lines.get(mutant.path, frozenset())).isdisjoint(place.span)
        }
        declared = [t for t in self.tests if place.declares and t.startswith(DECLARATIONS)]
        known = self.killers[mutant.path]
        proven = sorted((t for t in reached if t in known), key=lambda t: -known[t])[:_PROVEN]
        about = [t for t in reached if self.tests[t].codes & place.codes]
        return list(
            dict.fromkeys(
                [
                    *declared,
                    *proven,
                    *self._in_turn(reached, about),
                    *self._in_turn(reached, reached),
                ]
            )
        )

    def _in_turn(self, reached: Mapping[str, frozenset[int]], tests: Iterable[str]) -> list[str]:
        """One test of each kind after another: those that run the same lines see the same."""
        kinds: dict[frozenset[int], list[str]] = defaultdict(list)
        for test in sorted(tests, key=lambda t: (-len(reached[t]), self.tests[t].seconds)):
            kinds[reached[test]].append(test)
        return [t for layer in zip_longest(*kinds.values()) for t in layer if t is not None]


LONGEST: Final = 2_000
"""More lines than any file of rules has."""

CODE: Final = re.compile(r"\b[A-Z]{3}[0-9]{3}\b")
_PROVEN: Final = 25
DECLARATIONS: Final = (
    "tests/gate/test_scope.py",
    "tests/docs/test_generated.py::test_the_pages_of_rules",
    "tests/output/test_catalogue.py",
)
"""Tests of what classes declare, which run no line of theirs."""


@dataclass(frozen=True)
class _Place:
    """Where a line is.

    Attributes:
        span: The lines of its statement: all of a simple one, of a compound one its head. Outside
            of functions, those of the scope.
        scope: The lines of the function, class or module that it is in.
        declares: Whether it is outside of functions.
        codes: The code of the rule that it is in, if it is in one.
    """

    span: range
    scope: range
    declares: bool
    codes: frozenset[str]


def _place(tree: ast.Module, line: int) -> _Place:
    scope = range(1, LONGEST)
    codes: frozenset[str] = frozenset()
    around = list(_statements(tree, line))
    for node in around:
        whole = range(node.lineno, _end(node))
        if isinstance(node, ast.FunctionDef):
            return _Place(whole if node is around[-1] else _head(around[-1]), whole, False, codes)
        if isinstance(node, ast.ClassDef):
            scope = whole
            codes = frozenset(CODE.findall("\n".join(map(ast.unparse, node.body[1:3]))))
    lambdas = [n for n in ast.walk(around[-1]) if isinstance(n, ast.Lambda)]
    for function in lambdas:
        if line in (lines := range(function.lineno, _end(function))):
            return _Place(lines, scope, False, codes)
    return _Place(scope, scope, True, codes)


def _statements(tree: ast.AST, line: int) -> Iterator[ast.stmt]:
    for node in ast.iter_child_nodes(tree):
        inside = getattr(node, "lineno", 1) <= line <= (getattr(node, "end_lineno", line) or line)
        if inside:
            if isinstance(node, ast.stmt):
                yield node
            yield from _statements(node, line)


def _head(node: ast.stmt) -> range:
    body: Sequence[ast.stmt] = getattr(node, "body", [])
    return range(node.lineno, body[0].lineno if body else _end(node))


def _end(node: ast.stmt | ast.expr) -> int:
    assert node.end_lineno is not None
    return node.end_lineno + 1


def relative(file: str) -> str:
    """The path of a file of rules as mutants have it."""
    return str(Path(file).relative_to(RULES))
