# SPDX-License-Identifier: Apache-2.0
"""Strict JSON, and where each value stands."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.artifacts import limits
from provenance.artifacts.source_map import SourceMap
from provenance.artifacts.strict_json import (
    DuplicateKeyError,
    JsonError,
    Position,
    decode,
    parse,
    parse_object,
    same,
    type_name,
)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False).map(lambda x: x + 0.0)  # no -0.0
    | text
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=20,
)
layouts = st.sampled_from([None, 0, 2, "\t", " \r"])


def written(value: object, layout: Any, ascii_only: bool) -> str:
    return json.dumps(value, indent=layout, ensure_ascii=ascii_only)


@given(values, layouts, st.booleans())
def test_strict_json_is_read_as_the_standard_library_reads_it(
    value: object, layout: Any, ascii_only: bool
) -> None:
    encoded = written(value, layout, ascii_only)
    assert same(parse(encoded), json.loads(encoded))


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
        if len(path) == 4:
            return  # deeper than any field that is reported
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, (*path, key))
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                if isinstance(inner, dict | list):
                    walk(inner, (*path, index))

    if isinstance(value, dict | list):
        walk(value, ())
    assert source.duplicates == ()


def test_what_follows_a_value_that_is_too_deep_keeps_its_place() -> None:
    encoded = '{"models": [{"id": 0, "own": {"a": {"b": {}}}}, {"id": 1}]}'
    member = SourceMap(encoded).find(("models", 1, "id"))
    assert member is not None
    assert encoded[member.start : member.end] == "1"


@given(st.text(max_size=60))
def test_what_is_not_json_is_a_json_error_and_nothing_else(hostile: str) -> None:
    try:
        expected = json.loads(hostile)
    except (ValueError, RecursionError):
        with pytest.raises(JsonError):
            parse(hostile)
        return
    with contextlib.suppress(JsonError):  # stricter than the standard library, never laxer
        assert same(parse(hostile), expected)


@given(st.binary(max_size=40))
def test_bytes_are_an_object_or_a_json_error(hostile: bytes) -> None:
    with contextlib.suppress(JsonError):
        assert isinstance(parse_object(hostile), dict)


@pytest.mark.parametrize(
    ("hostile", "message"),
    [
        ("", "is empty"),
        (" \n\t", "is empty"),
        ("{", "is not JSON: .* at line 1, column 2"),
        ('{"a": 1,\n "b": }', "at line 2, column 7"),
        ("NaN", "holds NaN"),
        ("[-Infinity]", "holds -Infinity"),
        ("1e400", "1e400, which is out of range"),
        ("[-1e400]", "out of range"),
        ("9" * 309, "out of range"),
        ("9" * 5000, "out of range"),
        ('"\\ud800"', "half of a surrogate pair"),
        ('{"\\udfff": 1}', "half of a surrogate pair"),
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested too deeply"),
        ("[" * 49 + "]" * 49, "more than 48 levels"),
    ],
)
def test_what_other_readers_read_differently_is_refused(hostile: str, message: str) -> None:
    with pytest.raises(JsonError, match=message):
        parse(hostile)


def test_an_error_has_its_place_where_that_is_known() -> None:
    with pytest.raises(JsonError) as e:
        parse('{"a": 1,\n "b": }')
    assert e.value.position == Position(2, 7)
    with pytest.raises(JsonError) as e:
        parse("NaN")
    assert e.value.position is None


def test_nesting_up_to_the_limit_is_read() -> None:
    levels = limits.NESTING
    value = parse("[" * levels + "1" + "]" * levels)
    for _ in range(levels):
        (value,) = value
    assert value == 1


def test_a_surrogate_pair_is_one_character() -> None:
    assert parse('"\\ud83d\\ude00"') == "\U0001f600"


def test_the_largest_numbers_are_kept() -> None:
    assert parse(f"[{2**63}, {-(10**300)}]") == [2**63, -(10**300)]


def test_a_key_twice_is_an_error_that_names_it() -> None:
    with pytest.raises(DuplicateKeyError, match="'b' twice"):
        parse('{"a": {"b": 1, "c": 2, "b": 1}}')


def test_keys_are_compared_as_read_not_as_written() -> None:
    with pytest.raises(DuplicateKeyError):
        parse('{"a": 1, "\\u0061": 2}')


def test_where_duplicates_are_allowed_the_last_one_counts_and_the_second_is_pointed_at() -> None:
    hostile = '{"a": 1,\n "a": 2}'
    repeated: list[str] = []
    assert parse(hostile, duplicate_keys=repeated) == {"a": 2}
    assert repeated == ["a"]
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


@pytest.mark.parametrize(
    ("hostile", "message"),
    [(b"\xef\xbb\xbf{}", "byte-order mark"), (b'{"a": "\xe9"}', r"not UTF-8 \(byte 7\)")],
)
def test_bytes_that_are_not_utf8_are_named(hostile: bytes, message: str) -> None:
    with pytest.raises(JsonError, match=message):
        decode(hostile)


def test_a_document_is_an_object() -> None:
    with pytest.raises(JsonError, match="holds an array, not an object"):
        parse_object(b"[]")


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "null"),
        (True, "a boolean"),
        (1, "a number"),
        (1.5, "a number"),
        ("x", "a string"),
        ([], "an array"),
        ({}, "an object"),
    ],
)
def test_types_have_the_names_of_json(value: object, name: str) -> None:
    assert type_name(value) == name


@pytest.mark.parametrize(("a", "b"), [(1, 1.0), (1, True), (0, False), ("1", 1), ({}, [])])
def test_values_of_different_types_are_different(a: object, b: object) -> None:
    assert not same(a, b)
    assert not same({"x": [a]}, {"x": [b]})


@given(values, values)
def test_sameness_is_that_of_the_written_value(a: object, b: object) -> None:
    assert same(a, a)
    assert same(a, b) == (json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True))
