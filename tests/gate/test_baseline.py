# SPDX-License-Identifier: Apache-2.0
"""BAS8xx beyond the cases of `tests/cases/`: positions, fixes, limits and unusual baselines."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from provenance import check, load_config, verify
from provenance.artifacts import baseline as baselines
from provenance.artifacts import limits
from provenance.artifacts.digest import Digest
from provenance.artifacts.documents import json_edit
from provenance.artifacts.documents.source_map import SourceMap
from provenance.artifacts.registry import Row
from provenance.config import Config
from provenance.errors import InputError, UnavailableError
from provenance.evidence.baseline import open_baseline
from provenance.evidence.rows import RowEvidence
from provenance.gate.finding import Finding, Report
from provenance.gate.rules.stale_fields import refutation
from provenance.signing.trust_table import TrustTable
from tests.support.command import run_cli
from tests.support.git import GitRepository
from tests.support.keys import KeyPair
from tests.support.models import External, data, model
from tests.support.repository import Repository, codes, full_repository, sha256


def keep(repository: Repository) -> Path:
    """Save the repository and keep a copy of it as the baseline."""
    repository.save()
    copy = repository.root.parent / "baseline"
    shutil.copytree(repository.root, copy, dirs_exist_ok=True)
    return copy


def judged(repository: Repository, *rows: str, baseline: str | None = None) -> Report:
    repository.save()
    name = baseline or str(repository.root.parent / "baseline")
    return check(load_config(repository.root), rows=rows, baseline=name)


def only(report: Report, code: str) -> Finding:
    (found,) = [f for f in report.findings if f.code == code]
    return found


def place(finding: Finding, repository: Repository) -> str:
    """Return the line that a finding points at."""
    assert finding.position is not None
    return repository.registry.read_text("utf-8").splitlines()[finding.position.line - 1].strip()


@pytest.fixture
def three(repository: Repository) -> Repository:
    """Rows a, b and c, as they are at the baseline."""
    for id in "abc":
        repository.add(id)
    keep(repository)
    return repository


# --- where a row that is gone is reported ---------------------------------------------------------


def test_a_lost_row_is_reported_at_its_former_position(three: Repository) -> None:
    three.rows = [three.rows[0], three.rows[2]]
    found = only(judged(three), "BAS801")
    assert found.position is not None
    assert found.position.line == 4  # the row `a`, which it stood behind
    assert found.fixes == ()


def test_a_first_row_that_is_gone_is_reported_at_the_list(three: Repository) -> None:
    del three.rows[0]
    assert place(only(judged(three), "BAS801"), three) == '"models": ['


def test_a_row_without_a_file_is_missed_too(repository: Repository) -> None:
    repository.add("m")
    repository.rows.append({"id": "odd"})
    keep(repository)
    del repository.rows[1]
    found = only(judged(repository), "BAS801")
    assert found.message.endswith("/baseline has it")


def test_the_summary_counts_only_rows_that_are_here(three: Repository) -> None:
    from provenance.output import human
    from provenance.output.text import Style

    del three.rows[1:]
    text = human.render(judged(three), Style())
    assert text.splitlines()[-1] == "FAILED: 2 errors"


# --- what is lost, and its fix --------------------------------------------------------------------


def test_a_lost_license_comes_with_the_edit_that_puts_it_back(three: Repository) -> None:
    before = three.registry.read_text("utf-8")
    del three.rows[1]["license"]
    (fix,) = only(judged(three), "LIC201").fixes
    source = SourceMap(three.registry.read_text("utf-8"))
    assert json_edit.edit(source, [fix.edit], "model/registry.json") == before


@pytest.mark.parametrize("field", ["kind", "opset"])
def test_a_field_that_may_be_gone_on_purpose_is_for_restore_to_put_back(
    three: Repository, field: str
) -> None:
    del three.rows[1][field]
    found = only(judged(three), "BAS802")
    assert found.fixes == ()
    assert "provenance restore b --baseline" in found.help
    assert "declare it: [[deferral]] of BAS802 for 'b'" in found.help


def test_a_command_that_is_shown_is_safe_to_paste(repository: Repository) -> None:
    repository.add("x; rm -rf ~", onnx="m.onnx", notes="x")
    keep(repository)
    del repository.rows[0]["notes"]
    assert "provenance restore 'x; rm -rf ~' --baseline" in only(judged(repository), "BAS802").help


def test_a_lost_license_that_was_empty_before_is_only_missing(repository: Repository) -> None:
    repository.add("m", license="")
    keep(repository)
    del repository.rows[0]["license"]
    report = judged(repository)
    assert only(report, "LIC201").message == "no `license`"
    assert only(report, "LIC201").fixes == ()


def test_digests_of_external_data_may_go_with_the_external_data(repository: Repository) -> None:
    row = repository.add_external("ext")
    keep(repository)
    content = model(salt=5)
    repository.write("ext.onnx", content)
    repository.path("ext.onnx.data").unlink()
    del row["external_data_sha256"]
    row["sha256"] = sha256(content)
    assert codes(judged(repository)) == []


def test_digests_of_external_data_that_is_used_are_missed_once(repository: Repository) -> None:
    del repository.add_external("ext")["external_data_sha256"]
    keep(repository)
    repository.rows[0]["external_data_sha256"] = {}
    keep(repository)
    del repository.rows[0]["external_data_sha256"]
    assert codes(judged(repository)) == ["ART306"]


def test_a_digest_of_an_int8_variant_that_is_here_is_missed_once(repository: Repository) -> None:
    row = repository.add_int8("q")
    keep(repository)
    del row["int8_sha256"]
    assert codes(judged(repository)) == ["ART308"]


def test_an_int8_variant_does_not_go_unnoticed(repository: Repository) -> None:
    row = repository.add_int8("q")
    keep(repository)
    del row["int8_sha256"], row["quant_mode"]
    repository.path("q.int8.onnx").unlink()
    assert codes(judged(repository)) == ["BAS802", "BAS802"]


def test_the_smoke_flag_of_a_production_row_may_not_vanish(repository: Repository) -> None:
    repository.add_sidecar(repository.add("m", smoke=False))
    keep(repository)
    del repository.rows[0]["smoke"]
    assert only(judged(repository), "BAS802").message.startswith("no `smoke`")


@pytest.mark.parametrize("value", [1, "true", [True], None])
def test_smoke_that_was_not_true_may_not_vanish(repository: Repository, value: Any) -> None:
    repository.add("m", smoke=value)
    keep(repository)
    del repository.rows[0]["smoke"]
    assert "BAS802" in codes(judged(repository))


@pytest.mark.parametrize("field", ["a", "z", "kind"])
def test_a_field_that_was_true_is_no_smoke_flag(repository: Repository, field: str) -> None:
    repository.add("m")[field] = True
    keep(repository)
    del repository.rows[0][field]
    assert codes(judged(repository)) == ["BAS802"]


def test_a_field_is_missed_beside_one_that_another_rule_misses(repository: Repository) -> None:
    row = repository.add("m", notes="x", own="y")
    keep(repository)
    for field in ("sha256", "license", "notes", "own"):
        del row[field]
    assert codes(judged(repository)) == ["BAS802", "BAS802", "LIC201", "REG101"]


@pytest.mark.parametrize("unreadable", ["q.onnx", "q.int8.onnx"])
def test_digests_of_external_data_are_missed_while_one_model_cannot_be_read(
    repository: Repository, unreadable: str
) -> None:
    """The external data of the unreadable model is not known."""
    row = repository.add_int8("q", external_data_sha256={"q.data": "0" * 64})
    keep(repository)
    repository.write(unreadable, b"\x00")
    row["sha256" if unreadable == "q.onnx" else "int8_sha256"] = sha256(b"\x00")
    del row["external_data_sha256"]
    assert codes(judged(repository)) == ["ART303", "BAS802"]


# --- what vouches for a model ---------------------------------------------------------------------


def replace(repository: Repository, row: dict[str, Any], salt: int = 70) -> None:
    content = model(salt=salt)
    repository.write(row["onnx"], content)
    row["sha256"] = sha256(content)


def test_an_int8_sidecar_is_looked_at_with_its_variant(repository: Repository) -> None:
    row = repository.add_int8("q")
    repository.write("q.int8.json", {"id": "q"})
    keep(repository)
    content = model(salt=71)
    repository.write("q.int8.onnx", content)
    row["int8_sha256"] = sha256(content)
    found = only(judged(repository), "BAS803")
    assert found.path == "model/q.int8.json"
    assert "int8_sha256 is" in found.message
    assert "more" not in found.message


def test_a_sidecar_may_name_the_weights_beside_its_model(repository: Repository) -> None:
    row = repository.add_external("ext")
    weights = data(24, salt=72)
    repository.add_sidecar(row, external_data_sha256={"ext.onnx.data": sha256(weights)})
    keep(repository)
    repository.write("ext.onnx.data", weights)
    row["external_data_sha256"] = {"ext.onnx.data": sha256(weights)}
    assert codes(judged(repository)) == []


def test_a_sidecar_that_is_reported_already_is_not_reported_again(repository: Repository) -> None:
    row = repository.add_external("ext")
    old = row["external_data_sha256"]
    repository.add_sidecar(row, external_data_sha256=dict(old))
    other = repository.add("wide")
    repository.write("wide.json", {"id": "wide", "feature_order": [f"f{i}" for i in range(6)]})
    keep(repository)
    repository.write("ext.onnx.data", data(24, salt=72))
    row["external_data_sha256"] = {"ext.onnx.data": sha256(data(24, salt=72))}
    content = model(inputs=[("features", 7)], salt=75)
    repository.write("wide.onnx", content)
    other["sha256"] = sha256(content)
    assert codes(judged(repository)) == ["SID403", "SID409"]
    repository.defer("SID403", ["wide"])
    assert codes(judged(repository)) == ["BAS803", "SID409"]


def test_several_files_that_changed_are_counted(repository: Repository) -> None:
    row = repository.add_external("ext")
    repository.write("ext.json", {"id": "ext"})
    keep(repository)
    weights, content = data(24, salt=73), model(salt=74, external=External("ext.onnx.data"))
    repository.write("ext.onnx.data", weights)
    repository.write("ext.onnx", content)
    row.update(sha256=sha256(content), external_data_sha256={"ext.onnx.data": sha256(weights)})
    assert "(and 1 more)" in only(judged(repository), "BAS803").message


@pytest.mark.parametrize("epochs", range(2, 8))  # of each, the digest may be above or below
def test_a_sidecar_that_changed_with_its_model_is_believed(
    repository: Repository, epochs: int
) -> None:
    row = repository.add("m")
    repository.write("m.json", {"id": "m", "epochs": 1})
    keep(repository)
    replace(repository, row)
    repository.write("m.json", {"id": "m", "epochs": epochs})
    assert codes(judged(repository)) == []


def test_a_model_is_judged_behind_one_that_did_not_change(repository: Repository) -> None:
    for id in ("a", "b"):
        repository.write(f"{repository.add(id)['id']}.json", {"id": id})
    keep(repository)
    replace(repository, repository.rows[1])
    assert [(f.code, f.row) for f in judged(repository).failing] == [("BAS803", "b")]


def test_a_variant_is_judged_beside_a_model_whose_sidecar_vouches_for_it(
    repository: Repository,
) -> None:
    row = repository.add_int8("q")
    new = {"q.onnx": model(salt=70), "q.int8.onnx": model(salt=71)}
    repository.write("q.json", {"id": "q", "sha256": sha256(new["q.onnx"])})
    repository.write("q.int8.json", {"id": "q"})
    keep(repository)
    for name, content in new.items():
        repository.write(name, content)
    row.update(sha256=sha256(new["q.onnx"]), int8_sha256=sha256(new["q.int8.onnx"]))
    assert only(judged(repository), "BAS803").path == "model/q.int8.json"


def test_a_sidecar_has_to_name_every_file_that_changed(repository: Repository) -> None:
    row = repository.add_external("ext")
    weights, content = data(24, salt=73), model(salt=74, external=External("ext.onnx.data"))
    repository.write("ext.json", {"external_data_sha256": {"ext.onnx.data": sha256(weights)}})
    keep(repository)
    repository.write("ext.onnx.data", weights)
    repository.write("ext.onnx", content)
    row.update(sha256=sha256(content), external_data_sha256={"ext.onnx.data": sha256(weights)})
    assert codes(judged(repository)) == ["BAS803"]


def test_a_sidecar_that_cannot_be_read_is_reported_as_that(repository: Repository) -> None:
    row = repository.add("m")
    repository.write("m.json", "{")
    keep(repository)
    replace(repository, row)
    assert codes(judged(repository)) == ["SID405"]


def test_a_bundle_that_was_signed_again_or_removed_is_no_former_one(full: Repository) -> None:
    full.released()
    keep(full)
    replace(full, full.rows[0])
    full.add_sidecar(full.rows[0])
    report = judged(full)
    assert codes(report) == ["BAS803"]
    assert report.failing[0].about == "bundles/plain.onnx.sigstore.json"
    (full.root / "bundles" / "plain.onnx.sigstore.json").unlink()
    assert codes(judged(full)) == []
    full.released()
    assert codes(judged(full)) == []


def test_verify_compares_with_nothing(full: Repository) -> None:
    full.released()
    config = full.root / "provenance.toml"
    config.write_text('baseline = "nowhere"\n' + config.read_text("utf-8"), "utf-8")
    assert verify(load_config(full.root)).baseline is None


# --- promotions -----------------------------------------------------------------------------------


def test_a_seed_is_promoted_by_the_verdict_on_its_ensemble(repository: Repository) -> None:
    rows = repository.add_ensemble("ens", 2)
    keep(repository)
    for row in rows:
        row["smoke"] = False
    assert codes(judged(repository)) == []
    verdict = repository.path("ens_seed_flip_PROMOTE.json")
    verdict.write_text(verdict.read_text().replace('"verdict": "PROMOTE"', '"verdict": "HOLD"'))
    assert "BAS804" not in codes(judged(repository))  # ENS513 reports it for the ensemble
    assert codes(judged(repository, "ens_seed0")) == ["BAS804"]  # where ensembles are not judged


def test_a_promotion_by_hand_is_reported_at_the_first_obstacle(
    repository: Repository,
) -> None:
    (row,) = repository.add_ensemble("ens", 1, training_recipe={"in_features": 9, "epochs": 1})
    manifest = json.loads(repository.path("ens.json").read_text())
    repository.write("ens.json", manifest | {"codec_vocab": ["x264", "x265"]})
    repository.defer("ENS507", ["ens"])
    repository.defer("SID403", ["ens_seed0"])
    keep(repository)
    row["smoke"] = False
    (found,) = (f for f in judged(repository).failing if f.code == "BAS804")
    first, second = (found.message.index(name) for name in ("`training_recipe", "`codec_vocab`"))
    assert first < second
    assert found.about == "model/ens_seed0.json"


def test_a_width_that_was_deferred_for_placeholders_stops_their_promotion(
    repository: Repository,
) -> None:
    rows = repository.add_ensemble("ens", 2)
    manifest = json.loads(repository.path("ens.json").read_text())
    repository.write("ens.json", manifest | {"codec_vocab": ["x264", "x265"]})
    repository.defer("ENS507", ["ens"])
    keep(repository)
    assert codes(judged(repository)) == []
    for row in rows:
        row["smoke"] = False
    report = judged(repository)
    assert codes(report) == ["BAS804", "BAS804"]
    assert "`codec_vocab` has 2 entries" in report.failing[0].message


def test_a_new_production_row_is_no_promotion(repository: Repository) -> None:
    repository.add("m")
    keep(repository)
    repository.add_sidecar(repository.add("new", smoke=False))
    assert codes(judged(repository)) == []


# --- deferrals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["BAS801", "BAS802", "BAS806", "BAS807", "BAS809"])
def test_without_a_baseline_deferrals_of_these_rules_are_not_stale(
    three: Repository, rule: str
) -> None:
    three.defer(rule, ["a"])
    assert codes(judged(three, baseline="none")) == []
    assert codes(judged(three)) == ["DEF901"]


def test_a_deferral_is_stale_once_the_baseline_has_the_change(three: Repository) -> None:
    del three.rows[2]
    three.path("c.onnx").unlink()
    three.defer("BAS801", ["c"])
    assert codes(judged(three)) == []
    keep(three)
    assert codes(judged(three)) == ["DEF901"]


def test_a_deferral_of_a_lost_field_names_a_row_that_exists(three: Repository) -> None:
    three.defer("BAS802", ["none"])
    assert codes(judged(three, baseline="none")) == ["DEF902"]


# --- licenses -------------------------------------------------------------------------------------


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
def test_a_license_has_changed_where_it_means_another(
    repository: Repository, then: str, now: str, changed: bool
) -> None:
    row = repository.add("m", license=then)
    keep(repository)
    row["license"] = now
    assert ("BAS806" in codes(judged(repository))) is changed


def test_digests_of_data_that_are_gone_with_the_data_are_reported_beside_other_findings(
    repository: Repository,
) -> None:
    row = repository.add_external("m")
    keep(repository)
    repository.path("m.onnx.data").unlink()
    del row["external_data_sha256"]
    row["opset"] = 18
    assert codes(judged(repository)) == ["ART304", "ART310", "BAS802"]


def test_a_field_that_does_not_depend_on_the_bytes_is_put_back_for_a_new_model(
    repository: Repository,
) -> None:
    row = repository.add("m", title="a model")
    keep(repository)
    content = model(salt=9)
    repository.write("m.onnx", content)
    del row["title"]
    row["sha256"] = sha256(content)
    assert only(judged(repository), "BAS802").help.startswith("Put it back: provenance")


@pytest.mark.parametrize(
    ("salt", "then", "now", "advised"),
    [
        (9, "a", "b", True),
        (9, "b", "a", True),
        (9, "a", "a", False),
        (9, "a", None, False),
        (0, "a", "b", False),
    ],
)
def test_a_changed_license_may_be_that_of_an_imported_model_if_model_and_sidecar_are_new(
    repository: Repository, salt: int, then: str, now: str | None, advised: bool
) -> None:
    row = repository.add("m")
    repository.write("m.json", {"notes": then})
    keep(repository)
    content = model(salt=salt)
    repository.write("m.onnx", content)
    row |= {"sha256": sha256(content), "license": "ISC"}
    if now is None:
        repository.path("m.json").unlink()
    else:
        repository.write("m.json", {"notes": now})
    found = only(judged(repository), "BAS806")
    assert ("If the model was imported, declare its `origin`" in found.help) is advised


@pytest.mark.parametrize(
    ("salt", "license", "changed"), [(9, "ISC", False), (9, "MIT", True), (0, "ISC", True)]
)
def test_an_imported_model_takes_the_place_of_a_row_with_its_own_license(
    repository: Repository, salt: int, license: str, changed: bool
) -> None:
    row = repository.add("m")
    repository.add_sidecar(row)
    keep(repository)
    content = model(salt=salt)
    repository.write("m.onnx", content)
    row |= {"sha256": sha256(content), "license": "ISC"}
    repository.add_sidecar(row, origin={"source": "https://example.org/m", "license": license})
    assert ("BAS806" in codes(judged(repository))) is changed


def test_a_license_that_its_file_refutes_is_reported_once(repository: Repository) -> None:
    repository.add("m", license_url="LICENSE")
    repository.write("LICENSE", "SPDX-License-Identifier: MIT\n")
    keep(repository)
    repository.rows[0]["license"] = "ISC"
    assert codes(judged(repository)) == ["LIC206"]
    repository.defer("LIC206", ["m"])
    assert codes(judged(repository)) == ["BAS806"]


def test_a_kind_that_the_sidecar_refutes_is_reported_once(repository: Repository) -> None:
    row = repository.add("m")
    repository.add_sidecar(row)
    keep(repository)
    row["kind"] = "filter"
    assert codes(judged(repository)) == ["SID408"]
    repository.defer("SID408", ["m"])
    assert codes(judged(repository)) == ["BAS805"]
    row["opset"] = 18
    repository.add_sidecar(row, kind="fr", feature_std=[1.0] * 6)
    assert codes(judged(repository)) == ["ART310", "BAS805", "SID414"]
    row["opset"] = 17
    repository.deferrals.clear()
    repository.add_sidecar(row)
    assert codes(judged(repository)) == ["BAS805"]
    repository.add_sidecar(row, onnx="other.onnx")  # SID408 says something else
    assert codes(judged(repository)) == ["BAS805", "SID408"]


def test_a_changed_kind_is_reported_after_one_that_a_sidecar_refutes(
    repository: Repository,
) -> None:
    repository.add_sidecar(repository.add("a"))
    repository.add("b")
    keep(repository)
    for row in repository.rows:
        row["kind"] = "filter"
    assert [(f.code, f.row) for f in judged(repository).failing] == [
        ("SID408", "a"),
        ("BAS805", "b"),
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [("x", '"x"'), ("x" * 78, f'"{"x" * 78}"'), ("x" * 79, f'"{"x" * 78}…')],
)
def test_a_lost_field_of_the_registry_is_shown_in_80_characters(
    three: Repository, value: str, shown: str
) -> None:
    root = three.root.parent / "baseline"
    registry = json.loads(three.registry.read_text("utf-8"))
    kept = root / "model" / "registry.json"
    kept.write_text(json.dumps({"notes": value} | registry, indent=2), "utf-8")
    found = only(judged(three), "BAS807")
    assert found.message == f"no `notes`; {root} has {shown}"
    assert found.position is not None
    assert (found.position.line, found.position.column) == (1, 1)


# --- records --------------------------------------------------------------------------------------


def stale_ensemble(repository: Repository) -> None:
    repository.add_ensemble("ens", 2, sha256="0" * 64)
    repository.defer("SID402", ["ens*"])
    keep(repository)


def test_a_manifest_under_another_name_is_not_gone(repository: Repository) -> None:
    stale_ensemble(repository)
    repository.path("ens.json").rename(repository.path("ens_v1.json"))
    assert codes(judged(repository)) == []


def test_records_of_a_removed_ensemble_are_not_missed(repository: Repository) -> None:
    stale_ensemble(repository)
    repository.rows.clear()
    repository.add("m")
    for path in repository.models.glob("ens*"):
        path.unlink()
    assert set(codes(judged(repository))) == {"BAS801", "DEF902"}


def test_a_manifest_without_an_id_is_missed_by_its_path(repository: Repository) -> None:
    stale_ensemble(repository)
    manifest = json.loads(repository.path("ens.json").read_text())
    del manifest["id"]
    repository.write("ens.json", manifest)
    keep(repository)
    repository.path("ens.json").unlink()
    found = only(judged(repository), "BAS809")
    assert (found.subject, found.about) == ("model/ens.json", "model/ens.json")
    assert place(found, repository) == '"onnx": "ens_seed0.onnx",'


def test_a_manifest_is_missed_behind_an_ensemble_that_is_gone(repository: Repository) -> None:
    repository.add_ensemble("a", 1, sha256="0" * 64)
    stale_ensemble(repository)
    del repository.rows[0]
    for path in [*repository.models.glob("a*"), repository.path("ens.json")]:
        path.unlink()
    found = [(f.code, f.about) for f in judged(repository).failing]
    assert ("BAS809", "model/ens.json") in found
    assert ("BAS809", "model/a.json") not in found


def test_a_lost_manifest_is_reported_once_and_not_for_each_seed(repository: Repository) -> None:
    """SID407 would also report it for the seed with a sidecar of the present bytes."""
    stale_ensemble(repository)
    fresh = repository.rows[0]
    sidecar = json.loads(repository.path("ens_seed0.json").read_text("utf-8"))
    repository.write("ens_seed0.json", sidecar | {"sha256": fresh["sha256"]})
    repository.deferrals[0]["rows"] = ["ens_seed1"]
    keep(repository)
    repository.path("ens.json").unlink()
    found = [(f.code, f.row) for f in judged(repository).failing]
    assert ("BAS809", None) in found
    assert "SID407" not in {code for code, _ in found}
    repository.defer("BAS809", ["ens"])
    assert ("SID407", "ens_seed0") in [(f.code, f.row) for f in judged(repository).failing]


def test_a_lost_manifest_of_production_seeds_is_one_finding(repository: Repository) -> None:
    repository.add_ensemble("ens", smoke=False)
    keep(repository)
    repository.path("ens.json").unlink()
    assert codes(judged(repository)) == ["BAS809"]
    repository.defer("BAS809", ["ens"])
    assert {"SID417", "SID407"} & set(codes(judged(repository)))


def test_a_lost_verdict_is_reported_at_the_first_row_of_its_ensemble(
    repository: Repository,
) -> None:
    stale_ensemble(repository)
    repository.path("ens_seed_flip_PROMOTE.json").unlink()
    assert place(only(judged(repository), "BAS809"), repository) == '"onnx": "ens_seed0.onnx",'


def test_a_lost_document_that_is_no_record_is_not_missed(three: Repository) -> None:
    copy = three.root.parent / "baseline" / "model"
    (copy / "notes.json").write_text('{"a": 1}')
    (copy / "broken.json").write_text("{")
    (copy / "list.json").write_text("[]")
    (copy / "readme.md").write_text("")
    (copy / "folder.json").mkdir()
    (copy / os.fsdecode(b"\xff.json")).write_text('{"members": []}')
    assert codes(judged(three)) == []


# --- baselines ------------------------------------------------------------------------------------


def test_a_commit_is_compared_with_the_work_tree(three: Repository) -> None:
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


def test_the_files_beside_a_registry_in_a_commit_are_compared(repository: Repository) -> None:
    row = repository.add("m")
    repository.write("m.json", {"id": "m"})
    rows = repository.add_ensemble("ens", 2)
    repository.released()
    git = GitRepository.init(repository.root)
    git.commit()
    replace(repository, row)
    repository.path("ens_seed1.json").unlink()
    repository.path("ens_seed_flip_PROMOTE.json").unlink()
    report = judged(repository, baseline="git:HEAD")
    assert rows[1]["smoke"]
    helps = {f.code: f.help.partition(". ")[0] for f in report.failing}
    restore = "Put it back: git restore --source=HEAD -- model"
    assert helps["BAS808"] == f"{restore}/ens_seed1.json"
    assert helps["BAS809"] == f"{restore}/ens_seed_flip_PROMOTE.json"
    assert [(f.code, f.subject) for f in report.failing] == [
        ("BAS803", "m"), ("BAS803", "m"), ("BAS808", "ens_seed1"), ("BAS809", "ens"),
    ]  # fmt: skip


def test_the_configurations_root_may_lie_below_the_top(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "below" / "root")
    repository.add("m", notes="x")
    repository.save()
    GitRepository.init(tmp_path).commit()
    del repository.rows[0]["notes"]
    assert codes(judged(repository, baseline="git:main")) == ["BAS802"]


def test_a_commit_that_is_not_here_is_no_clean_run(three: Repository) -> None:
    GitRepository.init(three.root).commit()
    with pytest.raises(UnavailableError, match="git:v9: there is no such commit"):
        judged(three, baseline="git:v9")


def test_a_link_to_the_registry_in_a_commit_is_refused(three: Repository) -> None:
    git = GitRepository.init(three.root)
    three.registry.rename(three.path("real.json"))
    three.registry.symlink_to("real.json")
    git.commit()
    three.registry.unlink()
    with pytest.raises(InputError, match=r"baseline git:main: .* is a link, not a regular file"):
        judged(three, baseline="git:main")


def test_a_registry_that_is_too_large_at_the_baseline_is_refused(
    three: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = three.root.parent / "baseline" / "model" / "registry.json"
    path.write_text(path.read_text() + " " * 1000)
    monkeypatch.setattr(limits, "REGISTRY", len(three.registry.read_text()) + 10)
    with pytest.raises(InputError, match="is larger than"):
        judged(three)


def test_a_configured_path_is_relative_to_the_root_and_a_given_one_to_where_one_stands(
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
def test_the_hint_for_a_missing_path_is_that_it_may_be_a_commit(
    text: str, hint: str, three: Repository
) -> None:
    with pytest.raises(InputError) as caught:
        judged(three, baseline=text)
    assert hint in str(caught.value.help)


def test_a_folder_that_cannot_be_listed_is_an_error(
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


def test_a_folder_with_too_many_files_is_refused(
    three: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = three.root.parent / "baseline" / "model"
    for n in range(6):
        (copy / f"{n}.txt").touch()
    monkeypatch.setattr(limits, "FOLDER_ENTRIES", 8)
    with pytest.raises(InputError, match="more than 8 files in 'model' of the baseline"):
        judged(three)


def here(root: Path, registry: str) -> Config:
    """The configuration of a tree with nothing but a registry."""
    return Config(root, "provenance.toml", registry, TrustTable(), (), "", "", root)


def test_a_registry_file_knows_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "registry.json"
    path.write_text('{"models": []}')
    name = baselines.BaselineName("registry.json", tmp_path)
    with open_baseline(name, here(tmp_path, "model/r.json")) as opened:
        assert opened.source.at(".") is None
        assert opened.source.names_in("model") == ()
        with pytest.raises(InputError, match="is not known"):
            opened.source.read("model/m.json", 100)
        assert opened.source.read("model/r.json", 100) == b'{"models": []}'


def test_a_folder_that_is_not_there_at_the_baseline_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text('{"models": []}')
    name = baselines.BaselineName(str(tmp_path), tmp_path)
    with open_baseline(name, here(tmp_path, "r.json")) as opened:
        assert opened.source.names_in("none") == ()
        assert opened.source.names_in("r.json") == ()


# --- truth ----------------------------------------------------------------------------------------


def test_a_field_that_says_nothing_of_bytes_is_always_true() -> None:
    row = Row(0, {"id": "m", "notes": "x", "opset": 17}, {})
    assert refutation(RowEvidence(row), "notes", row) is None
    assert refutation(RowEvidence(row), "opset", row) == "the model is missing"


def test_a_digest_that_is_no_text_is_shown_as_it_is(repository: Repository) -> None:
    from provenance.evidence.rows import ModelEvidence
    from provenance.gate.rules.stale_fields import other_bytes

    row = RowEvidence(Row(0, {}, {}), onnx=ModelEvidence("m.onnx", "m.onnx", Digest("a" * 64, 1)))
    assert other_bytes(row, {"sha256": 7}) == "the digest of m.onnx is aaaaaaaaaaaa…, not 7"
    assert other_bytes(row, {"sha256": "a" * 64}) is None
    assert other_bytes(RowEvidence(row.entry), {"sha256": 7}) == "the model is missing"


def test_an_invalid_registry_is_not_reported_at_another_file(three: Repository) -> None:
    (three.root / "NOTES.md").write_text("# Notes\n")
    with pytest.raises(InputError) as caught:
        judged(three, baseline=str(three.root / "NOTES.md"))
    assert "NOTES.md: is not JSON" in str(caught.value)
    assert three.registry.name not in str(caught.value)


# --- every rule that misses something says how it is put back ----------------------------------


def lose(repository: Repository, id: str, field: str, *, null: bool) -> None:
    row = next(r for r in repository.rows if r["id"] == id)
    if null:
        row[field] = None
    else:
        del row[field]


@pytest.fixture
def everything(tmp_path: Path, key: KeyPair) -> Repository:
    """One of everything in production, as it is at the baseline."""
    repository = full_repository(tmp_path / "repository", key)
    for row in repository.rows:
        row["smoke"] = not row["id"].startswith("ens") and row["id"] != "plain"
    repository.save()
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
def test_a_field_that_is_gone_or_null_is_put_back_by_the_command_that_is_named(
    everything: Repository, id: str, field: str, code: str, null: bool
) -> None:
    before = everything.registry.read_text()
    lose(everything, id, field, null=null)
    report = judged(everything)
    found = [f for f in report.failing if f.row == id and f.code == ("REG101" if null else code)]
    assert len(found) == 1, [(f.code, f.message) for f in report.failing]
    assert f"restore {id} --baseline" in found[0].help
    assert "/baseline has " in found[0].message
    assert "BAS802" not in codes(report)
    baseline = everything.root.parent / "baseline"
    result = run_cli("restore", id, "--baseline", baseline, cwd=everything.root)
    assert result.code == 0, result.out
    assert everything.registry.read_text() == before


def test_null_in_a_field_of_the_registrys_own_is_a_change_and_no_loss(
    repository: Repository,
) -> None:
    repository.add("m", budget=0.01)
    keep(repository)
    repository.rows[0]["budget"] = None
    assert judged(repository).failing == ()


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("plain.json", "SID401"),
        ("ens_seed_flip_PROMOTE.json", "ENS510"),
        ("ens.json", "BAS809"),
    ],
)
def test_a_document_that_is_gone_is_put_back_as_the_rule_says_that_misses_it(
    everything: Repository, name: str, code: str
) -> None:
    GitRepository.init(everything.root).commit()
    text = everything.path(name).read_bytes()
    everything.path(name).unlink()
    report = judged(everything, baseline="git:HEAD")
    found = [f for f in report.failing if f.code == code]
    assert found, [(f.code, f.message) for f in report.failing]
    step = f"git restore --source=HEAD -- model/{name}"
    assert {f.help.partition(". If")[0].removesuffix(".") for f in found} == {
        f"Put it back: {step}"
    }
    assert all(f"git:HEAD has model/{name}" in f.message for f in found)
    GitRepository(everything.root).run(*step.split()[1:])
    assert everything.path(name).read_bytes() == text


def test_a_sidecar_of_former_bytes_is_not_to_be_put_back(everything: Repository) -> None:
    everything.path("plain.json").unlink()
    everything.write("plain.onnx", model(salt=99))
    everything.rows[0]["sha256"] = sha256(model(salt=99))
    found = only(judged(everything), "SID401")
    assert found.help == 'Export it with the model, or say "smoke": true.'


@pytest.mark.parametrize("name", ["a", "z"])
def test_a_sidecar_of_a_model_under_another_name_is_not_put_back(
    everything: Repository, name: str
) -> None:
    """The baseline has no sidecar of that name."""
    everything.write(f"{name}.onnx", everything.path("plain.onnx").read_bytes())
    everything.path("plain.onnx").unlink()
    everything.path("plain.json").unlink()
    everything.rows[0]["onnx"] = f"{name}.onnx"
    found = only(judged(everything), "SID401")
    assert found.help == 'Export it with the model, or say "smoke": true.'


def test_a_sidecar_that_was_never_there_is_not_put_back(repository: Repository) -> None:
    repository.add("m", smoke=False)
    keep(repository)
    found = only(judged(repository), "SID401")
    assert found.help == 'Export it with the model, or say "smoke": true.'
