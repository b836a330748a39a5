# SPDX-License-Identifier: Apache-2.0
"""`check --fix` makes the one right edit, and changes nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import provenance
from provenance.artifacts.documents.json_edit import Insert, Set
from provenance.gate.finding import Fix
from provenance.gate.judge import Terms, conclude
from provenance.operations import fix as operation
from provenance.operations.load_evidence import load_evidence, today_utc
from tests.support.command import Result, run_cli
from tests.support.keys import KeyPair
from tests.support.models import External, data, model
from tests.support.repository import Repository, codes, sha256

ZEROS = "0" * 64


def changed(diff: str) -> list[str]:
    """The lines of a diff that add or remove, without their indentation."""
    lines = [line for line in diff.splitlines() if line[:1] in "+-" and line[:3] not in "+++---"]
    return [line[0] + line[1:].strip().rstrip(",") for line in lines]


def fix(repository: Repository, *rows: str) -> Result:
    return run_cli("check", *rows, "--fix", "--format", "json", cwd=repository.root)


def unchanged(repository: Repository) -> Result:
    """Save, and run `check --fix`, which must neither edit a file nor advise to run it again."""
    before = {p: p.read_bytes() for p in repository.save().models.iterdir()}
    result = fix(repository)
    assert (result.json["fixed"], result.json["diff"]) == ([], "")
    assert "check --fix" not in result.out
    assert {p: p.read_bytes() for p in repository.models.iterdir()} == before
    return result


def rows_of(repository: Repository) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(repository.registry.read_text())["models"]
    return rows


def another_opset(repository: Repository) -> list[str]:
    repository.add("a")
    repository.add("b", opset=18)
    return ['-"opset": 18', '+"opset": 17']


def no_bundle(repository: Repository) -> list[str]:
    for id in "abc":
        repository.add(id)
    del repository.rows[1]["sigstore_bundle"]
    return ['+"sigstore_bundle": "../bundles/b.onnx.sigstore.json"']


def an_empty_bundle(repository: Repository) -> list[str]:
    for id in "abc":
        repository.add(id)
    repository.rows[1]["sigstore_bundle"] = ""
    return ['-"sigstore_bundle": ""', '+"sigstore_bundle": "../bundles/b.onnx.sigstore.json"']


def bundle_before_onnx(repository: Repository) -> list[str]:
    repository.add("a")
    row = repository.add("b")
    repository.rows[1] = {"sigstore_bundle": row["sigstore_bundle"]} | row
    bundle = '"sigstore_bundle": "../bundles/b.onnx.sigstore.json"'
    return [f"-{bundle}", f"+{bundle}"]


def one_unused_entry(repository: Repository) -> list[str]:
    row = repository.add_external("a")
    row["external_data_sha256"] = {"old.data": ZEROS} | row["external_data_sha256"]
    return [f'-"old.data": "{ZEROS}"']


def only_unused_entries(repository: Repository) -> list[str]:
    row = repository.add("a")
    repository.rows[0] = {"external_data_sha256": {"old.data": ZEROS, "older.data": ZEROS}} | row
    return [
        '-"external_data_sha256": {',
        f'-"old.data": "{ZEROS}"',
        f'-"older.data": "{ZEROS}"',
        "-}",
    ]


def another_opset_in_the_sidecar(repository: Repository) -> list[str]:
    repository.add_sidecar(repository.add("a"), opset=18, onnx_opset=17)
    return ['-"opset": 18', '+"opset": 17']


DEFECTS: dict[str, tuple[str, Callable[[Repository], list[str]]]] = {
    "another-opset": ("ART310", another_opset),
    "another-opset-in-the-sidecar": ("SID413", another_opset_in_the_sidecar),
    "no-bundle": ("LIC203", no_bundle),
    "an-empty-bundle": ("LIC203", an_empty_bundle),
    "bundle-before-onnx": ("REG105", bundle_before_onnx),
    "one-unused-entry": ("ART312", one_unused_entry),
    "only-unused-entries": ("ART312", only_unused_entries),
}


@pytest.mark.parametrize(("code", "spoil"), DEFECTS.values(), ids=DEFECTS)
def test_a_defect_with_one_right_answer_is_fixed_once(
    repository: Repository, code: str, spoil: Callable[[Repository], list[str]]
) -> None:
    expected = spoil(repository)
    root = repository.save().root
    found = run_cli("check", "--format", "json", cwd=root).json["findings"]
    assert {f["code"] for f in found} == {code}
    assert all(f["help"].endswith(": provenance check --fix") for f in found)

    result = fix(repository)

    assert result.code == 0, result.out
    assert result.json["findings"] == []
    assert [f["code"] for f in result.json["fixed"]] == [f["code"] for f in found]
    assert sorted(changed(result.json["diff"])) == sorted(expected)
    before = repository.registry.read_bytes()
    again = fix(repository)
    assert (again.code, again.json["fixed"], again.json["diff"]) == (0, [], "")
    assert repository.registry.read_bytes() == before


def test_all_defects_of_a_registry_are_fixed_in_one_run_and_the_rest_is_reported(
    repository: Repository,
) -> None:
    for id in "abcde":
        repository.add(id)
    del repository.rows[1]["sigstore_bundle"]
    repository.rows[4]["opset"] = 18
    repository.rows[0]["license"] = ""

    result = run_cli("check", "--fix", cwd=repository.save().root)

    assert result.code == 1
    assert '+      "opset": 17' in result.out
    assert "FIXED: 2 findings (ART310, LIC203)\nFAILED: 1 error in 1 of 5 rows" in result.out
    assert codes(repository.check()) == ["LIC201"]


def test_only_the_given_rows_are_fixed(repository: Repository) -> None:
    for id in "abc":
        repository.add(id, opset=18)
    repository.save()
    assert fix(repository, "b").code == 0
    assert [row["opset"] for row in rows_of(repository)] == [18, 17, 18]


def test_several_files_are_edited_in_one_run(repository: Repository) -> None:
    another_opset_in_the_sidecar(repository)
    repository.rows[0]["opset"] = 18
    repository.save()
    result = fix(repository)
    assert result.code == 0
    assert "--- a/model/a.json" in result.json["diff"]
    assert "--- a/model/registry.json" in result.json["diff"]
    assert {f["code"] for f in result.json["fixed"]} == {"ART310"}


# --- what is not fixed ----------------------------------------------------------------------------


def test_a_deferred_finding_is_not_fixed(repository: Repository) -> None:
    another_opset(repository)
    repository.defer("ART310", ["b"])
    before = repository.save().registry.read_bytes()
    result = fix(repository)
    assert (result.code, result.json["fixed"], result.json["diff"]) == (0, [], "")
    assert repository.registry.read_bytes() == before


def test_the_opset_of_another_file_is_not_written(repository: Repository) -> None:
    repository.add("m", opset=18)
    repository.write("m.onnx", model(salt=9))
    assert unchanged(repository).codes == [("ART302", "m")]


@pytest.mark.parametrize("digest", [None, "0" * 64])
def test_the_opset_of_a_sidecar_that_may_describe_other_bytes_is_not_written(
    repository: Repository, digest: str | None
) -> None:
    repository.add_sidecar(repository.add("m"), opset=18, sha256=digest)
    unchanged(repository)


def test_the_digest_of_renamed_data_is_kept(repository: Repository) -> None:
    content = model(external=External("new.data"))
    repository.add("m", content, external_data_sha256={"old.data": sha256(data(24))})
    repository.write("old.data", data(24))
    assert unchanged(repository).codes == [("ART304", "m")]


@pytest.mark.parametrize(
    "others",
    [
        ["../bundles/a.onnx.sigstore.json"],
        ["../bundles/a.onnx.sigstore.json", "b.onnx.sigstore.json"],
        ["../bundles/a.onnx.sigstore.json", "../bundles/second.sigstore.json"],
    ],
    ids=["one-row", "two-patterns", "no-pattern"],
)
def test_a_bundle_is_named_only_if_all_other_rows_agree(
    repository: Repository, others: list[str]
) -> None:
    for id, bundle in zip("ab", others, strict=False):
        repository.add(id, sigstore_bundle=bundle)
    del repository.add("z")["sigstore_bundle"]
    assert unchanged(repository).codes == [("LIC203", "z")]


def test_a_row_without_a_model_gets_no_bundle(repository: Repository) -> None:
    for id in "abcd":
        repository.add(id)
    del repository.rows[3]["onnx"], repository.rows[3]["sigstore_bundle"]
    result = unchanged(repository)
    assert {c for c, row in result.codes if row == "d"} == {"REG101", "LIC203"}


def test_two_rows_of_one_model_are_not_given_one_bundle(repository: Repository) -> None:
    for id in "ab":
        repository.add(id)
    for id in "cd":
        del repository.add(id, model(salt=7), onnx="shared.onnx")["sigstore_bundle"]
    repository.save()
    assert fix(repository).json["diff"] == ""


# --- where a bundle is added ----------------------------------------------------------------------


def test_a_bundle_is_added_where_the_other_rows_have_it(repository: Repository) -> None:
    for id in "abc":
        row = repository.add(id)
        row["sigstore_bundle"] = row.pop("sigstore_bundle")
    del repository.rows[1]["sigstore_bundle"]
    repository.save()
    assert fix(repository).code == 0
    assert list(rows_of(repository)[1]) == list(rows_of(repository)[0])


def test_a_bundle_is_added_behind_the_model_if_its_usual_neighbor_is_before_it(
    repository: Repository,
) -> None:
    for id in "abc":
        repository.add(id)
    row = repository.rows[1]
    del row["sigstore_bundle"]
    # The other rows have the field behind `license_url`, which here is before `onnx`.
    repository.rows[1] = {"license_url": row["license_url"]} | row
    repository.save()
    assert fix(repository).code == 0
    keys = list(rows_of(repository)[1])
    assert keys[keys.index("onnx") + 1] == "sigstore_bundle"


def test_an_empty_bundle_before_its_model_is_moved_and_then_named(repository: Repository) -> None:
    for id in "abc":
        repository.add(id)
    row = repository.rows[1]
    del row["sigstore_bundle"]
    repository.rows[1] = {"sigstore_bundle": ""} | row
    repository.save()
    first = fix(repository).json
    assert [f["code"] for f in first["fixed"]] == ["REG105"]
    assert [f["code"] for f in first["findings"]] == ["LIC203"]
    assert fix(repository).code == 0


# --- the file -------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["in-a-row", "beside-the-rows"])
def test_a_registry_with_a_repeated_key_is_not_edited(repository: Repository, where: str) -> None:
    another_opset(repository)
    repository.save()
    if where == "in-a-row":
        repository.edit_registry('"opset": 18,', '"opset": 18,\n      "opset": 18,')
    else:
        repository.edit_registry('"schema_version": 1', '"schema_version": 1, "schema_version": 1')
    before = repository.registry.read_bytes()

    result = fix(repository)

    assert result.code == 1
    assert {"REG103", "ART310"} == {code for code, _ in result.codes}
    assert result.json["diff"] == ""
    assert result.json["notes"][0].startswith("model/registry.json: not fixed: 1 finding; a key")
    assert repository.registry.read_bytes() == before


@pytest.mark.parametrize(
    "edit",
    [
        Fix("model/registry.json", Set(("models", 9, "opset"), 17)),
        Fix("model/registry.json", Insert(("models", 0, "x"), 1, after="nothing")),
        Fix("model/elsewhere.json", Set(("opset",), 17)),
    ],
)
def test_an_edit_without_a_target_is_skipped_and_the_others_are_made(
    repository: Repository, edit: Fix
) -> None:
    another_opset(repository)
    config = repository.save().config
    case = conclude(load_evidence(config), config, Terms(trust=None, today=today_utc()))
    (real,) = case.findings
    findings = (replace(real, fixes=(*real.fixes, edit)), real)
    repair = operation.plan(replace(case, findings=findings))
    assert repair.fixed == (real,)
    assert changed("".join(c.diff for c in repair.changes)) == ['-"opset": 18', '+"opset": 17']
    assert "not fixed: 1 finding; a key is repeated" in repair.notes[0]


def test_a_registry_that_was_changed_while_it_was_judged_is_not_overwritten(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    another_opset(repository)
    repository.save()
    real = operation.plan

    def edit_and_plan(*args: Any) -> operation.Repair:
        repository.edit_registry('"schema_version": 1', '"schema_version": 2')
        return real(*args)

    monkeypatch.setattr(operation, "plan", edit_and_plan)
    result = run_cli("check", "--fix", cwd=repository.root)
    assert result.code == 2
    assert "model/registry.json changed during the check" in result.err
    assert '"opset": 18' in repository.registry.read_text()


def test_a_registry_that_is_a_link_is_not_written_through(repository: Repository) -> None:
    another_opset(repository)
    repository.save()
    real = repository.path("real.json")
    repository.registry.rename(real)
    repository.registry.symlink_to("real.json")
    before = real.read_bytes()
    result = run_cli("check", "--fix", cwd=repository.root)
    assert result.code == 2
    assert "is a link" in result.err
    assert (real.read_bytes(), repository.registry.is_symlink()) == (before, True)


def test_the_layout_of_the_registry_is_kept(repository: Repository) -> None:
    another_opset(repository)
    repository.save()
    odd = repository.registry.read_text().replace("\n", "\r\n").replace("MIT", "\\u004dIT").rstrip()
    repository.registry.write_bytes(odd.encode())
    result = fix(repository)
    assert result.code == 0
    assert repository.registry.read_bytes().decode() == odd.replace('"opset": 18', '"opset": 17')


def test_fixing_is_part_of_the_python_interface(repository: Repository) -> None:
    another_opset(repository)
    report = provenance.fix(repository.save().config)
    assert [f.code for f in report.require().fixed] == ["ART310"]


def test_a_released_row_that_is_fixed_must_be_signed_again(
    repository: Repository, key: KeyPair
) -> None:
    another_opset(repository)
    repository.defer("ART310", ["b"])
    repository.released()
    config = repository.root / "provenance.toml"
    config.write_text(config.read_text().partition("[[deferral]]")[0])
    assert fix(repository).code == 0
    assert "ATT703" in {f.code for f in repository.verify().failing}
    assert repository.release().exit_code == 0
