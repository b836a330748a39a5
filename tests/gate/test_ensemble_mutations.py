# SPDX-License-Identifier: Apache-2.0
"""Several mutations at once in a correct ensemble, and exactly the findings that follow.

Single mutations are in `test_mutations.py`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.edits import GONE, Edits, fields, file
from tests.support.findings import line_of, listed, only, shown
from tests.support.mutated import consistent
from tests.support.mutations import (
    content,
    cut,
    drop,
    lengthen,
    move,
    put,
    remove,
    shorten,
    swap,
)
from tests.support.production import PLCC, production
from tests.support.repository import Repository, codes, verdict_gate

ZERO: Final = "0" * 64
VERDICT: Final = "ens_PROMOTE.json"


def row(n: int, /, **values: Any) -> Edits:
    return fields("registry.json", "models", f"s{n}", **values)


def manifest(**values: Any) -> Edits:
    return fields("ens.json", **values)


def member(n: int, /, **values: Any) -> Edits:
    return fields("ens.json", "members", n, **values)


def sidecar(n: int, /, **values: Any) -> Edits:
    return fields(f"s{n}.json", **values)


def sidecars(**values: Any) -> Edits:
    return sidecar(0, **values) + sidecar(1, **values) + sidecar(2, **values)


def gate(name: str, **values: Any) -> Edits:
    return fields(name, "gate", **values)


def each_sidecar(*where: str | int, to: Any) -> Edits:
    changes = ((f"s{seed}.json", put(*where, to=value)) for seed, value in enumerate(to))
    return Edits(tuple(changes), f"sidecars: {where} {to}")


UNRECORDED: Final = sidecars(gate=GONE, loso_mean_plcc=GONE) + manifest(gate=GONE)
"""The verdict is the only record of the gate."""

UNSTATED: Final = {"feature_mean": GONE, "feature_std": GONE}
UNSHIPPED: Final = member(0, onnx="gone.onnx", id="no row") + sidecar(0, ensemble_id=GONE)
"""The registry has no row for the first member."""

SMOKE: Final = row(0, smoke=True) + row(1, smoke=True) + row(2, smoke=True) + manifest(smoke=True)
OTHER_RUN: Final = file(VERDICT, consistent({s: plcc - 0.001 for s, plcc in PLCC.items()}))
MORE_SEEDS: Final = file(VERDICT, consistent(PLCC | {"3": 0.9972}), "four seeds")
FEWER_SEEDS: Final = file(VERDICT, consistent({s: PLCC[s] for s in ("0", "2")}), "two seeds")
NO_VERDICT: Final = file(VERDICT, remove(), "gone")
HOLD: Final = {"failing_seeds": [1], "per_seed_pass": False, "passed": False}
FAILED: Final = verdict_gate(PLCC | {"1": 0.91}) | HOLD | {"plcc_spread_pass": False}
UNSEEDED: Final = "missing in the manifest; expected a whole number ->"
MIXED: Final = ": some members are smoke and others production;"
THREE_MEANS: Final = each_sidecar("feature_mean", 0, to=[0, 0.1, 0.2])
NO_SEEDS: Final[list[Any]] = ["0", None, []]
UNREADABLE: Final = file("ens.json", content(b"{"))
DIFFERENT: Final = [
    manifest(feature_order=GONE, codec_vocab=GONE, codec_vocab_version=GONE)
    + manifest(feature_std=GONE, corpus=GONE, gate=GONE)
    + file(f"s{n}.json", swap("feature_order", 0, other=1))
    + file(f"s{n}.json", put("feature_std", 0, to=0.5))
    + fields(f"s{n}.json", "corpus", sha256=ZERO)
    + sidecar(n, encoder_vocab_version=2)
    + gate(f"s{n}.json", plcc_spread=0.0001)
    for n in range(3)
]
"""One sidecar differs in everything, and the manifest repeats nothing of it."""


@dataclass(frozen=True)
class Line:
    """Edits, the findings in their order, and a part of `shown` for one of them.

    `at` is how the line begins at which the first finding is reported.
    """

    edits: Edits
    expected: str
    says: str = ""
    at: str = ""


MUTATIONS: Final = [
    # Seeds and members
    *(Line(member(n, seed=seed), f"ENS506 s{n}") for n, seed in enumerate(NO_SEEDS)),
    Line(member(0, seed=0.5) + member(1, seed=True), "ENS506 s0, ENS506 s1"),
    Line(member(0, seed=GONE) + member(1, seed=GONE) + member(2, seed=GONE), ""),
    Line(member(1, seed=GONE) + sidecar(1, sha256=ZERO), "ENS506 s1, SID404 s1", UNSEEDED),
    Line(member(1, seed=GONE) + sidecar(1, seed=GONE), "ENS506 s1, SID407 s1", UNSEEDED),
    Line(member(0, seed=1), "ENS502", ": 's0' has the seed of 's1' ->"),
    *(
        Line(member(0, seed=1) + sidecar(1, seed=n), "ENS502", ": 's1' has the seed of 's0' ->")
        for n in (0, 2, 7)
    ),
    Line(
        member(2, seed=1) + sidecar(2, seed=1) + gate("s2.json", this_seed_loso_plcc=PLCC["1"]),
        "ENS502, ENS512",
    ),
    Line(file("ens.json", drop("members", 1)) + manifest(ensemble_size=2), "ENS503 s1"),
    Line(
        file("s1.onnx", remove(), "gone") + member(1, sha256=ZERO),
        "ART301 s1, ENS504 s1",
        "the row has",
    ),
    Line(UNSHIPPED + member(2, sha256=ZERO), "ENS504 s2, ENS501"),
    Line(UNSHIPPED + member(2, seed=7), "ENS506 s2, ENS501"),
    Line(member(0, seed=1) + member(2, seed=7), "ENS506 s2, ENS502"),
    Line(member(1, sha256=ZERO), "ENS504 s1", "the manifest has 000000000000… for s1.onnx"),
    Line(member(1, sha256="abc"), "ENS504 s1", "the manifest has 'abc' for s1.onnx"),
    Line(sidecar(1, id="s0"), "SID408 s1"),
    Line(sidecar(0, ensemble_id=GONE), ""),
    Line(sidecar(2, ensemble_id=GONE), ""),
    Line(file("s0.onnx", remove(), "gone") + member(2, id="two"), "ART301 s0, ENS501 s2"),
    Line(file("s1.onnx", remove(), "gone") + member(2, id="two"), "ART301 s1, ENS501 s2"),
    # Smoke and production
    Line(manifest(smoke=0), "ENS509"),
    Line(manifest(smoke=1), "ENS509"),
    Line(manifest(smoke=None), ""),
    Line(manifest(smoke="yes"), "ENS509", "-> Write false, as the rows of its members do.\n"),
    Line(manifest(smoke=True), "ENS509", "as a whole: provenance promote --ensemble ens\n"),
    Line(row(1, smoke=True), "ENS509", f"{MIXED} smoke: s1 ->"),
    Line(row(0, smoke=True) + row(1, smoke=True), "ENS509", f"{MIXED} production: s2 ->"),
    # The verdict and its records
    Line(OTHER_RUN, "ENS512", "of the verdict are not those of the sidecars: seed 0 has 0.996"),
    Line(MORE_SEEDS + UNRECORDED, "ENS512", "numbers for seeds without a member: 3"),
    Line(FEWER_SEEDS + UNRECORDED, "ENS512", "no number for the members with seed 1"),
    Line(SMOKE + NO_VERDICT + gate("s2.json", plcc_spread=0.0001), "ENS512 s2"),
    Line(fields(VERDICT, gate=FAILED, verdict="HOLD") + UNRECORDED, "ENS513"),
    Line(NO_VERDICT + sidecar(1, gate={"verdict": "HOLD", "passed": False}), "ENS517 s1, ENS510"),
    Line(
        gate(VERDICT, mean_plcc=0.5, per_seed_pass=False) + fields(VERDICT, verdict="APPROVED"),
        "ENS511",
        ": the verdict is 'APPROVED', but its numbers give PROMOTE; `mean_plcc` is 0.5",
        '"verdict": "APPROVED"',
    ),
    Line(
        fields("plain.json", "training", loso_max_plcc=0.5, loso_min_plcc=0.5),
        "ENS516 plain",
        at='"loso_max_plcc": 0.5,',
    ),
    Line(gate("s1.json", mean_plcc=PLCC["1"]), "ENS512 s1"),
    Line(
        file(VERDICT, move("ens-PROMOTE.json")) + gate("ens.json", plcc_spread_max=0.004),
        "ENS512",
        "model/ens.json: ",
    ),
    # Documents that cannot be read
    Line(file("ens.json", cut(0.5)), "ENS519", "document of the ensemble 'ens', cannot be read"),
    Line(
        file("ens_notes.json", content(b"{")) + file("ensemble.json", content(b"{")),
        "ENS519",
        "model/ens_notes.json: ",
    ),
    *(
        Line(UNREADABLE + file(name, content(b"{")), "ENS519, ENS519", f"model/{name}: ")
        for name in (VERDICT, "ens-notes.json", "ens .json")
    ),
    Line(manifest(members={}), "ENS519", "not a manifest: `members` is an object", '"members"'),
    Line(manifest(members=GONE), "ENS519", "is not a manifest: `members` is missing", "{"),
    Line(fields(VERDICT, gate=[]), "ENS519", "not a gate verdict: `gate` is an array", '"gate"'),
    Line(fields(VERDICT, verdict=1), "ENS519", "gate verdict: `verdict` is a number", '"verdict"'),
    Line(fields(VERDICT, verdict=GONE), "ENS519", "not a gate verdict: `verdict` is missing", "{"),
    # What the members take
    Line(
        file("ens.json", shorten("codec_vocab")) + file("s1.json", shorten("codec_block_layout")),
        "SID403 s1, ENS507",
        "all members have 8, 6 of them for the one-hot",
    ),
    *(
        Line(
            each_sidecar("training_recipe", one, to=[99] * 3) + manifest(**{other: 9}),
            "SID403 s0, SID403 s1, SID403 s2, ENS507",
        )
        for one, other in (("num_codecs", "feature_order"), ("in_features", "num_codecs"))
    ),
    Line(sidecar(1, feature_mean=["x"] * 6), "SID414 s1"),
    Line(sidecar(1, feature_mean=[[1.0]] * 6), "SID414 s1"),
    Line(
        each_sidecar("feature_mean", 0, to=[-1.0] * 3)
        + file("ens.json", put("feature_mean", 0, to=-1.0)),
        "",
    ),
    Line(manifest(**UNSTATED) + sidecar(1, **UNSTATED), "ENS515 s1"),
    Line(sidecars(**UNSTATED), ""),
    Line(manifest(**UNSTATED) + sidecars(**UNSTATED), ""),
    Line(manifest(feature_order=GONE) + file("ens.json", shorten("feature_mean")), "ENS515"),
    Line(manifest(feature_order=GONE) + file("ens.json", lengthen("feature_mean")), "ENS515"),
    Line(THREE_MEANS, "ENS515", "model/ens.json: "),
    Line(THREE_MEANS + manifest(feature_mean=GONE), ""),
    Line(  # manifest and verdict agree
        each_sidecar("corpus", "sha256", to=["0" * 64, "1" * 64, "2" * 64]),
        "ENS514 s0, ENS514 s1, ENS514 s2",
    ),
    *(
        Line(edits, f"ENS508 s{n}, ENS508 s{n}, ENS512 s{n}, ENS514 s{n}, ENS515 s{n}")
        for n, edits in enumerate(DIFFERENT)
    ),
]


@pytest.fixture
def ensemble(tmp_path: Path) -> Repository:
    """Three production seeds with every claim."""
    return production(tmp_path / "tree")


@pytest.mark.parametrize("line", MUTATIONS, ids=lambda line: line.edits.label[:80])
def test_mutations_have_exactly_these_findings(ensemble: Repository, line: Line) -> None:
    line.edits.make_in(ensemble)
    found = ensemble.check().findings
    assert listed(found) == line.expected
    assert not line.says or any(line.says in shown(f) for f in found), [shown(f) for f in found]
    assert not line.at or line_of(found[0], ensemble).startswith(line.at)


def test_repeated_member_is_reported_at_its_first_repeated_field(ensemble: Repository) -> None:
    member = json.loads(ensemble.path("ens.json").read_text("utf-8"))["members"][0]
    put("members", 3, to=member)(ensemble.path("ens.json"))
    put("ensemble_size", to=4)(ensemble.path("ens.json"))
    finding = only(ensemble.check())
    assert finding.code == "ENS502"
    assert finding.message == "'s0' has the id, onnx, seed, sha256 of 's0'"
    assert line_of(finding, ensemble).startswith('"id"')


def test_verdict_on_another_run_is_quoted_once(ensemble: Repository) -> None:
    OTHER_RUN.make_in(ensemble)
    finding = only(ensemble.check(), "ENS512")
    assert finding.path == f"model/{VERDICT}"
    assert finding.message.count("`gate.mean_plcc` is 0.996") == 1


@pytest.mark.parametrize("name", ["mean_plcc", "plcc_spread", "plcc_spread_max", "passed"])
def test_field_that_the_verdict_lacks_is_not_compared(ensemble: Repository, name: str) -> None:
    drop("gate", name)(ensemble.path(VERDICT))
    assert "ENS512" not in codes(ensemble.check())


def test_single_seed_is_judged_by_its_own_record(ensemble: Repository) -> None:
    put("gate", to={"verdict": "HOLD"})(ensemble.path("s1.json"))
    assert codes(ensemble.check("s1")) == ["ENS517"]
    assert codes(ensemble.check("s0")) == []
    assert codes(ensemble.check()) == ["ENS512"]


def test_single_seed_reports_an_unreadable_manifest(ensemble: Repository) -> None:
    cut(0.5)(ensemble.path("ens.json"))
    finding = only(ensemble.check("s1"))
    assert (finding.code, finding.row) == ("SID407", "s1")
    assert "model/ens.json cannot be read: is not JSON" in finding.message


def test_nameless_ensemble_is_resolved_without_a_command(ensemble: Repository) -> None:
    (sidecars(ensemble_id=GONE) + manifest(id=GONE, smoke=True)).make_in(ensemble)
    help = 'Until its gate says PROMOTE, write "smoke": true in the rows s0, s1, s2.'
    assert only(ensemble.check(), "ENS510").help == help


def test_member_of_two_ensembles_names_one(ensemble: Repository) -> None:
    small = json.loads(ensemble.path("ens.json").read_text())
    small |= {"id": "small", "ensemble_size": 2, "members": small["members"][:2]}
    ensemble.write("small.json", small)
    gate = verdict_gate({seed: PLCC[seed] for seed in ("0", "1")})
    verdict_on_two = {"verdict": "PROMOTE", "corpus": small["corpus"], "gate": gate}
    ensemble.write("small_PROMOTE.json", verdict_on_two)
    # The members repeat the gate of the larger one.
    assert listed(ensemble.check().findings) == "ENS512"
    put("gate", to={})(ensemble.path("small.json"))
    sidecars(gate=GONE, loso_mean_plcc=GONE).make_in(ensemble)
    assert ensemble.check().findings == ()
