# SPDX-License-Identifier: Apache-2.0
"""Differences of two registries, and the edits that undo a loss."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from provenance.artifacts.documents.json_edit import Insert, Raw, Set, edit
from provenance.evidence.registry_diff import Comparison, LostField, LostRow, changed_digests
from provenance.registry.reading import parse_bytes
from provenance.registry.registry import Registry
from tests.support.json_values import values


def registry(value: Any, indent: Any = 2) -> Registry:
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return parse_bytes(text.encode("utf-8", "surrogatepass"), "registry.json")


def compared(then: list[dict[str, Any]], now: list[dict[str, Any]]) -> Comparison:
    return Comparison(registry({"models": then}), registry({"models": now}))


def lost_rows(then: list[dict[str, Any]], now: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    found = compared(then, now).lost_rows()
    return [(f.row.label, f.renamed.label if f.renamed else None) for f in found]


def lost_fields(then: list[dict[str, Any]], now: list[dict[str, Any]]) -> list[Any]:
    found = compared(then, now)
    return [
        (f.row.label if f.row else None, f.key, f.was)
        for row in found.now.rows
        for f in found.lost_fields(row)
    ]


def undone(found: Comparison) -> str:
    """Return the present text with everything put back."""
    rows: list[LostRow] = list(found.lost_rows())
    fields: list[LostField] = [f for row in found.now.rows for f in found.lost_fields(row)]
    fields += found.lost_fields_of_registry()
    edits = [*map(found.row_edit, rows), *map(found.field_edit, fields)]
    return edit(found.now.files[0].source, edits, "registry.json")


keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)


@given(
    st.lists(st.dictionaries(keys, values, max_size=5), min_size=1, max_size=5),
    st.dictionaries(keys, values, max_size=3),
    st.sampled_from([1, 2, 4, "\t"]),
    st.data(),
)
def test_edits_restore_the_position_and_spelling_of_what_was_lost(
    bodies: list[dict[str, Any]],
    outer: dict[str, Any],
    indent: Any,
    data: st.DataObject,
) -> None:
    id_key = "id"
    rows = [
        data.draw(st.permutations([*body.items(), (id_key, f"row{i}")]))
        for i, body in enumerate(bodies)
        if not {"id", "name", "models"} & body.keys()
    ]
    then_rows = [dict(row) for row in rows]
    assume(then_rows)
    kept = data.draw(st.lists(st.sampled_from(range(len(rows))), min_size=1, unique=True))
    now_rows = []
    for index in sorted(kept):
        row = dict(then_rows[index])
        for gone in data.draw(st.lists(st.sampled_from(sorted(row)), unique=True)):
            if gone != id_key:
                del row[gone]
        now_rows.append(row)
    assume("models" not in outer)
    then = data.draw(st.permutations([*outer.items(), ("models", then_rows)]))
    left = data.draw(st.sets(st.sampled_from([*sorted(outer), "models"]))) | {"models"}
    now = {k: now_rows if k == "models" else v for k, v in then if k in left}
    found = Comparison(registry(dict(then), indent), registry(now, indent))
    assert undone(found) == found.then.files[0].text


def test_a_field_is_lost_if_its_name_is_gone() -> None:
    then = {"id": "m", "a": 1, "b": None, "c": "x"}
    assert lost_fields([then], [{"id": "m", "a": 2, "b": "", "c": ""}]) == []
    assert lost_fields([then], [{"id": "m"}]) == [("m", "a", 1), ("m", "b", None), ("m", "c", "x")]


@pytest.mark.parametrize("field", ["license", "license_url", "sigstore_bundle"])
def test_an_empty_license_is_a_lost_one(field: str) -> None:
    then, now = [{"id": "m", field: "x"}], [{"id": "m", field: ""}]
    assert lost_fields(then, now) == [("m", field, "x")]
    found = compared(then, now)
    (lost,) = found.lost_fields(found.now.rows[0])
    assert found.field_edit(lost) == Set(("models", 0, field), Raw('"x"', "      ", f'"{field}"'))
    assert lost_fields([{"id": "m", field: ""}], now) == []
    assert lost_fields([{"id": "m", "notes": "x"}], [{"id": "m", "notes": ""}]) == []


A, B = {"id": "a", "onnx": "a.onnx"}, {"id": "b", "onnx": "b.onnx"}


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [
        # Rows are matched by their id, and rows of one id with the first that had it.
        ([{"id": "a"}, {"id": "b", "x": 2}], [{"id": "b"}, {"id": "a"}], [("b", "x", 2)]),
        (
            [{"id": "a", "x": 1}, {"id": "a", "y": 2}],
            [{"id": "a"}, {"id": "a", "x": 0}],
            [("a", "x", 1)],
        ),
        # A row that lost its id is matched by its file, unless the other row still exists.
        ([A, B], [A, {"onnx": "b.onnx"}], [("#1", "id", "b")]),
        ([A], [A, {"onnx": "a.onnx"}, {"onnx": "c.onnx"}, {}], []),
    ],
)
def test_fields_are_lost_from_the_row_that_is_matched(
    then: list[dict[str, Any]], now: list[dict[str, Any]], expected: list[Any]
) -> None:
    assert lost_fields(then, now) == expected
    assert lost_rows(then, now) == []


def test_a_lost_id_returns() -> None:
    found = compared([A, B], [A, {"onnx": "b.onnx"}])
    assert undone(found) == registry({"models": [A, B]}).files[0].text


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [
        ([A, B], [B, A], []),
        ([{"id": "a", "x": 1}, {"id": "a", "y": 2}], [], [("a", None)]),
        ([{"onnx": "a.onnx"}, {"id": ""}, {"id": 7}], [], []),  # without an id at the baseline
        ([{"id": "a", "onnx": "x"}], [{"id": "b", "onnx": "x"}], [("a", "b")]),
        ([{"id": "a", "sha256": "x"}], [{"id": "b", "sha256": "x"}], [("a", "b")]),
        ([{"id": "a", "onnx": "x"}], [{"id": "b", "onnx": "y"}], [("a", None)]),
        ([{"id": "a", "sha256": "x"}], [{"id": "b", "sha256": "y"}], [("a", None)]),
        # A row that existed before is no new name.
        ([{"id": i, "sha256": "x"} for i in "ab"], [{"id": "b", "sha256": "x"}], [("a", None)]),
    ],
)
def test_a_row_is_lost_or_renamed_if_its_id_is_gone(
    then: list[dict[str, Any]], now: list[dict[str, Any]], expected: list[Any]
) -> None:
    assert lost_rows(then, now) == expected


def test_a_row_returns_behind_its_nearest_neighbour() -> None:
    then = [{"id": id} for id in "abcd"]
    found = compared(then, [{"id": "d"}, {"id": "a"}])
    edits = [found.row_edit(lost) for lost in found.lost_rows()]
    assert [(e.path, e.after) for e in edits] == [(("models", 2), 1), (("models", 2), 1)]
    assert [found.neighbour(lost) for lost in found.lost_rows()] == [found.now.rows[1]] * 2
    first = compared([{"id": "x"}, {"id": "a"}], [{"id": "a"}])
    (lost,) = first.lost_rows()
    assert first.neighbour(lost) is None
    assert first.row_edit(lost) == Insert(("models", 0), first.row_edit(lost).value, None)


def test_a_field_returns_behind_its_nearest_neighbour() -> None:
    then = [{"id": "m", "a": 1, "b": 2, "c": 3}]
    found = compared(then, [{"c": 3, "id": "m"}])
    edits = [found.field_edit(f) for f in found.lost_fields(found.now.rows[0])]
    assert [e.after for e in edits if isinstance(e, Insert)] == ["id", "id"]


def test_a_field_of_the_registry_itself_returns() -> None:
    then = registry({"$schema": "./s.json", "models": [], "version": {"major": 1}})
    found = Comparison(then, registry({"models": []}))
    lost = list(found.lost_fields_of_registry())
    assert [(f.row, f.key) for f in lost] == [(None, "$schema"), (None, "version")]
    assert lost[0].was == '"./s.json"'
    assert undone(found) == then.files[0].text
    assert list(compared([], []).lost_fields_of_registry()) == []


SHA = {name: name * 64 for name in "abcd"}


def test_two_digests_that_differ_are_a_change() -> None:
    then = {
        "id": "m",
        "sha256": SHA["a"],
        "int8_sha256": SHA["b"],
        "external_data_sha256": {"x": SHA["a"], "y": SHA["a"], "z": "?", "gone": SHA["a"]},
    }
    now = then | {
        "sha256": SHA["c"],
        "external_data_sha256": {"x": SHA["b"], "y": SHA["a"], "z": SHA["d"], "new": SHA["a"]},
    }
    found = compared([then], [now])
    assert changed_digests(found.now.rows[0], found.then.rows[0]) == {
        "sha256": (SHA["a"], SHA["c"]),
        "x": (SHA["a"], SHA["b"]),
    }
    for other in ("A" * 64, "", None, 7):
        odd = compared([then], [now | {"sha256": other, "external_data_sha256": other}])
        assert changed_digests(odd.now.rows[0], odd.then.rows[0]) == {}
