# SPDX-License-Identifier: Apache-2.0
"""Ensembles built for a test: which are judged, and what their documents say of each other."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.artifacts import digest
from provenance.artifacts.ensemble import Documents, GateVerdict, Manifest
from provenance.artifacts.paths import Tree
from provenance.evidence.evidence import Evidence
from provenance.evidence.rows import RowEvidence
from provenance.gate.rules import BY_CODE
from provenance.registry.reading import nowhere
from provenance.registry.rows import Row
from tests.support.edits import GONE, Edits, fields, file
from tests.support.findings import listed, only
from tests.support.mutated import consistent
from tests.support.mutations import content, exchange, put, remove, swap
from tests.support.repository import Repository, codes, verdict_gate

ZERO: Final = "0" * 64
VERDICT: Final = "ens_seed_flip_PROMOTE.json"


def failing(repository: Repository) -> str:
    return listed(repository.save().check().failing)


# --- what is an ensemble, and which documents are about it ----------------------------------------


def test_ensemble_of_a_single_seed_is_not_judged(repository: Repository) -> None:
    repository.add_ensemble("ens", 2)
    repository.path(VERDICT).unlink()
    repository.rows[1]["smoke"] = False
    assert failing(repository) == "ENS510"
    assert codes(repository.check("ens_seed0")) == []


def test_manifest_without_id_claims_no_row(repository: Repository) -> None:
    row = repository.add()
    repository.add_sidecar(row)
    member = {"id": "m", "onnx": "m.onnx", "sha256": row["sha256"]}
    repository.write("list.json", {"members": [member]})
    repository.add_sidecar(repository.add("n"))
    assert failing(repository) == "SID407 m"  # no attestation can be made of it


def test_member_that_is_a_string_shifts_no_other(repository: Repository) -> None:
    repository.add_ensemble("ens", 2)
    manifest = json.loads(repository.path("ens.json").read_text())
    manifest["members"].insert(0, "ens_seed0.onnx")
    manifest["members"][2]["sha256"] = ZERO
    text = repository.write("ens.json", manifest).read_text().splitlines()
    lines = {f.code: f.position.line for f in repository.save().check().failing}
    assert lines.keys() == {"ENS501", "ENS504"}
    assert ZERO in text[lines["ENS504"] - 1]


def test_ids_that_begin_alike_do_not_share_their_verdicts(repository: Repository) -> None:
    repository.add_ensemble("ens", 1, smoke=False)
    repository.add_ensemble("ens1", 1, smoke=False)
    assert failing(repository) == ""
    repository.path(VERDICT).unlink()
    assert failing(repository) == "ENS510"


def test_id_of_an_ensemble_may_be_one_letter(repository: Repository) -> None:
    repository.add_ensemble("e", 1, smoke=False)
    repository.write("e_PROMOTE.json", "{")
    assert failing(repository) == "ENS519"


def test_no_document_is_about_an_ensemble_without_a_name(repository: Repository) -> None:
    repository.add_sidecar(repository.add("m"), ensemble_id="")
    repository.write("-notes.json", "{")
    assert "ENS519" not in failing(repository)


@pytest.mark.parametrize("name", ["ens-notes.json", "ens_notes.json"])
def test_notes_about_an_ensemble_are_not_its_manifest(repository: Repository, name: str) -> None:
    repository.add_ensemble("ens", 1)
    repository.path("ens.json").unlink()
    repository.write(name, {"a": 1})
    found = failing(repository)
    assert "SID407" in found
    assert "ENS519" not in found


def test_seed_is_judged_behind_one_whose_manifest_cannot_be_read(repository: Repository) -> None:
    repository.add_ensemble("a", 1)
    repository.add_ensemble("b", 1, corpus={"path": "clips.jsonl", "sha256": "58"})
    repository.write("a.json", "{")
    found = failing(repository).split(", ")
    assert [f for f in found if f.startswith("SID407")] == ["SID407 b_seed0"]
    assert "ENS519" in found


@pytest.mark.parametrize(
    ("sidecars", "expected"),
    [
        ({"m": {"ensemble_id": "gone", "sha256": None}}, "ENS518 m"),
        ({"m": {"ensemble_id": "gone", "sha256": ZERO}}, "SID402 m"),  # a stale sidecar
        (
            {
                "x": {"ensemble_id": "ens", "sha256": None},
                "y": {"ensemble_id": "gone", "sha256": None},
            },
            "ENS503 x, ENS518 y",
        ),
    ],
)
def test_sidecar_of_an_unknown_ensemble_is_reported(
    repository: Repository, sidecars: dict[str, Any], expected: str
) -> None:
    repository.add_ensemble("ens", 1, smoke=False)
    for id, claims in sidecars.items():
        repository.add_sidecar(repository.add(id), **claims)
    report = repository.save().check()
    assert listed(report.findings) == expected
    for finding in report.findings:
        if finding.code == "ENS518":
            assert "'gone', but no manifest has this id" in finding.message


# --- manifests that are older than their members --------------------------------------------------


def outdated(repository: Repository, *, smoke: bool = True, seeds: int = 3) -> None:
    """Train the seeds of an ensemble again, and leave its manifest as it was."""
    repository.add_ensemble("ens", seeds, smoke=smoke)
    manifest = json.loads(repository.path("ens.json").read_text())
    for n, member in enumerate(manifest["members"]):
        member["sha256"] = f"{n}" * 64
    manifest |= {"codec_vocab": ["x264"], "smoke": not smoke, "feature_mean": [0.5]}
    manifest |= {"opset": 9, "corpus": {"sha256": ZERO}, "codec_vocab_version": 7}
    repository.write("ens.json", manifest)


@pytest.mark.parametrize(
    ("smoke", "seeds", "message"),
    [
        (True, 3, "older than 3 of its 3 members: ens_seed0, ens_seed1, ens_seed2"),
        (False, 3, "older than 3 of its 3 members: ens_seed0, ens_seed1, ens_seed2"),
        (True, 5, "ens_seed3, ens_seed4; it has 000000000000… for ens_seed0"),
        (True, 6, "ens_seed4 and 1 more; it has 000000000000… for ens_seed0"),
    ],
)
def test_outdated_manifest_is_one_finding(
    repository: Repository, smoke: bool, seeds: int, message: str
) -> None:
    outdated(repository, smoke=smoke, seeds=seeds)
    finding = only(repository.save().check())
    assert (finding.code, finding.ensemble, finding.row) == ("ENS521", "ens", None)
    assert finding.path == "model/ens.json"
    assert message in finding.message


def test_outdated_manifest_beside_exchanged_files_is_one_finding(repository: Repository) -> None:
    outdated(repository)
    exchange("ens_seed1.onnx")(repository.path("ens_seed0.onnx"))
    assert failing(repository) == "ART302 ens_seed0, ART302 ens_seed1, ENS521"


def test_deferral_of_an_outdated_manifest_does_not_cover_production(
    repository: Repository,
) -> None:
    outdated(repository, smoke=False)
    repository.defer("ENS521", ["ens"])
    report = repository.save().check()
    assert codes(report) == ["ENS509", *["SID417"] * 3]
    where = "in all rows of the ensemble and in its manifest"
    helps = [f.help for f in report.failing if f.code == "SID417"]
    assert all(help.endswith(f'Until then say "smoke": true {where}.') for help in helps)


def test_deferral_of_a_seed_covers_its_stale_member(repository: Repository) -> None:
    repository.add_ensemble("ens", 2)
    put("members", 1, "sha256", to=ZERO)(repository.path("ens.json"))
    repository.defer("ENS504", ["ens_seed1"])
    report = repository.save().check()
    assert (report.exit_code, len(report.deferred)) == (0, 1)


@pytest.mark.parametrize("code", ["ENS510", "ENS511", "ENS513", "ENS516", "ENS517"])
def test_production_of_an_ensemble_cannot_be_deferred(code: str) -> None:
    assert not BY_CODE[code].deferrable


# --- verdicts and the records that repeat them ----------------------------------------------------

FIRST, SECOND = "ens_seed0.json", "ens_seed1.json"
NO_VERDICT: Final = file(VERDICT, remove(), "gone")
THIRD_SEED: Final = file(VERDICT, consistent({"0": 0.99, "1": 0.99, "2": 0.99}), "a third seed")
NOT_PASSED: Final = fields(SECOND, "gate", verdict="HOLD", passed=GONE)
WIDER: Final = {"plcc_spread_max": 0.006}


def unseeded(n: int) -> Edits:
    return fields("ens.json", "members", n, seed=GONE) + fields(f"ens_seed{n}.json", seed=GONE)


def number(n: int, value: float = 0.98) -> Edits:
    return fields(f"ens_seed{n}.json", "gate", this_seed_loso_plcc=value)


@pytest.mark.parametrize(
    ("built", "edits", "expected"),
    [
        ({"seeds": 1}, number(0), "ENS512 ens_seed0"),
        ({}, number(0), "ENS512 ens_seed0"),
        ({}, number(1), "ENS512 ens_seed1"),
        ({}, number(0) + number(1), "ENS512"),  # the verdict is on another run
        (
            {"smoke": False},
            fields(VERDICT, corpus={"sha256": ZERO}, gate=verdict_gate({"0": 0.97, "1": 0.97})),
            "ENS512",
        ),
        ({"gate": {"verdict": "HOLD"}}, fields(VERDICT, gate={}, verdict="HOLD", seeds=GONE), ""),
        ({"gate": {}}, fields(SECOND, verdict="HOLD"), "ENS512 ens_seed1"),
        # The third seed may be that of a member without a seed.
        (
            {},
            file("ens.json", put("members", 2, to="ens_seed2.onnx")) + THIRD_SEED,
            "ENS501",
        ),
        *(
            ({"gate": {}}, unseeded(n) + THIRD_SEED, f"ENS506 ens_seed{n}, SID407 ens_seed{n}")
            for n in (0, 1)
        ),
        (
            {"gate": {}},
            unseeded(0) + unseeded(1) + THIRD_SEED,
            "SID407 ens_seed0, SID407 ens_seed1",
        ),
        (
            {"seeds": 1},
            unseeded(0)
            + number(0)
            + fields(VERDICT, gate=verdict_gate({"None": 0.99}), seeds=["None"]),
            "SID407 ens_seed0",
        ),
        # Without a verdict, sidecars are compared with each other.
        ({"seeds": 3, "smoke": False}, NO_VERDICT + NOT_PASSED, "ENS517 ens_seed1, ENS510"),
        ({"seeds": 3}, NO_VERDICT + NOT_PASSED, "ENS512 ens_seed1"),
        (
            {"seeds": 3, "smoke": False},
            NO_VERDICT + fields(SECOND, "gate", **WIDER),
            "ENS512 ens_seed1, ENS510",
        ),
        ({"seeds": 3}, NO_VERDICT + fields(SECOND, "gate", **WIDER), "ENS512 ens_seed1"),
        # Digests at the wrong members are not those of former weights.
        (
            {},
            file("ens.json", swap("members", 0, other=1, field="sha256")),
            "ENS504 ens_seed0, ENS504 ens_seed1",
        ),
    ],
)
def test_documents_of_an_ensemble_are_compared(
    repository: Repository, built: dict[str, Any], edits: Edits, expected: str
) -> None:
    repository.add_ensemble("ens", **{"seeds": 2} | built)
    edits.make_in(repository)
    assert failing(repository) == expected


@pytest.mark.parametrize("numbers", [{"0": 0.99}, {"0": 0.99, "1": 0.99, "7": 0.99}])
@pytest.mark.parametrize(
    ("smoke", "sidecar", "reported"),
    [
        (True, {}, True),
        (True, {"sha256": ZERO}, False),  # the verdict is the record of the former weights
        (False, {}, True),
        (False, {"sha256": ZERO}, True),
    ],
)
def test_verdict_is_compared_with_the_members_that_are_shipped(
    repository: Repository, numbers: Any, smoke: bool, sidecar: dict[str, Any], reported: bool
) -> None:
    repository.add_ensemble("ens", 2, smoke=smoke, **sidecar)
    consistent(numbers)(repository.path(VERDICT))
    assert ("ENS512" in failing(repository)) is reported


def test_lower_of_two_seeds_of_a_member_is_named(repository: Repository) -> None:
    repository.add_ensemble("ens", 2)
    put("members", 1, "seed", to=8)(repository.path("ens.json"))
    put("seed", to=7)(repository.path(SECOND))
    messages = [f.message for f in repository.save().check().failing if f.code == "ENS512"]
    assert any("no number for the members with seed 7" in message for message in messages)


def test_verdict_counts_where_as_many_records_disagree_as_agree(repository: Repository) -> None:
    repository.add_ensemble("ens", 2)
    gate = {"verdict": "PROMOTE", "passed": True, "plcc_spread": 0.0} | WIDER
    (fields("ens.json", gate=gate) + fields(FIRST, "gate", **WIDER)).make_in(repository)
    found = sorted((f.code, f.path) for f in repository.save().check().failing)
    assert found == [("ENS512", "model/ens.json"), ("ENS512", f"model/{FIRST}")]


def test_missing_verdict_is_reported_behind_another_ensemble(repository: Repository) -> None:
    for id, smoke, change in (
        ("a", True, remove()),
        ("b", False, content(b"{")),
        ("c", False, remove()),
    ):
        repository.add_ensemble(id, 1, smoke=smoke, salt=10 * ord(id))
        change(repository.path(f"{id}_seed_flip_PROMOTE.json"))
    found = [(f.code, f.about) for f in repository.save().check().failing]
    assert found == [
        ("ENS510", "model/c.json"),
        ("ENS519", "model/b_seed_flip_PROMOTE.json"),
    ]


# --- any document, and many -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ens.json", "ens_seed0.json", VERDICT])
@given(data=st.data())
def test_document_of_anything_is_judged_without_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    repository = Repository(Path(tmp_path_factory.mktemp("anything")))
    repository.add_ensemble("ens", 2, smoke=False)
    document = json.loads(repository.path(name).read_text())
    objects = [document, *(v for v in document.values() if isinstance(v, dict))]
    holder = data.draw(st.sampled_from(objects))
    key = data.draw(st.sampled_from(sorted(holder)))
    simple = st.none() | st.booleans() | st.integers() | st.just(10**400) | st.text(max_size=5)
    numbers = st.floats(allow_nan=False, allow_infinity=False)
    holder[key] = data.draw(
        st.recursive(
            simple | numbers,
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.text(max_size=3), inner, max_size=3)
            ),
            max_leaves=4,
        )
    )
    repository.write(name, document)
    assert repository.save().check().exit_code in (0, 1)


def test_time_grows_with_the_number_of_ensembles() -> None:
    """Rows, manifests and verdicts find each other by a look-up, not by a search."""

    def seconds(count: int) -> float:
        made: list[Manifest | GateVerdict] = []
        rows = []
        for i in range(count):
            members = [{"onnx": f"e{i}_{s}.onnx"} for s in range(5)]
            value = {"id": f"e{i}", "members": members}
            made.append(Manifest(f"e{i}.json", digest.of_bytes(b""), "{}", value))
            made.append(GateVerdict(f"e{i}_PROMOTE.json", digest.of_bytes(b""), "{}", {}))
            rows += [RowEvidence(Row(5 * i + s, m, m)) for s, m in enumerate(members)]
        registry = nowhere("registry.json")
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
