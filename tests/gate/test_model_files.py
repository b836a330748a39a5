# SPDX-License-Identifier: Apache-2.0
"""Findings about the files of a row: one for each file, at the field that declares it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import pytest

from provenance import check, load_config
from tests.support.models import External, data, model
from tests.support.mutations import content, cut, flip, of, reexport, rename, swap
from tests.support.production import production
from tests.support.repository import Repository, codes, sha256


def field_at(repository: Repository, line: int) -> str:
    """The name of the field on a line of the registry."""
    return repository.registry.read_text("utf-8").splitlines()[line - 1].split('"')[1]


@pytest.mark.parametrize(("gone", "named"), [("m.onnx", "onnx"), ("m.int8.onnx", "int8_sha256")])
def test_a_missing_file_is_reported_at_the_field_that_declares_it(
    repository: Repository, gone: str, named: str
) -> None:
    repository.add_int8("m")
    repository.path(gone).unlink()
    (finding,) = repository.save().check().failing
    assert (finding.code, finding.about) == ("ART301", "model/registry.json")
    assert finding.position is not None
    assert field_at(repository, finding.position.line) == named


def test_a_variant_that_is_not_a_regular_file_is_reported(
    repository: Repository,
) -> None:
    repository.add_int8("m")
    repository.path("m.int8.onnx").unlink()
    os.mkfifo(repository.path("m.int8.onnx"))
    found = [(f.code, f.about) for f in repository.save().check().failing]
    assert found == [("ART309", "model/m.int8.onnx")]


def test_a_stray_is_reported_after_renamed_external_data(
    repository: Repository,
) -> None:
    repository.add_external("m")
    repository.path("m.onnx.data").rename(repository.path("m.onnx.weights"))
    repository.write("z.onnx", model(salt=9))
    report = repository.save().check()
    assert [(f.code, f.about) for f in report.failing] == [
        ("ART304", "model/m.onnx.data"),
        ("ART311", "model/z.onnx"),
    ]


@pytest.mark.parametrize(
    ("name", "is_stray"),
    [
        *((f"m.onnx{end}", False) for end in (".sha256", ".SHA512", ".md5", ".asc", ".sig")),
        *((f"m{end}", False) for end in (".yaml", ".yml", ".toml", ".md", ".onnx.md", ".pdf")),
        *((f"m{end}", True) for end in (".bin", ".onnx.bak", ".pt", ".onnx.old", ".weights")),
        ("other.onnx.sha256", False),
        ("m.sha256.onnx", True),
    ],
)
def test_documentation_and_signatures_are_not_strays(
    repository: Repository, name: str, is_stray: bool
) -> None:
    repository.add("m")
    repository.write(name, "x")
    assert codes(repository.save().check()) == (["ART311"] if is_stray else [])


def test_possible_data_of_an_unreadable_model_is_not_a_stray(
    repository: Repository,
) -> None:
    repository.add("m", b"\x00")
    repository.write("m.onnx.data", data(24))
    repository.write("z.onnx", model(salt=9))
    report = repository.save().check()
    assert [(f.code, f.about) for f in report.failing] == [
        ("ART303", "model/m.onnx"),
        ("ART311", "model/z.onnx"),
    ]


def test_unused_entries_are_not_reported_if_a_variant_cannot_be_read(
    repository: Repository,
) -> None:
    row = repository.add_int8("m")
    row["external_data_sha256"] = {"m.data": "0" * 64}
    repository.write("m.int8.onnx", b"\x00")
    row["int8_sha256"] = sha256(b"\x00")
    assert codes(repository.save().check()) == ["ART303"]


def test_an_unused_entry_is_fixed_only_if_no_data_was_renamed(
    repository: Repository,
) -> None:
    """One of two files is missing: the unused entry may be its former name."""
    repository.write("a.data", data(24))
    outside = [External("a.data", tensor="a"), External("b.data", tensor="b")]
    declared = {"a.data": sha256(data(24)), "b.data": "0" * 64, "old.data": "0" * 64}
    repository.add("m", model(external=outside), external_data_sha256=declared)
    report = repository.save().check()
    assert [(f.code, f.fixes) for f in report.failing if f.code == "ART312"] == [("ART312", ())]


def test_an_unused_entry_is_kept_while_data_of_the_variant_is_missing(
    repository: Repository,
) -> None:
    variant = model(salt=9, external=External("gone.data"))
    declared = {"gone.data": "0" * 64, "old.data": "0" * 64}
    repository.add_int8("m", external_data_sha256=declared, int8_sha256=sha256(variant))
    repository.write("m.int8.onnx", variant)
    found = {f.code: f.fixes for f in repository.save().check().failing}
    assert found == {"ART304": (), "ART312": ()}


@pytest.mark.parametrize(
    ("count", "named"), [(3, "a.data, b.data, c.data"), (4, "a.data, b.data, c.data and 1 more")]
)
def test_uncovered_files_are_named_up_to_three(
    repository: Repository, count: int, named: str
) -> None:
    names = [f"{letter}.data" for letter in "abcde"[:count]]
    for name in names:
        repository.write(name, data(24))
    outside = [External(name, tensor=name) for name in reversed(names)]
    repository.add("m", model(external=outside))
    (finding,) = repository.save().check().failing
    assert finding.message == f"no digest covers the weights in {named}"


@pytest.mark.parametrize("declared", ["0" * 64, "f" * 64])
@pytest.mark.parametrize("field", ["sha256", "int8_sha256"])
def test_the_opset_of_a_replaced_model_is_not_written_into_the_row(
    repository: Repository, field: str, declared: str
) -> None:
    repository.add_int8("m", opset=18, **{field: declared})
    found = {f.code: f.fixes for f in repository.save().check().failing}
    assert found == {"ART302": ()} | ({"ART310": ()} if field == "int8_sha256" else {})


REPLACED: Final = {
    "no model": (
        content(b"<html>"),
        "it is not an ONNX model",
        "Restore the file: export or fetch it again.",
    ),
    "that of another row": (of("s2.onnx"), "that of model/s2.onnx (s2)", "Restore the file"),
    "another, and its sidecar is not": (
        flip(0.5),
        "its sidecar has the same digest as the row",
        "Restore the file. If this is a new export, export its sidecar with it first.",
    ),
}
"""Ways to replace a file by mistake, each with its message and the next step."""


@pytest.mark.parametrize("name", REPLACED)
def test_help_for_a_file_replaced_by_mistake_is_to_restore_it(tmp_path: Path, name: str) -> None:
    change, message, help = REPLACED[name]
    tree = production(tmp_path / "tree").root
    change(tree / "model/s1.onnx")
    (finding,) = check(load_config(tree)).findings
    assert finding.code == "ART302"
    assert message in finding.message
    assert help in finding.help
    assert "--write" not in finding.help


def test_help_for_a_file_that_its_sidecar_describes_is_to_hash_it(tmp_path: Path) -> None:
    """Two digests in the registry are swapped; the files are the right ones."""
    tree = production(tmp_path / "tree").root
    swap("models", "s1", other="s2", field="sha256")(tree / "model/registry.json")
    for finding in check(load_config(tree)).findings:
        assert finding.code == "ART302"
        accept = f"If the new file is intended: provenance hash {finding.row} --write"
        assert finding.help.startswith(accept)


def test_help_for_truncated_external_data_is_to_restore_it(tmp_path: Path) -> None:
    tree = production(tmp_path / "tree").root
    cut(0.5)(tree / "model/s1.onnx.data")
    (finding,) = check(load_config(tree)).findings
    assert finding.code == "ART302"
    assert "bytes, and s1.onnx needs" in finding.message
    assert finding.help.startswith("Restore the file, or export the model again")


def test_an_entry_with_a_wrong_name_is_given_the_right_one(tmp_path: Path) -> None:
    tree = production(tmp_path / "tree").root
    entry = ("models", "s1", "external_data_sha256", "s1.onnx.data")
    rename(*entry, to="s1.data")(tree / "model/registry.json")
    (finding,) = check(load_config(tree)).findings
    assert finding.code == "ART306"
    assert finding.help == "Name the entry s1.onnx.data, as the model does."


def test_a_model_of_other_data_leaves_the_digest_of_the_genuine_one(tmp_path: Path) -> None:
    tree = production(tmp_path / "tree").root
    reexport(1, external=External("s2.onnx.data"))(tree / "model/s1.onnx")
    (finding,) = check(load_config(tree)).findings
    assert finding.code == "ART306"
    assert "s1.onnx.data, which no model uses" in finding.message
    assert finding.help.startswith("Export the model again with its weights in s1.onnx.data")
    assert not finding.fixes


@pytest.mark.parametrize(("name", "code"), [("b.data", "ART302"), ("old.data", "ART312")])
def test_a_wrong_digest_of_external_data_is_reported_at_its_line(
    repository: Repository, name: str, code: str
) -> None:
    declared = {}
    for each in ("a.data", "b.data"):
        repository.write(each, data(24))
        declared[each] = sha256(data(24))
    outside = [External("a.data", tensor="a"), External("b.data", tensor="b")]
    declared[name] = "0" * 64
    repository.add("m", model(external=outside), external_data_sha256=declared)
    (finding,) = repository.save().check().failing
    assert finding.code == code
    assert finding.position is not None
    assert field_at(repository, finding.position.line) == name
    assert f"{name!r}" in finding.message


def test_a_file_with_an_undecodable_name_is_reported_at_its_folder(repository: Repository) -> None:
    repository.add("m")
    for name in (b"\xff.onnx", b"\xff.json"):
        folder = os.fsencode(repository.registry.parent)
        (Path(os.fsdecode(folder + b"/" + name))).write_bytes(b"x")
    found = {(f.code, f.path) for f in repository.save().check().failing}
    assert found == {("ART311", r"model/\udcff.json"), ("ART311", r"model/\udcff.onnx")}


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ({"quant_mode": "dynamic"}, "`quant_mode`"),
        ({"int8_sha256": "0" * 64}, "`int8_sha256`"),
        ({"quant_mode": "dynamic", "int8_sha256": "0" * 64}, "`int8_sha256` and `quant_mode`"),
    ],
)
def test_a_missing_variant_is_reported_at_the_field_that_requires_it(
    repository: Repository, fields: dict[str, Any], asked: str
) -> None:
    repository.add("m", **fields)
    (finding,) = repository.save().check().failing
    assert finding.code == "ART301"
    assert finding.position is not None
    assert field_at(repository, finding.position.line) in asked
    assert finding.help.endswith(f"If there is no int8 variant, remove {asked}.")


def test_an_entry_that_is_not_a_digest_is_reported_at_its_line(repository: Repository) -> None:
    repository.write("m.onnx.data", data(24))
    repository.add("m", model(external=External()), external_data_sha256={"m.onnx.data": "zz"})
    (finding,) = repository.save().check().failing
    assert finding.code == "REG101"
    assert finding.position is not None
    assert field_at(repository, finding.position.line) == "m.onnx.data"
    assert "`external_data_sha256` of 'm.onnx.data': expected a SHA-256" in finding.message
    assert finding.message.endswith("found 'zz'")


def test_digests_that_are_not_an_object_are_reported_once(repository: Repository) -> None:
    repository.write("m.onnx.data", data(24))
    repository.add("m", model(external=External()), external_data_sha256=[])
    (finding,) = repository.save().check().failing
    assert finding.code == "REG101"
    assert finding.help == "provenance hash --write --add-external-data"


@pytest.mark.parametrize(("one", "other"), [("m", "n"), ("n", "m")])
def test_a_file_with_the_bytes_of_another_row_is_to_be_restored(
    repository: Repository, one: str, other: str
) -> None:
    for salt, name in enumerate("mn"):
        repository.add(name, model(salt=salt))
    repository.write(f"{one}.onnx", repository.path(f"{other}.onnx").read_bytes())
    (found,) = repository.save().check().failing
    assert (found.code, found.row) == ("ART302", one)
    assert found.message.startswith("`sha256` is ")
    assert found.message.endswith(f"that of model/{other}.onnx ({other})")
    assert found.help == "Restore the file: it is a copy of another one."


@pytest.mark.parametrize("name", ["a.data", "b.data"])
@pytest.mark.parametrize(("size", "code"), [(None, "ART304"), (20, "ART307")])
def test_one_bad_data_file_of_two_is_reported(
    repository: Repository, size: int | None, code: str, name: str
) -> None:
    written = {n: data(size or 24 if n == name else 24) for n in ("a.data", "b.data")}
    for n, weights in written.items():
        repository.write(n, weights)
    outside = [External(n, tensor=n) for n in written]
    digests = {n: sha256(weights) for n, weights in written.items()}
    repository.add("m", model(external=outside), external_data_sha256=digests)
    if size is None:
        repository.path(name).unlink()
    assert [(f.code, f.about) for f in repository.save().check().failing] == [
        (code, f"model/{name}")
    ]


def test_a_variant_as_the_model_of_a_row_is_compared_with_its_own_digest(
    repository: Repository,
) -> None:
    row = repository.add("q", onnx="q.int8.onnx", quant_mode="static", int8_sha256="b" * 64)
    (found,) = repository.save().check().failing
    assert found.code == "ART302"
    assert found.message.startswith(
        "`int8_sha256` is bbbbbbbbbbbb…; the digest of model/q.int8.onnx"
    )
    assert row["sha256"][:12] in found.message


def test_uncovered_weights_are_reported_after_a_row_with_malformed_digests(
    repository: Repository,
) -> None:
    repository.add_external("a")["external_data_sha256"] = []
    del repository.add_external("b")["external_data_sha256"]
    found = [(f.code, f.row) for f in repository.save().check().failing]
    assert found == [("REG101", "a"), ("ART306", "b")]


def test_unused_entries_are_named_up_to_three_at_the_first(
    repository: Repository,
) -> None:
    entries = {f"{name}.data": "0" * 64 for name in "abcd"}
    repository.add_external("m")["external_data_sha256"] = entries
    (found,) = repository.save().check().failing
    assert found.code == "ART306"
    assert "the row has a digest for a.data, b.data, c.data and 1 more, which" in found.message
    line = repository.registry.read_text().splitlines()[found.position.line - 1]
    assert '"a.data"' in line


def test_an_unused_entry_is_reported_after_a_row_with_uncovered_weights(
    repository: Repository,
) -> None:
    del repository.add_external("a")["external_data_sha256"]
    repository.add("b")["external_data_sha256"] = {"old.data": "0" * 64}
    found = [(f.code, f.row) for f in repository.save().check().failing]
    assert found == [("ART306", "a"), ("ART312", "b")]


def stray(repository: Repository, content: bytes = b"junk", name: str = "old.onnx") -> None:
    """A stray model with a sidecar, beside a model that a row names."""
    repository.add("m")
    repository.write(name, content)
    sidecar = {"id": "old", "onnx": name, "sha256": sha256(content)}
    repository.write(f"{name.removesuffix('.onnx')}.json", sidecar)


def test_a_stray_model_is_reported_with_its_sidecar_and_its_data(repository: Repository) -> None:
    stray(repository, model(salt=9, external=External("weights.onnx.data")))
    repository.write("weights.onnx.data", data())
    (finding,) = repository.save().check().failing
    assert (finding.code, finding.path) == ("ART311", "model/old.onnx")
    assert finding.help == (
        "Remove it with model/old.json and model/weights.onnx.data, or add a row that names it."
    )
    for name in ("old.onnx", "old.json", "weights.onnx.data"):
        repository.path(name).unlink()
    assert codes(repository.check()) == []


def test_external_data_that_a_stray_model_misses_is_reported_with_it(
    repository: Repository,
) -> None:
    stray(repository, model(salt=9, external=External("gone.onnx.data")))
    (finding,) = repository.save().check().failing
    assert finding.message == (
        "model/old.onnx is not used by any row or model; "
        "its external data model/gone.onnx.data does not exist"
    )
    assert "or fetch model/gone.onnx.data and add a row" in finding.help


@pytest.mark.parametrize("content", [b"junk", b"version https://git-lfs.github.com/spec/v1\n"])
def test_files_named_after_an_unreadable_stray_belong_to_it(
    repository: Repository, content: bytes
) -> None:
    stray(repository, content)
    repository.write("old.onnx.data", data())
    (finding,) = repository.save().check().failing
    assert "model/old.json and model/old.onnx.data" in finding.help


@pytest.mark.parametrize(
    ("location", "content"),
    [
        ("registry.json", None),
        ("m.onnx", None),
        ("other.onnx", model(salt=8)),
        ("../provenance.toml", None),
        ("*/_ORT_MEM_ADDR_/*", None),
        ("", None),
    ],
)
def test_a_stray_model_takes_no_other_files_for_its_data(
    repository: Repository, location: str, content: bytes | None
) -> None:
    stray(repository, model(salt=9, external=External(location)))
    if content is not None:
        repository.write(location, content)
    found = repository.save().check().failing
    assert [f.path for f in found] == ["model/old.onnx", *(["model/other.onnx"] if content else [])]
    assert found[0].help.startswith("Remove it with model/old.json, or")


def test_two_strays_that_name_each_other_as_data_are_both_reported(repository: Repository) -> None:
    repository.add("m")
    for name, other in (("a", "b"), ("b", "a")):
        repository.write(f"{name}.onnx", model(salt=9, external=External(f"{other}.onnx")))
    assert codes(repository.save().check()) == ["ART311", "ART311"]


def test_a_stray_beside_a_pointer_is_reported_if_it_cannot_hold_its_weights(
    repository: Repository,
) -> None:
    repository.add("m", b"version https://git-lfs.github.com/spec/v1\n")
    repository.add("n")
    repository.write("weights.onnx.data", data())
    repository.write("n.onnx.data", data())
    repository.write("z.onnx", model(salt=9))
    found = [(f.code, f.about) for f in repository.save().check().failing]
    assert found == [
        ("ART303", "model/m.onnx"),
        ("ART311", "model/n.onnx.data"),
        ("ART311", "model/z.onnx"),
    ]


def test_a_missing_model_in_another_folder_does_not_hide_a_stray(repository: Repository) -> None:
    repository.add("m")
    repository.path("m.onnx").unlink()
    repository.write("weights.onnx.data", data())
    found = [(f.code, f.path) for f in repository.save().check().failing]
    assert found == [("ART301", "model/registry.json"), ("ART311", "model/weights.onnx.data")]


@pytest.mark.parametrize(
    ("described", "in_both", "fixed"),
    [
        ("model", True, {"model/registry.json", "model/m.json"}),
        ("other bytes", False, {"model/registry.json"}),
        (None, True, set()),
    ],
)
def test_a_wrong_opset_is_corrected_in_both_files_if_the_sidecar_describes_the_model(
    repository: Repository, described: str | None, in_both: bool, fixed: set[str]
) -> None:
    row = repository.add("m", opset=18)
    digest = {"model": row["sha256"], "other bytes": sha256(b"former"), None: None}[described]
    repository.add_sidecar(row, opset=18, sha256=digest)
    (finding,) = [f for f in repository.save().check().failing if f.code == "ART310"]
    assert ("also in model/m.json" in finding.message) is in_both
    assert {fix.path for fix in finding.fixes} == fixed


@pytest.mark.parametrize(
    ("missing", "similar", "step"),
    [
        (1, 1, "rename model/old.onnx.data back to model/0.data"),
        (2, 1, "fetch model/0.data, model/1.data"),
        (2, 2, "fetch model/0.data, model/1.data"),
    ],
)
def test_data_of_a_stray_model_is_renamed_if_one_file_is_missing_and_one_has_a_similar_name(
    repository: Repository, missing: int, similar: int, step: str
) -> None:
    outside = [External(f"{n}.data", tensor=str(n)) for n in reversed(range(missing))]
    stray(repository, model(salt=9, external=outside))
    for name in ("old.onnx.data", "old.onnx.1.onnx.data")[:similar]:
        repository.write(name, data())
    (finding,) = repository.save().check().failing
    assert f"or {step} and add a row that names it." in finding.help


@pytest.mark.parametrize(
    ("onnx", "whose"), [("m.onnx", ", that of row 'm'; model/x.onnx"), ("n.onnx", "; model/x.onnx")]
)
def test_a_row_of_other_bytes_says_whose_they_are_and_where_its_own_model_is(
    repository: Repository, onnx: str, whose: str
) -> None:
    repository.add("m")
    row = repository.add("n", onnx="n.onnx")
    repository.path("n.onnx").rename(repository.path("x.onnx"))
    row["onnx"] = onnx
    if onnx == "n.onnx":
        repository.write(onnx, model(salt=9))
    (finding,) = repository.save().check().failing
    assert finding.code == "ART302"
    says = f"{whose}, which no row names, has the digest that the row declares"
    assert finding.message.endswith(f"…{says}")
