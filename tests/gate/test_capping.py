# SPDX-License-Identifier: Apache-2.0
"""The limits on findings of one rule about one thing do not hide findings about other things."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from provenance import check
from provenance.artifacts import limits
from provenance.artifacts.documents.json_edit import Remove
from provenance.errors import InputError
from provenance.gate.capping import gather
from provenance.gate.finding import Finding, Fix, Report, Severity
from provenance.operations.fix import fix
from provenance.output import machine, sarif
from provenance.output.sarif import fingerprints
from tests.support.models import External, model
from tests.support.repository import Repository, codes, sha256
from tests.support.whole import read_whole

MORE = "{:,} more of these findings, the first of them here"


def findings(count: int, **fields: Any) -> list[Finding]:
    """Findings of one rule about one row, at different files."""
    first = Finding("X1", "x", Severity.ERROR, "m", "m.json", None, "m", "help", "m.json")
    return [
        replace(first, **{"path": f"{i}.json", "message": f"no {i}"} | fields) for i in range(count)
    ]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit the findings to three about a thing, and six of a rule."""
    monkeypatch.setattr(limits, "FINDINGS", 3)
    monkeypatch.setattr(limits, "FINDINGS_OF_RULE", 6)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("count", [0, 1, 3, 4])
def test_a_few_findings_are_reported_one_by_one(count: int) -> None:
    found = findings(count)
    assert list(gather(found)) == found


@pytest.mark.usefixtures("few")
def test_of_many_findings_the_first_are_reported_and_the_rest_counted() -> None:
    found = findings(1503)
    *first, last = gather(iter(found))
    assert first == found[:3]
    others = frozenset(f"{i}.json" for i in range(3, 1503)) | {"m.json"}
    assert last == replace(
        found[3], message=MORE.format(1500), about="3.json", others=others, count=1500
    )
    assert last.fails


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    "other",
    [
        {"code": "X2"},
        {"row": "n"},
        {"row": None, "ensemble": "m"},
        {"row": None, "path": "m"},
        {"row": None, "path": "n"},
        {"severity": Severity.WARNING},
    ],
)
def test_findings_about_another_thing_are_still_reported(other: dict[str, Any]) -> None:
    (one,) = findings(1, **other)
    assert one in list(gather([*findings(50), one]))
    assert one in list(gather([one, *findings(50)]))


@pytest.mark.usefixtures("few")
def test_of_a_rule_with_many_findings_each_thing_has_its_own() -> None:
    rows = [f"r{i}" for i in range(40)]
    reported = list(gather(f for row in rows for f in findings(9, row=row)))
    assert set(Counter(f.row for f in reported).values()) == {2, 4}
    assert [f.message for f in reported if f.row == "r0"] == [
        "no 0",
        "no 1",
        "no 2",
        MORE.format(6),
    ]
    assert [f.message for f in reported if f.row == "r39"] == ["no 0", MORE.format(8)]
    one = list(gather([*findings(9, row="a"), *findings(9, row="b"), *findings(2, row="c")]))
    assert [f.message for f in one if f.row == "c"] == ["no 0", "no 1"]


@pytest.mark.usefixtures("few")
def test_one_finding_in_the_place_of_many_makes_all_of_their_edits() -> None:
    def edits(numbers: range) -> tuple[Fix, ...]:
        return tuple(Fix("r.json", Remove((str(n),))) for n in numbers)

    found = [replace(f, fixes=edits(range(i, i + 2))) for i, f in enumerate(findings(9))]
    *_, last = gather(found)
    assert last.fixes == edits(range(3, 10))  # each once
    reported = list(gather([*found, *findings(9)]))
    assert [f.message for f in reported[-2:]] == [MORE.format(6)] * 2
    assert [bool(f.fixes) for f in reported[-2:]] == [True, False]


