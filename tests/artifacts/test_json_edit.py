# SPDX-License-Identifier: Apache-2.0
"""Editing JSON: what is edited changes, and no other character."""

from __future__ import annotations

import difflib
import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from provenance.artifacts.documents import source_map
from provenance.artifacts.documents.json_edit import (
    Edit,
    Insert,
    Move,
    Raw,
    Remove,
    Set,
    edit,
    reaches,
)
from provenance.artifacts.documents.source_map import SourceMap
from provenance.artifacts.documents.strict_json import parse
from provenance.errors import InputError
from tests.support.json_values import values

layouts = st.sampled_from([None, 1, 2, 4, "\t"])
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
digests = st.text("0123456789abcdef", min_size=64, max_size=64)


def edited(text: str, *edits: Edit) -> str:
    return edit(SourceMap(text), edits, "model/registry.json")


@given(
    st.lists(st.dictionaries(names, values, max_size=4), min_size=1, max_size=4),
    st.data(),
    layouts,
    st.booleans(),
    digests,
)
def test_an_edit_changes_the_value_and_no_other_character(
    rows: list[dict[str, Any]], data: st.DataObject, layout: Any, ascii_only: bool, new: str
) -> None:
    rows = [row | {"sha256": "0" * 64} for row in rows]
    text = json.dumps({"models": rows}, indent=layout, ensure_ascii=ascii_only)
    index = data.draw(st.integers(0, len(rows) - 1))
    member = SourceMap(text).find(("models", index, "sha256"))
    assert member is not None

    after = edited(text, Set(("models", index, "sha256"), new))

    assert after == text[: member.start] + f'"{new}"' + text[member.end :]
    rows[index]["sha256"] = new
    assert json.loads(after) == {"models": rows}


@given(
    st.dictionaries(names, values, max_size=4),
    st.dictionaries(names, digests, min_size=1, max_size=3),
    layouts,
)
def test_an_added_field_stands_after_its_neighbour_in_the_layout_of_the_row(
    row: dict[str, Any], covered: dict[str, str], layout: Any
) -> None:
    assume("external_data_sha256" not in row)
    row = {"sha256": "0" * 64} | row
    text = json.dumps({"models": [row]}, indent=layout)

    result = edited(text, Insert(("models", 0, "external_data_sha256"), covered, after="sha256"))

    (after,) = json.loads(result)["models"]
    assert after == row | {"external_data_sha256": covered}
    assert list(after)[:2] == ["sha256", "external_data_sha256"]
    removed = [x for x in difflib.ndiff(text.splitlines(), result.splitlines()) if x[0] == "-"]
    assert len(removed) <= 1  # a line that now needs a comma


@pytest.mark.parametrize("indent", ["  ", "    ", "\t"])
def test_an_added_object_is_laid_out_as_the_file_is(indent: str) -> None:
    text = json.dumps({"models": [{"id": "m", "sha256": "x"}]}, indent=indent)
    add = Insert(("models", 0, "external_data_sha256"), {"a": "1", "b": "2"}, after="sha256")
    expected = {
        "models": [{"id": "m", "sha256": "x", "external_data_sha256": {"a": "1", "b": "2"}}]
    }
    assert edited(text, add) == json.dumps(expected, indent=indent)


def test_several_edits_of_one_row_do_not_disturb_each_other() -> None:
    text = '{"models": [{"sha256": "", "external_data_sha256": {"a": "long", "b": ""}}]}'
    at: tuple[str | int, ...] = ("models", 0, "external_data_sha256")
    edits: list[Edit] = [
        Set((*at, "a"), "1"),
        Set((*at, "b"), "2222"),
        Insert((*at, "c"), "3", after="b"),
        Insert((*at, "d"), "4", after="b"),
        Set(("models", 0, "sha256"), "0000"),
    ]
    assert edited(text, *edits) == (
        '{"models": [{"sha256": "0000", "external_data_sha256": '
        '{"a": "1", "b": "2222", "c": "3", "d": "4"}}]}'
    )


@pytest.mark.parametrize("text", ['{"models": [{"é": 1}]}', '{"models": [{"\\u00e9": 1}]}'])
def test_escapes_stay_as_the_file_writes_them(text: str) -> None:
    after = edited(text, Set(("models", 0, "é"), "ü"))
    assert after.isascii() == text.isascii()
    assert json.loads(after) == {"models": [{"é": "ü"}]}


def test_line_ends_of_another_system_stay() -> None:
    text = '{\r\n  "models": [\r\n    {\r\n      "sha256": "x"\r\n    }\r\n  ]\r\n}\r\n'
    after = edited(text, Insert(("models", 0, "external_data_sha256"), {"a": "1"}, after="sha256"))
    assert after.count("\n") == after.count("\r\n") == text.count("\n") + 3


