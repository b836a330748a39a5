# SPDX-License-Identifier: Apache-2.0
"""What a verdict, a manifest and the sidecars say of one gate, and of whom."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.mutated import consistent, mutated
from tests.support.mutations import Change, drop, put
from tests.support.production import PLCC, production
from tests.support.repository import Repository, codes, verdict_gate

VERDICT = "ens_seed_flip_PROMOTE.json"


@pytest.fixture
def ensemble(tmp_path: Path) -> Repository:
    """Three production seeds with every claim."""
    return production(tmp_path / "tree")


def place(repository: Repository, finding: Any) -> str:
    """The line that a finding points at."""
    lines = (repository.root / finding.path).read_text("utf-8").splitlines()
    return str(lines[finding.position.line - 1]).strip()


def test_the_outcome_is_reported_before_other_wrong_fields(
    ensemble: Repository,
) -> None:
    (finding,) = mutated(
        ensemble,
        ("ens_PROMOTE.json", put("gate", "mean_plcc", to=0.5)),
        ("ens_PROMOTE.json", put("gate", "per_seed_pass", to=False)),
        ("ens_PROMOTE.json", put("verdict", to="APPROVED")),
        expected=["ENS511"],
    )
    assert finding.message.startswith("the verdict is 'APPROVED', but its numbers give PROMOTE; `")
    assert "`mean_plcc` is 0.5" in finding.message
    assert place(ensemble, finding) == '"verdict": "APPROVED"'


def test_a_record_is_reported_at_its_first_wrong_statistic(
    ensemble: Repository,
) -> None:
    (finding,) = mutated(
        ensemble,
        ("plain.json", put("training", "loso_max_plcc", to=0.5)),
        ("plain.json", put("training", "loso_min_plcc", to=0.5)),
        expected=["ENS516 plain"],
    )
    assert place(ensemble, finding) == '"loso_max_plcc": 0.5,'


@pytest.mark.parametrize(
    ("name", "mutation", "says", "line"),
    [
        (
            "ens.json",
            put("members", to={}),
            "is not a manifest: `members` is an object",
            '"members"',
        ),
        ("ens.json", drop("members"), "is not a manifest: `members` is missing", "{"),
        ("ens_PROMOTE.json", put("gate", to=[]), "is not a gate verdict: `gate` is an", '"gate"'),
        (
            "ens_PROMOTE.json",
            put("verdict", to=1),
            "is not a gate verdict: `verdict` is",
            '"verdict"',
        ),
        ("ens_PROMOTE.json", drop("verdict"), "not a gate verdict: `verdict` is missing", "{"),
    ],
)
def test_a_malformed_document_is_reported_once_at_its_place(
    ensemble: Repository, name: str, mutation: Change, says: str, line: str
) -> None:
    (finding,) = mutated(ensemble, (name, mutation), expected=["ENS519"])
    assert finding.path == f"model/{name}"
    assert says in finding.message
    assert place(ensemble, finding).startswith(line)


def test_a_placeholder_needs_no_verdict_and_similar_files_are_ignored(
    repository: Repository,
) -> None:
    repository.add_ensemble()
    repository.path(VERDICT).unlink()
    repository.write("ens_settings.json", b'{"gate": "open"}\n')
    assert "ENS519" not in codes(repository.save().check())


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


def test_a_hold_without_numbers_is_accepted(repository: Repository) -> None:
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
    found = mutated(
        ensemble,
        ("ens.json", drop("members", "s1", "seed")),
        ("s1.json", drop("seed")),
        expected=["ENS506 s1", "SID407 s1"],
    )
    told = {f.code: f.message for f in found}
    assert told["ENS506"].endswith("missing in the manifest; expected a whole number")


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
    mutated(ensemble, (f"s{seed}.json", drop("ensemble_id")), expected=[])


def test_a_mean_that_is_not_a_number_is_reported_for_its_record_only(ensemble: Repository) -> None:
    mutated(ensemble, ("s1.json", put("loso_mean_plcc", to="x")), expected=["ENS516 s1"])


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
    (found,) = mutated(
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
def test_a_sidecar_on_hold_is_reported_once_without_a_verdict(
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


def test_the_mean_of_all_may_not_be_the_number_of_one(ensemble: Repository) -> None:
    """`loso_mean_plcc` may be this seed's own mean, as some exporters have it; `gate` may not."""
    mutated(ensemble, ("s1.json", put("loso_mean_plcc", to=PLCC["1"])), expected=[])
    mutated(ensemble, ("s1.json", put("gate", "mean_plcc", to=PLCC["1"])), expected=["ENS512 s1"])


def test_a_verdict_is_missed_behind_an_ensemble_of_placeholders(repository: Repository) -> None:
    repository.add_ensemble("a", 1)
    repository.path("a_seed_flip_PROMOTE.json").unlink()
    repository.add_ensemble("b", 1, smoke=False, salt=60)
    repository.path("b_seed_flip_PROMOTE.json").unlink()
    found = [(f.code, f.ensemble) for f in repository.save().check().failing]
    assert found == [("ENS510", "b")]


def test_an_outcome_that_a_sidecar_states_without_numbers_is_held_against_the_verdict(
    repository: Repository,
) -> None:
    repository.add_ensemble("ens", 2, gate={})
    put("verdict", to="HOLD")(repository.path("ens_seed1.json"))
    found = [(f.code, f.about) for f in repository.save().check().failing]
    assert found == [("ENS512", "model/ens_seed1.json")]


def test_of_a_member_with_two_seeds_the_lower_is_named(repository: Repository) -> None:
    repository.add_ensemble("ens", 2)
    put("members", 1, "seed", to=8)(repository.path("ens.json"))
    put("seed", to=7)(repository.path("ens_seed1.json"))
    (found,) = (f for f in repository.save().check().failing if "no number for" in f.message)
    assert found.code == "ENS512"
    assert "no number for the members with seed 7" in found.message
