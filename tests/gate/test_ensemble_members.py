# SPDX-License-Identifier: Apache-2.0
"""Members of an ensemble: each is judged, whatever is wrong with those before it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from provenance.gate.finding import Finding
from tests.support.mutated import mutated
from tests.support.mutations import content, drop, put, remove
from tests.support.production import production
from tests.support.repository import Repository, codes


@pytest.fixture
def ensemble(tmp_path: Path) -> Repository:
    """Three production seeds with every claim."""
    return production(tmp_path / "tree")


def field_at(repository: Repository, finding: Finding) -> str:
    """The line of a document that a finding points at, without its value."""
    assert finding.position is not None
    lines = (repository.root / finding.path).read_text("utf-8").splitlines()
    return lines[finding.position.line - 1].strip().split(":")[0]


def test_a_digest_is_compared_behind_a_member_that_no_row_ships(ensemble: Repository) -> None:
    mutated(
        ensemble,
        ("ens.json", put("members", "s0", "onnx", to="gone.onnx")),
        ("ens.json", put("members", "s0", "id", to="gone")),
        ("ens.json", put("members", "s2", "sha256", to="0" * 64)),
        ("s0.json", drop("ensemble_id")),
        expected=["ENS504 s2", "ENS501"],
    )


def test_a_seed_is_compared_behind_a_member_that_no_row_ships(ensemble: Repository) -> None:
    mutated(
        ensemble,
        ("ens.json", put("members", "s0", "onnx", to="gone.onnx")),
        ("ens.json", put("members", "s0", "id", to="gone")),
        ("ens.json", put("members", "s2", "seed", to=7)),
        ("s0.json", drop("ensemble_id")),
        expected=["ENS506 s2", "ENS501"],
    )


def test_a_seed_is_compared_behind_one_that_stands_twice(ensemble: Repository) -> None:
    mutated(
        ensemble,
        ("ens.json", put("members", "s0", "seed", to=1)),
        ("ens.json", put("members", "s2", "seed", to=7)),
        expected=["ENS506 s2", "ENS502"],
    )


def test_a_repeated_member_is_reported_at_its_first_repeated_field(
    ensemble: Repository,
) -> None:
    member = json.loads(ensemble.path("ens.json").read_text("utf-8"))["members"][0]
    found = mutated(
        ensemble,
        ("ens.json", put("members", 3, to=member)),
        ("ens.json", put("ensemble_size", to=4)),
        expected=["ENS502"],
    )
    assert found[0].message == "'s0' has the id, onnx, seed, sha256 of 's0'"
    assert field_at(ensemble, found[0]) == '"id"'


@pytest.mark.parametrize("theirs", [0, 2, 7])
def test_the_first_of_two_is_named_only_where_the_other_is_what_its_sidecar_says(
    ensemble: Repository, theirs: int
) -> None:
    """Both are written as 1. The first one's sidecar says 0, the second one's says `theirs`."""
    found = mutated(
        ensemble,
        ("ens.json", put("members", "s0", "seed", to=1)),
        ("s1.json", put("seed", to=theirs)),
        expected=["ENS502"],
    )
    assert found[0].message == "'s1' has the seed of 's0'"


def test_a_digest_in_a_message_is_short_and_another_value_is_shown(ensemble: Repository) -> None:
    (one,) = mutated(
        ensemble, ("ens.json", put("members", "s1", "sha256", to="0" * 64)), expected=["ENS504 s1"]
    )
    assert "the manifest has 000000000000… for s1.onnx" in one.message
    (other,) = mutated(
        ensemble, ("ens.json", put("members", "s1", "sha256", to="abc")), expected=["ENS504 s1"]
    )
    assert "the manifest has 'abc' for s1.onnx" in other.message


def test_a_sidecar_of_an_unknown_ensemble_is_reported_after_one_of_a_known_ensemble(
    repository: Repository,
) -> None:
    repository.add_ensemble("ens", 1, smoke=False)
    repository.add_sidecar(repository.add("x"), ensemble_id="ens", sha256=None)
    repository.add_sidecar(repository.add("y"), ensemble_id="gone", sha256=None)
    mutated(repository.save(), expected=["ENS503 x", "ENS518 y"])


@pytest.mark.parametrize("other", ["s0", "s2"])
def test_a_sidecar_with_the_id_of_another_member_is_reported(
    ensemble: Repository, other: str
) -> None:
    mutated(ensemble, ("s1.json", put("id", to=other)), expected=["SID408 s1"])


@pytest.mark.parametrize(
    ("smoke", "fewest"), [(["s1"], "smoke: s1"), (["s0", "s1"], "production: s2")]
)
def test_of_smoke_and_production_members_the_fewest_are_named(
    ensemble: Repository, smoke: list[str], fewest: str
) -> None:
    changes = [("registry.json", put("models", seed, "smoke", to=True)) for seed in smoke]
    (found,) = mutated(ensemble, *changes, expected=["ENS509"])
    assert found.message == f"some members are smoke and others production; {fewest}"


def test_smoke_of_a_manifest_that_is_a_string_is_written_as_the_rows_have_it(
    ensemble: Repository,
) -> None:
    (found,) = mutated(ensemble, ("ens.json", put("smoke", to="yes")), expected=["ENS509"])
    assert found.help == "Write false, as the rows of its members do."


def test_a_mix_is_resolved_by_a_command_if_the_ensemble_has_a_name(
    ensemble: Repository,
) -> None:
    (named,) = mutated(ensemble, ("ens.json", put("smoke", to=True)), expected=["ENS509"])
    assert named.help.endswith("as a whole: provenance promote --ensemble ens")
    for seed in range(3):
        drop("ensemble_id")(ensemble.path(f"s{seed}.json"))
    drop("id")(ensemble.path("ens.json"))
    (nameless,) = [f for f in ensemble.check().failing if f.code == "ENS510"]
    assert nameless.help == (
        'Until its gate says PROMOTE, write "smoke": true in the rows s0, s1, s2.'
    )


def test_a_verdict_is_missed_behind_an_ensemble_whose_verdict_cannot_be_read(
    repository: Repository,
) -> None:
    for id in ("a", "b"):
        repository.add_ensemble(id, 1, smoke=False)
    repository.write("a_seed_flip_PROMOTE.json", "{")
    repository.path("b_seed_flip_PROMOTE.json").unlink()
    found = [(f.code, f.about) for f in repository.save().check().failing]
    assert found == [
        ("ENS510", "model/b.json"),
        ("ENS519", "model/a_seed_flip_PROMOTE.json"),
    ]


@pytest.mark.parametrize("other", ["ens_PROMOTE.json", "ens-notes.json", "ens .json"])
def test_each_unreadable_document_of_an_ensemble_is_reported(
    ensemble: Repository, other: str
) -> None:
    found = mutated(
        ensemble,
        ("ens.json", content(b"{")),
        (other, content(b"{")),
        expected=["ENS519", "ENS519"],
    )
    assert {f.about for f in found} == {"model/ens.json", f"model/{other}"}


def test_an_ensemble_may_be_called_by_one_letter(repository: Repository) -> None:
    repository.add_ensemble("e", 1, smoke=False)
    repository.write("e_PROMOTE.json", "{")
    assert codes(repository.save().check()) == ["ENS519"]


@pytest.mark.parametrize("gone", [0, 1])
def test_a_file_that_is_missing_hides_no_wrong_name(ensemble: Repository, gone: int) -> None:
    """What ART301 says of one member is not said of another one."""
    mutated(
        ensemble,
        (f"s{gone}.onnx", remove()),
        ("ens.json", put("members", "s2", "id", to="two")),
        expected=[f"ART301 s{gone}", "ENS501 s2"],
    )


@pytest.mark.parametrize("claimed", ["yes", 0, 1, None])
def test_a_manifest_is_smoke_or_it_is_not(ensemble: Repository, claimed: Any) -> None:
    expected = [] if claimed is None else ["ENS509"]
    mutated(ensemble, ("ens.json", put("smoke", to=claimed)), expected=expected)
