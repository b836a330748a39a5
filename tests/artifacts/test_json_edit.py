# SPDX-License-Identifier: Apache-2.0
"""An edit of JSON changes what it edits, and no other character."""

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

Row = dict[str, Any]
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
def test_setting_a_value_changes_no_other_character(
    rows: list[Row], data: st.DataObject, layout: Any, ascii_only: bool, new: str
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
def test_an_inserted_member_follows_its_neighbour_in_the_layout_of_the_row(
    row: Row, covered: dict[str, str], layout: Any
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


def raw(value: object, indent: Any, *path: str | int) -> Raw:
    return Raw.of(SourceMap(json.dumps(value, indent=indent)), path, "old.json")


@given(st.dictionaries(names, values, max_size=3), layouts, st.sampled_from(["\n", "\r\n"]))
def test_a_value_of_another_file_keeps_its_layout(row: Row, layout: Any, newline: str) -> None:
    assume("id" not in row)
    whole = {"models": [{"id": "m"}, row], "x": row}
    text = json.dumps({"models": [{"id": "m"}]}, indent=layout).replace("\n", newline)
    item = Insert(("models", 1), raw(whole, layout, "models", 1), after=0)
    result = edited(text, item, Insert(("x",), raw(whole, layout, "x"), after="models"))
    assert parse(result) == whole
    if layout is not None:
        assert result == json.dumps(whole, indent=layout).replace("\n", newline)


@given(st.dictionaries(names, values, min_size=2, max_size=5), st.data(), layouts)
def test_members_are_removed_or_moved(row: Row, data: st.DataObject, layout: Any) -> None:
    text = json.dumps({"models": [row]}, indent=layout)
    gone = data.draw(st.lists(st.sampled_from(sorted(row)), unique=True))
    moved, after = data.draw(st.permutations(sorted(row)))[:2]
    kept = {key: value for key, value in row.items() if key not in gone}
    keys = [key for key in row if key != moved]
    keys.insert(keys.index(after) + 1, moved)
    for edits, expected in (
        ([Remove(("models", 0, key)) for key in gone], kept),
        ([Move(("models", 0, moved), after=after)], {k: row[k] for k in keys}),
    ):
        result = edited(text, *edits)
        (found,) = parse(result)["models"]
        assert (found, list(found)) == (expected, list(expected))
        if layout is not None and expected:
            assert result == json.dumps({"models": [expected]}, indent=layout)


RAW = Insert(("x",), raw({"deep": {"m": {"x": {"a": 1}}}}, 2, "deep", "m", "x"), after="id")
E_ACUTE = '"\\u00e9 1.50"'
FIRST: list[Edit] = [Insert(("m", key), 0, after=None) for key in "ac"]
ITEMS: list[Edit] = [Insert(("m", 0), {"n": n}, after=None) for n in range(2)]
SEVERAL: list[Edit] = [
    Set(("m", 0, "data", "a"), "1"),
    Set(("m", 0, "data", "b"), "2222"),
    Insert(("m", 0, "data", "c"), "3", after="b"),
    Insert(("m", 0, "data", "d"), "4", after="b"),
    Set(("m", 0, "id"), "0000"),
]
EDITS: list[tuple[str, list[Edit], str]] = [
    ('{"m": {"b": 1}}', FIRST, '{"m": {"a": 0,"c": 0,"b": 1}}'),
    ('{"m": {\n  "b": 1\n}}', FIRST, '{"m": {\n  "a": 0,\n  "c": 0,\n  "b": 1\n}}'),
    ('{"m": {}}', FIRST[:1], '{"m": {"a": 0}}'),
    ('{"m": []}', ITEMS[:1], '{"m": [{"n": 0}]}'),
    ('{"m": [ ]}', ITEMS, '{"m": [ {"n": 0}, {"n": 1} ]}'),
    ('{"a": 1}', [Insert(("b",), Raw(E_ACUTE), after="a")], f'{{"a": 1,"b": {E_ACUTE}}}'),
    (f'{{"b": {E_ACUTE}, "a": 1}}', [Move(("b",), after="a")], f'{{"a": 1, "b": {E_ACUTE}}}'),
    ('{\n\t"id": 1\n}', [RAW], '{\n\t"id": 1,\n\t"x": {\n\t  "a": 1\n\t}\n}'),
    ('{"z": 0, "id": 1}', [RAW], '{"z": 0, "id": 1, "x": { "a": 1 }}'),
    ('{"a":"x"}', [Insert(("b",), "y", after="a")], '{"a":"x","b":"y"}'),
    ('{"a" : "x"}', [Insert(("b",), "y", after="a")], '{"a" : "x","b" : "y"}'),
    ('{"a":\t"x"}', [Insert(("b",), "y", after="a")], '{"a":\t"x","b":\t"y"}'),
    ('{"é": 1}', [Insert(("ü",), 2, after="é")], '{"é": 1,"ü": 2}'),
    ('{"e": 1}', [Insert(("ü",), 2, after="e")], '{"e": 1,"\\u00fc": 2}'),
    ('{"é": 1}', [Set(("é",), "ü")], '{"é": "ü"}'),
    ('{"\\u00e9": 1}', [Set(("é",), "ü")], '{"\\u00e9": "\\u00fc"}'),
    (
        '{"m": [{"id": "", "data": {"a": "long", "b": ""}}]}',
        SEVERAL,
        '{"m": [{"id": "0000", "data": {"a": "1", "b": "2222", "c": "3", "d": "4"}}]}',
    ),
]


@pytest.mark.parametrize(("before", "edits", "after"), EDITS)
def test_an_edit_keeps_the_style_of_the_file(before: str, edits: list[Edit], after: str) -> None:
    assert edited(before, *edits) == after


@pytest.mark.parametrize("after", [None, 0, 1])
@pytest.mark.parametrize("indent", [None, 2, "    ", "\t"])
def test_an_inserted_object_has_the_layout_of_the_file(indent: Any, after: int | None) -> None:
    rows: list[Row] = [{"id": "a"}, {"id": "b"}]
    text = json.dumps({"models": rows}, indent=indent).replace("\n", "\r\n")
    item = Insert(("models", 0), {"id": "new"}, after=after)
    result = edited(text, item, Insert(("models", 1, "data"), {"c": "1", "d": "2"}, after="id"))
    rows[1]["data"] = {"c": "1", "d": "2"}
    rows.insert(0 if after is None else after + 1, {"id": "new"})
    assert json.loads(result) == {"models": rows}
    if indent is not None:
        assert result == json.dumps({"models": rows}, indent=indent).replace("\n", "\r\n")


def test_a_file_is_searched_once_for_all_removed_members(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"a": i, "b": i, "c": i} for i in range(2_000)]
    gone = [Remove(("models", i, key)) for i in range(2_000) for key in "ab"]
    result = edited(json.dumps({"models": rows}, indent=2), *gone, *gone)
    assert result == json.dumps({"models": [{"c": i} for i in range(2_000)]}, indent=2)

    searched: list[int] = []
    places = source_map._Places.__init__

    def counted(self: Any, text: str, start: int) -> None:
        searched.append(start)
        places(self, text, start)

    monkeypatch.setattr(source_map._Places, "__init__", counted)
    row = {f"k{i}": i for i in range(50)}
    edited(json.dumps({"models": [row]}), *(Remove(("models", 0, f"k{i}")) for i in range(1, 50)))
    assert len(searched) == 3  # the registry, `models` in it, and the row


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ([Insert(("m", 0, "x"), {}, after="y")], r"`m\.0\.y` is missing; cannot put `x` after it"),
        ([Set(("m", 1, "id"), "n")], r"model/registry\.json: `m\.1\.id` is missing"),
        ([Move(("b",), after="a"), Set(("b",), 5)], "two edits overlap"),
        ([Remove(("a",)), Remove(("a", "c"))], "two edits overlap"),
    ],
)
def test_an_impossible_edit_is_refused(edits: list[Edit], message: str) -> None:
    with pytest.raises(InputError, match=message):
        edited('{"m": [{"id": "m"}], "b": 0, "a": {"c": 1}}', *edits)


def test_a_missing_value_of_another_file_is_refused() -> None:
    with pytest.raises(InputError, match=r"old\.json: `x` is missing"):
        raw({}, 2, "x")


REACHED: list[Edit] = [
    *(Set(("m", "a"), 5), Remove(("m", "a")), Move(("m", "a"), after="b")),
    *(Insert(("m", "z"), 5, after=after) for after in ("b", None)),
    *(Insert(("rows", 0), {}, after=after) for after in (0, None)),
]
NOT_REACHED: list[Edit] = [
    *(Set(("m", "z"), 5), Move(("m", "a"), after="z")),
    *(Insert(("n", "z"), 5, after=None), Insert(("rows", 0), {}, after=7)),
]


@pytest.mark.parametrize("asked", REACHED + NOT_REACHED)
def test_an_edit_reaches_only_existing_members(asked: Edit) -> None:
    text = '{"m": {"a": 1, "b": 2}, "rows": [{}]}'
    assert reaches(SourceMap(text), asked) is (asked in REACHED)
    if asked in REACHED:
        parse(edited(text, asked))
    else:
        with pytest.raises(InputError):
            edited(text, asked)
