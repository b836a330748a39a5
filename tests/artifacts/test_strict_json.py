# SPDX-License-Identifier: Apache-2.0
"""Strict JSON: text that two readers may read differently is refused."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.artifacts import limits
from provenance.artifacts.documents.strict_json import (
    JsonError,
    Position,
    parse,
    parse_object,
    same,
    type_name,
)
from tests.support.json_values import layouts, values, written
from tests.support.memory import memory_limit


@given(values, layouts, st.booleans())
def test_json_is_read_as_by_the_library(value: object, layout: Any, ascii_only: bool) -> None:
    encoded = written(value, layout, ascii_only)
    assert same(parse(encoded), json.loads(encoded))


@given(st.text(max_size=60))
def test_any_text_is_read_as_by_the_standard_library_or_refused(hostile: str) -> None:
    try:
        expected = json.loads(hostile)
    except (ValueError, RecursionError):
        with pytest.raises(JsonError):
            parse(hostile)
        return
    with contextlib.suppress(JsonError):  # stricter than the standard library, never laxer
        assert same(parse(hostile), expected)


DEPTH, MANY = limits.NESTING, limits.JSON_VALUES


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"\\ud83d\\ude00"', "\U0001f600"),
        (f"[{2**63}, {-(10**300)}]", [2**63, -(10**300)]),
        ("[" * DEPTH + "]" * DEPTH, json.loads("[" * DEPTH + "]" * DEPTH)),
        ('["' + ',[{\\"' * MANY + '"]', [',[{"' * MANY]),
    ],
    ids=["surrogate pair", "large numbers", "deep", "marks in a string"],
)
def test_text_within_the_limits_is_read(text: str, expected: object) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("hostile", "message", "place"),
    [
        (b"", "is empty", (1, 1)),
        (b" \n\t", "is empty", (1, 1)),
        (b"{", "is not JSON: .* at line 1, column 2", (1, 2)),
        (b'{"a": 1,\n "b": }', "at line 2, column 7", (2, 7)),
        (b"NaN", "contains NaN", (1, 1)),
        (b"[-Infinity]", "contains -Infinity", (1, 2)),
        (b'{"x": "NaN",\n "a": [1, NaN]}', "contains NaN", (2, 11)),
        (b'{"x": 1,\n "a": -Infinity}', "contains -Infinity", (2, 7)),
        (b"1e400", "1e400, which is out of range", (1, 1)),
        (b'{"x": "1e999",\n "a": -1e999}', "out of range", (2, 7)),
        (b'{\n"a": ' + b"9" * 309 + b"}", "out of range", (2, 6)),
        (b"9" * 5000, "out of range", (1, 1)),
        (b'{"\\udfff": 1}', "half of a surrogate pair", (1, 2)),
        (b'{"a": "\\ud83d\\ude00",\n "b": "\\ud83d"}', "half of a surrogate pair", (2, 7)),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply", (1, 49)),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply", (1, 241)),
        (b"[\n" * 49 + b"]" * 49, "more than 48 levels", (49, 1)),
        (b"[\n" * 9_000, "nested too deeply", (49, 1)),
        (b'{"a": {"b": 1, "c": 2, "b": 1}}', "'b' twice", (1, 24)),
        (b'{"b": {"a": 0},\n "a": 1, "c": ["a"],\n "a": 2}', "'a' twice", (3, 2)),
        (b'{"a": 1,\n "\\u0061": 2}', "twice", (2, 2)),
        (b'{\n "a": "\xc3\xa4\xff"}', r"not UTF-8, at line 2, column 9", (2, 9)),
        (b"\xef\xbb\xbf{}", "byte-order mark", (1, 1)),
        (b"[]", "contains an array, not an object", None),
    ],
)
def test_ambiguous_text_is_refused(
    hostile: bytes, message: str, place: tuple[int, int] | None
) -> None:
    with pytest.raises(JsonError, match=message) as e:
        parse_object(hostile)
    assert e.value.position == (Position(*place) if place else None)


@pytest.mark.parametrize("text", ["[],", "{},", "1,1,", '"","",'])
def test_too_many_values_are_not_parsed(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json.JSONDecoder, "decode", lambda *_: pytest.fail("it was parsed"))
    with pytest.raises(JsonError, match="more than 2,000,000 values"):
        parse(f"[{text * (MANY // 2)}{text}1]")


@pytest.mark.parametrize("end", ['"\\ud800"', "NaN", '{"a": 1, "a": 2}', "[" * 50 + "]" * 50])
def test_the_place_of_a_fault_is_found_in_little_memory(end: str) -> None:
    text = '["' + "\\n" * 200_000 + f'", {end}]'
    with memory_limit(8 * len(text)), pytest.raises(JsonError, match="line 1"):
        parse(text)


def test_allowed_duplicates_are_reported_and_the_last_one_counts() -> None:
    repeated: list[str] = []
    assert parse('{"a": 1, "a": 2}', duplicate_keys=repeated) == {"a": 2}
    assert repeated == ["a"]


def test_types_have_the_names_of_json() -> None:
    values: list[object] = [None, True, 1, 1.5, "x", [], {}]
    names = ["null", "a boolean", "a number", "a number", "a string", "an array", "an object"]
    assert [type_name(value) for value in values] == names


@pytest.mark.parametrize(("a", "b"), [(1, 1.0), (1, True), (0, False), ("1", 1), ({}, [])])
def test_values_of_different_types_are_different(a: object, b: object) -> None:
    assert not same(a, b)
    assert not same({"x": [a]}, {"x": [b]})


@given(values, values)
def test_values_are_the_same_if_their_text_is(a: object, b: object) -> None:
    assert same(a, a)
    assert same(a, b) == (json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True))
