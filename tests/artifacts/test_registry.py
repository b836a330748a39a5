# SPDX-License-Identifier: Apache-2.0
"""Reading a registry, and changing only what is to be changed."""

from __future__ import annotations

import difflib
import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from provenance.artifacts import registry as registries
from provenance.artifacts.registry import Edit, Registry
from provenance.artifacts.strict_json import Position
from provenance.errors import InputError
from tests.artifacts.test_strict_json import values

layouts = st.sampled_from([None, 1, 2, 4, "\t"])
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
digests = st.text("0123456789abcdef", min_size=64, max_size=64)


def read(text: str) -> Registry:
    return registries.parse_bytes(text.encode(), "model/registry.json")


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
    registry = read(text)
    member = registry.source.find(("models", index, "sha256"))
    assert member is not None

    edited = registries.edit(registry, [Edit(("models", index, "sha256"), new)])

    assert edited == text[: member.start] + f'"{new}"' + text[member.end :]
    rows[index]["sha256"] = new
    assert json.loads(edited) == {"models": rows}


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

    edited = registries.edit(
        read(text), [Edit(("models", 0, "external_data_sha256"), covered, after="sha256")]
    )

    (after,) = json.loads(edited)["models"]
    assert after == row | {"external_data_sha256": covered}
    assert list(after)[:2] == ["sha256", "external_data_sha256"]
    removed = [x for x in difflib.ndiff(text.splitlines(), edited.splitlines()) if x[0] == "-"]
    assert len(removed) <= 1  # a line that now needs a comma


@pytest.mark.parametrize("indent", ["  ", "    ", "\t"])
def test_an_added_object_is_laid_out_as_the_file_is(indent: str) -> None:
    text = json.dumps({"models": [{"id": "m", "sha256": "x"}]}, indent=indent)
    edits = [Edit(("models", 0, "external_data_sha256"), {"a": "1", "b": "2"}, after="sha256")]
    expected = {
        "models": [{"id": "m", "sha256": "x", "external_data_sha256": {"a": "1", "b": "2"}}]
    }
    assert registries.edit(read(text), edits) == json.dumps(expected, indent=indent)


def test_several_edits_of_one_row_do_not_disturb_each_other() -> None:
    text = '{"models": [{"sha256": "", "external_data_sha256": {"a": "long", "b": ""}}]}'
    at: tuple[str | int, ...] = ("models", 0, "external_data_sha256")
    edits = [
        Edit((*at, "a"), "1"),
        Edit((*at, "b"), "2222"),
        Edit((*at, "d"), "4", after="b"),
        Edit((*at, "c"), "3", after="b"),
        Edit(("models", 0, "sha256"), "0000"),
    ]
    after = registries.edit(read(text), edits)
    covered = {"a": "1", "b": "2222", "c": "3", "d": "4"}
    assert json.loads(after) == {"models": [{"sha256": "0000", "external_data_sha256": covered}]}


@pytest.mark.parametrize("text", ['{"models": [{"é": 1}]}', '{"models": [{"\\u00e9": 1}]}'])
def test_escapes_stay_as_the_file_writes_them(text: str) -> None:
    edited = registries.edit(read(text), [Edit(("models", 0, "é"), "ü")])
    assert edited.isascii() == text.isascii()
    assert json.loads(edited) == {"models": [{"é": "ü"}]}


def test_line_ends_of_another_system_stay() -> None:
    text = '{\r\n  "models": [\r\n    {\r\n      "sha256": "x"\r\n    }\r\n  ]\r\n}\r\n'
    edit = Edit(("models", 0, "external_data_sha256"), {"a": "1"}, after="sha256")
    edited = registries.edit(read(text), [edit])
    assert edited.count("\n") == edited.count("\r\n") == text.count("\n") + 3


def test_an_edit_beside_a_field_that_is_not_there_is_an_error() -> None:
    edit = Edit(("models", 0, "external_data_sha256"), {}, after="sha256")
    with pytest.raises(InputError, match="cannot add `external_data_sha256`"):
        registries.edit(read('{"models": [{"id": "m"}]}'), [edit])


def test_a_row_keeps_its_fields_verbatim() -> None:
    fields = {"id": "m", "own": [1, 2.5, None], "onnx": 5, "smoke": "true", "license": ""}
    (row,) = read(json.dumps({"models": [fields]})).rows
    assert row.fields == fields
    assert list(row.fields) == list(fields)


def test_a_value_of_another_type_is_no_value() -> None:
    fields = {"onnx": 5, "smoke": "true", "sigstore_bundle": [], "external_data_sha256": "x"}
    (row,) = read(json.dumps({"models": [fields]})).rows
    assert (row.onnx, row.sigstore_bundle, row.smoke) == (None, None, False)
    assert row.external_data_sha256 == {}
    assert row.label == "#0"


@pytest.mark.parametrize(
    ("fields", "quantized"),
    [
        ({}, False),
        ({"quant_mode": "fp32"}, False),
        ({"quant_mode": "dynamic"}, True),
        ({"int8_sha256": ""}, True),
    ],
)
def test_a_row_is_quantized_where_it_says_so(fields: dict[str, Any], quantized: bool) -> None:
    (row,) = read(json.dumps({"models": [fields]})).rows
    assert row.quantized is quantized


def test_what_is_no_row_is_kept_apart_with_its_place() -> None:
    registry = read('{"models": [1, {"id": "m"}, null]}')
    assert [r.index for r in registry.rows] == [1]
    assert registry.not_rows == ((0, "a number"), (2, "null"))


def test_a_field_is_located_or_else_its_row() -> None:
    registry = read('{"models": [\n  {"id": "m",\n   "onnx": "m.onnx"}]}')
    (row,) = registry.rows
    assert registry.locate(row, "onnx") == Position(3, 12)
    assert registry.locate(row, "license") == Position(2, 3)
    assert registry.locate(7) == Position(1, 1)


def test_names_are_relative_to_the_registrys_folder() -> None:
    registry = read('{"models": []}')
    assert registry.folder == "model"
    assert registry.absolute("../bundles/x") == "bundles/x"
    assert registry.name_of("bundles/x") == "../bundles/x"
    assert registries.parse_bytes(b'{"models": []}', "registry.json").folder == "."
