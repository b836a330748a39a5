# SPDX-License-Identifier: Apache-2.0
"""`restore`: what was lost returns as it was, and no old value becomes a lie."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from typing import Any

import pytest

from provenance import Restoration, Verdict, load_config, restore
from provenance.errors import InputError
from tests.support.command import run_cli
from tests.support.models import External, data, model
from tests.support.repository import Repository, sha256

Row = dict[str, Any]


@pytest.fixture
def kept(full: Repository) -> Repository:
    """A repository with one of everything, and a copy of it beside it as the baseline."""
    for row in full.rows:
        row["notes"] = f"about {row['id']} \u2014"
    full.save()
    shutil.copytree(full.root, full.root.parent / "baseline")
    return full


def before(repository: Repository) -> str:
    path = repository.root.parent / "baseline" / "model" / "registry.json"
    return path.read_text("utf-8")


def put_back(repository: Repository, *rows: str, write: bool = True) -> Restoration:
    baseline = str(repository.root.parent / "baseline")
    return restore(load_config(repository.root), baseline, rows=rows, write=write)


def refused(result: Restoration) -> dict[tuple[str | None, str | None], str]:
    return {(r.row, r.field): r.refused for r in result.lost if r.refused is not None}


def row_of(repository: Repository, id: str) -> Row:
    return next(row for row in repository.rows if row["id"] == id)


def drop(repository: Repository, id: str, *fields: str) -> None:
    row = row_of(repository, id)
    for field in fields:
        del row[field]
    repository.save()


def test_nothing_is_restored_where_nothing_was_lost(kept: Repository) -> None:
    result = put_back(kept)
    assert (result.lost, result.diff, result.written) == ((), "", False)
    assert result.verdict is Verdict.VERIFIED


def test_every_field_of_every_row_returns_to_its_place(kept: Repository) -> None:
    for row in kept.rows:
        for field in list(row):
            if field != "id":
                del row[field]
    kept.save()
    result = put_back(kept)
    assert refused(result) == {}
    assert kept.registry.read_text("utf-8") == before(kept)


def test_rows_return_to_their_place(kept: Repository) -> None:
    kept.rows = [row_of(kept, "ext")]
    kept.save()
    result = put_back(kept)
    assert [(r.row, r.field) for r in result.lost] == [
        ("plain", None), ("q", None), ("ens_seed0", None), ("ens_seed1", None),
    ]  # fmt: skip
    assert kept.registry.read_text("utf-8") == before(kept)


def test_all_rows_are_restored_if_all_were_lost(kept: Repository) -> None:
    expected = json.loads(before(kept))
    kept.rows = []
    kept.save()
    assert put_back(kept).verdict is Verdict.VERIFIED
    assert json.loads(kept.registry.read_text("utf-8")) == expected


def test_a_lost_id_returns_to_the_row_that_names_its_file(kept: Repository) -> None:
    drop(kept, "plain", "id", "license")
    assert put_back(kept, "plain").verdict is Verdict.VERIFIED
    assert kept.registry.read_text("utf-8") == before(kept)


def test_a_row_without_its_id_is_also_called_by_its_place(kept: Repository) -> None:
    drop(kept, "plain", "id")
    assert put_back(kept, "#0").written


def test_a_changed_value_is_left_alone(kept: Repository) -> None:
    row_of(kept, "plain").update(notes="new", license="Apache-2.0", kind="nr")
    drop(kept, "plain", "opset")
    put_back(kept)
    (row, *_) = json.loads(kept.registry.read_text("utf-8"))["models"]
    assert (row["notes"], row["license"], row["kind"]) == ("new", "Apache-2.0", "nr")
    assert row["opset"] == 17


def test_an_emptied_license_is_filled_again(kept: Repository) -> None:
    row_of(kept, "plain").update(license="", license_url="", sigstore_bundle="")
    kept.save()
    put_back(kept)
    assert kept.registry.read_text("utf-8") == before(kept)


def test_fields_of_the_registry_itself_return(kept: Repository) -> None:
    value = json.loads(kept.registry.read_text("utf-8"))
    del value["schema_version"]
    kept.registry.write_text(json.dumps(value, indent=2) + "\n", "utf-8")
    result = put_back(kept)
    assert [(r.row, r.field) for r in result.lost] == [(None, "schema_version")]
    assert kept.registry.read_text("utf-8") == before(kept)


def test_only_the_rows_that_are_named_are_restored(kept: Repository) -> None:
    drop(kept, "plain", "license")
    drop(kept, "ext", "license")
    result = put_back(kept, "ext")
    assert [(r.row, r.field) for r in result.lost] == [("ext", "license")]
    rows = json.loads(kept.registry.read_text("utf-8"))["models"]
    assert ["license" in row for row in rows] == [False, True, True, True, True]


def test_a_dry_run_shows_the_difference_and_writes_nothing(kept: Repository) -> None:
    drop(kept, "plain", "license")
    text = kept.registry.read_text("utf-8")
    result = put_back(kept, write=False)
    assert '+      "license": "MIT",\n' in result.diff
    assert not result.written
    assert kept.registry.read_text("utf-8") == text


@pytest.mark.parametrize("newline", ["\r\n", "\n"])
@pytest.mark.parametrize("indent", [1, 4, "\t"])
def test_another_layout_is_kept(kept: Repository, indent: Any, newline: str) -> None:
    drop(kept, "ext", "external_data_sha256", "notes")
    expected = json.dumps(json.loads(before(kept)), indent=indent).replace("\n", newline)
    text = json.dumps(json.loads(kept.registry.read_text("utf-8")), indent=indent)
    kept.registry.write_bytes(text.replace("\n", newline).encode())
    assert put_back(kept).verdict is Verdict.VERIFIED
    restored = kept.registry.read_bytes().decode()
    assert json.loads(restored) == json.loads(expected)
    assert restored.count(newline) == restored.count("\n")


# --- what would be a lie --------------------------------------------------------------------------


def replaced(repository: Repository) -> None:
    """The incident: other bytes under every name that the row `plain` gives."""
    content = model(salt=99, opset=18)
    repository.write("plain.onnx", content)
    row_of(repository, "plain").update(sha256=sha256(content), smoke=True)


def test_of_changed_bytes_the_license_returns_and_what_was_said_of_them_does_not(
    kept: Repository,
) -> None:
    replaced(kept)
    drop(kept, "plain", "license", "license_url", "sigstore_bundle", "notes", "opset", "sha256",
         "smoke")  # fmt: skip
    result = put_back(kept)
    assert result.verdict is Verdict.FAILED
    reasons = refused(result)
    assert reasons.keys() == {("plain", "opset"), ("plain", "sha256"), ("plain", "smoke")}
    assert "imports opset 18, not 17" in reasons["plain", "opset"]
    assert "the digest of model/plain.onnx is" in reasons["plain", "sha256"]
    assert "the digest of model/plain.onnx is" in reasons["plain", "smoke"]
    (row, *_) = json.loads(kept.registry.read_text("utf-8"))["models"]
    assert row["license"] == "MIT"
    assert row["notes"] == "about plain \u2014"
    assert not {"opset", "sha256", "smoke"} & row.keys()


def test_a_model_that_is_missing_confirms_nothing(kept: Repository) -> None:
    kept.path("plain.onnx").unlink()
    drop(kept, "plain", "sha256", "opset", "license", "onnx")
    reasons = refused(put_back(kept))
    assert {f for _, f in reasons} == {"sha256", "opset", "onnx"}
    assert all("does not exist" in why for why in reasons.values())


def test_a_model_that_is_none_has_no_opset(kept: Repository) -> None:
    kept.write("plain.onnx", "<html>")
    drop(kept, "plain", "opset")
    assert "not an ONNX model" in refused(put_back(kept))["plain", "opset"]


LIES: dict[str, tuple[Callable[[Repository], object], str, str, str]] = {
    "int8 variant replaced": (
        lambda r: r.write("q.int8.onnx", model(salt=98)),
        "q",
        "int8_sha256",
        "the digest of model/q.int8.onnx is",
    ),
    "int8 variant gone": (
        lambda r: r.path("q.int8.onnx").unlink(),
        "q",
        "int8_sha256",
        "'model/q.int8.onnx' does not exist",
    ),
    "int8 variant gone, mode lost": (
        lambda r: r.path("q.int8.onnx").unlink(),
        "q",
        "quant_mode",
        "'model/q.int8.onnx' does not exist",
    ),
    "int8 variant is no model": (
        lambda r: r.write("q.int8.onnx", "<html>"),
        "q",
        "quant_mode",
        "not an ONNX model",
    ),
    "weights replaced": (
        lambda r: r.write("ext.onnx.data", data(24, salt=77)),
        "ext",
        "external_data_sha256",
        "the digest of model/ext.onnx.data is",
    ),
    "weights gone": (
        lambda r: r.path("ext.onnx.data").unlink(),
        "ext",
        "external_data_sha256",
        "does not exist",
    ),
    "weights elsewhere": (
        lambda r: r.write("ext.onnx", model(external=External("other.data"))),
        "ext",
        "external_data_sha256",
        "no model uses ext.onnx.data",
    ),
    "another file under the name": (
        lambda r: r.write("plain.onnx", model(salt=97)),
        "plain",
        "onnx",
        "the digest of model/plain.onnx is",
    ),
}


@pytest.mark.parametrize("name", LIES)
def test_an_old_value_that_is_not_true_any_more_is_refused(kept: Repository, name: str) -> None:
    change, row, field, reason = LIES[name]
    change(kept)
    drop(kept, row, field, "license")
    result = put_back(kept)
    assert refused(result).keys() == {(row, field)}
    assert reason in refused(result)[row, field]
    after = kept.registry.read_text("utf-8")
    assert after.count('"license"') == before(kept).count('"license"')


def test_a_field_that_is_true_all_the_same_returns(kept: Repository) -> None:
    """`quant_mode` of a row without an int8 variant says nothing of another file."""
    row_of(kept, "plain")["quant_mode"] = "fp32"
    kept.save()
    shutil.copy(kept.registry, kept.root.parent / "baseline" / "model")
    drop(kept, "plain", "quant_mode")
    assert put_back(kept).verdict is Verdict.VERIFIED
    assert kept.registry.read_text("utf-8") == before(kept)


ROWS: dict[str, tuple[Callable[[Repository], object], str]] = {
    "gone": (lambda r: r.path("ext.onnx").unlink(), "'model/ext.onnx' does not exist"),
    "replaced": (
        lambda r: r.write("ext.onnx", model(salt=96, external=External("ext.onnx.data"))),
        "the digest of model/ext.onnx is",
    ),
    "with other weights": (
        lambda r: r.write("ext.onnx.data", data(24, salt=95)),
        "the digest of model/ext.onnx.data is",
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_whose_files_are_not_here_any_more_is_refused(kept: Repository, name: str) -> None:
    change, reason = ROWS[name]
    kept.rows.remove(row_of(kept, "ext"))
    kept.save()
    change(kept)
    result = put_back(kept)
    assert reason in refused(result)["ext", None]
    assert not result.written


def test_a_row_that_has_another_id_now_does_not_return_beside_it(kept: Repository) -> None:
    row_of(kept, "ext")["id"] = "ext_v2"
    kept.save()
    result = put_back(kept)
    assert refused(result) == {
        ("ext", None): "its model is now that of the row 'ext_v2': the id has changed"
    }


def test_a_row_that_never_had_a_digest_is_refused(kept: Repository) -> None:
    path = kept.root.parent / "baseline" / "model" / "registry.json"
    value = json.loads(path.read_text("utf-8"))
    del value["models"][0]["sha256"]
    path.write_text(json.dumps(value), "utf-8")
    kept.rows.remove(row_of(kept, "plain"))
    kept.save()
    assert "not None" in refused(put_back(kept))["plain", None]


# --- what is declared -----------------------------------------------------------------------------


def test_what_a_deferral_declares_is_left_alone(kept: Repository) -> None:
    kept.rows.remove(row_of(kept, "ext"))
    drop(kept, "plain", "notes", "license")
    kept.defer("BAS801", ["ext"])
    kept.defer("BAS802", ["pl*"])
    kept.save()
    result = put_back(kept)
    assert result.declared == ("ext", "plain")
    assert [(r.row, r.field) for r in result.lost] == [("plain", "license")]


def test_what_is_declared_returns_where_it_is_named(kept: Repository) -> None:
    kept.rows.remove(row_of(kept, "ext"))
    kept.defer("BAS801", ["ext"])
    kept.save()
    result = put_back(kept, "ext")
    assert (result.declared, result.written) == ((), True)
    assert kept.registry.read_text("utf-8") == before(kept)


def test_a_declared_loss_of_the_registry_itself_is_left_alone(kept: Repository) -> None:
    kept.defer("BAS807", ["model/*"])
    kept.save()
    value = json.loads(kept.registry.read_text("utf-8"))
    del value["schema_version"]
    kept.registry.write_text(json.dumps(value), "utf-8")
    result = put_back(kept)
    assert (result.declared, result.lost) == (("model/registry.json",), ())


# --- other shapes ---------------------------------------------------------------------------------


# --- the command ----------------------------------------------------------------------------------


@pytest.mark.parametrize("baseline", ["none", "git:-x", "nowhere"])
def test_restore_needs_a_baseline(kept: Repository, baseline: str) -> None:
    with pytest.raises(InputError):
        restore(load_config(kept.root), baseline)


def test_an_unknown_row_is_an_error_that_names_the_nearest(kept: Repository) -> None:
    kept.rows.remove(row_of(kept, "plain"))
    kept.save()
    with pytest.raises(InputError, match="no row with the id 'plian'") as caught:
        put_back(kept, "plian")
    assert caught.value.help == "Did you mean 'plain'?"


def command(kept: Repository, *arguments: str) -> Any:
    return run_cli("restore", "--baseline", "../baseline", *arguments, cwd=kept.root)


def test_the_command_shows_what_was_lost_and_the_difference(kept: Repository) -> None:
    replaced(kept)
    drop(kept, "plain", "license", "opset")
    kept.rows.remove(row_of(kept, "ext"))
    kept.defer("BAS802", ["q"])
    drop(kept, "q", "notes")
    result = command(kept)
    assert result.code == 1
    lines = result.out.splitlines()
    assert lines[0] == "model/registry.json, compared with ../baseline"
    assert "  lost      ext: the whole row" in lines
    assert "  lost      plain: license" in lines
    assert any(line.startswith("  refused   plain: opset is not restored: ") for line in lines)
    assert "  declared  q: a deferral declares the loss" in lines
    assert '+      "license": "MIT",' in lines
    assert "RESTORED: 1 field and 1 row in model/registry.json" in lines
    assert lines[-1] == "FAILED: 1 item not restored"


def test_the_command_says_what_it_would_do(kept: Repository) -> None:
    drop(kept, "plain", "license", "notes")
    result = command(kept, "--dry-run")
    assert (result.code, result.out.splitlines()[-1]) == (
        0,
        "2 fields would be restored in model/registry.json",
    )


def test_the_command_says_that_nothing_was_lost(kept: Repository) -> None:
    result = command(kept)
    assert (result.code, result.out.splitlines()[-1]) == (0, "OK: nothing was lost")


def test_the_command_prints_json(kept: Repository) -> None:
    replaced(kept)
    drop(kept, "plain", "license", "opset")
    result = command(kept, "plain", "--format", "json")
    assert result.code == 1
    assert {k: v for k, v in result.json.items() if k not in ("diff", "lost")} == {
        "version": 1,
        "verdict": "failed",
        "registry": "model/registry.json",
        "baseline": "../baseline",
        "written": True,
        "declared": [],
    }
    assert result.json["diff"].startswith("--- a/model/registry.json\n")
    assert result.json["lost"] == [
        {
            "row": "plain",
            "field": "opset",
            "refused": "model/plain.onnx imports opset 18, not 17",
        },
        {"row": "plain", "field": "license", "refused": None},
    ]


def test_hostile_names_do_not_reach_the_terminal(kept: Repository) -> None:
    path = kept.root.parent / "baseline" / "model" / "registry.json"
    value = json.loads(path.read_text("utf-8"))
    value["models"][0]["\u001b[31m"] = "\u001b[2J"
    path.write_text(json.dumps(value, ensure_ascii=False), "utf-8")
    result = command(kept)
    assert result.code == 0
    assert "\\u001b[31m" in result.out
    assert all(c.isprintable() for c in result.out.replace("\n", ""))
