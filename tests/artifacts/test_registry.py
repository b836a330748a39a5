# SPDX-License-Identifier: Apache-2.0
"""Reading a registry, whatever it calls its fields."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provenance.artifacts import registry as registries
from provenance.artifacts.documents.strict_json import Position
from provenance.artifacts.registry import ITSELF, FieldNames, Registry
from provenance.errors import InputError


def read(text: str) -> Registry:
    return registries.parse_bytes(text.encode(), "model/registry.json")


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


OTHER_NAMES = FieldNames(ITSELF, {"id": "name", "onnx": "file", "license": "licence"})


def test_a_registry_of_another_shape_is_read_under_this_projects_names() -> None:
    text = '[\n  {"id": 17, "name": "m",\n   "file": "m.onnx", "licence": "MIT", "own": 1}]'
    registry = registries.parse_bytes(text.encode(), "index.json", OTHER_NAMES)
    (row,) = registry.rows
    assert row.fields == {"id": "m", "onnx": "m.onnx", "license": "MIT", "own": 1}
    assert list(row.verbatim) == ["id", "name", "file", "licence", "own"]
    assert registry.locate(row, "onnx") == Position(3, 12)
    assert registry.path_of(row, "license") == (0, "licence")
    assert not registry.names.stock


@pytest.mark.parametrize(
    ("names", "text", "says"),
    [
        (FieldNames(ITSELF), '{"models": []}', "expected a list of rows, found an object"),
        (FieldNames("entries"), "[]", "expected an object with a list `entries`, found an array"),
        (FieldNames("entries"), '{"models": []}', "field `entries`: expected a list of rows"),
    ],
)
def test_a_registry_of_a_shape_that_was_not_declared_is_refused(
    names: FieldNames, text: str, says: str
) -> None:
    with pytest.raises(InputError, match=says) as caught:
        registries.parse_bytes(text.encode(), "index.json", names)
    assert "not supported" in str(caught.value.help)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b'{"models": []\n<<<<<<< HEAD\n',
            "contains an unresolved merge conflict, at line 2, column 1",
        ),
        (b'\xef\xbb\xbf{"models": []}', "starts with a byte-order mark"),
        ('{"models": []}'.encode("utf-16"), "is UTF-16; JSON is UTF-8"),
        (b"\x08\x00\x12\x00", "is not JSON"),
        (b'{"models": NaN}', "contains NaN"),
    ],
)
def test_a_registry_that_is_not_json_is_refused_with_the_reason(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        registries.parse_bytes(data, "r.json")
    assert "the path of an object with a list `models`" in str(caught.value.help)
