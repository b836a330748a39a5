# SPDX-License-Identifier: Apache-2.0
"""What one file can cost, however often it is named and whatever is in it: counted, not timed."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from provenance import check, load_config, restore
from provenance.artifacts import digest, registry
from provenance.artifacts.ensemble import Manifest
from provenance.artifacts.onnx_model import OnnxFacts, TensorSpec
from provenance.artifacts.registry import Registry, Row
from provenance.artifacts.sidecar import Sidecar
from provenance.attestations.statement import Statement, Subject
from provenance.evidence import ensembles
from provenance.evidence.registry_diff import Comparison
from provenance.evidence.rows import RowEvidence
from provenance.gate.rules.sidecars.interface import SidecarNames
from tests.support.counting import Compared, calls, opened_files
from tests.support.keys import KeyPair
from tests.support.models import model
from tests.support.repository import Repository, sha256
from tests.support.whole import read_whole

# --- one file that many rows name ---------------------------------------------------------------

SPELLINGS = ("m.onnx", "./m.onnx", ".//m.onnx", "m.onnx")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[Path]:
    """How often each file that is there was opened."""
    return opened_files(monkeypatch)


@pytest.fixture
def shared(repository: Repository) -> Repository:
    """Rows that differ in their ids and in how they spell the name of their one model."""
    row = repository.add("m", quant_mode="dynamic", int8_sha256="")
    repository.write("m.int8.onnx", repository.path("m.onnx").read_bytes())
    repository.add_sidecar(row)
    repository.write("m.int8.json", {"sha256": row["sha256"]})
    repository.rows = [row | {"id": f"m{i}", "onnx": o} for i, o in enumerate(SPELLINGS)]
    return repository.save()


def test_what_many_rows_name_is_read_once(
    shared: Repository, key: KeyPair, tmp_path: Path, opened: Counter[Path]
) -> None:
    other = Repository(tmp_path / "released", key)
    other.add("m")
    bundle = other.released().root / "bundles" / "m.onnx.sigstore.json"
    for name in ("m.onnx", "m.onnx.2", "m.onnx.3", "m.onnx.provenance"):
        shutil.copy(bundle, shared.root / "bundles" / f"{name}.sigstore.json")
    opened.clear()
    report = shared.verify()
    assert {row.id for row in report.rows} == {"m0", "m1", "m2", "m3"}
    files = [p for folder in ("model", "bundles") for p in (shared.root / folder).iterdir()]
    assert {path: opened[path] for path in files} == dict.fromkeys(files, 1)


def test_what_many_rows_name_is_kept_once(shared: Repository) -> None:
    rows = read_whole(shared.config).rows
    assert [r.sidecar and r.sidecar.name for r in rows] == [
        "m.json", "./m.json", ".//m.json", "m.json"
    ]  # fmt: skip
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


def test_what_many_rows_named_at_the_baseline_is_read_once(
    shared: Repository, tmp_path: Path, opened: Counter[Path]
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
    report = check(load_config(shared.root), baseline=str(baseline))
    assert "BAS803" in {f.code for f in report.findings}
    looked_at = [p for p in opened if p.name in ("m.json", "m.int8.json", bundle.name)]
    assert {opened[p] for p in looked_at} == {1}
    assert {p.name for p in looked_at if baseline in p.parents} == {
        "m.json", "m.int8.json", bundle.name
    }  # fmt: skip


# --- documents that name very many things -------------------------------------------------------


def test_names_of_a_sidecar_are_looked_up_among_those_of_the_graph() -> None:
    def comparisons(count: int) -> int:
        inputs = tuple(TensorSpec(Compared(f"x{i}"), "float", (1,)) for i in range(count))
        facts = OnnxFacts(8, {"": 17}, inputs, (), ())
        claims = {"input_names": [f"y{i}" for i in range(count)]}
        sidecar = Sidecar("m.json", digest.of_bytes(b""), json.dumps(claims), claims)
        Compared.times = 0
        assert len(list(SidecarNames().refuted(facts, "m.onnx", sidecar))) == 1
        return Compared.times

    assert comparisons(400) < 3 * comparisons(200) + 100


def test_few_of_very_many_inputs_are_listed(repository: Repository) -> None:
    inputs = [("features", 6), ("n" * 3000, 1), *((f"i{n}", 1) for n in range(500))]
    row = repository.add("m", model(inputs=inputs))
    repository.add_sidecar(row, input_names=["x"])
    (found,) = repository.save().check().failing
    assert found.code == "SID410"
    assert found.message == (
        "the sidecar declares an input 'x', but m.onnx has "
        f"features, {'n' * 60}, i0, i1, i2 and 497 more"
    )


def test_fields_that_were_lost_are_put_back_in_one_pass() -> None:
    def state(start: str, count: int) -> Registry:
        """A registry with so many fields of its own, and a row with as many."""
        fields: dict[str, object] = {Compared(f"{start}{i}"): i for i in range(count)}
        row = {"id": "m", **fields}
        found = registry.parse_bytes(json.dumps({"models": [row], **fields}).encode(), "r.json")
        return replace(found, keys=("models", *fields), rows=(Row.of(0, row, found.names),))

    def comparisons(count: int) -> int:
        found = Comparison(state("x", count), state("y", count))
        Compared.times = 0
        lost = [*found.lost_fields_of_registry(), *found.lost_fields(found.now.rows[0])]
        assert len([found.field_edit(field) for field in lost]) == 2 * count
        return Compared.times

    assert comparisons(60) < 3 * comparisons(30) + 100


def test_members_are_looked_up_among_the_rows() -> None:
    def comparisons(count: int) -> int:
        fields = [
            {"id": Compared(f"r{i}"), "onnx": Compared("m.onnx"), "sha256": Compared("0" * 64)}
            for i in range(count)
        ]
        rows = [RowEvidence(Row(i, row, row)) for i, row in enumerate(fields)]
        value = {"members": [{"id": f"x{i}", "onnx": "m.onnx"} for i in range(count)]}
        manifest = Manifest("e.json", digest.of_bytes(b""), json.dumps(value), value)
        Compared.times = 0
        (found,) = ensembles.join(rows, [manifest])
        assert {member.row_label for member in found.members} == {"r0"}
        return Compared.times

    assert comparisons(200) < 3 * comparisons(100) + 100


def test_the_row_of_a_member_is_that_of_its_names_and_else_of_its_digest() -> None:
    def seated(rows: list[dict[str, str]], member: dict[str, str]) -> str | None:
        found = [RowEvidence(Row(i, row, row)) for i, row in enumerate(rows)]
        value = {"members": [member]}
        manifest = Manifest("e.json", digest.of_bytes(b""), json.dumps(value), value)
        (joined,) = ensembles.join(found, [manifest])
        return joined.members[0].row_label

    first = {"id": "first", "onnx": "m.onnx", "sha256": "1"}
    second = {"id": "second", "onnx": "m.onnx", "sha256": "2"}
    other = {"id": "other", "onnx": "n.onnx", "sha256": "3"}
    rows = [first, second, other]
    assert seated(rows, {"onnx": "m.onnx"}) == "first"
    assert seated(rows, {"onnx": "m.onnx", "id": "second"}) == "second"
    assert seated(rows, {"onnx": "m.onnx", "id": "second", "sha256": "1"}) == "second"
    assert seated(rows, {"onnx": "m.onnx", "id": "other", "sha256": "2"}) == "first"
    assert seated(rows, {"onnx": "m.onnx", "id": "other", "sha256": "3"}) == "other"
    assert seated(rows, {"onnx": "x.onnx", "id": "other"}) == "other"
    again = second | {"sha256": "4"}
    assert seated([*rows, again], second | {"sha256": "4"}) == "second"


def test_subjects_of_a_statement_are_looked_up() -> None:
    def comparisons(count: int) -> int:
        subjects = tuple(Subject(Compared(f"f{i}"), Compared(f"{i:064}")) for i in range(count))
        statement = Statement(subjects, "", {})
        Compared.times = 0
        for i in range(count):
            assert statement.digest_of(f"f{i}") == f"{i:064}"
            assert statement.name_of(f"{i:064}") == f"f{i}"
        return Compared.times

    assert comparisons(200) < 3 * comparisons(100) + 100


def test_of_one_digest_the_first_name_is_told() -> None:
    statement = Statement((Subject("a", "1"), Subject("b", "1")), "", {})
    assert statement.name_of("1") == "a"
    assert (statement.digest_of("b"), statement.digest_of("c")) == ("1", None)


def test_what_is_declared_to_be_gone_is_looked_up(tmp_path: Path) -> None:
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
