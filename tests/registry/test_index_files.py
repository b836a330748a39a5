# SPDX-License-Identifier: Apache-2.0
"""Index files: values, positions and edits in all formats."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.artifacts import digest
from provenance.artifacts.documents import toml_places, yaml_document
from provenance.artifacts.documents.json_edit import Insert, Set
from provenance.artifacts.documents.strict_json import JsonPath
from provenance.artifacts.packed import pack
from provenance.errors import InputError
from provenance.registry.index_file import (
    IndexFile,
    IndexFormatError,
    format_of,
    value_of,
)
from provenance.registry.mapping import Format, stock

JSON = '{"m": [\n  {"sha": "aa", "n": 1}\n]}\n'
YAML = "# é\nm:\n  - sha: 'aa'   # kept\n    n: 1\n    plain: 58e3\n"
TOML = '# c\n[[m]] # é\nsha = \'aa\' # kept\nn = 1\nt = { "x y".z = "aa", l = ["aa",\n  "bb"] }\n'
SUMS = "# c\n" + "a" * 64 + "  m.onnx\n\\" + "B" * 64 + " *o\\\\d\\n.bin\n"


def file(text: str, format: Format) -> IndexFile:
    data = text.encode()
    return IndexFile("i", format, pack(data), digest.of_bytes(data), stock("i"), ".")


@pytest.mark.parametrize(
    ("text", "format", "location", "value", "line", "column"),
    [
        (JSON, Format.JSON, ("m", 0, "sha"), "aa", 2, 11),
        (YAML, Format.YAML, ("m", 0, "sha"), "aa", 3, 10),
        (YAML, Format.YAML, ("m", 0, "plain"), "58e3", 5, 12),
        (TOML, Format.TOML, ("m", 0, "sha"), "aa", 3, 1),
        (TOML, Format.TOML, ("m", 0, "t", "l", 1), "bb", 6, 3),
        (SUMS, Format.SHA256, (0, "sha256"), "a" * 64, 2, 1),
        (SUMS, Format.SHA256, (1, "files", 0, "sha256"), "B" * 64, 3, 1),
    ],
)
def test_value_is_edited_in_place(
    text: str, format: Format, location: JsonPath, value: str, line: int, column: int
) -> None:
    index = file(text, format)
    position = index.position(location)
    assert position is not None
    assert (position.line, position.column) == (line, column)
    new = "c" * len(value)
    edit = Set(location, new)
    assert index.reaches(edit)
    before, after = text.split("\n"), index.edited([edit]).split("\n")
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert changed == [(changed[0][0], changed[0][0].replace(value, new))]


def at(value: Any, location: JsonPath) -> Any:
    for step in location:
        value = value[step]
    return value


@pytest.mark.parametrize(("text", "format"), [(YAML, Format.YAML), (TOML, Format.TOML)])
def test_other_edits_are_refused(text: str, format: Format) -> None:
    index = file(text, format)
    for edit in (Insert(("m", 0, "new"), "x", "sha"), Set(("m", 1, "sha"), "x")):
        assert not index.reaches(edit)
        with pytest.raises(InputError, match="cannot be edited"):
            index.edited([edit])


@pytest.mark.parametrize(
    ("style", "new", "spelled"),
    [
        (None, "abc", "abc"),
        (None, "58e3", "58e3"),
        (None, "12", '"12"'),
        (None, "true", '"true"'),
        (None, "a b", '"a b"'),
        ("'", "it's", "'it''s'"),
        ('"', "x", '"x"'),
        ("|", "x", None),
    ],
)
def test_yaml_string_keeps_its_quotes(style: str | None, new: str, spelled: str | None) -> None:
    assert yaml_document.replaced("", yaml_document.Scalar(0, 0, style), new) == spelled


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("58e30490000000000000000000000000", "58e30490000000000000000000000000"),
        ("12345678901234567890123456789012", 12345678901234567890123456789012),
        ("0123", "0123"),
        ("0.95", 0.95),
        ("1.0e5", "1.0e5"),
        ("~", None),
        ("yes", "yes"),
        ("True", True),
        ("2026-01-01", "2026-01-01"),
        ("'12'", "12"),
    ],
)
def test_yaml_scalar_keeps_its_text_unless_json_spells_it_alike(scalar: str, value: object) -> None:
    assert yaml_document.read(f"a: {scalar}").value == {"a": value}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x 1\nb: 2", "the anchor &x is not supported, at line 1"),
        ("a: *x", "an alias"),
        ("a: {<<: {b: 1}}", "a merge key"),
        ("a: !!int 3", "the tag tag:yaml.org,2002:int is not supported"),
        ("? [a]\n: b", "a key that is not a string"),
        ("a: 1\n---\nb: 2", "a second document, at line 2"),
        ("a: [", "is not YAML"),
        ("", "is empty"),
        ("[" * 60, "nested too deeply"),
    ],
)
def test_other_yaml_is_refused(text: str, message: str) -> None:
    with pytest.raises(IndexFormatError) as caught:
        value_of(text, Format.YAML, [])
    assert message in str(caught.value)


def test_repeated_key_of_yaml_has_its_position() -> None:
    repeated: list[str] = []
    text = "a:\n  b: 1\n  b: 2\n"
    assert value_of(text, Format.YAML, repeated) == {"a": {"b": 2}}
    assert repeated == ["b"]
    ((path, position),) = file(text, Format.YAML).duplicates
    assert (path, position.line) == (("a", "b"), 3)


keys = st.sampled_from(["a", "b", "x y", "é", 'q"', "-"])
scalars = st.sampled_from([1, -2, 0.5, True, "s", "it's", 'q"q', "multi\nline", "# no", "[t]"])
trees = st.recursive(
    scalars,
    lambda b: st.lists(b, max_size=3) | st.dictionaries(keys, b, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(keys, trees, min_size=1, max_size=4))
def test_place_of_each_toml_value_holds_its_text(table: dict[str, Any]) -> None:
    import tomlkit

    text = tomlkit.dumps(table)
    document = tomllib.loads(text)
    for location, place in toml_places.places(text).items():
        value = at(document, location)
        written = text[place.start : place.end]
        is_header = isinstance(value, dict | list) and written.startswith("[") and "]" in written
        if not (is_header and (isinstance(value, dict) or written.startswith("[["))):
            assert tomllib.loads(f"x = {written}")["x"] == value


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("a/index.JSON", Format.JSON),
        ("model.yml", Format.YAML),
        ("pyproject.toml", Format.TOML),
        ("SHA256SUMS", Format.SHA256),
        ("sha256sum.txt", Format.SHA256),
        ("m.onnx.sha512", Format.SHA512),
        ("MD5SUMS", Format.MD5),
        ("b2sums", Format.BLAKE2B),
        ("README", None),
    ],
)
def test_name_tells_the_format(name: str, format: Format | None) -> None:
    assert format_of(name) is format


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no digest here", "expected a digest, two blanks and a file name, at line 1"),
        ("ab  x\n\\ab  a\\tb", "'\\\\t' is not an escape, at line 2"),
    ],
)
def test_other_checksum_lines_are_refused(text: str, message: str) -> None:
    with pytest.raises(IndexFormatError) as caught:
        value_of(text, Format.MD5, [])
    assert message in str(caught.value)


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_number_that_json_cannot_have_is_refused(value: str) -> None:
    with pytest.raises(IndexFormatError, match=value):
        value_of(f"x = {value}", Format.TOML, [])
