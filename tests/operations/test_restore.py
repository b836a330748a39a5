# SPDX-License-Identifier: Apache-2.0
"""`restore` puts back what was lost, and refuses old values that are no longer true."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provenance import Restoration, Verdict, load_config, restore
from provenance.errors import InputError
from tests.support.command import Result, run_cli
from tests.support.models import External, data, model
from tests.support.repository import Repository, sha256

Row = dict[str, Any]
Change = Callable[[Repository], object]


@pytest.fixture
def kept(full: Repository) -> Repository:
    """A repository with one of everything, and a copy of it beside it as the baseline."""
    for row in full.rows:
        row["notes"] = f"about {row['id']} \u2014"
    full.save()
    shutil.copytree(full.root, full.root.parent / "baseline")
    return full


def baseline(repository: Repository) -> Path:
    return repository.root.parent / "baseline" / "model" / "registry.json"


def edit_json(path: Path, change: Callable[[Any], object]) -> None:
    value = json.loads(path.read_text("utf-8"))
    change(value)
    path.write_text(json.dumps(value, indent=2) + "\n", "utf-8")


def is_as_before(repository: Repository) -> bool:
    return repository.registry.read_text("utf-8") == baseline(repository).read_text("utf-8")


def put_back(repository: Repository, *rows: str, write: bool = True) -> Restoration:
    folder = str(baseline(repository).parents[1])
    return restore(load_config(repository.root), folder, rows=rows, write=write)


def lost(result: Restoration) -> list[tuple[str | None, str | None]]:
    return [(r.row, r.field) for r in result.lost]


def refused(result: Restoration) -> dict[tuple[str | None, str | None], str]:
    return {(r.row, r.field): r.refused for r in result.lost if r.refused is not None}


def row_of(repository: Repository, id: str) -> Row:
    return next(row for row in repository.rows if row["id"] == id)


def rows_now(repository: Repository) -> list[Row]:
    rows: list[Row] = json.loads(repository.registry.read_text("utf-8"))["models"]
    return rows


def drop(repository: Repository, id: str, *fields: str) -> None:
    """Remove fields of a row, or the whole row."""
    row = row_of(repository, id)
    for field in fields:
        del row[field]
    if not fields:
        repository.rows.remove(row)
    repository.save()


# --- what returns ---------------------------------------------------------------------------------


def test_without_a_loss_nothing_is_restored(kept: Repository) -> None:
    result = put_back(kept)
    assert (result.lost, result.diff, result.written) == ((), "", False)
    assert result.verdict is Verdict.VERIFIED


def drop_all_fields(repository: Repository) -> None:
    repository.rows[:] = [{"id": row["id"]} for row in repository.rows]


def keep_one_row(repository: Repository) -> None:
    repository.rows[:] = [row_of(repository, "ext")]


def empty_the_license(repository: Repository) -> None:
    row_of(repository, "plain").update(license="", license_url="", sigstore_bundle="")


@pytest.mark.parametrize("lose", [drop_all_fields, keep_one_row, empty_the_license])
def test_every_field_and_row_returns_to_its_place(kept: Repository, lose: Change) -> None:
    lose(kept)
    kept.save()
    result = put_back(kept)
    assert (refused(result), result.verdict) == ({}, Verdict.VERIFIED)
    assert is_as_before(kept)
    if lose is keep_one_row:
        assert lost(result) == [(id, None) for id in ("plain", "q", "ens_seed0", "ens_seed1")]


def test_all_rows_of_an_empty_registry_are_restored(kept: Repository) -> None:
    kept.rows = []
    kept.save()
    assert put_back(kept).verdict is Verdict.VERIFIED
    assert rows_now(kept) == json.loads(baseline(kept).read_text("utf-8"))["models"]


@pytest.mark.parametrize(("fields", "name"), [(["id", "license"], "plain"), (["id"], "#0")])
def test_a_lost_id_returns_to_the_row_that_names_its_file(
    kept: Repository, fields: list[str], name: str
) -> None:
    drop(kept, "plain", *fields)
    assert put_back(kept, name).verdict is Verdict.VERIFIED
    assert is_as_before(kept)


def test_a_changed_value_is_not_restored(kept: Repository) -> None:
    changes = {"notes": "new", "license": "Apache-2.0", "kind": "nr"}
    row_of(kept, "plain").update(changes)
    drop(kept, "plain", "opset")
    put_back(kept)
    row = rows_now(kept)[0]
    assert (row | changes, row["opset"]) == (row, 17)


def test_fields_of_the_registry_itself_return_unless_their_loss_is_declared(
    kept: Repository,
) -> None:
    edit_json(kept.registry, lambda value: value.pop("schema_version"))
    without = kept.registry.read_text("utf-8")
    assert lost(put_back(kept)) == [(None, "schema_version")]
    assert is_as_before(kept)
    kept.defer("BAS807", ["model/*"])
    kept.save()
    kept.registry.write_text(without, "utf-8")
    result = put_back(kept)
    assert (result.declared, result.lost) == (("model/registry.json",), ())


def test_only_the_given_rows_are_restored(kept: Repository) -> None:
    drop(kept, "plain", "license")
    drop(kept, "ext", "license")
    assert lost(put_back(kept, "ext")) == [("ext", "license")]
    assert ["license" in row for row in rows_now(kept)] == [False, True, True, True, True]


def test_a_dry_run_shows_the_difference_and_writes_nothing(kept: Repository) -> None:
    drop(kept, "plain", "license")
    text = kept.registry.read_text("utf-8")
    result = put_back(kept, write=False)
    assert '+      "license": "MIT",\n' in result.diff
    assert not result.written
    assert kept.registry.read_text("utf-8") == text


@pytest.mark.parametrize("newline", ["\r\n", "\n"])
@pytest.mark.parametrize("indent", [1, 4, "\t"])
def test_the_layout_of_the_registry_is_kept(kept: Repository, indent: Any, newline: str) -> None:
    drop(kept, "ext", "external_data_sha256", "notes")
    text = json.dumps(json.loads(kept.registry.read_text("utf-8")), indent=indent)
    kept.registry.write_bytes(text.replace("\n", newline).encode())
    assert put_back(kept).verdict is Verdict.VERIFIED
    restored = kept.registry.read_bytes().decode()
    assert json.loads(restored) == json.loads(baseline(kept).read_text("utf-8"))
    assert restored.count(newline) == restored.count("\n")


# --- what is no longer true -----------------------------------------------------------------------


def replace_model(repository: Repository) -> None:
    """Put other bytes under every name that the row `plain` gives, as in the incident."""
    content = model(salt=99, opset=18)
    repository.write("plain.onnx", content)
    row_of(repository, "plain").update(sha256=sha256(content), smoke=True)


def test_the_license_of_changed_bytes_returns_and_claims_about_them_do_not(
    kept: Repository,
) -> None:
    replace_model(kept)
    claims = ("opset", "sha256", "smoke")
    drop(kept, "plain", "license", "license_url", "sigstore_bundle", "notes", *claims)
    result = put_back(kept)
    assert result.verdict is Verdict.FAILED
    reasons = refused(result)
    assert reasons.keys() == {("plain", field) for field in claims}
    assert "imports opset 18, not 17" in reasons["plain", "opset"]
    assert "the digest of model/plain.onnx is" in reasons["plain", "sha256"]
    assert "the digest of model/plain.onnx is" in reasons["plain", "smoke"]
    row = rows_now(kept)[0]
    assert (row["license"], row["notes"]) == ("MIT", "about plain \u2014")
    assert not {*claims} & row.keys()


def remove(name: str) -> Change:
    return lambda repository: repository.path(name).unlink()


def write(name: str, content: bytes | str) -> Change:
    return lambda repository: repository.write(name, content)


DIGEST, GONE, HTML = "the digest of model/{} is", "'model/{}' does not exist", "<html>"
ELSEWHERE = model(external=External("other.data"))
OTHER_WEIGHTS = model(salt=96, external=External("ext.onnx.data"))
LIES: list[tuple[Change, str, str | None, str]] = [
    (write("q.int8.onnx", model(salt=98)), "q", "int8_sha256", DIGEST.format("q.int8.onnx")),
    (remove("q.int8.onnx"), "q", "int8_sha256", GONE.format("q.int8.onnx")),
    (remove("q.int8.onnx"), "q", "quant_mode", GONE.format("q.int8.onnx")),
    (write("q.int8.onnx", HTML), "q", "quant_mode", "not an ONNX model"),
    (write("ext.onnx.data", data(24, 77)), "ext", "external_data_sha256", "ext.onnx.data is"),
    (remove("ext.onnx.data"), "ext", "external_data_sha256", "does not exist"),
    (write("ext.onnx", ELSEWHERE), "ext", "external_data_sha256", "no model uses ext.onnx.data"),
    (write("plain.onnx", model(salt=97)), "plain", "onnx", DIGEST.format("plain.onnx")),
    (remove("plain.onnx"), "plain", "sha256", "does not exist"),
    (remove("plain.onnx"), "plain", "opset", "does not exist"),
    (remove("plain.onnx"), "plain", "onnx", "does not exist"),
    (write("plain.onnx", HTML), "plain", "opset", "not an ONNX model"),
    (remove("ext.onnx"), "ext", None, GONE.format("ext.onnx")),
    (write("ext.onnx", OTHER_WEIGHTS), "ext", None, DIGEST.format("ext.onnx")),
    (write("ext.onnx.data", data(24, 95)), "ext", None, DIGEST.format("ext.onnx.data")),
]
"""A change of files, and the field, or with None the row, that is not restored after it."""


@pytest.mark.parametrize(("change", "id", "field", "reason"), LIES)
def test_an_old_value_that_is_no_longer_true_is_refused(
    kept: Repository, change: Change, id: str, field: str | None, reason: str
) -> None:
    drop(kept, id, *([field, "license"] if field else []))
    change(kept)
    result = put_back(kept)
    assert refused(result).keys() == {(id, field)}
    assert reason in refused(result)[id, field]
    assert result.written is (field is not None)
    if field is not None:
        assert all("license" in row for row in rows_now(kept))


def test_a_field_that_does_not_depend_on_the_missing_variant_returns(kept: Repository) -> None:
    """`quant_mode` of a row without an int8 variant says nothing about another file."""
    row_of(kept, "plain")["quant_mode"] = "fp32"
    shutil.copy(kept.save().registry, baseline(kept))
    drop(kept, "plain", "quant_mode")
    assert put_back(kept).verdict is Verdict.VERIFIED
    assert is_as_before(kept)


def test_a_row_with_a_new_id_does_not_return_beside_itself(kept: Repository) -> None:
    row_of(kept, "ext")["id"] = "ext_v2"
    kept.save()
    why = "its model is now that of the row 'ext_v2': the id has changed"
    assert refused(put_back(kept)) == {("ext", None): why}


def test_a_row_that_never_had_a_digest_is_refused(kept: Repository) -> None:
    edit_json(baseline(kept), lambda value: value["models"][0].pop("sha256"))
    drop(kept, "plain")
    assert "not None" in refused(put_back(kept))["plain", None]


def test_a_declared_loss_is_restored_only_where_its_row_is_given(kept: Repository) -> None:
    drop(kept, "ext")
    drop(kept, "plain", "notes", "license")
    kept.defer("BAS801", ["ext"])
    kept.defer("BAS802", ["pl*"])
    kept.save()
    result = put_back(kept)
    assert result.declared == ("ext", "plain")
    assert lost(result) == [("plain", "license")]
    result = put_back(kept, "ext")
    assert (result.declared, lost(result), result.written) == ((), [("ext", None)], True)
    assert "ext" in [row["id"] for row in rows_now(kept)]


# --- the command ----------------------------------------------------------------------------------


@pytest.mark.parametrize("baseline", ["none", "git:-x", "nowhere"])
def test_restore_needs_a_baseline(kept: Repository, baseline: str) -> None:
    with pytest.raises(InputError):
        restore(load_config(kept.root), baseline)


def test_the_nearest_id_is_suggested_for_an_unknown_row(kept: Repository) -> None:
    drop(kept, "plain")
    with pytest.raises(InputError, match="no row with the id 'plian'") as caught:
        put_back(kept, "plian")
    assert caught.value.help == "Did you mean 'plain'?"


def command(kept: Repository, *arguments: str, code: int = 0) -> Result:
    result = run_cli("restore", "--baseline", "../baseline", *arguments, cwd=kept.root)
    assert result.code == code, result
    return result


def test_the_command_shows_what_was_lost_and_the_difference(kept: Repository) -> None:
    replace_model(kept)
    drop(kept, "plain", "license", "opset")
    drop(kept, "ext")
    kept.defer("BAS802", ["q"])
    drop(kept, "q", "notes")
    lines = command(kept, code=1).out.splitlines()
    assert lines[0] == "model/registry.json, compared with ../baseline"
    assert "  lost      ext: the whole row" in lines
    assert "  lost      plain: license" in lines
    assert any(line.startswith("  refused   plain: opset is not restored: ") for line in lines)
    assert "  declared  q: a deferral declares the loss" in lines
    assert '+      "license": "MIT",' in lines
    assert "RESTORED: 1 field and 1 row in model/registry.json" in lines
    assert lines[-1] == "FAILED: 1 item not restored"


def test_the_command_reports_a_dry_run_and_no_loss(kept: Repository) -> None:
    assert command(kept).out.splitlines()[-1] == "OK: nothing was lost"
    drop(kept, "plain", "license", "notes")
    last = command(kept, "--dry-run").out.splitlines()[-1]
    assert last == "2 fields would be restored in model/registry.json"


def test_the_command_prints_json(kept: Repository) -> None:
    replace_model(kept)
    drop(kept, "plain", "license", "opset")
    value = command(kept, "plain", "--format", "json", code=1).json
    assert value.pop("diff").startswith("--- a/model/registry.json\n")
    why = "model/plain.onnx imports opset 18, not 17"
    assert value == {
        "version": 1,
        "verdict": "failed",
        "registry": "model/registry.json",
        "baseline": "../baseline",
        "written": True,
        "declared": [],
        "withdrawn": [],
        "lost": [
            {"row": "plain", "field": "opset", "refused": why},
            {"row": "plain", "field": "license", "refused": None},
        ],
    }


def test_the_command_escapes_hostile_names(kept: Repository) -> None:
    edit_json(baseline(kept), lambda v: v["models"][0].update({"\u001b[31m": "\u001b[2J"}))
    result = command(kept)
    assert "\\u001b[31m" in result.out
    assert all(c.isprintable() for c in result.out.replace("\n", ""))
