# SPDX-License-Identifier: Apache-2.0
"""The ways in which code is broken: those of Cosmic Ray that can change a verdict, and our own.

Operators that only make another type error of the same place (`<<` for `+`) are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

import cosmic_ray.plugins
import parso

Position = tuple[tuple[int, int], tuple[int, int]]
"""Line, counted from 1, and column of where a node begins and ends."""


class Operator(Protocol):
    """What Cosmic Ray takes for an operator. Nodes are those of parso."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        """One position for each way in which the node can be changed."""
        ...

    def mutate(self, node: Any, index: int) -> Any:
        """The node changed in one of these ways."""
        ...


_COMPARISONS: Final[Mapping[str, Sequence[str]]] = {
    "Eq": ("NotEq", "LtE", "GtE"),
    "NotEq": ("Eq", "Lt", "Gt"),
    "Lt": ("LtE", "GtE", "NotEq"),
    "LtE": ("Lt", "Gt", "Eq"),
    "Gt": ("GtE", "LtE", "NotEq"),
    "GtE": ("Gt", "Lt", "Eq"),
    "Is": ("IsNot",),
    "IsNot": ("Is",),
}
_ARITHMETIC: Final[Mapping[str, Sequence[str]]] = {
    "Add": ("Sub",),
    "Sub": ("Add",),
    "Mul": ("Div",),
    "Div": ("Mul",),
    "FloorDiv": ("Mul",),
    "Mod": ("Add",),
    "Pow": ("Mul",),
    "BitOr": ("BitAnd",),
    "BitAnd": ("BitOr",),
}
_OTHERS: Final = (
    *("AddNot", "ExceptionReplacer", "NumberReplacer", "ZeroIterationForLoop"),
    *("ReplaceAndWithOr", "ReplaceOrWithAnd", "ReplaceFalseWithTrue", "ReplaceTrueWithFalse"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak"),
    *("ReplaceUnaryOperator_Delete_Not", "ReplaceUnaryOperator_Delete_USub"),
)


class Membership:
    """`in` and `not in` for each other."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        if node.type == "comparison":
            for operator in self._operators(node):
                yield operator.start_pos, operator.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        chosen = list(self._operators(node))[index]
        place = node.children.index(chosen)
        other = "in" if chosen.type == "comp_op" else "not in"
        node.children[place] = parso.parse(f" {other}")
        return node

    def _operators(self, node: Any) -> Iterator[Any]:
        for operator in node.children[1::2]:
            if _spelled(operator) in ("in", "not in"):
                yield operator


class Identity:
    """Equality for identity: 1 equals `True` and is not it.

    Not where the other side is an attribute, nor of types: a member of an enumeration, a part of
    the evidence, or a type equals nothing but itself.
    """

    _EQUALITY: Final = {"is": "==", "is not": "!="}

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        if node.type == "comparison":
            for place in self._places(node):
                yield node.children[place].start_pos, node.children[place].end_pos

    def mutate(self, node: Any, index: int) -> Any:
        place = list(self._places(node))[index]
        equality = self._EQUALITY[_spelled(node.children[place])]
        node.children[place] = parso.parse(f" {equality}")
        return node

    def _places(self, node: Any) -> Iterator[int]:
        for place in range(1, len(node.children), 2):
            one, other = (node.children[n].get_code().strip() for n in (place - 1, place + 1))
            is_plain = other != "None" and not re.fullmatch(r"[\w.]+\.\w+", other)
            is_plain = is_plain and not one.startswith("type(")
            if _spelled(node.children[place]) in self._EQUALITY and is_plain:
                yield place


class NegatedCondition:
    """The contrary of what `AddNot` of Cosmic Ray leaves: `elif`, and the filter of a list."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        for place in self._conditions(node):
            yield node.children[place].start_pos, node.children[place].end_pos

    def mutate(self, node: Any, index: int) -> Any:
        place = list(self._conditions(node))[index]
        code = node.children[place].get_code(include_prefix=False)
        node.children[place] = parso.parse(f" not ({code})")
        return node

    def _conditions(self, node: Any) -> Iterator[int]:
        if node.type == "comp_if":
            yield 1
        elif node.type == "if_stmt":
            for place, child in enumerate(node.children):
                if child.type == "keyword" and child.value == "elif":
                    yield place + 1


class Quantifier:
    """`any` and `all`, `min` and `max` for each other."""

    _OTHER: Final = {"any": "all", "all": "any", "min": "max", "max": "min"}

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        called = node.get_next_leaf() if node.type == "name" else None
        if called is not None and called.value == "(" and node.value in self._OTHER:
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        node.value = self._OTHER[node.value]
        return node


def _spelled(operator: Any) -> str:
    return " ".join(operator.get_code().split())


def operators() -> Mapping[str, Operator]:
    """All of them, by name."""
    names = [
        *(f"ReplaceComparisonOperator_{a}_{b}" for a, to in _COMPARISONS.items() for b in to),
        *(f"ReplaceBinaryOperator_{a}_{b}" for a, to in _ARITHMETIC.items() for b in to),
        *_OTHERS,
    ]
    theirs = {name: cosmic_ray.plugins.get_operator(f"core/{name}")() for name in names}
    ours = (Membership(), Identity(), NegatedCondition(), Quantifier())
    return {**theirs, **{type(one).__name__: one for one in ours}}
