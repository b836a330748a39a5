# SPDX-License-Identifier: Apache-2.0
"""Strict JSON."""

from __future__ import annotations

import contextlib
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.artifacts import limits
from provenance.artifacts.documents.strict_json import (
    JsonError,
    Position,
    decode,
    parse,
    parse_object,
    same,
    type_name,
)
from tests.support.json_values import layouts, values, written


@given(values, layouts, st.booleans())
def test_strict_json_is_read_as_the_standard_library_reads_it(
    value: object, layout: Any, ascii_only: bool
) -> None:
    encoded = written(value, layout, ascii_only)
    assert same(parse(encoded), json.loads(encoded))


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
        ("NaN", "contains NaN"),
        ("[-Infinity]", "contains -Infinity"),
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
        parse_object(b"[]")
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
    with pytest.raises(JsonError, match="'b' twice"):
        parse('{"a": {"b": 1, "c": 2, "b": 1}}')


def test_keys_are_compared_as_read_not_as_written() -> None:
    with pytest.raises(JsonError, match="twice"):
        parse('{"a": 1, "\\u0061": 2}')


def test_where_duplicates_are_allowed_the_last_one_counts_and_each_is_told() -> None:
    repeated: list[str] = []
    assert parse('{"a": 1, "a": 2}', duplicate_keys=repeated) == {"a": 2}
    assert repeated == ["a"]


@pytest.mark.parametrize(
    ("hostile", "message"),
    [(b"\xef\xbb\xbf{}", "byte-order mark"), (b'{"a": "\xe9"}', r"not UTF-8, at line 1, column 8")],
)
def test_bytes_that_are_not_utf8_are_named(hostile: bytes, message: str) -> None:
    with pytest.raises(JsonError, match=message):
        decode(hostile)


def test_a_document_is_an_object() -> None:
    with pytest.raises(JsonError, match="contains an array, not an object"):
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


@pytest.mark.parametrize(
    ("data", "line", "column"),
    [
        (b'{"x": "NaN",\n "a": [1, NaN]}', 2, 11),
        (b'{"x": "1e999",\n "a": 1e999}', 2, 7),
        (b'{"x": 1,\n "a": -Infinity}', 2, 7),
        (b'{\n"a": ' + b"9" * 400 + b"}", 2, 6),
        (b'{"b": {"a": 0},\n "a": 1, "c": ["a"],\n "a": 2}', 3, 2),
        (b'{"a": 1,\n "\\u0061": 2}', 2, 2),
        (b'{\n "a": "\xc3\xa4\xff"}', 2, 9),
        (b'{"a": "\\ud83d\\ude00",\n "b": "\\ud83d"}', 2, 7),
        (b"[\n" * 50 + b"]" * 50, 49, 1),
        (b"[\n" * 9_000, 49, 1),
        (b"\xef\xbb\xbf{}", 1, 1),
        (b" ", 1, 1),
    ],
)
def test_what_is_refused_is_told_with_its_place(data: bytes, line: int, column: int) -> None:
    with pytest.raises(JsonError) as e:
        parse(decode(data))
    assert e.value.position == Position(line, column)


VALUES = limits.JSON_VALUES


@pytest.mark.parametrize(
    "text",
    [
        f"[{'[],' * (VALUES // 2)}[]]",
        f"[{'{},' * (VALUES // 2)}{{}}]",
        f"[{'1,' * (VALUES + 1)}1]",
        '{"a":["",' + '"",' * VALUES + '""]}',
    ],
    ids=["arrays", "objects", "numbers", "strings"],
)
def test_more_values_than_are_read_are_refused_before_parsing(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json.JSONDecoder, "decode", lambda *_: pytest.fail("it was parsed"))
    with pytest.raises(JsonError, match="more than 2,000,000 values"):
        parse(text)


def test_marks_inside_strings_are_no_values() -> None:
    assert parse('["' + ',[{\\"' * VALUES + '"]') == [',[{"' * VALUES]


@pytest.mark.parametrize("end", ['"\\ud800"', "NaN", '{"a": 1, "a": 2}', "[" * 50 + "]" * 50])
def test_where_a_fault_is_takes_little_memory_to_find(end: str) -> None:
    text = '["' + "\\n" * 200_000 + f'", {end}]'
    tracemalloc.start()
    try:
        with pytest.raises(JsonError, match="line 1"):
            parse(text)
        assert tracemalloc.get_traced_memory()[1] < 8 * len(text)
    finally:
        tracemalloc.stop()