def test_an_edit_beside_a_field_that_is_not_there_is_an_error() -> None:
    with pytest.raises(
        InputError, match=r"`models\.0\.sha256` is missing; cannot put `x` after it"
    ):
        edited('{"models": [{"id": "m"}]}', Insert(("models", 0, "x"), {}, after="sha256"))


def test_a_value_that_is_not_there_is_not_set() -> None:
    with pytest.raises(InputError, match=r"model/registry\.json: `models\.1\.id` is missing"):
        edited('{"models": [{"id": "m"}]}', Set(("models", 1, "id"), "n"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"m": {"b": 1}}', '{"m": {"a": 0,"b": 1}}'),
        ('{"m": {\n  "b": 1\n}}', '{"m": {\n  "a": 0,\n  "b": 1\n}}'),
        ('{"m": {}}', '{"m": {"a": 0}}'),
    ],
)
def test_a_member_can_be_the_first(before: str, after: str) -> None:
    assert edited(before, Insert(("m", "a"), 0, after=None)) == after


def test_a_raw_value_keeps_its_escapes_and_numbers() -> None:
    text = '{"m": {"a": 1}}'
    assert edited(text, Insert(("m", "b"), Raw('"\\u00e9 1.50"'), after="a")) == (
        '{"m": {"a": 1, "b": "\\u00e9 1.50"}}'
    ).replace(", ", ",")


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (None, [{"id": "new"}, {"id": "a"}, {"id": "b"}]),
        (0, [{"id": "a"}, {"id": "new"}, {"id": "b"}]),
        (1, [{"id": "a"}, {"id": "b"}, {"id": "new"}]),
    ],
)
@pytest.mark.parametrize("indent", [None, 2, "\t"])
def test_an_item_is_added_as_the_others_are_laid_out(
    indent: Any, after: int | None, expected: list[Any]
) -> None:
    text = json.dumps({"models": [{"id": "a"}, {"id": "b"}]}, indent=indent)
    result = edited(text, Insert(("models", 0), {"id": "new"}, after=after))
    assert json.loads(result) == {"models": expected}
    if indent is not None:
        assert result == json.dumps({"models": expected}, indent=indent)


def test_several_items_are_added_to_an_empty_list_in_their_order() -> None:
    items = [Insert(("models", 0), {"id": id}, after=None) for id in "abc"]
    assert json.loads(edited('{"models": [ ]}', *items)) == {
        "models": [{"id": "a"}, {"id": "b"}, {"id": "c"}]
    }


def test_several_members_become_the_first_in_their_order() -> None:
    members = [Insert(("m", key), 0, after=None) for key in "ab"]
    assert edited('{"m": {\n  "z": 1\n}}', *members) == (
        '{"m": {\n  "a": 0,\n  "b": 0,\n  "z": 1\n}}'
    )


def raw(value: object, indent: Any, *path: str | int) -> Raw:
    return Raw.of(SourceMap(json.dumps(value, indent=indent)), path, "old.json")


@given(st.dictionaries(names, values, max_size=3), layouts, st.sampled_from(["\n", "\r\n"]))
def test_a_value_of_another_text_is_laid_out_as_it_was(
    row: dict[str, Any], layout: Any, newline: str
) -> None:
    assume("id" not in row)
    before = {"models": [{"id": "m"}]}
    whole = {"models": [{"id": "m"}, row], "x": row}
    text = json.dumps(before, indent=layout).replace("\n", newline)
    result = edited(
        text,
        Insert(("models", 1), raw(whole, layout, "models", 1), after=0),
        Insert(("x",), raw(whole, layout, "x"), after="models"),
    )
    assert parse(result) == whole
    if layout is not None:
        assert result == json.dumps(whole, indent=layout).replace("\n", newline)


def test_a_value_of_another_text_is_indented_as_its_new_neighbours_are() -> None:
    value = raw({"deep": {"models": {"x": {"a": 1}}}}, 2, "deep", "models", "x")
    assert edited('{\n\t"id": 1\n}', Insert(("x",), value, after="id")) == (
        '{\n\t"id": 1,\n\t"x": {\n\t  "a": 1\n\t}\n}'
    )
    assert edited('{"z": 0, "id": 1}', Insert(("x",), value, after="id")) == (
        '{"z": 0, "id": 1, "x": { "a": 1 }}'
    )


def test_a_value_of_another_text_that_is_not_there_is_an_error() -> None:
    with pytest.raises(InputError, match=r"old\.json: `x` is missing"):
        raw({}, 2, "x")


@pytest.mark.parametrize("colon", [":", " : ", ":\t"])
def test_a_member_is_set_off_from_its_key_as_its_neighbour_is(colon: str) -> None:
    text = f'{{"k": {{"a"{colon}"x"}}}}'
    assert edited(text, Insert(("k", "b"), "y", after="a")) == (
        f'{{"k": {{"a"{colon}"x","b"{colon}"y"}}}}'
    )


