# SPDX-License-Identifier: Apache-2.0
"""References of a mapping: members, paths, keys and templates."""

from __future__ import annotations

from typing import Any

import pytest

from provenance.registry.json_path import Node
from provenance.registry.references import (
    AmbiguousError,
    MappingError,
    part_of,
    reference,
)

WORDS = ("id", "onnx", "url")
VALUES = {"id": "m", "onnx": "a/b.onnx", "index": "models/de/index.json"}
NODE = Node(
    ("groups", "de", "models", "m1"),
    {"name": "m", "n": 7, "empty": "-", "off": None, "a|b": "bar", "list": [{"x": 1}, {"x": 1}]},
)


def found(text: str) -> Any:
    value = reference(text, WORDS).find(NODE, VALUES.get)
    return None if value is None else value.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("name", "m"),
        ("n", 7),
        ("missing", None),
        ("empty", None),
        ("off", None),
        ("$.name", "m"),
        ("$['missing','name']", "m"),
        ("$.list[*].x", 1),
        ("~", "m1"),
        ("~2", "de"),
        ("{id}-{$.n}", "m-7"),
        ("{onnx|stem}.txt", "b.txt"),
        ("{onnx|folder}/labels.txt", "a/labels.txt"),
        ("{index|folder|name}", "de"),
        ("{$.name|folder}", "."),
        ("{~2}/{~}", "de/m1"),
        ("{$['a|b']}", "bar"),
        ("{id}{$.missing}", None),
        ("{url}", None),
    ],
)
def test_reference_finds_a_value(text: str, value: object) -> None:
    assert found(text) == value


@pytest.mark.parametrize(
    ("text", "message", "help"),
    [
        ("{model}", "{model} is not a field of this project", "{$.model}"),
        ("{onxx}", "{onxx} is not a field", "Did you mean `{onnx}`?"),
        ("{id|steam}", "a part is one of name, stem, folder", "Did you mean `stem`?"),
        ("{id", "a brace without its counterpart", None),
        ("{}", "{} is not a field", "Fields:"),
        ("~x", "keys are ~, and ~1 to ~9", None),
        ("$..x", "`..` is not supported", "each step"),
    ],
)
def test_other_references_are_refused(text: str, message: str, help: str | None) -> None:
    with pytest.raises(MappingError) as caught:
        reference(text, WORDS)
    assert message in str(caught.value)
    assert help is None or help in str(caught.value.help)


@pytest.mark.parametrize("level", ["~", "~1"])
def test_element_of_a_list_has_no_key(level: str) -> None:
    with pytest.raises(MappingError, match="is an element of a list"):
        reference(level, ()).find(Node((0, 1), {}), VALUES.get)


def test_different_values_are_ambiguous() -> None:
    node = Node((), {"a": [1, 2]})
    with pytest.raises(AmbiguousError) as caught:
        reference("$.a[*]", ()).find(node, VALUES.get)
    assert [n.location for n in caught.value.found] == [("a", 0), ("a", 1)]


@pytest.mark.parametrize(
    ("text", "name", "stem", "folder"),
    [
        ("a/b.tar.gz", "b.tar.gz", "b.tar", "a"),
        ("b", "b", "b", "."),
        (".hidden", ".hidden", ".hidden", "."),
        ("https://example.org/x/y%20z.onnx?rev=1#f", "y z.onnx", "y z", "x"),
        ("a/b/", "b", "b", "a"),
    ],
)
def test_parts_of_a_path_or_address(text: str, name: str, stem: str, folder: str) -> None:
    parts = [part_of(text, part) for part in ("name", "stem", "folder")]
    assert parts == [name, stem, folder]
