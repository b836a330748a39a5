# SPDX-License-Identifier: Apache-2.0
"""The table `[registry]`: what it refuses, and the rows that it gives."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from provenance.config import of_text
from provenance.errors import InputError
from provenance.registry import reading
from provenance.registry.mapping import Index
from provenance.registry.registry import Registry


def indexes(text: str) -> tuple[Index, ...]:
    config = of_text(text, Path("provenance.toml"), Path("/nowhere"))
    assert config is not None
    return config.indexes


def read(text: str, data: Any, path: str = "models/index.json") -> Registry:
    (index,) = indexes(text)
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return reading.parse_bytes(raw, path, index)


LIST = '[registry]\npath = "r.json"\nrows = "$[*]"\n'


def table(fields: str, more: str = "") -> str:
    return f"{LIST}[registry.fields]\n{fields}\n{more}"


@pytest.mark.parametrize(
    ("text", "message", "help"),
    [
        ('registry = ""', "`registry` is empty", "registry ="),
        ('registry = "../r.json"', "leaves the folder of the configuration", ""),
        ('[registry]\npath = "r.json"\nrow = "$"', "unknown key `registry.row`", "`registry.rows`"),
        ('[registry]\npath = "r.json"\nrows = "models"', "begins with $", '"$.models"'),
        (LIST.replace("$[*]", "$..x"), "`..` is not supported", "each step"),
        ('[registry]\npath = []', "expected the path of the index", "path ="),
        (f'{LIST}format = "xml"', "expected one of json", "yaml"),
        (f'{LIST}absent = "maybe"', '"fail" or "skip"', ""),
        (f'{LIST}base = "/etc"', "is an absolute path", ""),
        (table('onx = "a"'), "unknown key `registry.fields.onx`", "`registry.fields.onnx`"),
        (table('onnx = "a"'), "`fields.id` is missing", 'id = "~"'),
        (table('id = "a"\nsha256 = "b"'), "`onnx`, which is not mapped", "[[registry.files]]"),
        (table('id = "{model}"'), "{model} is not a field", "{$.model}"),
        (table('id = "{sigstore_bundle}"\nsigstore_bundle = "{id}"'), "needs its own value", ""),
        (table('id = "a"', '[registry.defaults]\nx = 1'), "unknown key `registry.defaults.x`", ""),
        (table('id = "a"', '[registry.defaults]\nsha256 = "0"'), "each row has its own", ""),
        (table('id = "a"', '[registry.defaults]\nkind = "{~}"'), "reads the index", "uses fields"),
        (table('id = "a"', "[registry.values.license]\nMIT = 1"), "a table of strings", ""),
        (f'{LIST}[[registry.files]]\nsha256 = "a"', "`path` or `url` is missing", ""),
        ('registry = "r.json"\n[fields]\nid = "name"', "is now [registry.fields]", 'id = "name"'),
        ('registry = "r.json"\n[fields]\nrows = "."', "is now [registry.fields]", 'rows = "$[*]"'),
    ],
)  # fmt: skip
def test_invalid_table_is_refused(text: str, message: str, help: str) -> None:
    tomllib.loads(text)
    with pytest.raises(InputError) as caught:
        indexes(text)
    assert message in caught.value.message
    assert help in str(caught.value.help)


@pytest.mark.parametrize(
    ("text", "data", "message", "help"),
    [
        (LIST.replace("$[*]", "$.a"), {"a": [{}]}, "is one list, not its rows", '"$.a[*]"'),
        (LIST, {"models": [{"id": "m"}]}, "is one list, not its rows", '"$.models[*]"'),
        (LIST.replace("$[*]", "$.b[*]"), {"a": [{"id": 1}]}, "gives no row", '"$.a[*]"'),
        (table('id = "key"'), [{"name": "m"}], "no row has a value for `fields.id`", "name a"),
        (table('id = "~"'), [{"name": "m"}], "~ is a key, and this is an element", "{~1}"),
    ],
)  # fmt: skip
def test_mapping_that_does_not_fit_is_refused(
    text: str, data: Any, message: str, help: str
) -> None:
    with pytest.raises(InputError) as caught:
        read(text, data)
    assert message in caught.value.message
    assert help in str(caught.value.help)


ROW = {"name": "m", "file": "m.onnx", "lic": "MIT License", "sha": "ab" * 32, "ver": "17"}


@pytest.mark.parametrize(
    ("fields", "more", "expected"),
    [
        ('id = "name"', "", {"id": "m"}),
        ('id = "name"\nopset = "ver"', "", {"id": "m", "opset": 17}),
        ('id = "ver"', "", {"id": "17"}),
        ('id = "name"\nlicense = "lic"', "", {"id": "m", "license": "MIT License"}),
        ('id = "name"\nlicense = "lic"', '[registry.values.license]\n"MIT License" = "MIT"',
         {"id": "m", "license": "MIT"}),
        ('id = "name"\nlicense = "lic"', '[registry.values.license]\n"MIT License" = ""',
         {"id": "m"}),
        ('id = "name"\nlicense = "lic"',
         '[registry.values.license]\n"MIT License" = ""\n[registry.defaults]\nlicense = "ISC"',
         {"id": "m", "license": "ISC"}),
        ('id = "name"\nlicense = "lic"', '[registry.defaults]\nlicense = "ISC"',
         {"id": "m", "license": "MIT License"}),
        ('id = "name"', '[registry.defaults]\nsigstore_bundle = "b/{id}.json"\nsmoke = true',
         {"id": "m", "sigstore_bundle": "b/m.json", "smoke": True}),
        ('id = "name"\nonnx = "file"\ndigest = "{$.alg}:{$.sha}"', "",
         {"id": "m", "onnx": "m.onnx"}),
    ],
)  # fmt: skip
def test_row_has_the_mapped_fields(fields: str, more: str, expected: dict[str, Any]) -> None:
    row, _ = read(table(fields, more), [ROW, ROW | {"name": "n", "alg": "sha256"}]).rows
    assert row.fields == expected
    assert row.verbatim == ROW


def test_url_in_the_place_of_a_file_is_an_address() -> None:
    (row,) = read(table('id = "name"\nonnx = "file"'), [ROW | {"file": "https://x/m.onnx"}]).rows
    assert (row.onnx, row.fields["url"]) == (None, "https://x/m.onnx")


def test_notes_name_what_is_not_mapped_and_what_no_row_has() -> None:
    registry = read(table('id = "name"\nkind = "task"'), [{"name": "m", "license": "MIT"}])
    assert [note.key for note in registry.notes] == ["kind", "license"]


def test_several_indexes_are_one_registry() -> None:
    held = {"a/i.json": b'[{"n": "x"}]', "b/c/i.json": b'[{"n": "y"}, {"n": "z"}]', "b/n": b""}

    class Files:
        def read(self, path: str, limit: int) -> bytes:
            return held[path]

        def names_in(self, folder: str) -> list[str]:
            parts = (path.rpartition("/") for path in held)
            return [name for above, _, name in parts if (above or ".") == folder]

        def folders_in(self, folder: str) -> list[str]:
            return {".": ["a", "b"], "b": ["c"]}.get(folder, [])

    text = '[registry]\npath = "**/i.json"\nrows = "$[*]"\n[registry.fields]\n'
    found = indexes(text + 'id = "{index|folder|name}-{$.n}"\nonnx = "{$.n}.onnx"')
    registry = reading.read(Files(), found)
    assert [(r.label, r.onnx, r.index, r.source) for r in registry.rows] == [
        ("a-x", "a/x.onnx", 0, 0),
        ("c-y", "b/c/y.onnx", 1, 1),
        ("c-z", "b/c/z.onnx", 2, 1),
    ]
    assert registry.folder == "."
    with pytest.raises(InputError, match="no file matches"):
        reading.read(Files(), indexes(text.replace("i.json", "j.json") + 'id = "n"'))
