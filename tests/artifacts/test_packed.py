# SPDX-License-Identifier: Apache-2.0
"""Documents keep their text and value, packed if the value is much larger than the text."""

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


@given(text, st.dictionaries(text, values, max_size=4))
def test_a_packed_value_is_unpacked_unchanged(content: str, value: dict[str, Any]) -> None:
    assert unpack(pack(content.encode())) == content
    packed = PackedObject(value)
    assert packed == value
    assert list(packed) == list(value)
    assert len(packed) == len(value)
    assert all(same(packed[key], value[key]) for key in value)
    assert packed.get("\0no such key") is None


def test_the_number_of_unpacked_values_is_bounded() -> None:
    first, *others = [PackedObject({"n": [n]}) for n in range(4)]
    value = first.unpacked
    assert first.unpacked is value
    assert [o.unpacked for o in others] == [{"n": [n]} for n in (1, 2, 3)]
    assert first.unpacked is not value


@pytest.mark.parametrize(
    ("value", "is_packed"),
    [
        ({"notes": "a sentence of a sidecar; " * 3, "mean": [0.123456789012345] * 9}, False),
        ({"notes": [[]] * 100}, True),
        ({"notes": [0.5] * 100}, True),
        ({"notes": "x" * (64 * 1024)}, True),
    ],
)
def test_a_large_value_is_packed(value: dict[str, Any], is_packed: bool) -> None:
    content = json.dumps(value, indent=1)
    found = kept(value, json.dumps(value).encode())
    assert isinstance(found, PackedObject) == is_packed
    assert found == value
    document = Document("m.json", digest.of_bytes(b""), content, value)
    assert document.text == content
    assert same(document.value, value)
    assert same(document.get(), value)
    assert same(document.get("notes"), value["notes"])
    assert (document.locate("notes").line, document.locate("none").line) == (2, 1)
    with pytest.raises(AttributeError):
        document.path = "n.json"  # type: ignore[misc]
