# SPDX-License-Identifier: Apache-2.0
"""Ensembles: who is judged, what is concluded, and how long that takes."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.artifacts import digest
from provenance.artifacts.ensemble import Documents, GateVerdict, Manifest
from provenance.artifacts.packed import pack
from provenance.artifacts.paths import Tree
from provenance.artifacts.registry import FieldNames, Registry, Row
from provenance.evidence.evidence import Evidence
from provenance.evidence.rows import RowEvidence
from provenance.gate.rules import BY_CODE
from tests.support.mutated import consistent, mutated
from tests.support.mutations import content, cut, drop, put, remove, shorten, swap
from tests.support.production import PLCC, production
from tests.support.repository import Repository, codes, verdict_gate


def test_a_complete_ensemble_in_production_is_clean(repository: Repository) -> None:
    repository.add_ensemble("ens", 5, smoke=False)
    assert codes(repository.save().check()) == []


def test_of_a_subset_no_ensemble_is_judged(repository: Repository) -> None:
    repository.add_ensemble("ens", 2)
    repository.path("ens_seed_flip_PROMOTE.json").unlink()
    repository.rows[1]["smoke"] = False
    assert codes(repository.save().check()) == ["ENS510"]
    assert codes(repository.check("ens_seed0")) == []


def test_a_manifest_without_id_claims_no_row(repository: Repository) -> None:
    row = repository.add()
    repository.add_sidecar(row)
    member = {"id": "m", "onnx": "m.onnx", "sha256": row["sha256"]}
    repository.write("list.json", {"members": [member]})
    repository.add_sidecar(repository.add("n"))
    # Only that no attestation can be made of the first.
    assert codes(repository.save().check()) == ["SID407"]


def test_a_member_that_is_no_object_moves_no_other(repository: Repository) -> None:
    repository.add_ensemble("ens", 2)
    manifest = json.loads(repository.path("ens.json").read_text())
    manifest["members"].insert(0, "ens_seed0.onnx")
    manifest["members"][2]["sha256"] = "0" * 64
    text = repository.write("ens.json", manifest).read_text().splitlines()
    lines = {f.code: f.position.line for f in repository.save().check().failing}
    assert lines.keys() == {"ENS501", "ENS504"}
    assert "0" * 64 in text[lines["ENS504"] - 1]


def test_ids_that_begin_alike_do_not_share_their_verdicts(repository: Repository) -> None:
    repository.add_ensemble("ens", 1, smoke=False)
    repository.add_ensemble("ens1", 1, smoke=False)
    assert codes(repository.save().check()) == []
    repository.path("ens_seed_flip_PROMOTE.json").unlink()
    assert codes(repository.check()) == ["ENS510"]


def outdated(repository: Repository, *, smoke: bool = True, seeds: int = 3) -> list[str]:
    """Train the seeds of an ensemble again and leave its manifest as it was; their ids."""
    rows = repository.add_ensemble("ens", seeds, smoke=smoke)
    manifest = json.loads(repository.path("ens.json").read_text())
    for n, member in enumerate(manifest["members"]):
        member["sha256"] = f"{n}" * 64
    manifest |= {"codec_vocab": ["x264"], "smoke": not smoke, "feature_mean": [0.5]}
    manifest |= {"opset": 9, "corpus": {"sha256": "0" * 64}, "codec_vocab_version": 7}
    repository.write("ens.json", manifest)
    return [row["id"] for row in rows]


@pytest.mark.parametrize("smoke", [True, False])
def test_a_manifest_older_than_its_members_is_one_finding(
    repository: Repository, *, smoke: bool
) -> None:
    outdated(repository, smoke=smoke)
    (found,) = repository.save().check().failing
    assert (found.code, found.ensemble, found.row) == ("ENS521", "ens", None)
    assert "older than 3 of its 3 members: ens_seed0, ens_seed1, ens_seed2" in found.message
    assert found.path == "model/ens.json"


@pytest.mark.parametrize(
    ("seeds", "named"), [(5, "ens_seed3, ens_seed4; "), (6, "ens_seed4 and 1 more; ")]
)
def test_five_members_that_are_newer_than_the_manifest_are_named(
    repository: Repository, seeds: int, named: str
) -> None:
    outdated(repository, seeds=seeds)
    (found,) = repository.save().check().failing
    assert f"{named}it has 000000000000… for ens_seed0" in found.message


def test_a_deferral_covers_a_manifest_older_than_its_members(repository: Repository) -> None:
    outdated(repository)
    repository.defer("ENS521", ["ens"])
    report = repository.save().check()
    assert (report.exit_code, len(report.deferred)) == (0, 1)


def test_a_deferral_of_an_outdated_manifest_does_not_hide_smoke_from_production(
    repository: Repository,
) -> None:
    outdated(repository, smoke=False)
    repository.defer("ENS521", ["ens"])
    report = repository.save().check()
    assert codes(report) == ["ENS509", *["SID417"] * 3]
    where = "in all rows of the ensemble and in its manifest"
    helps = [f.help for f in report.failing if f.code == "SID417"]
    assert all(help.endswith(f'Until then say "smoke": true {where}.') for help in helps)


def test_a_seed_deferral_covers_its_stale_member(repository: Repository) -> None:
    rows = repository.add_ensemble("ens", 2)
    manifest = json.loads(repository.path("ens.json").read_text())
    manifest["members"][1]["sha256"] = "0" * 64
    repository.write("ens.json", manifest)
    repository.defer("ENS504", [rows[1]["id"]])
    report = repository.save().check()
    assert (report.exit_code, len(report.deferred)) == (0, 1)


@pytest.fixture
def ensemble(tmp_path: Path) -> Repository:
    """Three production seeds with every claim."""
    return production(tmp_path / "tree")


def test_a_verdict_of_another_run_is_named_once(ensemble: Repository) -> None:
    other = {seed: plcc - 0.001 for seed, plcc in PLCC.items()}
    (found,) = mutated(ensemble, ("ens_PROMOTE.json", consistent(other)), expected=["ENS512"])
    assert found.path == "model/ens_PROMOTE.json"
    assert found.message.count("`gate.mean_plcc` is 0.996") == 1
    assert (
        "the numbers of the verdict are not those of the sidecars: seed 0 has 0.996"
        in found.message
    )


def test_one_sidecar_against_the_verdict_is_the_one_that_is_named(repository: Repository) -> None:
    repository.add_ensemble("ens", 1)
    put("gate", "this_seed_loso_plcc", to=0.98)(repository.path("ens_seed0.json"))
    mutated(repository.save(), expected=["ENS512 ens_seed0"])


def test_a_verdict_that_counts_a_seed_more(ensemble: Repository) -> None:
    more = consistent(PLCC | {"3": 0.9972})
    found = mutated(
        ensemble,
        ("ens_PROMOTE.json", more),
        *((f"s{i}.json", drop("gate")) for i in range(3)),
        *((f"s{i}.json", drop("loso_mean_plcc")) for i in range(3)),
        ("ens.json", drop("gate")),
        expected=["ENS512"],
    )
    assert "numbers for seeds without a member: 3" in found[0].message


def test_a_verdict_that_counts_a_seed_less(ensemble: Repository) -> None:
    less = consistent({seed: PLCC[seed] for seed in ("0", "2")})
    found = mutated(
        ensemble,
        ("ens_PROMOTE.json", less),
        *((f"s{i}.json", drop("gate")) for i in range(3)),
        *((f"s{i}.json", drop("loso_mean_plcc")) for i in range(3)),
        ("ens.json", drop("gate")),
        expected=["ENS512"],
    )
    assert "no number for the members with seed 1" in found[0].message


def test_records_are_compared_where_there_is_no_verdict(ensemble: Repository) -> None:
    smoke = [("registry.json", put("models", f"s{i}", "smoke", to=True)) for i in range(3)]
    mutated(
        ensemble,
        *smoke,
        ("ens.json", put("smoke", to=True)),
        ("ens_PROMOTE.json", remove()),
        ("s2.json", put("gate", "plcc_spread", to=0.0001)),
        expected=["ENS512 s2"],
    )


def test_a_hold_that_its_numbers_give_is_no_verdict_for_production(ensemble: Repository) -> None:
    failed = PLCC | {"1": 0.91}
    gate = verdict_gate(failed) | {"failing_seeds": [1], "per_seed_pass": False, "passed": False}
    gate |= {"plcc_spread_pass": False}
    mutated(
        ensemble,
        ("ens_PROMOTE.json", put("gate", to=gate)),
        ("ens_PROMOTE.json", put("verdict", to="HOLD")),
        *((f"s{i}.json", drop("gate")) for i in range(3)),
        *((f"s{i}.json", drop("loso_mean_plcc")) for i in range(3)),
        ("ens.json", drop("gate")),
        expected=["ENS513"],
    )


def test_a_production_seed_whose_record_says_hold_and_that_has_no_verdict(
    ensemble: Repository,
) -> None:
    hold = ("s1.json", put("gate", to={"verdict": "HOLD", "passed": False}))
    mutated(
        ensemble,
        ("ens_PROMOTE.json", remove()),
        hold,
        expected=["ENS517 s1", "ENS510"],
    )


def test_of_a_subset_the_own_record_of_a_seed_is_judged(ensemble: Repository) -> None:
    put("gate", to={"verdict": "HOLD"})(ensemble.path("s1.json"))
    assert codes(ensemble.check("s1")) == ["ENS517"]
    assert codes(ensemble.check("s0")) == []
    assert codes(ensemble.check()) == ["ENS512"]


def test_a_digest_is_compared_with_the_row_where_there_is_no_file(ensemble: Repository) -> None:
    mutations = [("s1.onnx", remove()), ("ens.json", put("members", "s1", "sha256", to="0" * 64))]
    found = mutated(ensemble, *mutations, expected=["ART301 s1", "ENS504 s1"])
    assert "the row has" in found[1].message


@pytest.mark.parametrize(
    "seeds", [("0", "1", "2"), (None, "1", "1"), (0.5, 1, 2), (True, 1, 2), (0, 1, [])]
)
def test_seeds_that_are_no_whole_numbers(ensemble: Repository, seeds: tuple[Any, ...]) -> None:
    wrong = [i for i, seed in enumerate(seeds) if type(seed) is not int]
    mutated(
        ensemble,
        *(("ens.json", put("members", i, "seed", to=seeds[i])) for i in wrong),
        expected=[f"ENS506 s{i}" for i in wrong],
    )


def test_a_seed_that_nothing_records(ensemble: Repository) -> None:
    found = mutated(
        ensemble,
        ("ens.json", drop("members", "s1", "seed")),
        ("s1.json", put("sha256", to="0" * 64)),
        expected=["ENS506 s1", "SID404 s1"],
    )
    assert "missing in the manifest; expected a whole number" in found[0].message


def test_a_width_that_is_disputed_is_no_measure_of_the_manifest(ensemble: Repository) -> None:
    found = mutated(
        ensemble,
        ("ens.json", shorten("codec_vocab")),
        ("s1.json", shorten("codec_block_layout")),
        expected=["SID403 s1", "ENS507"],
    )
    assert "all members have 8, 6 of them for the one-hot" in found[1].message


def test_a_manifest_need_not_have_seeds(ensemble: Repository) -> None:
    mutated(ensemble, *(("ens.json", drop("members", i, "seed")) for i in range(3)), expected=[])


def test_the_first_of_two_with_one_seed_is_named_where_its_sidecar_has_another(
    ensemble: Repository,
) -> None:
    (found,) = mutated(
        ensemble, ("ens.json", put("members", "s0", "seed", to=1)), expected=["ENS502"]
    )
    assert found.message == "'s0' has the seed of 's1'"


def test_two_records_of_one_seed_with_one_sidecar_each(ensemble: Repository) -> None:
    """Manifest and sidecars agree that two members are one seed."""
    mutated(
        ensemble,
        ("ens.json", put("members", "s2", "seed", to=1)),
        ("s2.json", put("seed", to=1)),
        ("s2.json", put("gate", "this_seed_loso_plcc", to=PLCC["1"])),
        expected=["ENS502", "ENS512"],
    )


def test_an_unlisted_seed_is_said_once(ensemble: Repository) -> None:
    mutated(
        ensemble,
        ("ens.json", drop("members", "s1")),
        ("ens.json", put("ensemble_size", to=2)),
        expected=["ENS503 s1"],
    )


def test_a_sidecar_that_names_an_ensemble_of_which_there_is_nothing(
    repository: Repository,
) -> None:
    row = repository.add("m")
    repository.add_sidecar(row, ensemble_id="gone", sha256=None)
    (found,) = mutated(repository.save(), expected=["ENS518 m"])
    assert "'gone', but no manifest has this id" in found.message


def test_a_stale_sidecar_names_no_ensemble(repository: Repository) -> None:
    repository.add_sidecar(repository.add("m"), ensemble_id="gone", sha256="0" * 64)
    mutated(repository.save(), expected=["SID402 m"])


def test_a_member_of_two_ensembles_names_one(ensemble: Repository) -> None:
    small = json.loads(ensemble.path("ens.json").read_text())
    small |= {"id": "small", "ensemble_size": 2, "members": small["members"][:2]}
    ensemble.write("small.json", small)
    ensemble.write(
        "small_PROMOTE.json",
        {
            "verdict": "PROMOTE",
            "corpus": small["corpus"],
            "gate": verdict_gate({seed: PLCC[seed] for seed in ("0", "1")}),
        },
    )
    # The gate that the members repeat is that of the larger one.
    mutated(ensemble, expected=["ENS512"])
    put("gate", to={})(ensemble.path("small.json"))
    for seed in range(3):
        drop("gate")(ensemble.path(f"s{seed}.json"))
        drop("loso_mean_plcc")(ensemble.path(f"s{seed}.json"))
    mutated(ensemble, expected=[])


def test_an_unreadable_manifest_is_reported_once_or_per_seed_for_a_subset(
    ensemble: Repository,
) -> None:
    (found,) = mutated(ensemble, ("ens.json", cut(0.5)), expected=["ENS519"])
    assert (
        "model/ens.json, by its name a document of the ensemble 'ens', cannot be read"
        in found.message
    )
    (seed,) = ensemble.check("s1").failing
    assert (seed.code, seed.row) == ("SID407", "s1")
    assert "model/ens.json cannot be read: is not JSON" in seed.message


def test_a_sidecar_that_names_its_ensemble_need_not_be_listed_to_be_attested(
    ensemble: Repository,
) -> None:
    mutated(ensemble, ("ens.json", drop("members", "s1")), expected=["ENS503 s1"])


def test_a_document_of_a_longer_name_is_not_about_the_shorter_ensemble(
    ensemble: Repository,
) -> None:
    mutations = [("ens_notes.json", content(b"{")), ("ensemble.json", content(b"{"))]
    (found,) = mutated(ensemble, *mutations, expected=["ENS519"])
    assert found.path == "model/ens_notes.json"


def test_statistics_of_members_that_have_nothing_in_common(ensemble: Repository) -> None:
    mutations = [(f"s{i}.json", put("feature_mean", 0, to=i / 10)) for i in range(3)]
    (found,) = mutated(ensemble, *mutations, expected=["ENS515"])
    assert found.path == "model/ens.json"
    mutated(ensemble, ("ens.json", drop("feature_mean")), expected=[])


def test_corpora_of_members_that_have_nothing_in_common(ensemble: Repository) -> None:
    mutations = [(f"s{i}.json", put("corpus", "sha256", to=f"{i}" * 64)) for i in range(3)]
    # Manifest and verdict are two of five that agree.
    mutated(ensemble, *mutations, expected=[f"ENS514 s{i}" for i in range(3)])


@pytest.mark.parametrize("wrong", ["s0", "s1", "s2"])
def test_the_one_that_differs_is_named_wherever_it_stands(ensemble: Repository, wrong: str) -> None:
    mutated(
        ensemble,
        ("ens.json", drop("feature_order")),
        ("ens.json", drop("codec_vocab")),
        ("ens.json", drop("codec_vocab_version")),
        ("ens.json", drop("feature_std")),
        ("ens.json", drop("corpus")),
        ("ens.json", drop("gate")),
        (f"{wrong}.json", swap("feature_order", 0, other=1)),
        (f"{wrong}.json", put("encoder_vocab_version", to=2)),
        (f"{wrong}.json", put("feature_std", 0, to=0.5)),
        (f"{wrong}.json", put("corpus", "sha256", to="0" * 64)),
        (f"{wrong}.json", put("gate", "plcc_spread", to=0.0001)),
        expected=[f"ENS508 {wrong}"] * 2 + [f"{c} {wrong}" for c in ("ENS512", "ENS514", "ENS515")],
    )


@pytest.mark.parametrize("code", ["ENS510", "ENS511", "ENS513", "ENS516", "ENS517"])
def test_what_makes_an_ensemble_production_cannot_be_deferred(code: str) -> None:
    assert not BY_CODE[code].deferrable


@pytest.mark.parametrize("name", ["ens.json", "ens_seed0.json", "ens_seed_flip_PROMOTE.json"])
@given(data=st.data())
def test_a_document_of_anything_is_judged_without_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    repository = Repository(Path(tmp_path_factory.mktemp("anything")))
    repository.add_ensemble("ens", 2, smoke=False)
    document = json.loads(repository.path(name).read_text())
    holder = data.draw(
        st.sampled_from([document, *(v for v in document.values() if isinstance(v, dict))])
    )
    key = data.draw(st.sampled_from(sorted(holder)))
    simple = st.none() | st.booleans() | st.integers() | st.just(10**400) | st.text(max_size=5)
    holder[key] = data.draw(
        st.recursive(
            simple | st.floats(allow_nan=False, allow_infinity=False),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.text(max_size=3), inner, max_size=3)
            ),
            max_leaves=4,
        )
    )
    repository.write(name, document)
    assert repository.save().check().exit_code in (0, 1)


def test_the_time_grows_with_the_number_of_ensembles() -> None:
    """Looked up, not searched: each row its manifest, each manifest its rows and its verdict."""

    def seconds(count: int) -> float:
        made: list[Manifest | GateVerdict] = []
        rows = []
        for i in range(count):
            members = [{"onnx": f"e{i}_{s}.onnx"} for s in range(5)]
            value = {"id": f"e{i}", "members": members}
            made.append(Manifest(f"e{i}.json", digest.of_bytes(b""), "{}", value))
            made.append(GateVerdict(f"e{i}_PROMOTE.json", digest.of_bytes(b""), "{}", {}))
            rows += [RowEvidence(Row.of(5 * i + s, m, FieldNames())) for s, m in enumerate(members)]
        registry = Registry("registry.json", pack(b"{}"), digest.of_bytes(b""), ())
        evidence = Evidence(Tree(Path()), registry, tuple(rows), whole=True, documents=tuple(made))
        start = time.process_time()
        known = Documents(tuple(made))
        assert all(known.manifest_of(row.entry.onnx or "", None) for row in rows)
        assert all(known.verdict_on(f"e{i}") for i in range(count))
        assert len(evidence.ensembles) == count
        assert all(e.verdict and all(s.row for s in e.members) for e in evidence.ensembles)
        return time.process_time() - start

    fastest = {n: min(seconds(n) for _ in range(3)) for n in (200, 2000)}
    assert fastest[2000] < 40 * max(fastest[200], 0.005)


def test_no_document_is_about_an_ensemble_without_a_name(repository: Repository) -> None:
    repository.add_sidecar(repository.add("m"), ensemble_id="")
    repository.write("-notes.json", "{")
    assert "ENS519" not in codes(repository.save().check())


def test_a_seed_of_another_ensemble_is_judged_behind_one_whose_manifest_cannot_be_read(
    repository: Repository,
) -> None:
    repository.add_ensemble("a", 1)
    repository.add_ensemble("b", 1, corpus={"path": "clips.jsonl", "sha256": "58"})
    repository.write("a.json", "{")
    found = [(f.code, f.row) for f in repository.save().check().failing]
    assert [row for code, row in found if code == "SID407"] == ["b_seed0"]
    assert ("ENS519", None) in found


@pytest.mark.parametrize("name", ["ens-notes.json", "ens_notes.json"])
def test_what_is_only_named_after_an_ensemble_is_no_manifest_of_it(
    repository: Repository, name: str
) -> None:
    repository.add_ensemble("ens", 1)
    repository.path("ens.json").unlink()
    repository.write(name, {"a": 1})
    found = codes(repository.save().check())
    assert "SID407" in found
    assert "ENS519" not in found


def test_a_verdict_on_another_run_is_one_finding(repository: Repository) -> None:
    """Its numbers and its corpus are those of a run that no sidecar is of."""
    repository.add_ensemble("ens", 2, smoke=False)
    path = repository.path("ens_seed_flip_PROMOTE.json")
    verdict = json.loads(path.read_text()) | {"corpus": {"sha256": "0" * 64}}
    repository.write(path.name, verdict | {"gate": verdict_gate({"0": 0.97, "1": 0.97})})
    assert codes(repository.save().check()) == ["ENS512"]


def test_digests_at_the_wrong_members_are_not_those_of_former_weights(
    repository: Repository,
) -> None:
    repository.add_ensemble("ens", 2)
    manifest = json.loads(repository.path("ens.json").read_text())
    first, second = manifest["members"]
    first["sha256"], second["sha256"] = second["sha256"], first["sha256"]
    repository.write("ens.json", manifest)
    assert codes(repository.save().check()) == ["ENS504", "ENS504"]


def test_an_outdated_manifest_beside_exchanged_files_is_one_finding(
    repository: Repository,
) -> None:
    ids = outdated(repository)
    one, other = (repository.path(f"{id}.onnx") for id in ids[:2])
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    assert codes(repository.save().check()) == ["ART302", "ART302", "ENS521"]