@pytest.mark.usefixtures("few")
def test_the_finding_for_the_rest_has_one_fingerprint_for_any_count() -> None:
    def last(count: int, first: int) -> str:
        found = findings(count + first, path="m.json")[first:]
        reported = list(gather([replace(f, about=f"{i}.onnx") for i, f in enumerate(found)]))
        assert len(set(fingerprints(reported))) == 4
        return fingerprints(reported)[-1]

    assert last(9, 0) == last(5000, 0) == last(9, 4)


def test_a_long_message_is_cut() -> None:
    (found,) = gather(findings(1, message="x" * 9_000_000, help="y" * 9_000_000))
    assert (found.message, found.help) == ("x" * 1999 + "…", "y" * 1999 + "…")
    (same,) = findings(1, message="x" * 2000, help="y" * 2000)
    assert list(gather([same])) == [same]


# --- in reports ---------------------------------------------------------------------------------


@pytest.fixture
def unused(repository: Repository) -> Repository:
    """A row with digests of very many files that its model does not use, and one with one."""
    row = repository.add_external("m")
    row["external_data_sha256"] |= {f"x{i}": "0" * 64 for i in range(limits.FINDINGS + 50)}
    repository.add_external("n")["external_data_sha256"] |= {"x": "0" * 64}
    return repository.save()


def valid(report: Report) -> Any:
    schema = resources.files("provenance.schemas").joinpath("report.schema.json").read_text()
    value = json.loads(machine.render(machine.report(report)))
    Draft202012Validator(json.loads(schema)).validate(value)
    return value


def test_a_report_says_how_many_findings_it_leaves_out(unused: Repository) -> None:
    report = unused.check()
    assert report.exit_code == 1
    assert Counter((f.code, f.row) for f in report.failing) == {
        ("ART312", "m"): limits.FINDINGS + 1,
        ("ART312", "n"): 1,
    }
    (more,) = [f for f in valid(report)["findings"] if "more of these" in f["message"]]
    assert more["message"] == MORE.format(50)
    assert (more["path"], more["row"]) == ("model/registry.json", "m")
    line = unused.registry.read_text("utf-8").splitlines()[more["line"] - 1]
    assert f'"x{limits.FINDINGS}"' in line
    assert len(json.loads(sarif.render(report, ""))["runs"][0]["results"]) == limits.FINDINGS + 2


def test_all_is_fixed_that_can_be(unused: Repository) -> None:
    report = fix(unused.config)
    assert report.findings == ()
    assert len(report.fixed) == limits.FINDINGS + 2
    rows = json.loads(unused.registry.read_text("utf-8"))["models"]
    assert [list(row["external_data_sha256"]) for row in rows] == [["m.onnx.data"], ["n.onnx.data"]]


def test_findings_that_are_left_out_are_deferred_like_the_reported_ones(
    repository: Repository, tmp_path: Path
) -> None:
    row = repository.add("m")
    fields = {f"own_{i}": i for i in range(limits.FINDINGS + 50)}
    was = Repository(tmp_path / "was", rows=[row | fields]).save()
    failing = check(repository.save().config, baseline=str(was.root))
    assert codes(failing) == ["BAS802"] * (limits.FINDINGS + 1)
    repository.defer("BAS802", ["m"])
    report = check(repository.save().config, baseline=str(was.root))
    assert (report.exit_code, len(report.deferred)) == (0, limits.FINDINGS + 1)
    assert {d["rule"] for d in report.rows[0].deferrals} == {"BAS802"}
    valid(report)


@pytest.mark.usefixtures("few")
def test_a_file_that_is_left_out_is_not_named_again(repository: Repository) -> None:
    names = [f"w{i}" for i in range(9)]
    weights = [External(name, tensor=name) for name in names]
    for name in names:
        repository.write(name, b"\0" * 24 + name.encode())
    covered = {name: sha256(repository.path(name).read_bytes()) for name in names}
    repository.add("m", model(external=weights), external_data_sha256=covered)
    repository.released()
    for name in names:
        repository.write(name, b"\1" * 24)
    report = repository.verify()
    assert codes(report) == ["ART302"] * 4
    assert {f"model/{name}" for name in names} <= {at for f in report.failing for at in f.files}


