# SPDX-License-Identifier: Apache-2.0
"""Rows of a registry in this project's own shape."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provenance.artifacts.documents.strict_json import Position
from provenance.errors import InputError
from provenance.registry.reading import parse_bytes
from provenance.registry.registry import Registry
from provenance.registry.rows import Row


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
    assert registry.files[0].not_rows == ((("models", 0), "a number"), (("models", 2), "null"))


def test_a_missing_field_has_the_place_of_its_row() -> None:
    registry = read('{"models": [\n  {"id": "m",\n   "onnx": "m.onnx"}]}')
    (row,) = registry.rows
    assert registry.locate(row, "onnx") == Position(3, 12)
    assert registry.locate(row, "license") == Position(2, 3)


def test_names_are_relative_to_the_folder_of_the_registry() -> None:
    registry = read('{"models": []}')
    assert registry.folder == "model"
    assert registry.absolute("../bundles/x") == "bundles/x"
    assert registry.name_of("bundles/x") == "../bundles/x"
    assert parse_bytes(b'{"models": []}', "registry.json").folder == "."


PATH = "the registry's path"


@pytest.mark.parametrize(
    ("data", "message", "help"),
    [
        (b'[{"id": "m"}]', "an object with a list `models`, found an array", 'rows = "$[*]"'),
        (b'{"models": 5}', "field `models`: expected a list of rows, found a number", "[registry]"),
        (b'{"nets": [{}]}', "expected a list of rows, found no such", 'rows = "$.nets[*]"'),
        (b'{"models": []\n<<<<<<< HEAD\n', "merge conflict, at line 2, column 1", PATH),
        (b'\xef\xbb\xbf{"models": []}', "starts with a byte-order mark", PATH),
        ('{"models": []}'.encode("utf-16"), "is UTF-16; expected UTF-8", PATH),
        (b"\x08\x00\x12\x00", "is not JSON", PATH),
        (b'{"models": NaN}', "contains NaN", PATH),
    ],
)
def test_another_document_is_refused(data: bytes, message: str, help: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_bytes(data, "r.json")
    assert help in str(caught.value.help)