def test_a_key_is_written_with_the_escapes_of_the_file() -> None:
    assert edited('{"é": 1}', Insert(("ü",), 2, after="é")) == '{"é": 1,"ü": 2}'
    assert edited('{"e": 1}', Insert(("ü",), 2, after="e")) == '{"e": 1,"\\u00fc": 2}'


def test_an_item_is_added_to_an_empty_list() -> None:
    assert edited('{"models": []}', Insert(("models", 0), {"id": "a"}, after=None)) == (
        '{"models": [{"id": "a"}]}'
    )


@given(
    st.dictionaries(names, values, min_size=1, max_size=5),
    st.data(),
    layouts,
)
def test_a_removed_member_is_gone_and_the_rest_stays(
    row: dict[str, Any], data: st.DataObject, layout: Any
) -> None:
    text = json.dumps({"models": [row]}, indent=layout)
    gone = data.draw(st.lists(st.sampled_from(sorted(row)), unique=True))

    result = edited(text, *(Remove(("models", 0, key)) for key in gone))

    kept = {key: value for key, value in row.items() if key not in gone}
    assert parse(result) == {"models": [kept]}
    if layout is not None and kept:
        assert result == json.dumps({"models": [kept]}, indent=layout)


@given(st.dictionaries(names, values, min_size=2, max_size=5), st.data(), layouts)
def test_a_moved_member_is_written_as_it_was_and_the_rest_stays(
    row: dict[str, Any], data: st.DataObject, layout: Any
) -> None:
    text = json.dumps({"models": [row]}, indent=layout)
    moved, after = data.draw(st.permutations(sorted(row)))[:2]

    result = edited(text, Move(("models", 0, moved), after=after))

    keys = [key for key in row if key != moved]
    keys.insert(keys.index(after) + 1, moved)
    (found,) = parse(result)["models"]
    assert (found, list(found)) == (row, keys)
    if layout is not None:
        assert result == json.dumps({"models": [{k: row[k] for k in keys}]}, indent=layout)


def test_a_moved_value_keeps_its_escapes() -> None:
    text = '{"b": "\\u00e9 1.50", "a": 1, "c": 2}'
    assert edited(text, Move(("b",), after="a")) == '{"a": 1, "b": "\\u00e9 1.50", "c": 2}'


def test_two_edits_of_one_place_are_refused() -> None:
    with pytest.raises(InputError, match="two edits overlap"):
        edited('{"b": 0, "a": 1}', Move(("b",), after="a"), Set(("b",), 5))


def test_many_members_of_many_objects_are_removed() -> None:
    rows = [{"a": i, "b": i, "c": i} for i in range(2_000)]
    gone = [Remove(("models", i, key)) for i in range(2_000) for key in "ab"]
    result = edited(json.dumps({"models": rows}, indent=2), *gone, *gone)
    assert result == json.dumps({"models": [{"c": i} for i in range(2_000)]}, indent=2)


def test_a_text_is_walked_once_for_all_that_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    walked: list[int] = []
    places = source_map._Places.__init__

    def counted(self: Any, text: str, start: int) -> None:
        walked.append(start)
        places(self, text, start)

    monkeypatch.setattr(source_map._Places, "__init__", counted)
    row = {f"k{i}": i for i in range(50)}
    gone = [Remove(("models", 0, f"k{i}")) for i in range(50) if i % 10]
    result = edited(json.dumps({"models": [row]}), *gone)
    assert json.loads(result) == {"models": [{f"k{i}": i for i in range(0, 50, 10)}]}
    assert len(walked) == 3  # the registry, `models` in it, and the row


def test_an_object_and_a_member_of_it_are_not_both_removed() -> None:
    with pytest.raises(InputError, match="two edits overlap"):
        edited('{"b": 0, "a": {"c": 1}}', Remove(("a",)), Remove(("a", "c")))


@pytest.mark.parametrize(
    ("asked", "there"),
    [
        (Set(("m", "a"), 5), True),
        (Set(("m", "z"), 5), False),
        (Remove(("m", "a")), True),
        (Move(("m", "a"), after="b"), True),
        (Move(("m", "a"), after="z"), False),
        (Insert(("m", "z"), 5, after="b"), True),
        (Insert(("m", "z"), 5, after=None), True),
        (Insert(("n", "z"), 5, after=None), False),
        (Insert(("rows", 0), {}, after=0), True),
        (Insert(("rows", 0), {}, after=None), True),
        (Insert(("rows", 0), {}, after=7), False),
    ],
)
def test_an_edit_reaches_what_is_there(asked: Edit, there: bool) -> None:
    text = '{"m": {"a": 1, "b": 2}, "rows": [{}]}'
    assert reaches(SourceMap(text), asked) is there
    if there:
        parse(edited(text, asked))
    else:
        with pytest.raises(InputError):
            edited(text, asked)
