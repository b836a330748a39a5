# SPDX-License-Identifier: Apache-2.0
"""What all members of an ensemble take: inputs, vocabularies, statistics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto, helper

from tests.support.models import CODECS, model, proto
from tests.support.mutated import mutated
from tests.support.mutations import Change, drop, lengthen, put, shorten
from tests.support.production import production
from tests.support.repository import Repository, codes, sha256


@pytest.fixture
def ensemble(tmp_path: Path) -> Repository:
    """Three production seeds with every claim."""
    return production(tmp_path / "tree")


def member(repository: Repository, seed: int, inputs: list[tuple[str, int]]) -> None:
    """Another graph of a member, with the digests that it has, and no claim about its inputs."""
    name = f"ens_seed{seed}"
    content = model(inputs=inputs, salt=90 + seed)
    repository.write(f"{name}.onnx", content)
    repository.rows[seed]["sha256"] = sha256(content)
    put("members", seed, "sha256", to=sha256(content))(repository.path("ens.json"))
    put("sha256", to=sha256(content))(repository.path(f"{name}.json"))


FEATURES, CODEC = ("features", 6), ("codec_onehot", len(CODECS))


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ([FEATURES, CODEC], []),
        ([CODEC, FEATURES], []),  # of inputs with the same names, the order is for the names
        ([("feats", 6), CODEC], []),  # another name is for the sidecar to say
        ([("feats", 5), CODEC], ["ENS507"]),
        ([FEATURES, CODEC, ("more", 1)], ["ENS520"]),
        ([FEATURES], ["ENS520"]),
        ([], ["ENS520"]),  # a constant
    ],
)
def test_members_take_the_same_inputs_whatever_their_order(
    repository: Repository, inputs: list[tuple[str, int]], expected: list[str]
) -> None:
    repository.add_ensemble("ens", 3, input_names=None, codec_block_layout=None, encoder_vocab=None,
                            feature_order=None, training_recipe={"epochs": 1})  # fmt: skip
    drop("codec_vocab")(repository.path("ens.json"))
    for seed in range(3):
        member(repository, seed, inputs if seed == 1 else [FEATURES, CODEC])
    assert codes(repository.save().check()) == expected


@pytest.mark.parametrize(
    "inputs", [[("more", 3), FEATURES, CODEC], [("feats", 6), CODEC, ("more", 3)]]
)
def test_what_most_sidecars_call_the_inputs_counts_where_all_graphs_have_these(
    repository: Repository, inputs: list[tuple[str, int]]
) -> None:
    named = [FEATURES, CODEC, ("more", 3)]
    repository.add_ensemble("ens", 3, input_names=[name for name, _ in named],
                            codec_block_layout=None, encoder_vocab=None, feature_order=None,
                            training_recipe={"epochs": 1})  # fmt: skip
    drop("codec_vocab")(repository.path("ens.json"))
    for seed in range(3):
        member(repository, seed, inputs if seed == 1 else named)
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
def test_of_a_window_all_but_the_width_is_the_same(
    repository: Repository, shape: list[int | str], expected: list[str]
) -> None:
    def window(salt: int, shape: list[int | str]) -> bytes:
        message = proto(salt=salt)
        info = helper.make_tensor_value_info("features", TensorProto.FLOAT, shape)
        message.graph.input[0].CopyFrom(info)
        content: bytes = message.SerializeToString()
        return content

    members = []
    for seed in range(3):
        content = window(seed, shape if seed == 1 else ["batch", 3, 6])
        row = repository.add(f"m{seed}", content)
        members.append({f: row[f] for f in ("id", "onnx", "sha256")} | {"seed": seed})
    repository.write("ens.json", {"id": "ens", "members": members})
    assert codes(repository.save().check()) == expected


def test_an_empty_vocabulary_is_that_of_no_layout(repository: Repository) -> None:
    repository.add_ensemble("ens", 2, codec_block_layout=[f"norm{i}" for i in range(len(CODECS))],
                            encoder_vocab=None)  # fmt: skip
    put("codec_vocab", to=[])(repository.path("ens.json"))
    assert codes(repository.save().check()) == ["ENS507"]


def test_a_wrong_width_in_the_manifest_is_reported_once_if_members_differ_too(
    repository: Repository,
) -> None:
    repository.add_ensemble("ens", 3, input_names=None, codec_block_layout=None, encoder_vocab=None,
                            feature_order=None, training_recipe={"epochs": 1})  # fmt: skip
    put("feature_order", to=list("abcdefg"))(repository.path("ens.json"))
    member(repository, 1, [("features", 5), CODEC])
    (finding,) = repository.save().check().failing
    assert finding.code == "ENS507"
    assert finding.message.startswith("`feature_order` has 7 entries; 6: ")


def test_a_manifest_is_compared_where_one_member_is_of_its_length(repository: Repository) -> None:
    repository.add_ensemble("ens", 3, codec_block_layout=None, training_recipe={"epochs": 1})
    short = list(CODECS[:-1])
    member(repository, 2, [FEATURES, ("codec_onehot", len(short))])
    put("encoder_vocab", to=short)(repository.path("ens_seed2.json"))
    put("codec_vocab", to=list(reversed(CODECS)))(repository.path("ens.json"))
    found = [(f.code, f.path) for f in repository.save().check().failing if f.code == "ENS508"]
    assert set(found) == {("ENS508", "model/ens_seed2.json"), ("ENS508", "model/ens.json")}


@pytest.mark.parametrize(
    ("of_one_input", "of_the_other"),
    [("num_codecs", "feature_order"), ("in_features", "num_codecs")],
)
def test_sidecars_that_are_wrong_of_one_input_say_nothing_of_the_other(
    ensemble: Repository, of_one_input: str, of_the_other: str
) -> None:
    mutations = [(f"s{s}.json", put("training_recipe", of_one_input, to=99)) for s in range(3)]
    expected = ["SID403 s0", "SID403 s1", "SID403 s2", "ENS507"]
    mutated(ensemble, *mutations, ("ens.json", put(of_the_other, to=9)), expected=expected)


@pytest.mark.parametrize("wrong", [["x"] * 6, [[1.0]] * 6])
def test_invalid_statistics_are_reported_for_the_sidecar_only(
    ensemble: Repository, wrong: list[Any]
) -> None:
    mutated(ensemble, ("s1.json", put("feature_mean", to=wrong)), expected=["SID414 s1"])


def test_a_mean_may_be_below_zero_and_a_deviation_may_not(ensemble: Repository) -> None:
    documents = [*(f"s{seed}.json" for seed in range(3)), "ens.json"]
    mutated(ensemble, *((d, put("feature_mean", 0, to=-1.0)) for d in documents), expected=[])
    mutated(ensemble, ("ens.json", put("feature_std", 0, to=0)), expected=["ENS515"])
    mutated(ensemble, ("ens.json", put("feature_std", 0, to=-0.5)), expected=["ENS515"])


def test_a_deviation_is_missed_by_its_sidecar_alone(ensemble: Repository) -> None:
    mutated(ensemble, ("s1.json", drop("feature_std")), expected=["SID414 s1"])


def test_a_mean_is_missed_where_another_member_has_one(ensemble: Repository) -> None:
    for name in ("feature_mean", "feature_std"):
        drop(name)(ensemble.path("ens.json"))
        drop(name)(ensemble.path("s1.json"))
    mutated(ensemble, expected=["ENS515 s1"])
    for name in ("feature_mean", "feature_std"):
        drop(name)(ensemble.path("s0.json"))
        drop(name)(ensemble.path("s2.json"))
    mutated(ensemble, expected=[])


def test_a_mean_is_not_missed_where_the_manifest_alone_has_it(ensemble: Repository) -> None:
    mutations = [(f"s{s}.json", drop(n)) for s in range(3) for n in ("feature_mean", "feature_std")]
    mutated(ensemble, *mutations, expected=[])


@pytest.mark.parametrize("change", [shorten("feature_mean"), lengthen("feature_mean")])
def test_statistics_of_a_manifest_are_as_many_as_those_of_its_members(
    ensemble: Repository, change: Change
) -> None:
    drop("feature_order")(ensemble.path("ens.json"))
    mutated(ensemble, ("ens.json", change), expected=["ENS515"])
