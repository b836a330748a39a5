# SPDX-License-Identifier: Apache-2.0
"""The place of each value of a JSON text."""

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

Path = tuple[str | int, ...]


@given(values, layouts, st.booleans())
def test_every_value_has_its_place(value: Any, layout: Any, ascii_only: bool) -> None:
    encoded = written(value, layout, ascii_only)
    source = SourceMap(encoded)

    def walk(value: Any, path: Path) -> None:
        member = source.find(path)
        assert member is not None, path
        assert same(json.loads(encoded[member.start : member.end]), value)
        if member.key_start is not None and ascii_only:
            assert encoded[member.key_start :].startswith(json.dumps(path[-1]))
        inside = value if isinstance(value, dict | list) else ()
        for step, inner in inside.items() if isinstance(inside, dict) else enumerate(inside):
            walk(inner, (*path, step))

    walk(value, ())
    assert source.duplicates == ()


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ('{"a": [{"id": 0, "own": {"b": {"c": {}}}}, {"id": 1}]}', ("a", 1, "id"), "1"),
        ('{"a\\"}:[": "x\\\\", "b": "]},{\\"b\\": 1"}', ("b",), '"]},{\\"b\\": 1"'),
        (' "x"\n', (), '"x"'),
        *(
            ('{"a": [5]}', path, None)
            for path in (("a", "x"), ("a", 1), ("b",), ("a", 0, 0), (0,), ("a", -1))
        ),
    ],
)
def test_a_value_is_found_by_its_path(text: str, path: Path, expected: str | None) -> None:
    member = SourceMap(text).find(path)
    assert (member and text[member.start : member.end]) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1,\n "a": 2}', [(("a",), Position(2, 7))]),
        (
            '{"a": {"x": [1], "y": 1}, "a": {"x": [2], "y": 2}, "b": {"z": 1, "z": 2}}',
            [(("a",), Position(1, 32)), (("b", "z"), Position(1, 71))],
        ),
    ],
)
def test_the_second_equal_key_is_reported(text: str, expected: list[tuple[Path, Position]]) -> None:
    source = SourceMap(text)
    assert [(m.path, source.position(m.start)) for m in source.duplicates] == expected


def test_a_position_is_a_line_and_a_column_from_one() -> None:
    source = SourceMap('{\n  "a": [{"b": true}]\n}')
    member = source.find(("a", 0, "b"))
    assert member is not None
    assert source.position(member.start) == Position(2, 15)


def test_the_number_of_remembered_places_is_bounded() -> None:
    rows = [{"id": number} for number in range(3 * source_map._KEPT)]
    encoded = json.dumps({"models": rows})
    source = SourceMap(encoded)
    for number in (*range(len(rows)), 0, 1):
        member = source.find(("models", number, "id"))
        assert member is not None
        assert encoded[member.start : member.end] == str(number)
    assert len(source._walked) <= source_map._KEPT


def test_a_value_beyond_the_limit_has_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ROWS", 2)
    source = SourceMap('[0, 1, 2, 3, {"a": 1, "b": 2, "c": 3, "c": 4}]')
    assert source.find((1,)) is not None
    assert source.find((4,)) is None
    assert len(SourceMap('{"a": 1, "a": 2, "a": 3, "a": 4}').duplicates) == 2
