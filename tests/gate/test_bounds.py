# SPDX-License-Identifier: Apache-2.0
"""Limits on what a file or a finding can cost, counted and not timed.

The limits on findings of one rule about one thing do not hide findings about other things.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provenance import check, restore
from provenance.artifacts import digest, limits
from provenance.artifacts.documents.json_edit import Remove
from provenance.artifacts.ensemble import Manifest
from provenance.artifacts.onnx_model import OnnxFacts, TensorSpec
from provenance.artifacts.sidecar import Sidecar
from provenance.attestations.statement import Statement, Subject
from provenance.errors import InputError
from provenance.evidence import ensembles
from provenance.evidence.registry_diff import Comparison
from provenance.evidence.rows import RowEvidence
from provenance.gate.capping import gather
from provenance.gate.finding import Finding, Fix, Severity
from provenance.gate.rules.sidecars.interface import SidecarNames
from provenance.operations.fix import fix
from provenance.output import sarif
from provenance.output.sarif import fingerprints
from provenance.registry import reading
from provenance.registry.registry import Registry
from provenance.registry.rows import Row
from tests.support.counting import Compared, calls, opened_files
from tests.support.keys import KeyPair
from tests.support.models import External, model
from tests.support.repository import Repository, codes, sha256
from tests.support.whole import read_whole

MORE = "{:,} more of these findings, the first of them here"


# --- one file that many rows name ---------------------------------------------------------------

SPELLINGS = ("m.onnx", "./m.onnx", ".//m.onnx", "m.onnx")


@pytest.fixture
def shared(repository: Repository) -> Repository:
    """Rows that differ in their ids and in how they spell the name of their one model."""
    row = repository.add("m", quant_mode="dynamic", int8_sha256="")
    repository.write("m.int8.onnx", repository.path("m.onnx").read_bytes())
    repository.add_sidecar(row)
    repository.write("m.int8.json", {"sha256": row["sha256"]})
    repository.rows = [row | {"id": f"m{i}", "onnx": o} for i, o in enumerate(SPELLINGS)]
    return repository.save()


def test_a_file_that_many_rows_name_is_read_once(
    shared: Repository, key: KeyPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Repository(tmp_path / "released", key)
    other.add("m")
    bundle = other.released().root / "bundles" / "m.onnx.sigstore.json"
    for name in ("m.onnx", "m.onnx.2", "m.onnx.3", "m.onnx.provenance"):
        shutil.copy(bundle, shared.root / "bundles" / f"{name}.sigstore.json")
    opened = opened_files(monkeypatch)
    report = shared.verify()
    assert {row.id for row in report.rows} == {"m0", "m1", "m2", "m3"}
    files = [p for folder in ("model", "bundles") for p in (shared.root / folder).iterdir()]
    assert {path: opened[path] for path in files} == dict.fromkeys(files, 1)


def test_a_file_that_many_rows_name_is_kept_once(shared: Repository) -> None:
    rows = read_whole(shared.config).rows
    sidecars = [name.replace(".onnx", ".json") for name in SPELLINGS]
    assert [r.sidecar and r.sidecar.name for r in rows] == sidecars
    assert [r.onnx and r.onnx.name for r in rows] == list(SPELLINGS)
    assert len({id(r.sidecar.sidecar) for r in rows if r.sidecar}) == 1
    assert len({id(r.onnx.facts) for r in rows if r.onnx}) == 1


def test_a_name_that_climbs_is_refused_beside_one_that_does_not(repository: Repository) -> None:
    row = repository.add("m")
    repository.rows.append(row | {"id": "n", "onnx": "a/../m.onnx"})
    report = repository.save().check()
    failing = {(f.row, f.code) for f in report.failing}
    assert ("n", "REG107") in failing
    assert "m" not in {row for row, _ in failing}


def test_a_file_that_many_rows_named_at_the_baseline_is_read_once(
    shared: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = shared.root / "bundles" / "m.onnx.sigstore.json"
    bundle.write_bytes(b"{}")
    baseline = tmp_path / "baseline"
    shutil.copytree(shared.root, baseline)
    new = model(salt=99)
    shared.write("m.onnx", new)
    for row in shared.rows:
        row["sha256"] = sha256(new)
    shared.save()
    opened = opened_files(monkeypatch)
    report = check(shared.config, baseline=str(baseline))
    assert "BAS815" in {f.code for f in report.findings}
    looked_at = [p for p in opened if p.name in ("m.json", "m.int8.json", bundle.name)]
    # Limits in the sidecars of production rows are compared once more (BAS816).
    assert {p.name for p in looked_at if opened[p] == 2} <= {"m.json", "m.int8.json"}
    assert {opened[p] for p in looked_at} <= {1, 2}
    assert {p.name for p in looked_at if baseline in p.parents} == {
        "m.json", "m.int8.json", bundle.name
    }  # fmt: skip


# --- documents that name very many things -------------------------------------------------------


def sidecar_names(count: int) -> None:
    inputs = tuple(TensorSpec(Compared(f"x{i}"), "float", (1,)) for i in range(count))
    facts = OnnxFacts(8, {"": 17}, inputs, (), ())
    claims = {"input_names": [f"y{i}" for i in range(count)]}
    sidecar = Sidecar("m.json", digest.of_bytes(b""), json.dumps(claims), claims)
    assert len(list(SidecarNames().refuted(facts, "m.onnx", sidecar))) == 1


def lost_fields(count: int) -> None:
    def state(start: str) -> Registry:
        """Return a registry with so many fields, and a row with as many."""
        fields: dict[str, object] = {Compared(f"{start}{i}"): i for i in range(count)}
        row = {"id": "m", **fields}
        found = reading.parse_bytes(json.dumps({"models": [row], **fields}).encode(), "r.json")
        file = replace(found.files[0], keys=("models", *fields))
        return replace(found, files=(file,), rows=(Row(0, row, row, at=("models", 0)),))

    found = Comparison(state("x"), state("y"))
    lost = [*found.lost_fields_of_registry(), *found.lost_fields(found.now.rows[0])]
    assert len([found.field_edit(field) for field in lost]) == 2 * count


def joined(rows: list[dict[str, str]], *members: dict[str, str]) -> list[str | None]:
    """Return the rows of the members of a manifest."""
    value = {"members": list(members)}
    manifest = Manifest("e.json", digest.of_bytes(b""), json.dumps(value), value)
    evidence = [RowEvidence(Row(i, row, row)) for i, row in enumerate(rows)]
    (found,) = ensembles.join(evidence, [manifest])
    return [member.row_label for member in found.members]


def members(count: int) -> None:
    rows: list[dict[str, str]] = [
        {"id": Compared(f"r{i}"), "onnx": Compared("m.onnx"), "sha256": Compared("0" * 64)}
        for i in range(count)
    ]
    found = joined(rows, *({"id": f"x{i}", "onnx": "m.onnx"} for i in range(count)))
    assert set(found) == {"r0"}


def subjects(count: int) -> None:
    each = tuple(Subject(Compared(f"f{i}"), Compared(f"{i:064}")) for i in range(count))
    statement = Statement(each, "", {})
    for i in range(count):
        assert statement.digest_of(f"f{i}") == f"{i:064}"
        assert statement.name_of(f"{i:064}") == f"f{i}"


@pytest.mark.parametrize(
    ("work", "count"), [(sidecar_names, 200), (lost_fields, 30), (members, 100), (subjects, 100)]
)
def test_names_are_looked_up_and_not_searched(work: Callable[[int], None], count: int) -> None:
    def comparisons(count: int) -> int:
        Compared.times = 0
        work(count)
        return Compared.times

    assert 0 < comparisons(2 * count) < 3 * comparisons(count) + 100


def test_few_of_very_many_inputs_are_listed(repository: Repository) -> None:
    inputs = [("features", 6), ("n" * 3000, 1), *((f"i{n}", 1) for n in range(500))]
    repository.add_sidecar(repository.add("m", model(inputs=inputs)), input_names=["x"])
    (found,) = repository.save().check().failing
    assert found.code == "SID410"
    assert found.message == (
        "the sidecar declares an input 'x', but m.onnx has "
        f"features, {'n' * 60}, i0, i1, i2 and 497 more"
    )


FIRST = {"id": "first", "onnx": "m.onnx", "sha256": "1"}
SECOND = {"id": "second", "onnx": "m.onnx", "sha256": "2"}
THIRD = {"id": "third", "onnx": "n.onnx", "sha256": "3"}


@pytest.mark.parametrize(
    ("member", "row"),
    [
        ({"onnx": "m.onnx"}, "first"),
        ({"onnx": "m.onnx", "id": "second"}, "second"),
        ({"onnx": "m.onnx", "id": "second", "sha256": "1"}, "second"),
        ({"onnx": "m.onnx", "id": "third", "sha256": "2"}, "first"),
        ({"onnx": "m.onnx", "id": "third", "sha256": "3"}, "third"),
        ({"onnx": "x.onnx", "id": "third"}, "third"),
        (SECOND | {"sha256": "4"}, "second"),
    ],
)
def test_a_member_is_joined_by_its_names_and_then_by_its_digest(
    member: dict[str, str], row: str
) -> None:
    assert joined([FIRST, SECOND, THIRD, SECOND | {"sha256": "4"}], member) == [row]


def test_the_first_name_of_a_digest_is_found() -> None:
    statement = Statement((Subject("a", "1"), Subject("b", "1")), "", {})
    assert statement.name_of("1") == "a"
    assert (statement.digest_of("b"), statement.digest_of("c")) == ("1", None)


def test_work_grows_with_the_rows_that_are_declared_to_be_gone(tmp_path: Path) -> None:
    def work(count: int) -> tuple[int, int]:
        """The work of `check` and `restore` where all of so many rows but one may be gone."""
        here = Repository(tmp_path / f"{count}")
        here.add("m")
        gone = [here.rows[0] | {"id": f"x{i}", "onnx": f"x{i}.onnx"} for i in range(count)]
        was = Repository(tmp_path / f"{count}-was", rows=[*here.rows, *gone]).save()
        for row in gone[1:]:
            here.defer("BAS801", [row["id"]])
        config = here.save().config
        checking, report = calls(lambda: check(config, baseline=str(was.root)))
        assert [(f.code, f.row) for f in report.failing] == [("BAS801", "x0")]
        restoring, restored = calls(lambda: restore(config, str(was.root), write=False))
        assert [lost.row for lost in restored.lost] == ["x0"]
        assert restored.declared == tuple(row["id"] for row in gone[1:])
        return checking, restoring

    work(1)  # what is done once for all
    small, middle, large = (work(rows) for rows in (50, 100, 200))
    for a, b, c in zip(small, middle, large, strict=True):
        assert (c - b) / (b - a) < 2.1


# --- findings -----------------------------------------------------------------------------------


def findings(count: int, **fields: Any) -> list[Finding]:
    """Return findings of one rule about one row, at different files."""
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
@pytest.mark.parametrize("count", [0, 1, 3, 4, 1503])
def test_the_first_of_many_findings_are_reported_and_the_rest_counted(count: int) -> None:
    found = findings(count)
    reported = list(gather(iter(found)))
    if count <= 4:
        assert reported == found
        return
    assert reported[:3] == found[:3]
    others = frozenset(f"{i}.json" for i in range(3, count)) | {"m.json"}
    assert reported[3:] == [
        replace(
            found[3], message=MORE.format(count - 3), about="3.json", others=others, count=count - 3
        )
    ]
    assert reported[3].fails


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
def test_each_thing_has_findings_of_a_rule_with_many() -> None:
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


def test_a_report_counts_the_findings_that_it_leaves_out(unused: Repository) -> None:
    report = unused.check()
    assert report.exit_code == 1
    assert Counter((f.code, f.row) for f in report.failing) == {
        ("ART312", "m"): limits.FINDINGS + 1,
        ("ART312", "n"): 1,
    }
    (more,) = [f for f in report.findings if "more of these" in f.message]
    assert more.message == MORE.format(50)
    assert (more.path, more.row) == ("model/registry.json", "m")
    line = unused.registry.read_text("utf-8").splitlines()[more.position.line - 1]
    assert f'"x{limits.FINDINGS}"' in line
    assert len(json.loads(sarif.render(report, ""))["runs"][0]["results"]) == limits.FINDINGS + 2


def test_findings_that_are_left_out_are_fixed_too(unused: Repository) -> None:
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


def test_the_number_of_members_is_limited(
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


def test_a_row_that_is_listed_several_times_is_one_member(repository: Repository) -> None:
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
def test_the_last_of_very_many_things_share_one_finding(
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
