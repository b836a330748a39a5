# SPDX-License-Identifier: Apache-2.0
"""`hash`: missing digests are filled in, and digests of other bytes are kept unless accepted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provenance.evidence import expected_statements
from tests.support.command import run_cli
from tests.support.keys import KeyPair
from tests.support.models import External, data, model
from tests.support.repository import Repository, full_repository, sha256
from tests.support.spellings import SPELLINGS, integrity
from tests.support.whole import read_whole

OTHER = sha256(b"other bytes")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


@pytest.fixture
def full(tmp_path: Path) -> Repository:
    return full_repository(tmp_path).save()


def field_of(repository: Repository, row: int, field: str = "sha256") -> Any:
    return json.loads(repository.registry.read_text("utf-8"))["models"][row][field]


@pytest.mark.parametrize("spell", SPELLINGS)
def test_a_digest_in_another_spelling_is_the_same_digest(
    full: Repository, spell: Callable[[str], str]
) -> None:
    for row in full.rows:
        for field in {"sha256", "int8_sha256"} & row.keys():
            row[field] = spell(row[field])
        for name, value in row.get("external_data_sha256", {}).items():
            row["external_data_sha256"][name] = spell(value)
    before = full.save().registry.read_bytes()
    assert run_cli("hash", "--write", cwd=full.root).code == 0
    assert full.registry.read_bytes() == before
    report = full.check()
    assert {f.code for f in report.findings} == {"REG115"}
    assert report.exit_code == 0


@pytest.mark.parametrize("spell", SPELLINGS)
def test_only_the_spelling_is_fixed(repository: Repository, spell: Callable[[str], str]) -> None:
    row = repository.add("m")
    digest = row["sha256"]
    row["sha256"] = spell(digest)
    repository.save()
    fixed = run_cli("check", "--fix", cwd=repository.root)
    assert (fixed.code, field_of(repository, 0)) == (0, digest)
    assert "REG115" not in run_cli("check", cwd=repository.root).out


@pytest.mark.parametrize("spell", [str, *SPELLINGS])
def test_a_digest_of_other_bytes_is_a_mismatch_in_every_spelling(
    repository: Repository, spell: Callable[[str], str]
) -> None:
    repository.add("m")["sha256"] = spell(OTHER)
    repository.save()
    (finding,) = repository.check().findings
    assert (finding.code, finding.fixes) == ("ART302", ())
    assert "provenance hash m --write --accept m" in finding.help
    before = repository.registry.read_bytes()
    assert run_cli("check", "--fix", cwd=repository.root).code == 1
    assert repository.registry.read_bytes() == before


def test_a_digest_of_other_bytes_is_kept_and_both_digests_are_shown(full: Repository) -> None:
    full.write("plain.onnx", model(salt=77))
    before = full.registry.read_bytes()
    for options in ((), ("--write",)):
        refused = run_cli("hash", "plain", *options, cwd=full.root)
        assert (refused.code, full.registry.read_bytes()) == (1, before)
        assert "FAILED: 1 file with another digest than the row" in refused.out
        assert "  plain: `sha256` is kept: it declares other bytes" in refused.out
        assert f"row   {full.rows[0]['sha256']}" in refused.out
        assert f"file  {sha256(model(salt=77))}" in refused.out
        assert "provenance hash plain --write --accept plain" in refused.out


def test_an_accepted_digest_is_shown_before_it_is_written(full: Repository) -> None:
    full.write("plain.onnx", model(salt=77))
    before = full.registry.read_bytes()
    shown = run_cli("hash", "--accept", "plain", cwd=full.root)
    assert (shown.code, full.registry.read_bytes()) == (1, before)
    assert "would change; use --write to change it" in shown.out
    changed = [line for line in shown.out.splitlines() if line.startswith(("+ ", "- "))]
    assert [line[0] for line in changed] == ["-", "+"]
    assert all('"sha256": "' in line for line in changed)


def test_of_an_accepted_row_only_the_digest_is_written(full: Repository) -> None:
    full.write("plain.onnx", model(salt=77))
    before = full.registry.read_text()
    written = run_cli("hash", "--write", "--accept", "plain", cwd=full.root)
    assert written.code == 0
    assert "WRITTEN: model/registry.json" in written.out
    after = full.registry.read_text()
    assert after.replace(sha256(model(salt=77)), full.rows[0]["sha256"]) == before
    again = run_cli("hash", "--write", "--accept", "plain", cwd=full.root)
    assert again.code == 0
    assert full.registry.read_text() == after


@pytest.mark.parametrize(
    "spell", [str, str.upper, "sha256:{}".format, lambda d: f"SHA-256:{d.upper()}", integrity]
)
def test_an_accepted_digest_keeps_the_spelling(
    repository: Repository, spell: Callable[[str], str]
) -> None:
    right = repository.add("m")["sha256"]
    repository.rows[0]["sha256"] = spell(OTHER)
    repository.save()
    assert run_cli("hash", "--write", "--accept", "m", cwd=repository.root).code == 0
    assert field_of(repository, 0) == spell(right)


def test_accepting_one_row_blesses_no_other(repository: Repository) -> None:
    for name in "ab":
        repository.add(name)["sha256"] = OTHER
    repository.add("c")["sha256"] = ""
    repository.save()
    assert run_cli("hash", "--write", "--accept", "b", cwd=repository.root).code == 1
    assert field_of(repository, 0) == OTHER
    assert field_of(repository, 1) == sha256(repository.path("b.onnx").read_bytes())
    assert field_of(repository, 2) == sha256(repository.path("c.onnx").read_bytes())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--accept", "nope"], "no row with the id 'nope'"),
        (["plain", "--accept", "ext"], "--accept ext: this row is not among the rows to hash"),
    ],
)
def test_a_row_that_is_not_hashed_cannot_be_accepted(
    full: Repository, arguments: list[str], message: str
) -> None:
    refused = run_cli("hash", "--write", *arguments, cwd=full.root)
    assert refused.code == 2
    assert message in refused.err


def test_an_id_that_two_rows_have_accepts_neither(repository: Repository) -> None:
    for name in "ab":
        row = repository.add(name)
        row.update(id="m", sha256=OTHER)
    before = repository.save().registry.read_bytes()
    refused = run_cli("hash", "--write", "--accept", "m", cwd=repository.root)
    assert (refused.code, repository.registry.read_bytes()) == (2, before)
    assert "--accept m: 2 rows have this id" in refused.err


def test_a_missing_file_is_not_also_a_mismatch(full: Repository) -> None:
    full.path("plain.onnx").unlink()
    refused = run_cli("hash", "--write", cwd=full.root)
    assert refused.code == 1
    assert "FAILED: 1 file could not be hashed" in refused.out
    assert "another digest than the row" not in refused.out


def test_a_row_without_an_id_is_accepted_by_its_label(repository: Repository) -> None:
    del repository.add("m")["id"]
    repository.rows[0]["sha256"] = OTHER
    repository.save()
    assert run_cli("hash", "--write", "--accept", "#0", cwd=repository.root).code == 0
    assert field_of(repository, 0) == sha256(repository.path("m.onnx").read_bytes())


@pytest.mark.parametrize(
    ("digest", "called"),
    [
        ("md5:" + "0" * 32, "an MD5 digest"),
        ("MD5=" + "0" * 32, "an MD5 digest"),
        ("0" * 32, "an MD5 digest"),
        ("1" * 40, "a SHA-1 digest"),
        ("2" * 128, "a SHA-512 digest"),
        ("sha512-" + "A" * 86 + "==", "a SHA-512 digest"),
        ("blake2b:" + "3" * 128, "a blake2b digest"),
    ],
)
@pytest.mark.parametrize("accept", [(), ("--accept", "m")])
def test_a_digest_of_another_algorithm_is_never_overwritten(
    repository: Repository, digest: str, called: str, accept: tuple[str, ...]
) -> None:
    right = repository.add("m")["sha256"]
    repository.rows[0]["sha256"] = digest
    before = repository.save().registry.read_bytes()
    refused = run_cli("hash", "--write", *accept, cwd=repository.root)
    assert (refused.code, repository.registry.read_bytes()) == (1, before)
    assert f"`sha256` is kept: it holds {called}, and only a SHA-256" in refused.out
    assert "--accept" not in refused.out
    (finding,) = repository.check().failing
    assert finding.code == "REG101"
    assert f"found {called}, " in finding.message
    # The next step, taken as it is written.
    assert 'write "" there, then: provenance hash m --write' in finding.help
    repository.rows[0]["sha256"] = ""
    repository.save()
    assert run_cli("hash", "m", "--write", cwd=repository.root).code == 0
    assert field_of(repository, 0) == right


@pytest.mark.parametrize("wrong", ["zz", "0" * 63, "sha256:" + "0" * 62, 7, ["x"], "sha256-zz=="])
def test_what_is_no_digest_is_replaced_only_when_accepted(
    repository: Repository, wrong: Any
) -> None:
    repository.add("m")["sha256"] = wrong
    before = repository.save().registry.read_bytes()
    refused = run_cli("hash", "--write", cwd=repository.root)
    assert (refused.code, repository.registry.read_bytes()) == (1, before)
    assert "it is not a digest" in refused.out
    (finding,) = repository.check().failing
    assert "provenance hash m --write --accept m" in finding.help
    assert run_cli("hash", "m", "--write", "--accept", "m", cwd=repository.root).code == 0
    assert repository.check().exit_code == 0


@pytest.mark.parametrize("empty", ["", None, " ", []])
def test_an_empty_digest_is_filled_in(repository: Repository, empty: Any) -> None:
    repository.add("m")["sha256"] = empty
    repository.save()
    shown = run_cli("hash", cwd=repository.root)
    assert shown.code == 1
    assert run_cli("hash", "--write", cwd=repository.root).code == 0
    assert repository.check().exit_code == 0


@pytest.mark.parametrize("gone", [["sha256"], ["sha256", "onnx"], ["sha256", "id"]])
def test_digests_of_external_data_are_added_to_a_row_without_a_digest(
    repository: Repository, gone: list[str]
) -> None:
    row = repository.add_external("ext")
    (name, digest), *_ = row.pop("external_data_sha256").items()
    for field in gone:
        del row[field]
    repository.save()
    added = run_cli("hash", "--write", "--add-external-data", cwd=repository.root)
    assert added.code == 1  # a row without `sha256`, or without a file, is still reported
    assert "Traceback" not in added.err
    if "onnx" not in gone:
        assert field_of(repository, 0, "external_data_sha256") == {name: digest}


@pytest.mark.parametrize("value", ["text", 7])
def test_external_data_digests_that_are_no_object_are_replaced_only_when_accepted(
    repository: Repository, value: Any
) -> None:
    repository.add_external("ext", external_data_sha256=value)
    before = repository.save().registry.read_bytes()
    refused = run_cli("hash", "--write", "--add-external-data", cwd=repository.root)
    assert (refused.code, repository.registry.read_bytes()) == (1, before)
    command = "provenance hash ext --write --add-external-data --accept ext"
    assert command in refused.out
    (finding,) = repository.check().failing
    assert command in finding.help
    assert run_cli(*command.split()[1:], cwd=repository.root).code == 0
    assert repository.check().exit_code == 0


def test_no_external_data_is_added_for_a_model_that_is_not_the_declared_one(
    repository: Repository,
) -> None:
    row = repository.add_external("ext")
    del row["external_data_sha256"]
    row["sha256"] = OTHER
    before = repository.save().registry.read_bytes()
    arguments = ("hash", "--write", "--add-external-data")
    assert run_cli(*arguments, cwd=repository.root).code == 1
    assert repository.registry.read_bytes() == before
    assert run_cli(*arguments, "--accept", "ext", cwd=repository.root).code == 0
    assert repository.check().exit_code == 0


def test_a_row_that_names_no_file_is_reported(repository: Repository) -> None:
    for id in "ab":
        del repository.add(id)["onnx"]
    repository.save()
    result = run_cli("hash", cwd=repository.root)
    assert result.code == 1
    for id in "ab":
        assert f"(row {id})  the row names no file: `onnx` is missing" in result.out
    files = run_cli("hash", "--format", "json", cwd=repository.root).json["files"]
    assert [(f["row"], f["path"]) for f in files] == [("a", None), ("b", None)]


def test_nothing_is_written_where_a_key_is_repeated(repository: Repository) -> None:
    repository.add("m")["sha256"] = ""
    repository.save().edit_registry('"kind": "fr"', '"kind": "fr", "kind": "fr"')
    before = repository.registry.read_bytes()
    refused = run_cli("hash", "--write", cwd=repository.root)
    assert (refused.code, repository.registry.read_bytes()) == (2, before)
    assert "the key `kind` is repeated in an object" in refused.err


def test_data_that_two_models_of_a_row_share_is_hashed_once(repository: Repository) -> None:
    repository.write("d.data", data(24))
    repository.write("m.int8.onnx", model(external=External("d.data"), salt=9))
    row = repository.add("m", model(external=External("d.data")), quant_mode="dynamic")
    row["int8_sha256"] = ""
    repository.save()
    written = run_cli("hash", "--write", "--add-external-data", cwd=repository.root)
    assert written.code == 0
    assert written.out.count("  model/d.data  ") == 1
    assert repository.check().exit_code == 0


@pytest.mark.parametrize("spell", SPELLINGS)
def test_a_manifest_may_spell_the_digest_of_a_member_otherwise(
    full: Repository, spell: Callable[[str], str]
) -> None:
    manifest = json.loads(full.path("ens.json").read_text("utf-8"))
    for member in manifest["members"]:
        member["sha256"] = spell(member["sha256"])
    full.write("ens.json", manifest)
    assert full.check().findings == ()


@pytest.mark.parametrize("spell", SPELLINGS)
def test_a_corpus_digest_may_be_spelled_otherwise_and_is_signed_in_lower_case(
    full: Repository, spell: Callable[[str], str]
) -> None:
    for name in ("ens_seed0.json", "ens_seed_flip_PROMOTE.json"):
        document = json.loads(full.path(name).read_text("utf-8"))
        document["corpus"]["sha256"] = spell(document["corpus"]["sha256"])
        full.write(name, document)
    assert full.check().findings == ()
    evidence = read_whole(full.config)
    (seed,) = (row for row in evidence.rows if row.label == "ens_seed0")
    assert sha256(b"corpus") in json.dumps(expected_statements.seed_predicate(evidence, seed))


def test_rows_with_other_spellings_are_released_and_verified(tmp_path: Path, key: KeyPair) -> None:
    repository = Repository(tmp_path / "tree", key)
    for index, spell in enumerate(SPELLINGS):
        row = repository.add_external(f"m{index}")
        row["sha256"] = spell(row["sha256"])
        data = row["external_data_sha256"]
        data.update({name: spell(digest) for name, digest in data.items()})
        repository.add_sidecar(row)
    repository.released()
    assert {f.code for f in repository.verify().findings} == {"REG115"}
    assert repository.verify().exit_code == 0
