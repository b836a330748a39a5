# SPDX-License-Identifier: Apache-2.0
"""What is packed comes back as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.artifacts import digest
from provenance.artifacts.documents.strict_json import same
from provenance.artifacts.packed import (
    PackedObject,
    pack_text,
    pack_value,
    unpack_text,
    unpack_value,
)
from provenance.artifacts.sidecar import Document
from tests.support.json_values import text, values


@given(values)
def test_a_value_comes_back_with_its_types(value: Any) -> None:
    assert same(unpack_value(pack_value(value)), value)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_text_comes_back_with_its_characters(content: str) -> None:
    assert unpack_text(pack_text(content)) == content


@pytest.mark.parametrize(("entries", "kept"), [(1, 16), (100_000, 3)])
def test_the_last_values_are_kept_unpacked_and_of_large_ones_few(entries: int, kept: int) -> None:
    packed = [pack_value([n] * entries) for n in range(kept + 1)]
    first, *others = [unpack_value(each) for each in packed]
    assert all(unpack_value(p) is value for p, value in zip(packed[1:], others, strict=True))
    assert unpack_value(packed[0]) is not first


@given(st.dictionaries(text, values, max_size=4))
def test_a_packed_object_is_the_object(value: dict[str, Any]) -> None:
    packed = PackedObject(value)
    assert packed == value
    assert list(packed) == list(value)
    assert len(packed) == len(value)
    assert all(same(packed[key], value[key]) for key in value)
    assert packed.get("\0no such key") is None


def test_a_document_holds_its_text_and_its_value() -> None:
    content = '{\n  "a": [1, 2.5, "—"]\n}\n'
    document = Document("m.json", digest.of_bytes(content.encode()), content, json.loads(content))
    assert document.text == content
    assert document.value == {"a": [1, 2.5, "—"]}
    assert document.locate("a").line == 2
    assert document.locate("b").line == 1


def test_a_document_cannot_be_changed() -> None:
    document = Document("m.json", digest.of_bytes(b"{}"), "{}", {})
    with pytest.raises(AttributeError):
        document.path = "n.json"  # type: ignore[misc]
