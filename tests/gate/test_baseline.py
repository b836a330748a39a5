# SPDX-License-Identifier: Apache-2.0
"""BAS8xx beyond the cases of `tests/cases/`: positions, fixes, limits and unusual baselines."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from provenance import check, load_config, verify
from provenance.artifacts import baseline as baselines
from provenance.artifacts import limits
from provenance.artifacts.digest import Digest
from provenance.artifacts.documents import json_edit
from provenance.artifacts.documents.source_map import SourceMap
from provenance.config import Config
from provenance.errors import InputError, UnavailableError
from provenance.evidence.baseline import open_baseline
from provenance.evidence.rows import ModelEvidence, RowEvidence
from provenance.gate.finding import Report
from provenance.gate.rules.stale_fields import other_bytes, refutation
from provenance.output import human
from provenance.output.text import Style
from provenance.registry.mapping import stock
from provenance.registry.rows import Row
from provenance.signing.trust_table import TrustTable
from tests.support.command import run_cli
from tests.support.findings import line_of, listed, only
from tests.support.git import GitRepository
from tests.support.keys import KeyPair
from tests.support.models import External, data, model
from tests.support.mutations import put
from tests.support.repository import Repository, codes, full_repository, sha256

ZERO: Final = "0" * 64


def keep(repository: Repository) -> Path:
    """Save the repository, and keep a copy of it as the baseline."""
    repository.save()
    copy = repository.root.parent / "baseline"
    shutil.copytree(repository.root, copy, dirs_exist_ok=True)
    return copy


def judged(repository: Repository, *rows: str, baseline: str | None = None) -> Report:
    repository.save()
    name = baseline or str(repository.root.parent / "baseline")
    return check(load_config(repository.root), rows=rows, baseline=name)


def failing(repository: Repository) -> str:
    return listed(judged(repository).failing)


def replace(repository: Repository, row: dict[str, Any], salt: int = 70) -> None:
    """Put other bytes in place of a model, with their digest."""
    content = model(salt=salt)
    repository.write(row["onnx"], content)
    row["sha256"] = sha256(content)


@pytest.fixture
def three(repository: Repository) -> Repository:
    """Rows a, b and c, as they are at the baseline."""
    for id in "abc":
        repository.add(id)
    keep(repository)
    return repository


# --- rows and fields that are gone ----------------------------------------------------------------


def test_missing_row_is_reported_at_its_former_neighbour(three: Repository) -> None:
    three.rows = [three.rows[0], three.rows[2]]
    found = only(judged(three), "BAS801")
    assert found.position is not None
    assert found.position.line == 4  # the row `a`
    assert found.fixes == ()
    del three.rows[0]
    found = judged(three).failing[0]
    assert line_of(found, three) == '"models": ['


def test_row_without_a_file_is_missed_too(repository: Repository) -> None:
    repository.add("m")
    repository.rows.append({"id": "odd"})
    keep(repository)
    del repository.rows[1]
    assert only(judged(repository), "BAS801").message.endswith("/baseline has it")


def test_summary_counts_only_rows_that_are_present(three: Repository) -> None:
    del three.rows[1:]
    assert human.render(judged(three), Style()).splitlines()[-1] == "FAILED: 2 errors"


@pytest.mark.parametrize(
    ("fields", "lost", "expected"),
    [
        ({}, ["kind"], "BAS802 m"),
        ({}, ["opset"], "BAS802 m"),
        *(({"smoke": value}, ["smoke"], "BAS802 m") for value in (1, "true", [True], None, False)),
        *(({name: True}, [name], "BAS802 m") for name in ("a", "z", "kind")),
        ({"license": ""}, ["license"], "LIC201 m"),
        (
            {"notes": "x", "own": "y"},
            ["sha256", "license", "notes", "own"],
            "BAS802 m, BAS802 m, REG101 m, LIC201 m",
        ),
        ({"external_data_sha256": {}}, ["external_data_sha256"], "ART306 m"),
    ],
)
def test_missing_field_is_reported_once(
    repository: Repository, fields: dict[str, Any], lost: list[str], expected: str
) -> None:
    row = repository.add_external("m") if "external_data_sha256" in fields else repository.add("m")
    row |= fields
    keep(repository)
    for name in lost:
        del row[name]
    assert sorted(failing(repository).split(", ")) == sorted(expected.split(", "))


@pytest.mark.parametrize("field", ["kind", "opset"])
def test_field_that_may_be_gone_on_purpose_is_not_fixed(three: Repository, field: str) -> None:
    del three.rows[1][field]
    found = only(judged(three), "BAS802")
    assert found.fixes == ()
    assert "provenance restore b --baseline" in found.help
    assert "declare it: [[deferral]] of BAS802 for 'b'" in found.help


def test_lost_license_has_the_edit_that_puts_it_back(three: Repository) -> None:
    before = three.registry.read_text("utf-8")
    del three.rows[1]["license"]
    (fix,) = only(judged(three), "LIC201").fixes
    source = SourceMap(three.registry.read_text("utf-8"))
    assert json_edit.edit(source, [fix.edit], "model/registry.json") == before


def test_license_that_was_empty_before_is_only_missing(repository: Repository) -> None:
    repository.add("m", license="")
    keep(repository)
    del repository.rows[0]["license"]
    found = only(judged(repository))
    assert (found.message, found.fixes) == ("no `license`", ())


def test_command_in_a_help_is_safe_to_paste(repository: Repository) -> None:
    repository.add("x; rm -rf ~", onnx="m.onnx", notes="x")
    keep(repository)
    del repository.rows[0]["notes"]
    assert "provenance restore 'x; rm -rf ~' --baseline" in only(judged(repository), "BAS802").help


def test_digests_of_external_data_may_go_with_the_data(repository: Repository) -> None:
    row = repository.add_external("m")
    keep(repository)
    repository.path("m.onnx.data").unlink()
    del row["external_data_sha256"]
    row["opset"] = 18
    assert failing(repository) == "ART304 m, ART310 m, BAS802 m"
    row["opset"] = 17
    replace(repository, row)
    assert failing(repository) == ""


@pytest.mark.parametrize("unreadable", ["q.onnx", "q.int8.onnx"])
def test_digests_of_external_data_are_missed_while_a_model_cannot_be_read(
    repository: Repository, unreadable: str
) -> None:
    row = repository.add_int8("q", external_data_sha256={"q.data": ZERO})
    keep(repository)
    repository.write(unreadable, b"\x00")
    row["sha256" if unreadable == "q.onnx" else "int8_sha256"] = sha256(b"\x00")
    del row["external_data_sha256"]
    assert codes(judged(repository)) == ["ART303", "BAS802"]


def test_int8_variant_does_not_go_unnoticed(repository: Repository) -> None:
    row = repository.add_int8("q")
    keep(repository)
    digest = row.pop("int8_sha256")
    assert failing(repository) == "ART308 q"
    repository.path("q.int8.onnx").unlink()
    del row["quant_mode"]
    assert failing(repository) == "BAS802 q, BAS802 q"
    assert digest


def test_field_that_does_not_depend_on_the_bytes_is_put_back(repository: Repository) -> None:
    row = repository.add("m", title="a model")
    keep(repository)
    replace(repository, row)
    del row["title"]
    assert only(judged(repository), "BAS802").help.startswith("Put it back: provenance")


def test_null_in_a_field_of_ones_own_is_a_change(repository: Repository) -> None:
    repository.add("m", budget=0.01)
    keep(repository)
    repository.rows[0]["budget"] = None
    assert failing(repository) == ""


@pytest.mark.parametrize(
    ("value", "shown"),
    [("x", '"x"'), ("x" * 78, f'"{"x" * 78}"'), ("x" * 79, f'"{"x" * 78}…')],
)
def test_lost_field_of_the_registry_is_shown_in_80_characters(
    three: Repository, value: str, shown: str
) -> None:
    root = three.root.parent / "baseline"
    put("notes", to=value)(root / "model" / "registry.json")
    found = only(judged(three), "BAS807")
    assert found.message == f"no `notes`; {root} has {shown}"
    assert found.position is not None
    assert (found.position.line, found.position.column) == (1, 1)


# --- what vouches for a model ---------------------------------------------------------------------

Build = Callable[[Repository], None]


def retrain(repository: Repository, **salts: int) -> None:
    """Put other bytes in place of files of the first row: `sha256`, `int8_sha256`, `data`."""
    row = repository.rows[0]
    stem = row["onnx"].removesuffix(".onnx")
    for field, salt in salts.items():
        if field == "data":
            content, name = data(24, salt), f"{stem}.onnx.data"
            row["external_data_sha256"] = {name: sha256(content)}
        else:
            outside = External(f"{stem}.onnx.data") if "external_data_sha256" in row else ()
            content = model(salt=salt, external=outside)
            name = f"{stem}.onnx" if field == "sha256" else f"{stem}.int8.onnx"
            row[field] = sha256(content)
        repository.write(name, content)


NEW: Final = sha256(data(24, 72))


@pytest.mark.parametrize(
    ("sidecars", "salts", "expected", "path", "message"),
    [
        (
            {"q.int8.json": {"id": "q"}},
            {"int8_sha256": 71},
            "BAS803 q",
            "q.int8.json",
            "int8_sha256 is",
        ),
        (
            {"q.json": {"id": "q", "sha256": sha256(model(salt=70))}, "q.int8.json": {"id": "q"}},
            {"sha256": 70, "int8_sha256": 71},
            "BAS803 q",
            "q.int8.json",
            "",
        ),
        (
            {"ext.json": {"id": "ext"}},
            {"data": 72, "sha256": 73},
            "BAS803 ext",
            "ext.json",
            "(and 1 more)",
        ),
        (
            {"ext.json": {"external_data_sha256": {"ext.onnx.data": NEW}}},
            {"data": 72, "sha256": 73},
            "BAS803 ext",
            "ext.json",
            "",
        ),
        ({"ext.json": {"external_data_sha256": {"ext.onnx.data": NEW}}}, {"data": 72}, "", "", ""),
        ({"q.json": "{"}, {"sha256": 70}, "SID405 q", "q.json", ""),
    ],
)
def test_unchanged_sidecar_does_not_vouch_for_a_new_file(
    repository: Repository,
    sidecars: Any,
    salts: dict[str, int],
    expected: str,
    path: str,
    message: str,
) -> None:
    if "data" in salts:
        repository.add_external("ext")
    else:
        repository.add_int8("q")
    for name, claims in sidecars.items():
        repository.write(name, claims)
    keep(repository)
    retrain(repository, **salts)
    found = judged(repository).failing
    assert listed(found) == expected
    assert all(f.path.startswith("model/") and f.path.endswith(path) for f in found)
    assert all(message in f.message for f in found)
    assert len(salts) > 1 or all("more" not in f.message for f in found)


def test_row_is_judged_behind_one_that_did_not_change(repository: Repository) -> None:
    for id in ("a", "b"):
        repository.write(f"{repository.add(id)['id']}.json", {"id": id})
    keep(repository)
    replace(repository, repository.rows[1])
    assert failing(repository) == "BAS803 b"


def test_sidecar_that_another_rule_reports_is_not_reported_again(repository: Repository) -> None:
    row = repository.add_external("ext")
    repository.add_sidecar(row, external_data_sha256=dict(row["external_data_sha256"]))
    other = repository.add("wide")
    repository.write("wide.json", {"id": "wide", "feature_order": [f"f{i}" for i in range(6)]})
    keep(repository)
    retrain(repository, data=72)
    content = model(inputs=[("features", 7)], salt=75)
    repository.write("wide.onnx", content)
    other["sha256"] = sha256(content)
    assert codes(judged(repository)) == ["SID403", "SID409"]
    repository.defer("SID403", ["wide"])
    assert codes(judged(repository)) == ["BAS803", "SID409"]


@pytest.mark.parametrize("epochs", range(2, 8))  # the digest is above or below the former one
def test_sidecar_that_changed_with_its_model_is_believed(
    repository: Repository, epochs: int
) -> None:
    row = repository.add("m")
    repository.write("m.json", {"id": "m", "epochs": 1})
    keep(repository)
    replace(repository, row)
    repository.write("m.json", {"id": "m", "epochs": epochs})
    assert failing(repository) == ""


def test_bundle_that_was_removed_or_signed_again_is_not_a_former_one(full: Repository) -> None:
    full.released()
    keep(full)
    replace(full, full.rows[0])
    full.add_sidecar(full.rows[0])
    (found,) = judged(full).warnings
    assert (found.code, found.about) == ("BAS815", "bundles/plain.onnx.sigstore.json")
    bundle = full.root / "bundles" / "plain.onnx.sigstore.json"
    bundle.unlink()
    assert judged(full).findings == ()
    full.released()
    assert judged(full).findings == ()


def test_verify_has_no_baseline(full: Repository) -> None:
    full.released()
    config = full.root / "provenance.toml"
    config.write_text('baseline = "nowhere"\n' + config.read_text("utf-8"), "utf-8")
    assert verify(load_config(full.root)).baseline is None


# --- promotions -----------------------------------------------------------------------------------


def test_verdict_on_the_ensemble_promotes_a_seed(repository: Repository) -> None:
    rows = repository.add_ensemble("ens", 2)
    keep(repository)
    for row in rows:
        row["smoke"] = False
    assert failing(repository) == ""
    put("verdict", to="HOLD")(repository.path("ens_seed_flip_PROMOTE.json"))
    assert "BAS804" not in codes(judged(repository))  # ENS513 reports it for the ensemble
    assert codes(judged(repository, "ens_seed0")) == ["BAS804"]


def test_deferred_width_stops_a_promotion(repository: Repository) -> None:
    rows = repository.add_ensemble("ens", 2)
    put("codec_vocab", to=["x264", "x265"])(repository.path("ens.json"))
    repository.defer("ENS507", ["ens"])
    keep(repository)
    assert failing(repository) == ""
    for row in rows:
        row["smoke"] = False
    report = judged(repository)
    assert listed(report.failing) == "BAS804 ens_seed0, BAS804 ens_seed1"
    assert "`codec_vocab` has 2 entries" in report.failing[0].message


def test_promotion_by_hand_is_reported_at_the_first_obstacle(repository: Repository) -> None:
    (row,) = repository.add_ensemble("ens", 1, training_recipe={"in_features": 9, "epochs": 1})
    put("codec_vocab", to=["x264", "x265"])(repository.path("ens.json"))
    repository.defer("ENS507", ["ens"])
    repository.defer("SID403", ["ens_seed0"])
    keep(repository)
    row["smoke"] = False
    found = only(judged(repository), "BAS804")
    assert found.about == "model/ens_seed0.json"
    first, second = (found.message.index(name) for name in ("`training_recipe", "`codec_vocab`"))
    assert first < second


def test_new_production_row_is_not_a_promotion(repository: Repository) -> None:
    repository.add("m")
    keep(repository)
    repository.add_sidecar(repository.add("new", smoke=False))
    assert failing(repository) == ""


# --- deferrals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["BAS801", "BAS802", "BAS806", "BAS807", "BAS809"])
def test_deferral_is_not_stale_without_a_baseline(three: Repository, rule: str) -> None:
    three.defer(rule, ["a"])
    assert codes(judged(three, baseline="none")) == []
    assert codes(judged(three)) == ["DEF901"]


def test_deferral_of_a_lost_field_names_a_row_that_exists(three: Repository) -> None:
    three.defer("BAS802", ["none"])
    assert codes(judged(three, baseline="none")) == ["DEF902"]


# --- licenses and kinds ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("then", "now", "changed"),
    [
        ("MIT", "mit", False),
        ("Our-License", "LicenseRef-Our-License", False),
        ("MIT AND (Apache-2.0 OR ISC)", "(ISC OR Apache-2.0) AND MIT", False),
        ("MIT", "Apache-2.0", True),
        ("MIT OR Apache-2.0", "MIT", True),
        ("MIT OR Apache-2.0", "MIT AND Apache-2.0", True),
        ("BSD-3-Clause-Plus-Patent", "BSD-2-Clause-Patent", True),
        ("((MIT", "MIT))", True),
        ("A" * 2000, "B" * 2000, True),
    ],
)
def test_license_has_changed_if_it_means_another(
    repository: Repository, then: str, now: str, changed: bool
) -> None:
    row = repository.add("m", license=then)
    keep(repository)
    row["license"] = now
    assert ("BAS806" in codes(judged(repository))) is changed


@pytest.mark.parametrize(
    ("salt", "now", "advised"),
    [(9, "b", True), (9, "0", True), (9, "a", False), (9, None, False), (0, "b", False)],
)
def test_origin_is_advised_if_model_and_sidecar_are_new(
    repository: Repository, salt: int, now: str | None, advised: bool
) -> None:
    row = repository.add("m")
    repository.write("m.json", {"notes": "a"})
    keep(repository)
    replace(repository, row, salt)
    row["license"] = "ISC"
    if now is None:
        repository.path("m.json").unlink()
    else:
        repository.write("m.json", {"notes": now})
    help = only(judged(repository), "BAS806").help
    assert ("If the model was imported, declare its `origin`" in help) is advised


@pytest.mark.parametrize(
    ("salt", "license", "changed"), [(9, "ISC", False), (9, "MIT", True), (0, "ISC", True)]
)
def test_imported_model_has_its_own_license(
    repository: Repository, salt: int, license: str, changed: bool
) -> None:
    row = repository.add("m")
    repository.add_sidecar(row)
    keep(repository)
    replace(repository, row, salt)
    row["license"] = "ISC"
    repository.add_sidecar(row, origin={"source": "https://example.org/m", "license": license})
    assert ("BAS806" in codes(judged(repository))) is changed


def test_license_that_its_file_refutes_is_reported_once(repository: Repository) -> None:
    repository.add("m", license_url="LICENSE")
    repository.write("LICENSE", "SPDX-License-Identifier: MIT\n")
    keep(repository)
    repository.rows[0]["license"] = "ISC"
    assert failing(repository) == "LIC206 m"
    repository.defer("LIC206", ["m"])
    assert failing(repository) == "BAS806 m"


def test_kind_that_the_sidecar_refutes_is_reported_once(repository: Repository) -> None:
    row = repository.add("a")
    repository.add_sidecar(row)
    repository.add("b")
    keep(repository)
    row["kind"] = repository.rows[1]["kind"] = "filter"
    assert failing(repository) == "SID408 a, BAS805 b"
    repository.defer("SID408", ["a"])
    assert failing(repository) == "BAS805 a, BAS805 b"
    repository.deferrals.clear()
    row["opset"] = 18
    repository.add_sidecar(row, kind="filter", feature_std=[1.0] * 6)
    assert codes(judged(repository)) == ["ART310", "BAS805", "BAS805", "SID414"]
    row["opset"] = 17
    repository.add_sidecar(row, onnx="other.onnx")  # SID408 is about another claim
    assert codes(judged(repository)) == ["BAS805", "BAS805", "SID408"]


# --- records --------------------------------------------------------------------------------------


def stale_ensemble(repository: Repository) -> None:
    repository.add_ensemble("ens", 2, sha256=ZERO)
    repository.defer("SID402", ["ens*"])
    keep(repository)


def test_renamed_manifest_is_not_missed(repository: Repository) -> None:
    stale_ensemble(repository)
    repository.path("ens.json").rename(repository.path("ens_v1.json"))
    assert failing(repository) == ""


def test_records_of_a_removed_ensemble_are_not_missed(repository: Repository) -> None:
    stale_ensemble(repository)
    repository.rows.clear()
    repository.add("m")
    for path in repository.models.glob("ens*"):
        path.unlink()
    assert set(codes(judged(repository))) == {"BAS801", "DEF902"}


@pytest.mark.parametrize(
    ("gone", "subject"),
    [("ens.json", "model/ens.json"), ("ens_seed_flip_PROMOTE.json", "ens")],
)
def test_missing_record_is_reported_at_the_first_row_of_its_ensemble(
    repository: Repository, gone: str, subject: str
) -> None:
    stale_ensemble(repository)
    manifest = json.loads(repository.path("ens.json").read_text())
    if gone == "ens.json":
        del manifest["id"]
    repository.write("ens.json", manifest)
    keep(repository)
    repository.path(gone).unlink()
    found = only(judged(repository), "BAS809")
    assert (found.subject, found.about) == (subject, f"model/{gone}")
    assert line_of(found, repository) == '"onnx": "ens_seed0.onnx",'


def test_manifest_is_missed_behind_an_ensemble_that_is_gone(repository: Repository) -> None:
    repository.add_ensemble("a", 1, sha256=ZERO)
    stale_ensemble(repository)
    del repository.rows[0]
    for path in [*repository.models.glob("a*"), repository.path("ens.json")]:
        path.unlink()
    missed = [f.about for f in judged(repository).failing if f.code == "BAS809"]
    assert "model/ens.json" in missed
    assert "model/a.json" not in missed


def test_missing_manifest_is_reported_once_and_not_for_each_seed(repository: Repository) -> None:
    stale_ensemble(repository)
    put("sha256", to=repository.rows[0]["sha256"])(repository.path("ens_seed0.json"))
    repository.deferrals[0]["rows"] = ["ens_seed1"]
    keep(repository)
    repository.path("ens.json").unlink()
    found = failing(repository)
    assert "BAS809" in found
    assert "SID407" not in found
    repository.defer("BAS809", ["ens"])
    assert "SID407 ens_seed0" in failing(repository)


def test_missing_manifest_of_production_seeds_is_one_finding(repository: Repository) -> None:
    repository.add_ensemble("ens", smoke=False)
    keep(repository)
    repository.path("ens.json").unlink()
    assert failing(repository) == "BAS809"
    repository.defer("BAS809", ["ens"])
    assert {"SID417", "SID407"} & set(codes(judged(repository)))


def test_document_that_is_not_a_record_is_not_missed(three: Repository) -> None:
    copy = three.root.parent / "baseline" / "model"
    (copy / "notes.json").write_text('{"a": 1}')
    (copy / "broken.json").write_text("{")
    (copy / "list.json").write_text("[]")
    (copy / "readme.md").write_text("")
    (copy / "folder.json").mkdir()
    (copy / os.fsdecode(b"\xff.json")).write_text('{"members": []}')
    assert failing(three) == ""


# --- baselines ------------------------------------------------------------------------------------


def test_commit_is_compared_with_the_work_tree(three: Repository) -> None:
    git = GitRepository.init(three.root)
    oid = git.commit()
    del three.rows[2]
    three.path("c.onnx").unlink()
    report = judged(three, baseline="git:main")
    assert report.baseline == f"git:main ({oid[:12]})"
    assert codes(report) == ["BAS801"]
    assert only(report, "BAS801").help.startswith(
        "Put it back: git restore --source=main -- model/c.onnx && "
        "provenance restore c --baseline git:main."
    )
    with pytest.raises(UnavailableError, match="git:v9: there is no such commit"):
        judged(three, baseline="git:v9")


def test_files_beside_a_registry_in_a_commit_are_compared(repository: Repository) -> None:
    row = repository.add("m")
    repository.write("m.json", {"id": "m"})
    repository.add_ensemble("ens", 2)
    repository.released()
    GitRepository.init(repository.root).commit()
    replace(repository, row)
    repository.path("ens_seed1.json").unlink()
    repository.path("ens_seed_flip_PROMOTE.json").unlink()
    report = judged(repository, baseline="git:HEAD")
    assert listed(report.failing) == "BAS803 m, BAS808 ens_seed1, BAS809"
    helps = {f.code: f.help.partition(". ")[0] for f in report.failing}
    restore = "Put it back: git restore --source=HEAD -- model"
    assert helps["BAS808"] == f"{restore}/ens_seed1.json"
    assert helps["BAS809"] == f"{restore}/ens_seed_flip_PROMOTE.json"


def test_configuration_may_lie_below_the_top_of_the_work_tree(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "below" / "root")
    repository.add("m", notes="x")
    repository.save()
    GitRepository.init(tmp_path).commit()
    del repository.rows[0]["notes"]
    assert codes(judged(repository, baseline="git:main")) == ["BAS802"]


def test_link_to_the_registry_in_a_commit_is_refused(three: Repository) -> None:
    git = GitRepository.init(three.root)
    three.registry.rename(three.path("real.json"))
    three.registry.symlink_to("real.json")
    git.commit()
    three.registry.unlink()
    with pytest.raises(InputError, match=r"baseline git:main: .* is a link, not a regular file"):
        judged(three, baseline="git:main")


def test_large_registry_at_the_baseline_is_refused(
    three: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = three.root.parent / "baseline" / "model" / "registry.json"
    path.write_text(path.read_text() + " " * 1000)
    monkeypatch.setattr(limits, "REGISTRY", len(three.registry.read_text()) + 10)
    with pytest.raises(InputError, match="is larger than"):
        judged(three)


def test_folder_that_cannot_be_listed_is_an_error(
    three: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.listdir

    def listdir(path: Any) -> list[str]:
        if "baseline" in str(path):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "listdir", listdir)
    with pytest.raises(InputError, match="cannot list 'model' of the baseline: Permission denied"):
        judged(three)


def test_folder_with_too_many_files_is_refused(
    three: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = three.root.parent / "baseline" / "model"
    for n in range(6):
        (copy / f"{n}.txt").touch()
    monkeypatch.setattr(limits, "FOLDER_ENTRIES", 8)
    with pytest.raises(InputError, match="more than 8 files in 'model' of the baseline"):
        judged(three)


def test_configured_path_is_relative_to_the_root_and_a_given_one_to_the_current_folder(
    three: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    del three.rows[2]
    three.save()
    config = three.root / "provenance.toml"
    config.write_text('baseline = "../baseline"\n' + config.read_text("utf-8"), "utf-8")
    monkeypatch.chdir(three.models)
    assert "BAS801" in codes(check(load_config(three.root)))
    assert "BAS801" in codes(check(load_config(three.root), baseline="../../baseline"))
    with pytest.raises(InputError, match="no such folder or file"):
        check(load_config(three.root), baseline="../baseline")


@pytest.mark.parametrize(
    ("text", "hint"),
    [("main", "git:main"), ("origin/main", "git:origin/main"), ("v3.0.0", "git:origin/main")],
)
def test_hint_for_a_missing_path_is_a_commit(text: str, hint: str, three: Repository) -> None:
    with pytest.raises(InputError) as caught:
        judged(three, baseline=text)
    assert hint in str(caught.value.help)


def test_invalid_registry_is_reported_at_its_own_path(three: Repository) -> None:
    (three.root / "NOTES.md").write_text("# Notes\n")
    with pytest.raises(InputError) as caught:
        judged(three, baseline=str(three.root / "NOTES.md"))
    assert "NOTES.md: is not JSON" in str(caught.value)
    assert three.registry.name not in str(caught.value)


def here(root: Path, registry: str) -> Config:
    """The configuration of a tree with nothing but a registry."""
    return Config(root, "provenance.toml", (stock(registry),), TrustTable(), (), "", "", root)


def test_registry_file_has_no_folder(tmp_path: Path) -> None:
    (tmp_path / "registry.json").write_text('{"models": []}')
    name = baselines.BaselineName("registry.json", tmp_path)
    with open_baseline(name, here(tmp_path, "model/r.json")) as opened:
        assert opened.source.at(".") is None
        assert opened.source.names_in("model") == ()
        with pytest.raises(InputError, match="is not known"):
            opened.source.read("model/m.json", 100)
        assert opened.source.read("model/r.json", 100) == b'{"models": []}'


def test_folder_that_is_not_in_the_baseline_is_empty(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text('{"models": []}')
    name = baselines.BaselineName(str(tmp_path), tmp_path)
    with open_baseline(name, here(tmp_path, "r.json")) as opened:
        assert opened.source.names_in("none") == ()
        assert opened.source.names_in("r.json") == ()


# --- fields of former bytes -----------------------------------------------------------------------


def test_field_that_does_not_describe_bytes_is_never_refuted() -> None:
    row = Row(0, {"id": "m", "notes": "x", "opset": 17}, {})
    assert refutation(RowEvidence(row), "notes", row) is None
    assert refutation(RowEvidence(row), "opset", row) == "the model is missing"


def test_digest_that_is_a_number_is_shown_as_it_is() -> None:
    row = RowEvidence(Row(0, {}, {}), onnx=ModelEvidence("m.onnx", "m.onnx", Digest("a" * 64, 1)))
    assert other_bytes(row, {"sha256": 7}) == "the digest of m.onnx is aaaaaaaaaaaa…, not 7"
    assert other_bytes(row, {"sha256": "a" * 64}) is None
    assert other_bytes(RowEvidence(row.entry), {"sha256": 7}) == "the model is missing"


# --- how each rule says to put back what is gone --------------------------------------------------


@pytest.fixture
def everything(tmp_path: Path, key: KeyPair) -> Repository:
    """One of everything in production, as it is at the baseline."""
    repository = full_repository(tmp_path / "repository", key)
    for row in repository.rows:
        row["smoke"] = not row["id"].startswith("ens") and row["id"] != "plain"
    keep(repository)
    return repository


@pytest.mark.parametrize("null", [False, True])
@pytest.mark.parametrize(
    ("id", "field", "code"),
    [
        ("plain", "license", "LIC201"),
        ("plain", "sigstore_bundle", "LIC203"),
        ("plain", "sha256", "REG101"),
        ("ext", "external_data_sha256", "ART306"),
        ("q", "int8_sha256", "ART308"),
    ],
)
def test_named_command_puts_back_a_field_that_is_missing_or_null(
    everything: Repository, id: str, field: str, code: str, null: bool
) -> None:
    before = everything.registry.read_text()
    row = next(r for r in everything.rows if r["id"] == id)
    row[field] = None
    if not null:
        del row[field]
    report = judged(everything)
    (found,) = (f for f in report.failing if f.row == id and f.code == ("REG101" if null else code))
    assert f"restore {id} --baseline" in found.help
    assert "/baseline has " in found.message
    assert "BAS802" not in codes(report)
    baseline = everything.root.parent / "baseline"
    result = run_cli("restore", id, "--baseline", baseline, cwd=everything.root)
    assert result.code == 0, result.out
    assert everything.registry.read_text() == before


@pytest.mark.parametrize(
    ("name", "code"),
    [("plain.json", "SID401"), ("ens_seed_flip_PROMOTE.json", "ENS510"), ("ens.json", "BAS809")],
)
def test_named_command_puts_back_a_missing_document(
    everything: Repository, name: str, code: str
) -> None:
    GitRepository.init(everything.root).commit()
    content = everything.path(name).read_bytes()
    everything.path(name).unlink()
    found = [f for f in judged(everything, baseline="git:HEAD").failing if f.code == code]
    step = f"git restore --source=HEAD -- model/{name}"
    help = {f.help.partition(". If")[0].removesuffix(".") for f in found}
    assert help == {f"Put it back: {step}"}
    assert all(f"git:HEAD has model/{name}" in f.message for f in found)
    GitRepository(everything.root).run(*step.split()[1:])
    assert everything.path(name).read_bytes() == content


def former_bytes(repository: Repository) -> None:
    replace(repository, repository.rows[0], 99)


def renamed(name: str) -> Build:
    """The model of a row under another name, of which the baseline has no sidecar."""

    def change(repository: Repository) -> None:
        repository.path("plain.onnx").rename(repository.path(name))
        repository.rows[0]["onnx"] = name

    return change


@pytest.mark.parametrize("change", [former_bytes, renamed("a.onnx"), renamed("z.onnx")])
def test_sidecar_that_describes_another_model_is_not_put_back(
    everything: Repository, change: Build
) -> None:
    everything.path("plain.json").unlink()
    change(everything)
    found = only(judged(everything), "SID401")
    assert found.help == 'Export it with the model, or say "smoke": true.'


def test_sidecar_that_the_baseline_lacks_is_not_put_back(repository: Repository) -> None:
    repository.add("m", smoke=False)
    keep(repository)
    found = only(judged(repository), "SID401")
    assert found.help == 'Export it with the model, or say "smoke": true.'
