# SPDX-License-Identifier: Apache-2.0
"""Where each value of a JSON text stands."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.artifacts import limits
from provenance.artifacts.documents import source_map
from provenance.artifacts.documents.source_map import SourceMap
from provenance.artifacts.documents.strict_json import Position, same
from tests.support.json_values import layouts, values, written


@given(values, layouts, st.booleans())
def test_every_position_is_that_of_the_values_own_text(
    value: Any, layout: Any, ascii_only: bool
) -> None:
    encoded = written(value, layout, ascii_only)
    source = SourceMap(encoded)

    def walk(value: Any, path: tuple[str | int, ...]) -> None:
        member = source.find(path)
        assert member is not None, path
        assert same(json.loads(encoded[member.start : member.end]), value)
        if member.key_start is not None and ascii_only:
            assert encoded[member.key_start :].startswith(json.dumps(path[-1]))
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, (*path, key))
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                walk(inner, (*path, index))

    walk(value, ())
    assert source.duplicates == ()


def test_what_follows_a_value_that_is_too_deep_keeps_its_place() -> None:
    encoded = '{"models": [{"id": 0, "own": {"a": {"b": {}}}}, {"id": 1}]}'
    member = SourceMap(encoded).find(("models", 1, "id"))
    assert member is not None
    assert encoded[member.start : member.end] == "1"


def test_the_second_of_equal_keys_is_pointed_at() -> None:
    hostile = '{"a": 1,\n "a": 2}'
    (member,) = SourceMap(hostile).duplicates
    assert member.path == ("a",)
    assert SourceMap(hostile).position(member.start) == Position(2, 7)


def test_what_stands_inside_a_second_value_is_no_duplicate_of_its_own() -> None:
    hostile = '{"a": {"x": [1], "y": 1}, "a": {"x": [2], "y": 2}, "b": {"z": 1, "z": 2}}'
    assert [m.path for m in SourceMap(hostile).duplicates] == [("a",), ("b", "z")]


def test_lines_and_columns_start_at_one() -> None:
    source = SourceMap('{\n  "a": [{"b": true}]\n}')
    member = source.find(("a", 0, "b"))
    assert member is not None
    assert source.position(member.start) == Position(2, 15)
    assert source.find(("a", 1)) is None


def test_strings_that_look_like_structure_are_strings() -> None:
    tricky = '{"a\\"}:[": "x\\\\", "b": "]},{\\"b\\": 1"}'
    source = SourceMap(tricky)
    member = source.find(("b",))
    assert member is not None
    assert json.loads(tricky[member.start : member.end]) == ']},{"b": 1'


def test_what_is_asked_for_after_many_others_is_found_again() -> None:
    rows = [{"id": number} for number in range(3 * source_map._KEPT)]
    encoded = json.dumps({"models": rows})
    source = SourceMap(encoded)
    for number in (*range(len(rows)), 0, 1):
        member = source.find(("models", number, "id"))
        assert member is not None
        assert encoded[member.start : member.end] == str(number)
    assert len(source._walked) <= source_map._KEPT


def test_what_stands_beyond_the_limit_has_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ROWS", 2)
    source = SourceMap('[0, 1, 2, 3, {"a": 1, "b": 2, "c": 3, "c": 4}]')
    assert source.find((1,)) is not None
    assert source.find((4,)) is None
    repeated = SourceMap('{"a": 1, "a": 2, "a": 3, "a": 4}')
    assert len(repeated.duplicates) == 2


@pytest.mark.parametrize("path", [("a", "x"), ("a", 1), ("b",), ("a", 0, 0), (0,), ("a", -1)])
def test_what_is_not_there_has_no_place(path: tuple[str | int, ...]) -> None:
    assert SourceMap('{"a": [5]}').find(path) is None


def test_a_text_that_holds_one_value_is_that() -> None:
    member = SourceMap(' "x"\n').find(())
    assert member is not None
    assert (member.start, member.end) == (1, 4)
