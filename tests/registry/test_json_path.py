# SPDX-License-Identifier: Apache-2.0
"""Paths select the nodes that the reference library of RFC 9535 selects."""

from __future__ import annotations

import json
from typing import Any

import jsonpath_rfc9535
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.registry.json_path import JsonPathError, Node, normalized, parse

KEYS = ("a", "b", "c-d", "é", "it's", 'q"t', "\\n", "x y")
leaves = st.sampled_from(["s", "x", 1, 1.0, 0, True, False, None, "it's", 2])
documents = st.recursive(
    leaves,
    lambda below: (
        st.lists(below, max_size=4) | st.dictionaries(st.sampled_from(KEYS), below, max_size=4)
    ),
    max_leaves=20,
)


def quoted(name: str) -> str:
    return "'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"


names = st.sampled_from([".a", ".b", ".é"]) | st.sampled_from(KEYS).map(lambda k: f"[{quoted(k)}]")
unions = st.lists(st.sampled_from(KEYS), min_size=1, max_size=3, unique=True).map(
    lambda keys: f"[{' , '.join(json.dumps(k, ensure_ascii=False) for k in keys)}]"
)
literals = st.sampled_from(["1", "0", "-0", "true", "false", "null", "'s'", '"it\'s"'])
queries = st.lists(names, min_size=1, max_size=2).map(lambda steps: "@" + "".join(steps))
operators = st.sampled_from([" == ", "!=", " !="])
conditions = st.one_of(
    queries,
    queries.map("!{}".format),
    st.tuples(st.just("@") | queries, operators, literals).map("".join),
    st.tuples(literals, operators, queries).map("".join),
)
filters = st.tuples(
    st.sampled_from([" && ", "||"]), st.lists(conditions, min_size=1, max_size=2)
).map(lambda joined: f"[?{joined[0].join(joined[1])}]")
wildcards = st.sampled_from([".*", "[*]", "[ * ]"])
paths = st.lists(names | unions | filters | wildcards, max_size=4).map(lambda s: "$" + "".join(s))


@given(paths, documents)
def test_nodes_are_those_of_the_reference_library(path: str, document: Any) -> None:
    expected = list(jsonpath_rfc9535.find(path, document))
    found = parse(path).select(Node((), document))
    assert [n.location for n in found] == [tuple(n.location) for n in expected]
    assert [json.dumps(n.value) for n in found] == [json.dumps(n.value) for n in expected]
    assert [normalized(n.location) for n in found] == [n.path() for n in expected]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("models", "a path begins with $"),
        ("$..x", "column 2, at '..x': `..` is not supported"),
        ("$[0]", "not selected by number"),
        ("$[-1]", "not selected by number"),
        ("$[1:2]", "not selected by number"),
        ("$[?match(@.a, 'x')]", "functions are not supported"),
        ("$.length()", "functions are not supported"),
        ("$[?(@.a)]", "parentheses are not supported"),
        ("$[?@.a < 1]", "only == and != are supported"),
        ("$[?@.a == 1.5]", "only whole numbers are supported"),
        ("$[?@.*]", "the path of a single value"),
        ("$[?$.a]", "expected `@`"),
        ("$[?@]", "expected a member"),
        ("$[?@.a ==]", "expected a string, a whole number"),
        (r"$['a\x']", "not a valid string"),
        (r"$['\ud800']", "not a valid string"),
        ("$['a','a']", "the name occurs twice"),
        ("$.a.", "expected a name"),
        ("$.a-b", "expected `.name` or `[`"),
        ("$[", "expected a name in quotes"),
        ("$['a'", "expected `]`"),
        ("$" + ".a" * 17, "more than 16 steps"),
        ("$" + "x" * 512, "at most 512"),
    ],
)
def test_other_expressions_are_refused(path: str, message: str) -> None:
    with pytest.raises(JsonPathError) as caught:
        parse(path)
    assert message in str(caught.value)


def test_work_is_linear_in_the_nodes() -> None:
    visited = 0

    class Counting(dict[str, Any]):
        def items(self) -> Any:
            nonlocal visited
            visited += 1
            return super().items()

    def tree(depth: int) -> Any:
        return Counting({k: tree(depth - 1) for k in "abc"}) if depth else 1

    assert len(parse("$" + ".*" * 7).select(Node((), tree(7)))) == 3**7
    assert visited == sum(3**level for level in range(7))
