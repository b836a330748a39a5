# SPDX-License-Identifier: Apache-2.0
"""Inputs and vocabularies that the members of an ensemble share."""

from __future__ import annotations

from typing import Any

import pytest
from onnx import TensorProto, helper

from tests.support.findings import only
from tests.support.models import CODECS, model, proto
from tests.support.mutations import drop, put
from tests.support.repository import Repository, codes, sha256

Inputs = list[tuple[str, int]]

FEATURES, CODEC, MORE = ("features", 6), ("codec_onehot", len(CODECS)), ("more", 3)


def add_ensemble(repository: Repository, **fields: Any) -> None:
    """Add three members whose sidecars claim nothing about the inputs but `fields`."""
    silent: dict[str, Any] = dict.fromkeys(
        ("input_names", "codec_block_layout", "encoder_vocab", "feature_order")
    )
    repository.add_ensemble("ens", 3, **(silent | {"training_recipe": {"epochs": 1}} | fields))


def retrain(repository: Repository, seed: int, inputs: Inputs) -> None:
    """Another graph of a member, with the digests that it has."""
    name = f"ens_seed{seed}"
    content = model(inputs=inputs, salt=90 + seed)
    repository.write(f"{name}.onnx", content)
    repository.rows[seed]["sha256"] = sha256(content)
    put("members", seed, "sha256", to=sha256(content))(repository.path("ens.json"))
    put("sha256", to=sha256(content))(repository.path(f"{name}.json"))


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ([FEATURES, CODEC], []),
        ([CODEC, FEATURES], []),  # the names tell which is which
        ([("feats", 6), CODEC], []),  # rules about sidecars report another name
        ([("feats", 5), CODEC], ["ENS507"]),
        ([FEATURES, CODEC, ("more", 1)], ["ENS520"]),
        ([FEATURES], ["ENS520"]),
        ([], ["ENS520"]),
    ],
)
def test_members_take_the_same_inputs_in_any_order(
    repository: Repository, inputs: Inputs, expected: list[str]
) -> None:
    add_ensemble(repository)
    drop("codec_vocab")(repository.path("ens.json"))
    for seed in range(3):
        retrain(repository, seed, inputs if seed == 1 else [FEATURES, CODEC])
    assert codes(repository.save().check()) == expected


@pytest.mark.parametrize("inputs", [[MORE, FEATURES, CODEC], [("feats", 6), CODEC, MORE]])
def test_names_of_most_sidecars_decide_if_all_graphs_have_these_inputs(
    repository: Repository, inputs: Inputs
) -> None:
    named = [FEATURES, CODEC, MORE]
    add_ensemble(repository, input_names=[name for name, _ in named])
    drop("codec_vocab")(repository.path("ens.json"))
    for seed in range(3):
        retrain(repository, seed, inputs if seed == 1 else named)
    drop("input_names")(repository.path("ens_seed1.json"))
    assert codes(repository.save().check()) == []


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (["batch", 3, 6], []),
        (["any", 3, 6], []),
        (["batch", 4, 6], ["ENS520"]),
        (["batch", 3, 5], ["ENS507"]),
        ([3, 6], ["ENS520"]),
    ],
)
def test_windows_of_members_have_the_same_shape(
    repository: Repository, shape: list[int | str], expected: list[str]
) -> None:
    members = []
    for seed in range(3):
        message = proto(salt=seed)
        dimensions: list[int | str] = shape if seed == 1 else ["batch", 3, 6]
        info = helper.make_tensor_value_info("features", TensorProto.FLOAT, dimensions)
        message.graph.input[0].CopyFrom(info)
        row = repository.add(f"m{seed}", message.SerializeToString())
        members.append({f: row[f] for f in ("id", "onnx", "sha256")} | {"seed": seed})
    repository.write("ens.json", {"id": "ens", "members": members})
    assert codes(repository.save().check()) == expected


def test_empty_vocabulary_is_compared_with_the_layout(repository: Repository) -> None:
    layout = [f"norm{i}" for i in range(len(CODECS))]
    repository.add_ensemble("ens", 2, codec_block_layout=layout, encoder_vocab=None)
    put("codec_vocab", to=[])(repository.path("ens.json"))
    assert codes(repository.save().check()) == ["ENS507"]


def test_wrong_width_of_the_manifest_is_reported_once(repository: Repository) -> None:
    add_ensemble(repository)
    put("feature_order", to=list("abcdefg"))(repository.path("ens.json"))
    retrain(repository, 1, [("features", 5), CODEC])
    finding = only(repository.save().check())
    assert finding.code == "ENS507"
    assert finding.message.startswith("`feature_order` has 7 entries; 6: ")


def test_vocabulary_of_the_manifest_is_compared_with_members_of_its_length(
    repository: Repository,
) -> None:
    repository.add_ensemble("ens", 3, codec_block_layout=None, training_recipe={"epochs": 1})
    short = list(CODECS[:-1])
    retrain(repository, 2, [FEATURES, ("codec_onehot", len(short))])
    put("encoder_vocab", to=short)(repository.path("ens_seed2.json"))
    put("codec_vocab", to=list(reversed(CODECS)))(repository.path("ens.json"))
    found = {f.path for f in repository.save().check().failing if f.code == "ENS508"}
    assert found == {"model/ens_seed2.json", "model/ens.json"}
