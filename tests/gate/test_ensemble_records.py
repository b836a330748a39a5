# SPDX-License-Identifier: Apache-2.0
"""What a verdict, a manifest and the sidecars say of one gate, and of whom."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto, helper

from tests.support.models import CODECS, model, proto
from tests.support.mutations import Change, drop, lengthen, put, shorten
from tests.support.production import PLCC, production
from tests.support.repository import Repository, codes, sha256, verdict_gate
from tests.support.slips import consistent, slipped

VERDICT = "ens_seed_flip_PROMOTE.json"


@pytest.fixture
def ensemble(tmp_path: Path) -> Repository:
    """Three production seeds with every claim."""
    return production(tmp_path / "tree")


def place(repository: Repository, finding: Any) -> str:
    """The line that a finding points at."""
    lines = (repository.root / finding.path).read_text("utf-8").splitlines()
    return str(lines[finding.position.line - 1]).strip()


def test_of_several_members_that_do_not_follow_the_outcome_is_told_first(
    ensemble: Repository,
) -> None:
    (finding,) = slipped(
        ensemble,
        ("ens_PROMOTE.json", put("gate", "mean_plcc", to=0.5)),
        ("ens_PROMOTE.json", put("gate", "per_seed_pass", to=False)),
        ("ens_PROMOTE.json", put("verdict", to="APPROVED")),
        expected=["ENS511"],
    )
    assert finding.message.startswith("the verdict is 'APPROVED'; its numbers give PROMOTE; `")
    assert "`mean_plcc` is 0.5" in finding.message
    assert place(ensemble, finding) == '"verdict": "APPROVED"'


def test_a_record_is_told_at_the_first_statistic_that_its_folds_do_not_give(
    ensemble: Repository,
) -> None:
    (finding,) = slipped(
        ensemble,
        ("plain.json", put("training", "loso_max_plcc", to=0.5)),
        ("plain.json", put("training", "loso_min_plcc", to=0.5)),
        expected=["ENS516 plain"],
    )
    assert place(ensemble, finding) == '"loso_max_plcc": 0.5,'


def reseeded(repository: Repository, numbers: dict[str, float]) -> None:
    consistent(numbers)(repository.path(VERDICT))


@pytest.mark.parametrize("numbers", [{"0": 0.99}, {"0": 0.99, "1": 0.99, "7": 0.99}])
@pytest.mark.parametrize(
    ("smoke", "sidecar", "told"),
    [
        (True, {}, True),  # the sidecars describe what is shipped, and so must the verdict
        (True, {"sha256": "0" * 64}, False),  # it is the record of the former weights
        (False, {}, True),
        (False, {"sha256": "0" * 64}, True),
    ],
)
def test_a_verdict_is_on_the_members_that_are_shipped(
    repository: Repository,
    numbers: dict[str, float],
    smoke: bool,
    sidecar: dict[str, Any],
    told: bool,
) -> None:
    repository.add_ensemble("ens", 2, smoke=smoke, **sidecar)
    reseeded(repository, numbers)
    assert ("ENS512" in codes(repository.save().check())) is told


def test_a_hold_without_numbers_is_on_nobody(repository: Repository) -> None:
    repository.add_ensemble("ens", 2, gate={"verdict": "HOLD"})
    put("gate", to={})(repository.path(VERDICT))
    put("verdict", to="HOLD")(repository.path(VERDICT))
    drop("seeds")(repository.path(VERDICT))
    assert codes(repository.save().check()) == []


def test_of_a_member_that_is_no_object_no_seed_is_known(repository: Repository) -> None:
    """So a seed more in the verdict may be its own."""
    repository.add_ensemble("ens", 2)
    put("members", 2, to="ens_seed2.onnx")(repository.path("ens.json"))
    reseeded(repository, {"0": 0.99, "1": 0.99, "2": 0.99})
    assert codes(repository.save().check()) == ["ENS501"]


@pytest.mark.parametrize("known", [[0], [1], []])
def test_of_a_member_without_a_seed_none_is_known(repository: Repository, known: list[int]) -> None:
    repository.add_ensemble("ens", 2, gate={})
    for seed in {0, 1} - set(known):
        drop("members", seed, "seed")(repository.path("ens.json"))
        drop("seed")(repository.path(f"ens_seed{seed}.json"))
    reseeded(repository, {"0": 0.99, "1": 0.99, "2": 0.99})
    assert "ENS512" not in codes(repository.save().check())


def test_a_sidecar_without_a_seed_leaves_a_member_without_one(ensemble: Repository) -> None:
    found = slipped(
        ensemble,
        ("ens.json", drop("members", "s1", "seed")),
        ("s1.json", drop("seed")),
        expected=["ENS506 s1", "SID407 s1"],
    )
    told = {f.code: f.message for f in found}
    assert told["ENS506"].endswith("missing here; a whole number is expected")


def test_where_as_many_say_one_thing_as_another_the_verdict_counts(repository: Repository) -> None:
    repository.add_ensemble("ens", 2)
    limit = ("gate", "plcc_spread_max")
    gate = {"verdict": "PROMOTE", "passed": True, "plcc_spread": 0.0, limit[1]: 0.006}
    put("gate", to=gate)(repository.path("ens.json"))
    put(*limit, to=0.006)(repository.path("ens_seed0.json"))
    found = [(f.code, f.path) for f in repository.save().check().failing]
    assert sorted(found) == [("ENS512", "model/ens.json"), ("ENS512", "model/ens_seed0.json")]


@pytest.mark.parametrize("name", ["mean_plcc", "plcc_spread", "plcc_spread_max", "passed"])
def test_what_the_verdict_does_not_say_nothing_disagrees_with(
    ensemble: Repository, name: str
) -> None:
    drop("gate", name)(ensemble.path("ens_PROMOTE.json"))
    assert "ENS512" not in codes(ensemble.check())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_member_need_not_say_which_ensemble_it_is_of(ensemble: Repository, seed: int) -> None:
    slipped(ensemble, (f"s{seed}.json", drop("ensemble_id")), expected=[])


def test_a_mean_that_is_no_number_is_told_by_its_record_alone(ensemble: Repository) -> None:
    slipped(ensemble, ("s1.json", put("loso_mean_plcc", to="x")), expected=["ENS516 s1"])


def test_of_a_member_without_a_seed_the_verdict_has_no_number(repository: Repository) -> None:
    repository.add_ensemble("ens", 1)
    drop("members", 0, "seed")(repository.path("ens.json"))
    drop("seed")(repository.path("ens_seed0.json"))
    put("gate", "this_seed_loso_plcc", to=0.98)(repository.path("ens_seed0.json"))
    reseeded_by_name(repository, {"None": 0.99})
    assert "ENS512" not in codes(repository.save().check())


def reseeded_by_name(repository: Repository, numbers: dict[str, float]) -> None:
    put("gate", to=verdict_gate(numbers))(repository.path(VERDICT))
    put("seeds", to=list(numbers))(repository.path(VERDICT))


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ([0.98, 0.98], [VERDICT]),  # then it is the verdict that is of another run
        ([0.98, 0.99], ["ens_seed0.json"]),
        ([0.99, 0.98], ["ens_seed1.json"]),
    ],
)
def test_the_number_of_a_seed_is_that_of_the_verdict(
    repository: Repository, other: list[float], told: list[str]
) -> None:
    repository.add_ensemble("ens", 2)
    for seed, number in enumerate(other):
        path = repository.path(f"ens_seed{seed}.json")
        value = json.loads(path.read_text("utf-8"))
        value["gate"]["this_seed_loso_plcc"] = number
        repository.write(path.name, value)
    found = [(f.code, f.path) for f in repository.save().check().failing]
    assert found == [("ENS512", f"model/{name}") for name in told]


@pytest.mark.parametrize("name", ["ens-PROMOTE.json", "ens_PROMOTE.json"])
def test_the_gate_of_a_manifest_is_held_against_a_verdict_of_any_name(
    ensemble: Repository, name: str
) -> None:
    ensemble.path("ens_PROMOTE.json").rename(ensemble.path(name))
    (found,) = slipped(
        ensemble, ("ens.json", put("gate", "plcc_spread_max", to=0.004)), expected=["ENS512"]
    )
    assert found.path == "model/ens.json"


@pytest.mark.parametrize(
    ("smoke", "change", "expected"),
    [
        (False, {"verdict": "HOLD"}, {"ENS510", "ENS517 ens_seed1"}),
        (True, {"verdict": "HOLD"}, {"ENS512 ens_seed1"}),
        (False, {"plcc_spread_max": 0.006}, {"ENS510", "ENS512 ens_seed1"}),
        (True, {"plcc_spread_max": 0.006}, {"ENS512 ens_seed1"}),
    ],
)
def test_a_sidecar_on_hold_is_told_once_where_there_is_no_verdict(
    repository: Repository, smoke: bool, change: dict[str, Any], expected: set[str]
) -> None:
    repository.add_ensemble("ens", 3, smoke=smoke)
    repository.path(VERDICT).unlink()
    path = repository.path("ens_seed1.json")
    value = json.loads(path.read_text("utf-8"))
    gate = value["gate"] | change
    if "verdict" in change:
        del gate["passed"]
    repository.write(path.name, value | {"gate": gate})
    found = {f"{f.code} {f.row}" if f.row else f.code for f in repository.save().check().failing}
    assert found == expected


def test_a_manifest_is_compared_where_one_member_is_of_its_length(repository: Repository) -> None:
    repository.add_ensemble("ens", 3, codec_block_layout=None, training_recipe={"epochs": 1})
    short = list(CODECS[:-1])
    member(repository, 2, [FEATURES, ("codec_onehot", len(short))])
    put("encoder_vocab", to=short)(repository.path("ens_seed2.json"))
    put("codec_vocab", to=list(reversed(CODECS)))(repository.path("ens.json"))
    found = [(f.code, f.path) for f in repository.save().check().failing if f.code == "ENS508"]
    assert set(found) == {("ENS508", "model/ens_seed2.json"), ("ENS508", "model/ens.json")}


@pytest.mark.parametrize("wrong", [["x"] * 6, [[1.0]] * 6])
def test_statistics_that_are_none_are_told_by_their_sidecar_alone(
    ensemble: Repository, wrong: list[Any]
) -> None:
    slipped(ensemble, ("s1.json", put("feature_mean", to=wrong)), expected=["SID414 s1"])


def test_a_mean_may_be_below_zero_and_a_deviation_may_not(ensemble: Repository) -> None:
    documents = [*(f"s{seed}.json" for seed in range(3)), "ens.json"]
    slipped(ensemble, *((d, put("feature_mean", 0, to=-1.0)) for d in documents), expected=[])
    slipped(ensemble, ("ens.json", put("feature_std", 0, to=0)), expected=["ENS515"])
    slipped(ensemble, ("ens.json", put("feature_std", 0, to=-0.5)), expected=["ENS515"])


def test_a_deviation_is_missed_by_its_sidecar_alone(ensemble: Repository) -> None:
    slipped(ensemble, ("s1.json", drop("feature_std")), expected=["SID414 s1"])


def test_a_mean_is_missed_where_another_member_has_one(ensemble: Repository) -> None:
    for name in ("feature_mean", "feature_std"):
        drop(name)(ensemble.path("ens.json"))
        drop(name)(ensemble.path("s1.json"))
    slipped(ensemble, expected=["ENS515 s1"])
    for name in ("feature_mean", "feature_std"):
        drop(name)(ensemble.path("s0.json"))
        drop(name)(ensemble.path("s2.json"))
    slipped(ensemble, expected=[])


def test_a_mean_is_not_missed_where_the_manifest_alone_has_it(ensemble: Repository) -> None:
    slips = [(f"s{s}.json", drop(n)) for s in range(3) for n in ("feature_mean", "feature_std")]
    slipped(ensemble, *slips, expected=[])


@pytest.mark.parametrize("change", [shorten("feature_mean"), lengthen("feature_mean")])
def test_statistics_of_a_manifest_are_as_many_as_those_of_its_members(
    ensemble: Repository, change: Change
) -> None:
    drop("feature_order")(ensemble.path("ens.json"))
    slipped(ensemble, ("ens.json", change), expected=["ENS515"])


def test_the_mean_of_all_may_not_be_the_number_of_one(ensemble: Repository) -> None:
    """`loso_mean_plcc` may be this seed's own mean, as some exporters have it; `gate` may not."""
    slipped(ensemble, ("s1.json", put("loso_mean_plcc", to=PLCC["1"])), expected=[])
    slipped(ensemble, ("s1.json", put("gate", "mean_plcc", to=PLCC["1"])), expected=["ENS512 s1"])


def test_a_verdict_is_missed_behind_an_ensemble_of_placeholders(repository: Repository) -> None:
    repository.add_ensemble("a", 1)
    repository.path("a_seed_flip_PROMOTE.json").unlink()
    repository.add_ensemble("b", 1, smoke=False)
    repository.path("b_seed_flip_PROMOTE.json").unlink()
    found = [(f.code, f.ensemble) for f in repository.save().check().failing]
    assert found == [("ENS510", "b")]


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


def test_a_manifest_of_another_width_is_told_once_where_members_differ_too(
    repository: Repository,
) -> None:
    repository.add_ensemble("ens", 3, input_names=None, codec_block_layout=None, encoder_vocab=None,
                            feature_order=None, training_recipe={"epochs": 1})  # fmt: skip
    put("feature_order", to=list("abcdefg"))(repository.path("ens.json"))
    member(repository, 1, [("features", 5), CODEC])
    (finding,) = repository.save().check().failing
    assert finding.code == "ENS507"
    assert finding.message.startswith("`feature_order` has 7 entries; 6: ")
