# SPDX-License-Identifier: Apache-2.0
"""Reading a registry under its own names of fields."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provenance.artifacts.documents.strict_json import Position
from provenance.artifacts.registry import ITSELF, FieldNames, Registry, Row, parse_bytes
from provenance.errors import InputError


def read(text: str) -> Registry:
    return parse_bytes(text.encode(), "model/registry.json")


def read_row(**fields: Any) -> Row:
    (row,) = read(json.dumps({"models": [fields]})).rows
    return row


def test_a_row_keeps_its_fields_unchanged() -> None:
    fields = {"id": "m", "own": [1, 2.5, None], "onnx": 5, "smoke": "true", "license": ""}
    assert list(read_row(**fields).fields.items()) == list(fields.items())


def test_a_value_of_another_type_is_no_value() -> None:
    row = read_row(onnx=5, smoke="true", sigstore_bundle=[], external_data_sha256="x")
    assert (row.onnx, row.sigstore_bundle, row.smoke) == (None, None, False)
    assert (row.external_data_sha256, row.label) == ({}, "#0")


@pytest.mark.parametrize(
    ("fields", "quantized"),
    [
        ({}, False),
        ({"quant_mode": "fp32"}, False),
        ({"quant_mode": "dynamic"}, True),
        ({"int8_sha256": ""}, True),
    ],
)
def test_a_row_declares_that_it_is_quantized(fields: dict[str, str], quantized: bool) -> None:
    assert read_row(**fields).quantized is quantized


def test_an_entry_that_is_no_row_is_kept_apart_with_its_place() -> None:
    registry = read('{"models": [1, {"id": "m"}, null]}')
    assert [r.index for r in registry.rows] == [1]
    assert registry.not_rows == ((0, "a number"), (2, "null"))


def test_a_missing_field_has_the_place_of_its_row() -> None:
    registry = read('{"models": [\n  {"id": "m",\n   "onnx": "m.onnx"}]}')
    (row,) = registry.rows
    assert registry.locate(row, "onnx") == Position(3, 12)
    assert registry.locate(row, "license") == Position(2, 3)
    assert registry.locate(7) == Position(1, 1)


def test_names_are_relative_to_the_folder_of_the_registry() -> None:
    registry = read('{"models": []}')
    assert registry.folder == "model"
    assert registry.absolute("../bundles/x") == "bundles/x"
    assert registry.name_of("bundles/x") == "../bundles/x"
    assert parse_bytes(b'{"models": []}', "registry.json").folder == "."


def test_a_registry_of_another_shape_is_read_under_the_names_of_this_project() -> None:
    text = '[\n  {"id": 17, "name": "m",\n   "file": "m.onnx", "licence": "MIT", "own": 1}]'
    names = FieldNames(ITSELF, {"id": "name", "onnx": "file", "license": "licence"})
    registry = parse_bytes(text.encode(), "index.json", names)
    (row,) = registry.rows
    assert row.fields == {"id": "m", "onnx": "m.onnx", "license": "MIT", "own": 1}
    assert list(row.verbatim) == ["id", "name", "file", "licence", "own"]
    assert registry.locate(row, "onnx") == Position(3, 12)
    assert registry.path_of(row, "license") == (0, "licence")
    assert not registry.names.stock


STOCK, ENTRIES, LIST = FieldNames(), FieldNames("entries"), FieldNames(ITSELF)
PATH = "the path of an object with a list `models`"


@pytest.mark.parametrize(
    ("names", "data", "message", "help"),
    [
        (LIST, b'{"models": []}', "expected a list of rows, found an object", "not supported"),
        (ENTRIES, b"[]", "an object with a list `entries`, found an array", "not supported"),
        (ENTRIES, b'{"models": []}', "field `entries`: expected a list of rows", "not supported"),
        (STOCK, b'{"models": []\n<<<<<<< HEAD\n', "merge conflict, at line 2, column 1", PATH),
        (STOCK, b'\xef\xbb\xbf{"models": []}', "starts with a byte-order mark", PATH),
        (STOCK, '{"models": []}'.encode("utf-16"), "is UTF-16; JSON is UTF-8", PATH),
        (STOCK, b"\x08\x00\x12\x00", "is not JSON", PATH),
        (STOCK, b'{"models": NaN}', "contains NaN", PATH),
    ],
)
def test_another_document_is_refused(
    names: FieldNames, data: bytes, message: str, help: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_bytes(data, "r.json", names)
    assert help in str(caught.value.help)
