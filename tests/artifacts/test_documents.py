# SPDX-License-Identifier: Apache-2.0
"""Sidecars, ensemble manifests and gate verdicts: a claim has the expected type."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.artifacts import digest, ensemble
from provenance.artifacts.documents.strict_json import Position, same
from provenance.artifacts.ensemble import Documents, GateVerdict, Manifest, Member
from provenance.artifacts.packed import PackedObject, kept, pack, unpack
from provenance.artifacts.sidecar import Document, Sidecar, once
from tests.support.json_values import text, values

NO_BYTES = digest.of_bytes(b"")


def sidecar(**value: Any) -> Sidecar:
    text = json.dumps(value, indent=2)
    return Sidecar("m.json", digest.of_bytes(text.encode()), text, value)


def manifest(id: str | None, *members: Any) -> Manifest:
    return Manifest("e.json", NO_BYTES, "{}", {"id": id, "members": list(members)})


def test_an_answer_about_a_document_is_kept_with_it() -> None:
    asked: list[object] = []

    @once
    def ask(_: Sidecar, about: object) -> int:
        asked.append(about)
        return len(asked)

    one, equal, this, that = sidecar(), sidecar(), object(), object()
    found = [ask(one, this), ask(one, this), ask(one, that), ask(equal, that), ask(one, this)]
    assert found == [1, 1, 2, 3, 4]
    assert one == equal


NAMES = {"input_names": ["f", "c"]}


@pytest.mark.parametrize(
    ("value", "claims"),
    [
        (NAMES | {"feature_order": ["a", "b"]}, [("feature_order", 2, 0, "f")]),
        (NAMES | {"features": ["a", "b", "c"]}, [("features", 3, 0, "f")]),
        (NAMES | {"codec_block_layout": ["x", "y"]}, [("codec_block_layout", 2, 1, "c")]),
        (
            NAMES | {"training_recipe": {"num_codecs": 9}},
            [("training_recipe.num_codecs", 9, 1, "c")],
        ),
        (NAMES | {"encoder_vocab": ["a", "b"]}, [("encoder_vocab", 2, 1, "c")]),
        (NAMES | {"codec_vocab": ["a"]}, [("codec_vocab", 1, 1, "c")]),
        (
            NAMES | {"encoder_vocab": ["a"], "codec_block_layout": ["x"] * 3},
            [("codec_block_layout", 3, 1, "c")],  # a layout is more precise than a vocabulary
        ),
        ({"feature_order": ["a"]}, [("feature_order", 1, 0, None)]),
        ({"input_name": "f", "codec_vocab": ["a"]}, [("codec_vocab", 1, 1, None)]),
        *((NAMES | {"feature_order": other}, []) for other in (True, "6", 6.0, None)),
        (NAMES | {"feature_order": {}}, []),
    ],
)
def test_width_claims(
    value: dict[str, Any], claims: list[tuple[str, int, int, str | None]]
) -> None:
    found = sidecar(**value).width_claims
    assert [(".".join(map(str, c.member)), c.width, c.at, c.input) for c in found] == claims


@pytest.mark.parametrize(
    ("value", "member", "expected"),
    [
        ({"input_name": "f"}, "input_names", ("f",)),
        ({"input_names": ["f", 1], "input_name": "g"}, "input_names", ("g",)),
        ({}, "input_names", ()),
        *(({"seed": s}, "seed", e) for s, e in ((0, 0), (True, None), ("1", None), (None, None))),
        (
            {"codec_block_layout": ["encoder_onehot[x264]", 5, "norm", "encoder_onehot[l-v9]"]},
            "layout_encoders",
            ("x264", "l-v9"),
        ),
        ({"codec_block_layout": "x"}, "layout_encoders", None),
    ],
)
def test_another_type_is_ignored(value: dict[str, Any], member: str, expected: object) -> None:
    assert getattr(sidecar(**value), member) == expected


def test_a_missing_value_has_the_start_of_the_file_as_its_place() -> None:
    found = sidecar(gate={"verdict": "HOLD"})
    assert found.locate("gate", "verdict") == Position(3, 16)
    assert found.locate("none") == Position(1, 1)
    assert found.text_at("gate", "verdict") == "HOLD"
    assert found.text_at("gate", "verdict", "deeper") is None


def test_a_manifest_lists_its_members() -> None:
    found = manifest("ens", {"id": "s0", "onnx": "s0.onnx", "seed": 0, "sha256": "x"}, 5, {})
    assert found.members[:2] == (Member("s0", "s0.onnx", 0, "x"), Member(None, None, None, None))
    assert manifest("ens", {"seed": True}).members == (Member(None, None, None, None),)


@pytest.mark.parametrize(
    ("value", "is_manifest", "is_verdict"),
    [
        ({"members": []}, True, False),
        ({"members": {}}, False, False),
        ({"verdict": "HOLD", "gate": {}}, False, True),
        ({"verdict": "HOLD"}, False, False),
        ({"verdict": 1, "gate": {}}, False, False),
    ],
)
def test_kinds_are_recognised(value: dict[str, Any], is_manifest: bool, is_verdict: bool) -> None:
    assert ensemble.is_manifest(value) is is_manifest
    assert ensemble.is_gate_verdict(value) is is_verdict


@pytest.mark.parametrize(
    ("onnx", "named", "expected"),
    [
        ("only_b.onnx", None, "b"),
        ("only_b.onnx", "a", "b"),  # `a` does not list it
        ("both.onnx", None, "a"),  # the first
        ("both.onnx", "b", "b"),
        ("both.onnx", "c", "a"),
        ("none.onnx", "b", "b"),  # a rule reports that it is not listed
        ("none.onnx", "c", None),
        ("none.onnx", None, None),
    ],
)
def test_a_model_has_its_manifest(onnx: str, named: str | None, expected: str | None) -> None:
    lists = {None: ["x.onnx"], "a": ["both.onnx"], "b": ["only_b.onnx", "both.onnx"]}
    found = Documents(
        tuple(manifest(id, *({"onnx": name} for name in names)) for id, names in lists.items())
    )
    listing = found.manifest_of(onnx, named)
    assert (listing.id if listing else None) == expected


@pytest.mark.parametrize(
    ("named", "id", "sha256", "listed"),
    [
        (None, "s0", "y", True),
        (None, "other", "x", True),  # the id of the member is misspelt
        (None, "other", "y", False),  # the file of the member is misspelt: this is another model
        ("ens", "other", "y", True),
    ],
)
def test_a_file_alone_is_no_member(named: str | None, id: str, sha256: str, listed: bool) -> None:
    found = Documents((manifest("ens", {"id": "s0", "onnx": "s0.onnx", "sha256": "x"}),))
    assert (found.manifest_of("s0.onnx", named, id, sha256) is not None) is listed


def test_the_name_of_a_verdict_starts_with_the_id_of_its_ensemble() -> None:
    names = ("ens_flip_PROMOTE", "ens", "ens1_PROMOTE", "en", "x", "ensemble_PROMOTE", "ens-2")
    content = {"verdict": "PROMOTE", "gate": {}}
    verdicts = tuple(GateVerdict(f"model/{n}.json", NO_BYTES, "{}", content) for n in names)
    found = Documents(verdicts)
    paths = [v.path for v in found.verdicts_on("ens")]
    assert paths == ["model/ens-2.json", "model/ens.json", "model/ens_flip_PROMOTE.json"]
    assert found.verdict_on("ens1") is verdicts[2]
    for id in ("ens", "ens2", "", None):
        assert found.verdict_on(id) is None


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
