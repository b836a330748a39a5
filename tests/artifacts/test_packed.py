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
from provenance.artifacts.packed import PackedObject, kept, pack, unpack
from provenance.artifacts.sidecar import Document
from tests.support.json_values import text, values


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_text_comes_back_with_its_characters(content: str) -> None:
    assert unpack(pack(content.encode())) == content


def test_few_packed_values_are_kept_unpacked() -> None:
    first, *others = [PackedObject({"n": [n]}) for n in range(4)]
    value = first.unpacked
    assert first.unpacked is value
    assert [o.unpacked for o in others] == [{"n": [n]} for n in (1, 2, 3)]
    assert first.unpacked is not value


@pytest.mark.parametrize(
    ("value", "is_packed"),
    [
        (
            {
                "notes": "a sentence of a sidecar; " * 3,
                "mean": [0.123456789012345] * 9,
            },
            False,
        ),
        ({"notes": [[]] * 100}, True),
        ({"notes": [0.5] * 100}, True),
        ({"notes": "x" * (64 * 1024)}, True),
    ],
)
def test_a_value_much_larger_than_its_text_is_packed(
    value: dict[str, Any], is_packed: bool
) -> None:
    found = kept(value, json.dumps(value).encode())
    assert isinstance(found, PackedObject) == is_packed
    assert found == value
    document = Document("m.json", digest.of_bytes(b""), json.dumps(value), value)
    assert same(document.value, value)
    assert same(document.get(), value)
    assert same(document.get("notes"), value["notes"])


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