def test_the_members_that_are_looked_at_are_a_number(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MEMBERS", 2)
    repository.add_ensemble("ens", 2)
    assert repository.save().check().failing == ()
    manifest = json.loads(repository.path("ens.json").read_text("utf-8"))
    manifest["members"] += ["a name", {}, {"onnx": "no.onnx"}]
    repository.write("ens.json", manifest)
    (found,) = repository.check().failing
    assert (found.code, found.ensemble) == ("ENS501", "ens")
    assert found.message == "found 5 members; only the first 2 are checked"


def test_a_row_that_is_listed_often_is_one_member(repository: Repository) -> None:
    repository.add_ensemble("ens", 2)
    manifest = json.loads(repository.path("ens.json").read_text("utf-8"))
    for member in (1, 0, 1):
        manifest["members"].append(manifest["members"][member])
    repository.write("ens.json", manifest)
    (ensemble,) = read_whole(repository.save().config).ensembles
    assert [member.index for member in ensemble.members] == [0, 1, 2, 3, 4]
    assert [member.index for member in ensemble.shipped] == [0, 1]
    assert [member.row_label for member, _ in ensemble.described] == ["ens_seed0", "ens_seed1"]
    assert codes(repository.check()) == ["ENS502"] * 3


# --- what rows share ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "of_a_row", "what"),
    [
        ("EXTERNAL_FILES_OF_ROWS", 4, "external-data files"),
        ("TENSORS_OF_ROWS", 2, "inputs and outputs"),
        ("SIDECARS_OF_ROWS", 100, "bytes of sidecars"),
    ],
)
def test_shared_files_count_once_for_each_row(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, limit: str, of_a_row: int, what: str
) -> None:
    weights = [External(f"w{i}", tensor=f"t{i}") for i in range(4)]
    row = repository.add("m", model(external=weights))
    repository.write("m.json", json.dumps({"sha256": row["sha256"]}).ljust(100))
    repository.rows = [row | {"id": f"m{i}"} for i in range(3)]
    repository.save()
    monkeypatch.setattr(limits, limit, 3 * of_a_row)
    assert repository.check().exit_code == 1
    monkeypatch.setattr(limits, limit, 3 * of_a_row - 1)
    says = f"rows have more than {3 * of_a_row - 1} {what} together"
    with pytest.raises(InputError, match=says) as refused:
        repository.check()
    assert refused.value.help is not None
    assert repository.check("m0", "m1").exit_code == 1  # what is selected is counted


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        (lambda n: {"row": n}, "row"),
        (lambda n: {"row": None, "ensemble": n}, "ensemble"),
        (lambda n: {"row": None, "path": n}, "file"),
    ],
)
def test_of_very_many_things_the_last_share_one_finding(
    fields: Callable[[str], dict[str, Any]], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "THINGS_OF_RULE", 2)
    names = ["a", "b", "c", "d", "c", "e"]
    *first, last = gather(f for name in names for f in findings(1, **fields(name)))
    assert [f.subjects for f in first] == [("a",), ("b",)]
    assert last.subjects == ("c", "d", "e")
    assert last.message == f"4 more of these findings about 3 {kind}s, the first of them here"
    assert last.rows == (("c", "d", "e") if kind == "row" else ())
    assert last.ensembles == (("c", "d", "e") if kind == "ensemble" else ())


def test_a_thing_with_a_finding_of_its_own_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "THINGS_OF_RULE", 1)
    reported = list(gather([*findings(2, row="a"), *findings(2, row="b"), *findings(1, row="a")]))
    assert [(f.subjects, f.message) for f in reported] == [
        (("a",), "no 0"),
        (("a",), "no 1"),
        (("a",), "no 0"),
        (("b",), "2 more of these findings, the first of them here"),
    ]


def test_findings_of_different_severities_do_not_share_one_finding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "THINGS_OF_RULE", 0)
    found = [*findings(2), *findings(2, severity=Severity.WARNING, row="n")]
    assert [(f.severity, f.subject) for f in gather(found)] == [
        (Severity.ERROR, "m"),
        (Severity.WARNING, "n"),
    ]
