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

from tests.support.findings import line_of, listed, only, shown
from tests.support.mutated import consistent
from tests.support.mutations import (
    Change,
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

Changes = list[tuple[str, Change]]

ZERO: Final = "0" * 64
VERDICT: Final = "ens_PROMOTE.json"
GONE: Final = object()


def edited(name: str, *where: str | int, **fields: Any) -> Changes:
    """Other values of members of a JSON object, of which GONE removes the member."""
    return [
        (name, drop(*where, field) if value is GONE else put(*where, field, to=value))
        for field, value in fields.items()
    ]


def row(n: int, /, **fields: Any) -> Changes:
    return edited("registry.json", "models", f"s{n}", **fields)


def manifest(**fields: Any) -> Changes:
    return edited("ens.json", **fields)


def member(n: int, /, **fields: Any) -> Changes:
    return edited("ens.json", "members", n, **fields)


def verdict(**fields: Any) -> Changes:
    return edited(VERDICT, **fields)


def sidecar(n: int, /, **fields: Any) -> Changes:
    return edited(f"s{n}.json", **fields)


def sidecars(**fields: Any) -> Changes:
    return [change for seed in range(3) for change in sidecar(seed, **fields)]


def gate(name: str, **fields: Any) -> Changes:
    return edited(name, "gate", **fields)


def each_sidecar(*where: str | int, to: Any) -> Changes:
    return [(f"s{seed}.json", put(*where, to=value)) for seed, value in enumerate(to)]


UNRECORDED: Final = sidecars(gate=GONE, loso_mean_plcc=GONE) + manifest(gate=GONE)
"""The verdict is the only record of the gate."""

UNSTATED: Final = {"feature_mean": GONE, "feature_std": GONE}
UNSHIPPED: Final = member(0, onnx="gone.onnx", id="gone") + sidecar(0, ensemble_id=GONE)
"""The registry has no row for the first member."""

OTHER: Final = {seed: plcc - 0.001 for seed, plcc in PLCC.items()}
TWO: Final = {seed: PLCC[seed] for seed in ("0", "2")}
HOLD: Final = {"failing_seeds": [1], "per_seed_pass": False, "passed": False}
FAILED: Final = verdict_gate(PLCC | {"1": 0.91}) | HOLD | {"plcc_spread_pass": False}
UNSEEDED: Final = "missing in the manifest; expected a whole number ->"
MIXED: Final = ": some members are smoke and others production;"
DIFFERENT: Final = [
    *manifest(feature_order=GONE, codec_vocab=GONE, codec_vocab_version=GONE),
    *manifest(feature_std=GONE, corpus=GONE, gate=GONE),
]
"""The manifest repeats nothing of what the members share."""


def different(seed: int) -> Changes:
    name = f"s{seed}.json"
    return [
        *DIFFERENT,
        (name, swap("feature_order", 0, other=1)),
        (name, put("feature_std", 0, to=0.5)),
        *edited(name, "corpus", sha256=ZERO),
        *edited(name, encoder_vocab_version=2),
        *gate(name, plcc_spread=0.0001),
    ]


@dataclass(frozen=True)
class Line:
    """Mutations, the findings in their order, and a part of `shown` for one of them.

    `at` is how the line begins at which the first finding is reported.
    """

    name: str
    expected: str
    changes: Changes
    says: str = ""
    at: str = ""


MUTATIONS: Final = [
    # Seeds and members
    *(
        Line(f"s{n} has the seed {seed!r}", f"ENS506 s{n}", member(n, seed=seed))
        for n, seed in enumerate(["0", None, []])
    ),
    Line("two seeds are wrong", "ENS506 s0, ENS506 s1", member(0, seed=0.5) + member(1, seed=True)),
    Line("no seed in the manifest", "", [c for n in range(3) for c in member(n, seed=GONE)]),
    Line(
        "no seed in the manifest, and a stale sidecar",
        "ENS506 s1, SID404 s1",
        member(1, seed=GONE) + sidecar(1, sha256=ZERO),
        UNSEEDED,
    ),
    Line(
        "no seed in manifest and sidecar",
        "ENS506 s1, SID407 s1",
        member(1, seed=GONE) + sidecar(1, seed=GONE),
        UNSEEDED,
    ),
    Line(
        "the first has a wrong seed", "ENS502", member(0, seed=1), ": 's0' has the seed of 's1' ->"
    ),
    *(
        Line(
            f"the first has a wrong seed, the sidecar of the second says {seed}",
            "ENS502",
            member(0, seed=1) + sidecar(1, seed=seed),
            ": 's1' has the seed of 's0' ->",
        )
        for seed in (0, 2, 7)
    ),
    Line(
        "manifest and sidecars agree on a repeated seed",
        "ENS502, ENS512",
        member(2, seed=1) + sidecar(2, seed=1) + gate("s2.json", this_seed_loso_plcc=PLCC["1"]),
    ),
    Line(
        "a member is gone, and counted as gone",
        "ENS503 s1",
        [("ens.json", drop("members", 1)), *manifest(ensemble_size=2)],
    ),
    Line(
        "a file is gone, and its digest differs from the row",
        "ART301 s1, ENS504 s1",
        [("s1.onnx", remove()), *member(1, sha256=ZERO)],
        "the row has",
    ),
    Line(
        "a digest behind an unshipped member",
        "ENS504 s2, ENS501",
        UNSHIPPED + member(2, sha256=ZERO),
    ),
    Line("a seed behind an unshipped member", "ENS506 s2, ENS501", UNSHIPPED + member(2, seed=7)),
    Line(
        "a seed behind a repeated one", "ENS506 s2, ENS502", member(0, seed=1) + member(2, seed=7)
    ),
    Line("other bytes", "ENS504 s1", member(1, sha256=ZERO), "has 000000000000… for s1.onnx"),
    Line("no digest", "ENS504 s1", member(1, sha256="abc"), "the manifest has 'abc' for s1.onnx"),
    Line("a sidecar with an earlier id", "SID408 s1", sidecar(1, id="s0")),
    Line("the first names no ensemble", "", sidecar(0, ensemble_id=GONE)),
    Line("the last names no ensemble", "", sidecar(2, ensemble_id=GONE)),
    *(
        Line(
            f"s{n} has no file, and another member has a wrong id",
            f"ART301 s{n}, ENS501 s2",
            [(f"s{n}.onnx", remove()), *member(2, id="two")],
        )
        for n in (0, 1)
    ),
    # Smoke and production
    Line("smoke is 0", "ENS509", manifest(smoke=0)),
    Line("smoke is 1", "ENS509", manifest(smoke=1)),
    Line("smoke is null", "", manifest(smoke=None)),
    Line(
        "smoke is yes",
        "ENS509",
        manifest(smoke="yes"),
        "-> Write false, as the rows of its members do.",
    ),
    Line(
        "smoke is true",
        "ENS509",
        manifest(smoke=True),
        "as a whole: provenance promote --ensemble ens",
    ),
    Line("one is smoke", "ENS509", row(1, smoke=True), f"{MIXED} smoke: s1 ->"),
    Line(
        "two are smoke",
        "ENS509",
        row(0, smoke=True) + row(1, smoke=True),
        f"{MIXED} production: s2 ->",
    ),
    # The verdict and its records
    Line(
        "a verdict on another run",
        "ENS512",
        [(VERDICT, consistent(OTHER))],
        "the numbers of the verdict are not those of the sidecars: seed 0 has 0.996",
    ),
    Line(
        "a verdict on a seed more",
        "ENS512",
        [(VERDICT, consistent(PLCC | {"3": 0.9972})), *UNRECORDED],
        "numbers for seeds without a member: 3",
    ),
    Line(
        "a verdict on a seed less",
        "ENS512",
        [(VERDICT, consistent(TWO)), *UNRECORDED],
        "no number for the members with seed 1",
    ),
    Line(
        "smoke members without a verdict that differ",
        "ENS512 s2",
        [
            *(change for n in range(3) for change in row(n, smoke=True)),
            *manifest(smoke=True),
            (VERDICT, remove()),
            *gate("s2.json", plcc_spread=0.0001),
        ],
    ),
    Line("HOLD in production", "ENS513", verdict(gate=FAILED, verdict="HOLD") + UNRECORDED),
    Line(
        "HOLD in a sidecar, without a verdict",
        "ENS517 s1, ENS510",
        [(VERDICT, remove()), *sidecar(1, gate={"verdict": "HOLD", "passed": False})],
    ),
    Line(
        "the outcome is reported first",
        "ENS511",
        gate(VERDICT, mean_plcc=0.5, per_seed_pass=False) + verdict(verdict="APPROVED"),
        ": the verdict is 'APPROVED', but its numbers give PROMOTE; `mean_plcc` is 0.5",
        '"verdict": "APPROVED"',
    ),
    Line(
        "the first statistic is reported",
        "ENS516 plain",
        edited("plain.json", "training", loso_max_plcc=0.5, loso_min_plcc=0.5),
        at='"loso_max_plcc": 0.5,',
    ),
    Line("the mean is that of one seed", "ENS512 s1", gate("s1.json", mean_plcc=PLCC["1"])),
    Line(
        "another limit than a verdict of another name",
        "ENS512",
        [(VERDICT, move("ens-PROMOTE.json")), *gate("ens.json", plcc_spread_max=0.004)],
        "model/ens.json: ",
    ),
    # Documents that cannot be read
    Line(
        "a manifest cut off",
        "ENS519",
        [("ens.json", cut(0.5))],
        "document of the ensemble 'ens', cannot",
    ),
    Line(
        "a separator follows the id in the name",
        "ENS519",
        [("ens_notes.json", content(b"{")), ("ensemble.json", content(b"{"))],
        "model/ens_notes.json: ",
    ),
    *(
        Line(
            f"the manifest and {name} are cut off",
            "ENS519, ENS519",
            [("ens.json", content(b"{")), (name, content(b"{"))],
            f"model/{name}: ",
        )
        for name in (VERDICT, "ens-notes.json", "ens .json")
    ),
    *(
        Line(f"{says}", "ENS519", edited(name, **fields), f"{kind}: {says}", at)
        for name, fields, kind, says, at in (
            ("ens.json", {"members": {}}, "not a manifest", "`members` is an object", '"members"'),
            ("ens.json", {"members": GONE}, "not a manifest", "`members` is missing", "{"),
            (VERDICT, {"gate": []}, "not a gate verdict", "`gate` is an array", '"gate"'),
            (VERDICT, {"verdict": 1}, "not a gate verdict", "`verdict` is a number", '"verdict"'),
            (VERDICT, {"verdict": GONE}, "not a gate verdict", "`verdict` is missing", "{"),
        )
    ),
    # What the members take
    Line(
        "a wrong width, and a sidecar that disputes it",
        "SID403 s1, ENS507",
        [("ens.json", shorten("codec_vocab")), ("s1.json", shorten("codec_block_layout"))],
        "all members have 8, 6 of them for the one-hot",
    ),
    *(
        Line(
            f"wrong sidecars of {one}, and a manifest with another {other}",
            "SID403 s0, SID403 s1, SID403 s2, ENS507",
            each_sidecar("training_recipe", one, to=[99] * 3) + manifest(**{other: 9}),
        )
        for one, other in (("num_codecs", "feature_order"), ("in_features", "num_codecs"))
    ),
    Line("means are strings", "SID414 s1", sidecar(1, feature_mean=["x"] * 6)),
    Line("means are blocks", "SID414 s1", sidecar(1, feature_mean=[[1.0]] * 6)),
    Line(
        "a mean is negative",
        "",
        [
            *each_sidecar("feature_mean", 0, to=[-1.0] * 3),
            ("ens.json", put("feature_mean", 0, to=-1.0)),
        ],
    ),
    Line("statistics of two", "ENS515 s1", manifest(**UNSTATED) + sidecar(1, **UNSTATED)),
    Line("statistics of the manifest", "", sidecars(**UNSTATED)),
    Line("no statistics", "", manifest(**UNSTATED) + sidecars(**UNSTATED)),
    Line(
        "a mean less",
        "ENS515",
        [*manifest(feature_order=GONE), ("ens.json", shorten("feature_mean"))],
    ),
    Line(
        "a mean more",
        "ENS515",
        [*manifest(feature_order=GONE), ("ens.json", lengthen("feature_mean"))],
    ),
    Line(
        "three means",
        "ENS515",
        each_sidecar("feature_mean", 0, to=[0, 0.1, 0.2]),
        "model/ens.json: ",
    ),
    Line(
        "three means, and none in the manifest",
        "",
        each_sidecar("feature_mean", 0, to=[0, 0.1, 0.2]) + manifest(feature_mean=GONE),
    ),
    Line(  # manifest and verdict agree
        "three corpora",
        "ENS514 s0, ENS514 s1, ENS514 s2",
        each_sidecar("corpus", "sha256", to=["0" * 64, "1" * 64, "2" * 64]),
    ),
    *(
        Line(
            f"s{n} differs in everything",
            f"ENS508 s{n}, ENS508 s{n}, ENS512 s{n}, ENS514 s{n}, ENS515 s{n}",
            different(n),
        )
        for n in range(3)
    ),
]


@pytest.fixture
def ensemble(tmp_path: Path) -> Repository:
    """Three production seeds with every claim."""
    return production(tmp_path / "tree")


@pytest.mark.parametrize("line", MUTATIONS, ids=lambda line: line.name)
def test_mutations_have_exactly_these_findings(ensemble: Repository, line: Line) -> None:
    for name, change in line.changes:
        change(ensemble.path(name))
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
    consistent({seed: plcc - 0.001 for seed, plcc in PLCC.items()})(ensemble.path(VERDICT))
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
    for name, change in sidecars(ensemble_id=GONE) + manifest(id=GONE, smoke=True):
        change(ensemble.path(name))
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
    for name, change in sidecars(gate=GONE, loso_mean_plcc=GONE):
        change(ensemble.path(name))
    assert ensemble.check().findings == ()
