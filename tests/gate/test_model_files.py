# SPDX-License-Identifier: Apache-2.0
"""Findings about the files of a row: each file has its own, at the field that declares it."""

from __future__ import annotations

import os

import pytest

from tests.support.models import External, data, model
from tests.support.repository import Repository, codes, sha256


def field_at(repository: Repository, line: int) -> str:
    """The name of the field on a line of the registry."""
    return repository.registry.read_text("utf-8").splitlines()[line - 1].split('"')[1]


@pytest.mark.parametrize(("gone", "named"), [("m.onnx", "onnx"), ("m.int8.onnx", "int8_sha256")])
def test_a_file_that_is_gone_is_told_at_the_field_that_declares_it(
    repository: Repository, gone: str, named: str
) -> None:
    repository.add_int8("m")
    repository.path(gone).unlink()
    (finding,) = repository.save().check().failing
    assert (finding.code, finding.about) == ("ART301", "model/registry.json")
    assert finding.position is not None
    assert field_at(repository, finding.position.line) == named


def test_a_variant_that_is_no_regular_file_is_told_beside_a_model_that_is(
    repository: Repository,
) -> None:
    repository.add_int8("m")
    repository.path("m.int8.onnx").unlink()
    os.mkfifo(repository.path("m.int8.onnx"))
    found = [(f.code, f.about) for f in repository.save().check().failing]
    assert found == [("ART309", "model/m.int8.onnx")]


def test_a_stray_is_told_behind_one_that_is_the_renamed_data_of_a_model(
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
    ("name", "told"),
    [
        *((f"m.onnx{end}", False) for end in (".sha256", ".SHA512", ".md5", ".asc", ".sig")),
        *((f"m{end}", False) for end in (".yaml", ".yml", ".toml", ".md", ".onnx.md", ".pdf")),
        *((f"m{end}", True) for end in (".bin", ".onnx.bak", ".pt", ".onnx.old", ".weights")),
        ("other.onnx.sha256", False),
        ("m.sha256.onnx", True),
    ],
)
def test_what_is_written_about_a_model_is_no_stray(
    repository: Repository, name: str, told: bool
) -> None:
    repository.add("m")
    repository.write(name, "x")
    assert codes(repository.save().check()) == (["ART311"] if told else [])


def test_data_of_a_model_that_cannot_be_read_is_no_stray_and_another_file_is(
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


def test_what_a_model_uses_is_not_known_while_its_variant_cannot_be_read(
    repository: Repository,
) -> None:
    row = repository.add_int8("m")
    row["external_data_sha256"] = {"m.data": "0" * 64}
    repository.write("m.int8.onnx", b"\x00")
    row["int8_sha256"] = sha256(b"\x00")
    assert codes(repository.save().check()) == ["ART303"]


def test_an_unused_entry_is_removed_only_where_no_data_was_renamed(
    repository: Repository,
) -> None:
    """Of two files one is there: the entry nobody uses may be the name that the other had."""
    repository.write("a.data", data(24))
    outside = [External("a.data", tensor="a"), External("b.data", tensor="b")]
    declared = {"a.data": sha256(data(24)), "b.data": "0" * 64, "old.data": "0" * 64}
    repository.add("m", model(external=outside), external_data_sha256=declared)
    report = repository.save().check()
    assert [(f.code, f.fixes) for f in report.failing if f.code == "ART312"] == [("ART312", ())]


@pytest.mark.parametrize(
    ("count", "named"), [(3, "a.data, b.data, c.data"), (4, "a.data, b.data, c.data and 1 more")]
)
def test_three_files_are_named_and_the_rest_is_counted(
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
def test_what_other_bytes_say_is_not_written_into_the_row(
    repository: Repository, field: str, declared: str
) -> None:
    repository.add_int8("m", opset=18, **{field: declared})
    found = {f.code: f.fixes for f in repository.save().check().failing}
    assert found == {"ART302": (), "ART310": ()}
