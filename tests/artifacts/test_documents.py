# SPDX-License-Identifier: Apache-2.0
"""Sidecars, ensemble manifests and gate verdicts: claims where they have the expected type."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provenance.artifacts import digest, ensemble
from provenance.artifacts.documents.strict_json import Position
from provenance.artifacts.ensemble import GateVerdict, Manifest
from provenance.artifacts.sidecar import Sidecar, once


def sidecar(**value: Any) -> Sidecar:
    text = json.dumps(value, indent=2)
    return Sidecar("m.json", digest.of_bytes(text.encode()), text, value)


def manifest(**value: Any) -> Manifest:
    return Manifest("e.json", digest.of_bytes(b""), "{}", value)


def verdict(path: str) -> GateVerdict:
    return GateVerdict(path, digest.of_bytes(b""), "{}", {"verdict": "PROMOTE", "gate": {}})


def widths(found: Sidecar) -> dict[str, tuple[int, str | None]]:
    return {".".join(map(str, c.member)): (c.width, c.input) for c in found.width_claims}


def test_what_a_function_says_of_a_document_is_kept_with_it() -> None:
    asked: list[object] = []

    @once
    def ask(_: Sidecar, about: object) -> int:
        asked.append(about)
        return len(asked)

    one, equal, this, that = sidecar(), sidecar(), object(), object()
    found = [ask(one, this), ask(one, this), ask(one, that), ask(equal, that), ask(one, this)]
    assert found == [1, 1, 2, 3, 4]
    assert one == equal


def test_each_width_speaks_of_its_input() -> None:
    found = sidecar(
        input_names=["features", "codec"],
        feature_order=["a", "b"],
        features=["a", "b", "c"],
        codec_block_layout=["encoder_onehot[x264]", "preset_norm"],
        training_recipe={"num_codecs": 14},
    )
    assert widths(found) == {
        "feature_order": (2, "features"),
        "features": (3, "features"),
        "codec_block_layout": (2, "codec"),
        "training_recipe.num_codecs": (14, "codec"),
    }


def test_a_vocabulary_is_a_width_only_where_no_layout_says_more() -> None:
    plain = sidecar(input_names=["f", "c"], encoder_vocab=["a", "b"], codec_vocab=["a"])
    assert widths(plain) == {"encoder_vocab": (2, "c"), "codec_vocab": (1, "c")}
    laid_out = sidecar(input_names=["f", "c"], encoder_vocab=["a"], codec_block_layout=["x"] * 3)
    assert widths(laid_out) == {"codec_block_layout": (3, "c")}


def test_a_width_without_a_named_input_speaks_of_the_input_at_its_place() -> None:
    (claim,) = sidecar(feature_order=["a"]).width_claims
    assert (claim.at, claim.input) == (0, None)
    (claim,) = sidecar(input_name="f", codec_vocab=["a"]).width_claims
    assert (claim.at, claim.input) == (1, None)


@pytest.mark.parametrize("value", [True, "6", 6.0, None, {}])
def test_a_width_of_another_type_claims_nothing(value: object) -> None:
    assert sidecar(input_names=["f"], feature_order=value).width_claims == ()


def test_one_input_may_be_named_alone() -> None:
    assert sidecar(input_name="f").input_names == ("f",)
    assert sidecar(input_names=["f", 1], input_name="g").input_names == ("g",)
    assert sidecar().input_names == ()


@pytest.mark.parametrize(("value", "seed"), [(0, 0), (True, None), ("1", None), (None, None)])
def test_a_seed_is_a_whole_number(value: object, seed: int | None) -> None:
    assert sidecar(seed=value).seed == seed


def test_the_layouts_encoders_are_those_of_its_onehot_entries() -> None:
    layout = ["encoder_onehot[x264]", 5, "preset_norm", "encoder_onehot[libvpx-vp9]"]
    assert sidecar(codec_block_layout=layout).layout_encoders == ("x264", "libvpx-vp9")
    assert sidecar(codec_block_layout="x").layout_encoders is None


def test_a_value_is_located_or_else_the_start_of_the_file() -> None:
    found = sidecar(gate={"verdict": "HOLD"})
    assert found.locate("gate", "verdict") == Position(3, 16)
    assert found.locate("none") == Position(1, 1)
    assert found.text_at("gate", "verdict") == "HOLD"
    assert found.text_at("gate", "verdict", "deeper") is None


def test_a_manifest_lists_its_members() -> None:
    found = manifest(
        id="ens",
        members=[{"id": "s0", "onnx": "s0.onnx", "seed": 0, "sha256": "x"}, 5, {"seed": True}],
    )
    assert found.members[0] == ensemble.Member("s0", "s0.onnx", 0, "x")
    assert found.members[1] == ensemble.Member(None, None, None, None)


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
def test_documents_are_known_by_what_they_hold(
    value: dict[str, Any], is_manifest: bool, is_verdict: bool
) -> None:
    assert ensemble.is_manifest(value) is is_manifest
    assert ensemble.is_gate_verdict(value) is is_verdict


def lists(id: str | None, *names: str) -> ensemble.Manifest:
    return manifest(id=id, members=[{"onnx": name} for name in names])


@pytest.mark.parametrize(
    ("onnx", "named", "expected"),
    [
        ("only_b.onnx", None, "b"),
        ("only_b.onnx", "a", "b"),  # it is listed there and not here
        ("both.onnx", None, "a"),  # the first
        ("both.onnx", "b", "b"),
        ("both.onnx", "c", "a"),
        ("none.onnx", "b", "b"),  # that it is not listed is for a rule to say
        ("none.onnx", "c", None),
        ("none.onnx", None, None),
    ],
)
def test_the_manifest_of_a_model(onnx: str, named: str | None, expected: str | None) -> None:
    found = ensemble.Documents(
        (lists(None, "x.onnx"), lists("a", "both.onnx"), lists("b", "only_b.onnx", "both.onnx"))
    )
    listing = found.manifest_of(onnx, named)
    assert (listing.id if listing else None) == expected


@pytest.mark.parametrize(
    ("named", "id", "sha256", "listed"),
    [
        (None, "s0", "y", True),
        (None, "other", "x", True),  # the member's id is misspelt
        (None, "other", "y", False),  # the member's file is misspelt: this is another model
        ("ens", "other", "y", True),
    ],
)
def test_a_member_with_the_file_of_a_row_alone_is_another_model(
    named: str | None, id: str, sha256: str, listed: bool
) -> None:
    member = {"id": "s0", "onnx": "s0.onnx", "sha256": "x"}
    found = ensemble.Documents((manifest(id="ens", members=[member]),))
    assert (found.manifest_of("s0.onnx", named, id, sha256) is not None) is listed


def test_the_verdict_on_an_ensemble_starts_with_its_id() -> None:
    names = ("ens_flip_PROMOTE", "ens", "ens1_PROMOTE", "en", "x", "ensemble_PROMOTE", "ens-2")
    found = ensemble.Documents(tuple(verdict(f"model/{name}.json") for name in names))
    paths = [v.path for v in found.verdicts_on("ens")]
    assert paths == ["model/ens-2.json", "model/ens.json", "model/ens_flip_PROMOTE.json"]
    assert found.verdict_on("ens") is None
    assert found.verdict_on("ens1") is found.found[2]
    assert found.verdict_on("ens2") is None
    assert found.verdict_on("") is found.verdict_on(None) is None
    assert found.found[0] == verdict("model/ens_flip_PROMOTE.json")
