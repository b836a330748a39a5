# SPDX-License-Identifier: Apache-2.0
"""Findings about the files of a row: one for each file, at the field that declares it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import pytest
from onnx import TensorProto, helper

from tests.support.findings import line_of, listed, only, shown
from tests.support.models import External, data, model, proto
from tests.support.mutations import Change, content, cut, flip, of, reexport, rename, swap
from tests.support.production import production
from tests.support.repository import Repository, codes, sha256

ZERO: Final = "0" * 64
POINTER: Final = b"version https://git-lfs.github.com/spec/v1\n"


def failing(repository: Repository) -> str:
    return listed(repository.save().check().failing)


def abouts(repository: Repository) -> list[tuple[str, str]]:
    return [(f.code, f.about) for f in repository.save().check().failing]


def add_split(repository: Repository, names: str, **entries: str) -> dict[str, str]:
    """Add a model with weights in several files, `a.data` for "a", and return its digests."""
    digests = {f"{name}.data": sha256(data()) for name in names} | entries
    for name in digests:
        repository.write(name, data())
    outside = [External(f"{name}.data", tensor=name) for name in names]
    repository.add("m", model(external=outside), external_data_sha256=digests)
    return digests


# --- where a finding is reported ------------------------------------------------------------------


@pytest.mark.parametrize(("gone", "field"), [("m.onnx", "onnx"), ("m.int8.onnx", "int8_sha256")])
def test_missing_file_is_reported_at_the_field_that_declares_it(
    repository: Repository, gone: str, field: str
) -> None:
    repository.add_int8("m")
    repository.path(gone).unlink()
    finding = only(repository.save().check())
    assert (finding.code, finding.about) == ("ART301", "model/registry.json")
    assert line_of(finding, repository).startswith(f'"{field}"')


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ({"quant_mode": "dynamic"}, "`quant_mode`"),
        ({"int8_sha256": ZERO}, "`int8_sha256`"),
        ({"quant_mode": "dynamic", "int8_sha256": ZERO}, "`int8_sha256` and `quant_mode`"),
    ],
)
def test_missing_variant_is_reported_at_the_field_that_requires_it(
    repository: Repository, fields: dict[str, Any], asked: str
) -> None:
    repository.add("m", **fields)
    finding = only(repository.save().check())
    assert finding.code == "ART301"
    assert line_of(finding, repository).split('"')[1] in asked
    assert finding.help.endswith(f"If there is no int8 variant, remove {asked}.")


@pytest.mark.parametrize(
    ("digests", "code", "entry", "says"),
    [
        ({"b.data": ZERO}, "ART302", "b.data", "'b.data'"),
        ({"old.data": ZERO}, "ART312", "old.data", "'old.data'"),
        (
            {"b.data": "zz"},
            "REG101",
            "b.data",
            "`external_data_sha256` of 'b.data': expected a SHA-256",
        ),
        ({"b.data": "zz"}, "REG101", "b.data", "found 'zz' ->"),
        ([], "REG101", "external_data_sha256", "-> provenance hash --write --add-external-data\n"),
    ],
)
def test_wrong_entry_of_external_data_is_reported_at_its_line(
    repository: Repository, digests: Any, code: str, entry: str, says: str
) -> None:
    present = add_split(repository, "ab")
    repository.rows[0]["external_data_sha256"] = present | digests if digests else digests
    finding = only(repository.save().check())
    assert finding.code == code
    assert line_of(finding, repository).startswith(f'"{entry}"')
    assert says in shown(finding)


@pytest.mark.parametrize("name", ["a.data", "b.data"])
@pytest.mark.parametrize(("content", "code"), [(None, "ART304"), (data(20), "ART307")])
def test_bad_data_file_is_reported_beside_a_good_one(
    repository: Repository, name: str, content: bytes | None, code: str
) -> None:
    digests = add_split(repository, "ab")
    if content is None:
        repository.path(name).unlink()
    else:
        repository.write(name, content)
        digests[name] = sha256(content)
    assert abouts(repository) == [(code, f"model/{name}")]


@pytest.mark.parametrize(
    ("names", "says"),
    [("cba", "a.data, b.data, c.data"), ("dcba", "a.data, b.data, c.data and 1 more")],
)
def test_three_uncovered_files_are_named(repository: Repository, names: str, says: str) -> None:
    add_split(repository, names)
    del repository.rows[0]["external_data_sha256"]
    message = only(repository.save().check()).message
    assert message == f"no digest covers the weights in {says}"


def test_three_unused_entries_are_named_at_the_first(repository: Repository) -> None:
    entries = {f"{name}.data": ZERO for name in "abcd"}
    repository.add_external("m")["external_data_sha256"] = entries
    finding = only(repository.save().check())
    assert finding.code == "ART306"
    assert "the row has a digest for a.data, b.data, c.data and 1 more, which" in finding.message
    assert '"a.data"' in line_of(finding, repository)


def test_undecodable_file_name_is_reported_at_its_folder(repository: Repository) -> None:
    repository.add("m")
    for name in (b"\xff.onnx", b"\xff.json"):
        Path(os.fsdecode(os.fsencode(repository.models) + b"/" + name)).write_bytes(b"x")
    found = {(f.code, f.path) for f in repository.save().check().failing}
    assert found == {("ART311", r"model/\udcff.json"), ("ART311", r"model/\udcff.onnx")}


def test_variant_that_is_a_fifo_is_reported(repository: Repository) -> None:
    repository.add_int8("m")
    repository.path("m.int8.onnx").unlink()
    os.mkfifo(repository.path("m.int8.onnx"))
    assert abouts(repository) == [("ART309", "model/m.int8.onnx")]


def test_variant_named_as_the_model_is_compared_with_its_own_digest(
    repository: Repository,
) -> None:
    row = repository.add("q", onnx="q.int8.onnx", quant_mode="static", int8_sha256="b" * 64)
    finding = only(repository.save().check())
    assert finding.code == "ART302"
    declared = "`int8_sha256` is bbbbbbbbbbbb…; the digest of model/q.int8.onnx"
    assert finding.message.startswith(declared)
    assert row["sha256"][:12] in finding.message


# --- which files to restore, and which digests to accept ------------------------------------------

ENTRY: Final = ("models", "s1", "external_data_sha256", "s1.onnx.data")
ACCEPT: Final = "-> If the new file is intended: provenance hash s1 --write"
OTHER_DATA: Final = reexport(1, external=External("s2.onnx.data"))
AGAIN: Final = "Restore the file: export or fetch it again."
EXPORTED: Final = "Restore the file. If this is a new export, export its sidecar with it first."
OR_EXPORT: Final = "Restore the file, or export the model again"
INTO_DATA: Final = "Export the model again with its weights in s1.onnx.data"
NAMED: Final = "Name the entry s1.onnx.data, as the model does."


@pytest.mark.parametrize(
    ("name", "change", "says", "help"),
    [
        ("s1.onnx", content(b"<html>"), "it is not an ONNX model", AGAIN),
        ("s1.onnx", of("s2.onnx"), "that of model/s2.onnx (s2)", "Restore the file"),
        ("s1.onnx", flip(0.5), "its sidecar has the same digest as the row", EXPORTED),
        ("s1.onnx.data", cut(0.5), "bytes, and s1.onnx needs", OR_EXPORT),
        ("registry.json", rename(*ENTRY, to="s1.data"), "", NAMED),
        ("s1.onnx", OTHER_DATA, "s1.onnx.data, which no model uses", INTO_DATA),
    ],
    ids=["a page", "another row's", "not the sidecar's", "data cut off", "an entry", "other data"],
)
def test_help_is_not_to_hash_a_file_that_is_wrong(
    tmp_path: Path, name: str, change: Change, says: str, help: str
) -> None:
    repository = production(tmp_path / "tree")
    change(repository.path(name))
    (finding,) = repository.check().findings
    entry = name == "registry.json" or change is OTHER_DATA
    assert finding.code == ("ART306" if entry else "ART302")
    assert says in finding.message
    assert finding.help.startswith(help)
    assert "hash" not in finding.help
    assert not finding.fixes


def test_help_for_a_file_that_its_sidecar_describes_is_to_hash_it(tmp_path: Path) -> None:
    repository = production(tmp_path / "tree")
    swap("models", "s1", other="s2", field="sha256")(repository.registry)
    found = repository.check().findings
    assert listed(found) == "ART302 s1, ART302 s2"
    assert ACCEPT in shown(found[0])
    assert ACCEPT.replace("s1", "s2") in shown(found[1])


@pytest.mark.parametrize(("one", "other"), [("m", "n"), ("n", "m")])
def test_copy_of_another_file_is_to_be_restored(
    repository: Repository, one: str, other: str
) -> None:
    for salt, name in enumerate("mn"):
        repository.add(name, model(salt=salt))
    repository.write(f"{one}.onnx", repository.path(f"{other}.onnx").read_bytes())
    finding = only(repository.save().check())
    assert (finding.code, finding.row) == ("ART302", one)
    assert finding.message.startswith("`sha256` is ")
    assert finding.message.endswith(f"that of model/{other}.onnx ({other})")
    assert finding.help == "Restore the file: it is a copy of another one."


@pytest.mark.parametrize(
    ("onnx", "whose"), [("m.onnx", ", that of row 'm'; model/x.onnx"), ("n.onnx", "; model/x.onnx")]
)
def test_message_about_other_bytes_names_the_file_with_the_digest(
    repository: Repository, onnx: str, whose: str
) -> None:
    repository.add("m")
    row = repository.add("n", onnx="n.onnx")
    repository.path("n.onnx").rename(repository.path("x.onnx"))
    row["onnx"] = onnx
    if onnx == "n.onnx":
        repository.write(onnx, model(salt=9))
    finding = only(repository.save().check())
    assert finding.code == "ART302"
    says = f"{whose}, which no row names, has the digest that the row declares"
    assert finding.message.endswith(f"…{says}")


def test_unused_entry_is_not_removed_while_data_is_missing(repository: Repository) -> None:
    """The unused entry may be the former name of the missing file."""
    add_split(repository, "ab", **{"old.data": ZERO})
    for name in ("b.data", "old.data"):
        repository.path(name).unlink()
    found = {f.code: f.fixes for f in repository.save().check().failing}
    assert found["ART312"] == ()
    repository.rows.clear()
    variant = model(salt=9, external=External("gone.data"))
    digests = {"gone.data": ZERO, "old.data": ZERO}
    repository.add_int8("m", external_data_sha256=digests, int8_sha256=sha256(variant))
    repository.write("m.int8.onnx", variant)
    repository.path("a.data").unlink()
    found = {f.code: f.fixes for f in repository.save().check().failing}
    assert found == {"ART304": (), "ART312": ()}


@pytest.mark.parametrize("declared", [ZERO, "f" * 64])
@pytest.mark.parametrize("field", ["sha256", "int8_sha256"])
def test_opset_of_a_replaced_model_is_not_written_into_the_row(
    repository: Repository, field: str, declared: str
) -> None:
    repository.add_int8("m", opset=18, **{field: declared})
    found = {f.code: f.fixes for f in repository.save().check().failing}
    assert found == {"ART302": ()} | ({"ART310": ()} if field == "int8_sha256" else {})


@pytest.mark.parametrize(
    ("described", "in_both", "fixed"),
    [
        ("model", True, {"model/registry.json", "model/m.json"}),
        ("other bytes", False, {"model/registry.json"}),
        (None, True, set()),
    ],
)
def test_opset_is_corrected_in_the_sidecar_that_describes_the_model_too(
    repository: Repository, described: str | None, in_both: bool, fixed: set[str]
) -> None:
    row = repository.add("m", opset=18)
    digest = {"model": row["sha256"], "other bytes": sha256(b"former"), None: None}[described]
    repository.add_sidecar(row, opset=18, sha256=digest)
    finding = only(repository.save().check(), "ART310")
    assert ("also in model/m.json" in finding.message) is in_both
    assert {fix.path for fix in finding.fixes} == fixed


def test_row_is_judged_after_a_row_with_another_finding(repository: Repository) -> None:
    repository.add_external("a")["external_data_sha256"] = []
    del repository.add_external("b")["external_data_sha256"]
    repository.add("c")["external_data_sha256"] = {"old.data": ZERO}
    assert failing(repository) == "REG101 a, ART306 b, ART312 c"


def test_unused_entry_is_not_reported_if_a_variant_cannot_be_read(repository: Repository) -> None:
    repository.write("m.int8.onnx", b"\x00")
    repository.add_int8("m", external_data_sha256={"m.data": ZERO}, int8_sha256=sha256(b"\x00"))
    repository.write("m.int8.onnx", b"\x00")
    assert failing(repository) == "ART303 m"


# --- strays ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((f"m.onnx{end}", "") for end in (".sha256", ".SHA512", ".md5", ".asc", ".sig")),
        *((f"m{end}", "") for end in (".yaml", ".yml", ".toml", ".md", ".onnx.md", ".pdf")),
        *((f"m{end}", "ART311") for end in (".bin", ".onnx.bak", ".pt", ".onnx.old", ".weights")),
        ("other.onnx.sha256", ""),
        ("m.sha256.onnx", "ART311"),
    ],
)
def test_documentation_and_signatures_are_not_strays(
    repository: Repository, name: str, expected: str
) -> None:
    repository.add("m")
    repository.write(name, "x")
    assert failing(repository) == expected


@pytest.mark.parametrize(
    ("content", "files", "expected"),
    [
        # Possible weights of a model that cannot be read
        (b"\x00", ["m.onnx.data"], [("ART303", "model/m.onnx")]),
        (POINTER, ["weights.onnx.data"], [("ART303", "model/m.onnx")]),
        (POINTER, ["n.onnx.data"], [("ART303", "model/m.onnx"), ("ART311", "model/n.onnx.data")]),
        (
            None,
            ["weights.onnx.data"],
            [("ART301", "model/registry.json"), ("ART311", "model/weights.onnx.data")],
        ),
    ],
)
def test_stray_is_reported_beside_a_model_that_cannot_be_read(
    repository: Repository, content: bytes | None, files: list[str], expected: list[Any]
) -> None:
    repository.add("m", content or b"")
    repository.add("n")
    for name in files:
        repository.write(name, data())
    repository.write("z.onnx", model(salt=9))
    if content is None:
        repository.path("m.onnx").unlink()
    assert abouts(repository) == [*expected, ("ART311", "model/z.onnx")]


def test_stray_is_reported_after_renamed_external_data(repository: Repository) -> None:
    repository.add_external("m")
    repository.path("m.onnx.data").rename(repository.path("m.onnx.weights"))
    repository.write("z.onnx", model(salt=9))
    assert abouts(repository) == [("ART304", "model/m.onnx.data"), ("ART311", "model/z.onnx")]


def test_strays_that_name_each_other_as_data_are_both_reported(repository: Repository) -> None:
    repository.add("m")
    for name, other in (("a", "b"), ("b", "a")):
        repository.write(f"{name}.onnx", model(salt=9, external=External(f"{other}.onnx")))
    assert failing(repository) == "ART311, ART311"


def external(*locations: str) -> bytes:
    return model(salt=9, external=[External(name, tensor=name) for name in locations])


UNUSED: Final = ": model/old.onnx is not used by any row or model; its external data"
ADD: Final = "and add a row that names it.\n"
WEIGHTS, DATA = "weights.onnx.data", "old.onnx.data"
WITH_WEIGHTS: Final = f"-> Remove it with model/old.json and model/{WEIGHTS}, or add a row"
NOT_DATA: Final = ("registry.json", "m.onnx", "../provenance.toml", "*/_ORT_MEM_ADDR_/*", "")


@pytest.mark.parametrize(
    ("content", "beside", "says"),
    [
        (external(WEIGHTS), [WEIGHTS], f"{WITH_WEIGHTS} that names it.\n"),
        (external("gone.data"), [], f"{UNUSED} model/gone.data does not exist ->"),
        (external("gone.data"), [], "or fetch model/gone.data and add a row"),
        (b"junk", [DATA], f"model/old.json and model/{DATA}"),
        (POINTER, [DATA], f"model/old.json and model/{DATA}"),
        *((external(name), [], "-> Remove it with model/old.json, or") for name in NOT_DATA),
        (external("0.data"), [DATA], f"or rename model/{DATA} back to model/0.data {ADD}"),
        (external("1.data", "0.data"), [DATA], f"or fetch model/0.data, model/1.data {ADD}"),
        (
            external("1.data", "0.data"),
            [DATA, "old.onnx.1.onnx.data"],
            f"or fetch model/0.data, model/1.data {ADD}",
        ),
    ],
)
def test_stray_model_is_reported_with_its_sidecar_and_its_data(
    repository: Repository, content: bytes, beside: list[str], says: str
) -> None:
    repository.add("m")
    repository.write("old.onnx", content)
    repository.write("old.json", {"id": "old", "onnx": "old.onnx", "sha256": sha256(content)})
    for name in beside:
        repository.write(name, data())
    finding = only(repository.save().check())
    assert (finding.code, finding.path) == ("ART311", "model/old.onnx")
    assert says in shown(finding)
    for name in ("old.onnx", "old.json", *beside):
        repository.path(name).unlink()
    assert codes(repository.check()) == []


def test_stray_model_that_names_another_model_as_data_is_reported_alone(
    repository: Repository,
) -> None:
    repository.add("m")
    repository.write("old.onnx", external("other.onnx"))
    repository.write("other.onnx", model(salt=8))
    first, second = repository.save().check().failing
    assert first.help.startswith("Remove it, or")
    assert second.path == "model/other.onnx"


# --- files that rows and variants share -----------------------------------------------------------


def variant(**changes: Any) -> bytes:
    """The usual model with another input or output."""
    message = proto(salt=9)
    for side, info in changes.items():
        getattr(message.graph, side)[0].CopyFrom(helper.make_tensor_value_info(*info))
    content: bytes = message.SerializeToString()
    return content


def add_variant(repository: Repository, content: bytes, own: bytes | None = None) -> None:
    repository.add("m", own, quant_mode="dynamic", int8_sha256=sha256(content))
    repository.write("m.int8.onnx", content)


FLOAT, FLOAT16, UINT8 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8


@pytest.mark.parametrize(
    ("side", "info", "says"),
    [
        ("input", ("features", FLOAT, ["batch", 6]), None),
        ("input", ("features", FLOAT, ["N", 6]), None),
        ("input", ("features", FLOAT, [1, "any"]), None),
        ("input", ("features", FLOAT, None), None),
        ("input", ("x", FLOAT, ["batch", 6]), "has input x: float"),
        ("input", ("features", UINT8, ["batch", 6]), "has input features: uint8"),
        ("input", ("features", FLOAT, ["batch", 5]), "float [batch, 5]"),
        ("input", ("features", FLOAT, ["batch", 1, 6]), "float [batch, 1, 6]"),
        ("input", ("features", FLOAT, [6]), "float [6]"),
        ("input", ("features", FLOAT, ["batch", 6, 1]), "float [batch, 6, 1]"),
        ("output", ("mos", FLOAT, ["batch", 1]), "has output mos: float"),
        ("output", ("score", FLOAT16, ["batch", 1]), "has output score: float16"),
        ("output", ("score", FLOAT, ["batch", 2]), "score: float [batch, 2]"),
    ],
)
def test_int8_variant_has_the_interface_of_its_model(
    repository: Repository, side: str, info: Any, says: str | None
) -> None:
    add_variant(repository, variant(**{side: info}))
    report = repository.save().check()
    assert codes(report) == ([] if says is None else ["ART314"])
    assert says is None or says in only(report).message


def test_int8_variant_without_outputs_is_described(repository: Repository) -> None:
    message = proto(salt=9)
    del message.graph.output[:]
    add_variant(repository, message.SerializeToString())
    expected = "m.int8.onnx has no outputs; m.onnx has outputs score: float [batch, 1]"
    assert only(repository.save().check()).message == expected


def test_first_of_several_different_inputs_is_named(repository: Repository) -> None:
    one, other = (model(inputs=zip("abc", w, strict=True)) for w in ((6, 6, 6), (6, 5, 4)))
    add_variant(repository, other, one)
    expected = "m.int8.onnx has input b: float [batch, 5]; m.onnx has input b: float [batch, 6]"
    assert only(repository.save().check()).message == expected


def test_int8_variant_that_cannot_be_read_is_not_compared(repository: Repository) -> None:
    add_variant(repository, b"no model")
    repository.rows[0]["int8_sha256"] = ""
    assert {f.code for f in repository.save().check().failing} == {"ART303", "REG101"}


@pytest.mark.parametrize("replaced", ["m.onnx", "m.int8.onnx"])
def test_replaced_file_is_not_compared_with_its_variant(
    repository: Repository, replaced: str
) -> None:
    repository.add_int8("m")
    repository.write(replaced, variant(input=("x", FLOAT, ["batch", 6])))
    assert failing(repository) == "ART302 m"


@pytest.mark.parametrize("salt", range(6))  # the digest of the variant is above or below
def test_production_variant_is_another_file(repository: Repository, salt: int) -> None:
    row = repository.add_int8("q", smoke=False)
    repository.add_sidecar(row)
    repository.write("q.int8.onnx", model(salt=salt + 100))
    row["int8_sha256"] = sha256(model(salt=salt + 100))
    assert failing(repository) == ""
    repository.write("q.int8.onnx", repository.path("q.onnx").read_bytes())
    row["int8_sha256"] = row["sha256"]
    assert failing(repository) == "ART315 q"


def test_each_further_row_of_a_file_is_reported(repository: Repository) -> None:
    row = repository.add("m")
    repository.rows[:0] = [{"id": "a"}, {"id": "b"}]
    assert "ART313" not in failing(repository)
    del repository.rows[:2]
    for id, onnx in (("n", "m.onnx"), ("o", "./m.onnx")):
        bundle = f"{id}.sigstore.json"
        repository.rows.append(row | {"id": id, "onnx": onnx, "sigstore_bundle": bundle})
    assert failing(repository) == "ART313 n, ART313 o, REG104 o"
    assert codes(repository.check("n")) == []
    repository.defer("ART313", ["n", "o"])
    assert failing(repository) == "REG104 o"
    repository.deferrals.clear()
    repository.rows[:0] = [{"id": "a"}, {"id": "b"}]
    assert [f.row for f in repository.save().check().failing if f.code == "ART313"] == ["n", "o"]
