# SPDX-License-Identifier: Apache-2.0
"""Fields of rows, at the edges of what they may be, and where each finding about one stands."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any, Final

import pytest

from provenance.artifacts import digest, limits
from provenance.artifacts.paths import Tree
from provenance.artifacts.registry import Registry
from provenance.config import Config
from provenance.evidence.evidence import Evidence
from provenance.gate.rules.case import Case
from provenance.gate.rules.registry import is_malformed, outside
from provenance.signing.trust_table import TrustTable
from tests.support.repository import Repository, codes

DIGEST = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("field", "right", "wrong"),
    [
        ("id", ["x", "x" * 128, "a b", "é", "模型"], ["", "x" * 129, 7, None, ["x"]]),
        ("id", [], [" x", "x ", "\u00a0x", "a\nb", "a\tb", "a\x1b[31mb", "a\x07b", "a\x7fb"]),
        ("id", [], ["a\u200bb", "a\u202eb", "a\u2028b", "a\u0085b", "\ufeffa"]),
        ("kind", ["fr", ""], [7, None, True]),
        ("onnx", ["m.onnx", ".onnx"], ["m.onnx.data", "m", "", 7, None, ["m.onnx"]]),
        ("sha256", [DIGEST, DIGEST.upper(), f"sha256:{DIGEST}"], [DIGEST[1:], "", 7, None]),
        ("sha256", [], [f"md5:{DIGEST[:32]}", DIGEST[:32], DIGEST * 2, f"sha512:{DIGEST}"]),
        ("int8_sha256", [DIGEST], [DIGEST[1:], "", None]),
        (
            "external_data_sha256",
            [{}, {"a": DIGEST}, {"a": DIGEST, "b": DIGEST}],
            [[], [DIGEST], DIGEST, None, {"a": DIGEST, "b": "x"}, {"a": None}],
        ),
        ("opset", [17, 0, -1], [True, False, 17.0, "17", None]),
        ("smoke", [True, False], [1, 0, "true", None]),
        ("quant_mode", ["fp32", "fp16", "bf16", "none", "static", "dynamic", "qat"], [8, None, []]),
        ("quant_mode", [], ["dynmic", "Dynamic", "dynamic ", "int8", "", {}, True]),
        ("license", ["MIT", ""], [7, None, ["MIT"]]),
        ("license_url", ["LICENSE"], [7, None]),
        (
            "sigstore_bundle",
            ["", "../b/m.onnx.sigstore.json", ".sigstore.json"],
            ["m.json", "m.sigstore.json5", 7, 0, None],
        ),
        ("notes", ["x"], [7, None]),
        ("description", ["x"], [7, None]),
        ("own", [7, None, [], {}], []),
    ],
)
def test_what_a_field_of_a_row_may_be(field: str, right: list[Any], wrong: list[Any]) -> None:
    assert [v for v in right if is_malformed(field, v)] == []
    assert [v for v in wrong if not is_malformed(field, v)] == []


@pytest.mark.parametrize(("count", "findings"), [(19, 19), (20, 20), (21, 21), (25, 21)])
def test_twenty_invalid_entries_are_reported_one_by_one(
    repository: Repository, count: int, findings: int
) -> None:
    repository.add("m")
    repository.save()
    registry = json.loads(repository.registry.read_text("utf-8"))
    registry["models"] += ["x"] * count
    text = repository.write("registry.json", registry).read_text("utf-8").splitlines()
    found = repository.check().failing
    assert [f.code for f in found] == ["REG101"] * findings
    rest = [f for f in found if f.row is None]
    assert len(rest) == (1 if count > 20 else 0)
    for finding in rest:
        assert finding.message == f"{count} entries of `models` are not rows (objects)"
        assert finding.position is not None
        first = text.index('    "x",') + 1
        assert finding.position.line == first + 20


@pytest.mark.parametrize(
    ("value", "shown"),
    [("x" * 60, repr("x" * 60)), ("x" * 61, repr("x" * 60) + "…"), ("", "''"), (7, "a number")],
)
def test_what_was_found_is_shown_in_60_characters(
    repository: Repository, value: Any, shown: str
) -> None:
    repository.add("m")["sha256"] = value
    (finding,) = (f for f in repository.save().check().failing if f.code == "REG101")
    assert finding.message.endswith(f"found {shown}")


def test_an_id_that_is_too_long_is_not_shown_in_full(repository: Repository) -> None:
    repository.add("m")["id"] = "x" * 5000
    (finding,) = repository.save().check().failing
    assert (finding.code, finding.row) == ("REG101", "#0")
    assert len(finding.message) < 300


def test_an_unknown_mode_is_reported_with_the_known_modes(
    repository: Repository,
) -> None:
    repository.add("m", quant_mode="Dynamic")
    (finding,) = repository.save().check().failing
    assert finding.message == (
        "field `quant_mode`: expected dynamic, qat, static (the runtime opens the int8 variant), "
        "or fp32, fp16, bf16, none, found 'Dynamic'"
    )


def test_two_bundles_that_differ_in_case_are_one_on_some_disks(repository: Repository) -> None:
    repository.add("m")
    repository.add("n", sigstore_bundle="../bundles/M.ONNX.sigstore.json")
    (finding,) = repository.save().check().failing
    assert (finding.code, finding.row) == ("REG108", "n")
    assert finding.message == (
        "'bundles/M.ONNX.sigstore.json' is also the path of a document of row 'm' "
        "('bundles/m.onnx.sigstore.json'), if the disk ignores case"
    )


def test_a_field_that_is_misspelt_is_named_by_its_nearest(repository: Repository) -> None:
    row = repository.add("m")
    row["sha265"], row["shaa"] = row.pop("sha256"), "x"
    (finding,) = repository.save().check().failing
    assert finding.help == "Did you mean `sha256` instead of `sha265`?"


def test_a_duplicate_id_is_reported_after_a_row_without_an_id(repository: Repository) -> None:
    repository.add("m")
    del repository.add("n")["id"]
    repository.add("m", onnx="o.onnx")
    found = [f.code for f in repository.save().check().failing]
    assert found.count("REG102") == 1


@pytest.mark.parametrize(
    ("text", "row", "line", "column"),
    [
        ('{"models": [{"id": "m",\n "a": 1,\n   "a": 2}]}', "m", 3, 4),
        ('{"models": [{"id": "m", "o": {"a": 1,\n "a": 2}}]}', "m", 2, 2),
        ('{"a": 1,\n"a": 2,\n"models": [{"id": "m"}]}', None, 2, 1),
        ('{"others": [{"a": 1,\n "a": 2}],\n"models": [{"id": "m"}]}', None, 2, 2),
        ('{"drafts": [{"a": 1,\n "a": 2}],\n"models": [{"id": "m"}]}', None, 2, 2),
        ('{"o": {"a": 1,\n "a": 2},\n"models": [{"id": "m"}]}', None, 2, 2),
    ],
)
def test_a_repeated_key_is_reported_at_its_second_place(
    repository: Repository, text: str, row: str | None, line: int, column: int
) -> None:
    """Of a row it is told only where it stands in the list of rows, not in another list."""
    repository.add("m")
    repository.save()
    repository.write("registry.json", text)
    (finding,) = (f for f in repository.check().findings if f.code == "REG103")
    assert finding.position is not None
    assert (finding.row, finding.position.line, finding.position.column) == (row, line, column)


CASE: Final = Case(
    Evidence(
        Tree(Path("/repository")),
        Registry("model/r.json", b"{}", digest.of_bytes(b""), ()),
        (),
        whole=True,
    ),
    None,
    Config(Path("/"), "c.toml", "model/r.json", TrustTable(), (), "", "", Path("/")),
    datetime.date(2026, 6, 30),
)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("m.sigstore.json", None),
        ("../m.sigstore.json", None),
        ("..m.sigstore.json", None),
        ("../..m.sigstore.json", None),
        (".", None),
        ("..", None),  # the repository itself
        ("../..", "leaves the repository"),
        ("../../m.sigstore.json", "leaves the repository"),
        ("a/../m.sigstore.json", None),
        ("a/../m.onnx", "climbs with '..'"),
        ("..m.onnx", None),
        ("a../m.onnx", None),
    ],
)
def test_a_path_stays_in_the_repository(value: str, reason: str | None) -> None:
    assert outside(CASE, value) == reason


@pytest.mark.parametrize(("more", "told"), [(-1, False), (0, True), (1, True)])
def test_a_registry_is_too_large_for_its_consumer_from_its_limit_on(
    repository: Repository, more: int, told: bool
) -> None:
    repository.add("m", notes="")
    repository.save()
    text = repository.registry.read_text("utf-8")
    padding = "x" * (limits.CONSUMER_REGISTRY - len(text) + more)
    repository.edit_registry('"notes": ""', f'"notes": "{padding}"')
    assert ("REG106" in {f.code for f in repository.check().findings}) is told


def test_the_order_of_two_fields_counts_in_a_row_that_has_no_others(
    repository: Repository,
) -> None:
    row = repository.add("m")
    repository.rows[0] = {f: row[f] for f in ("sigstore_bundle", "onnx")}
    assert "REG105" in codes(repository.save().check())


def test_a_seed_with_two_documents_at_one_path_is_reported_once(repository: Repository) -> None:
    """The bundle and the attestation of the second are where those of the first go."""
    rows = repository.add_ensemble("ens", 2)
    rows[1]["sigstore_bundle"] = rows[0]["sigstore_bundle"]
    assert [(f.code, f.row) for f in repository.save().check().failing] == [("REG108", "ens_seed1")]


def test_a_seed_whose_bundle_is_its_attestation_is_reported(repository: Repository) -> None:
    (row,) = repository.add_ensemble("ens", 1)
    row["sigstore_bundle"] = f"../bundles/{row['onnx']}.provenance.sigstore.json"
    assert codes(repository.save().check()) == ["REG108"]


def test_a_row_without_a_path_shares_no_bundle(repository: Repository) -> None:
    for id in "abc":
        repository.add(id)
    del repository.rows[0]["sigstore_bundle"]
    repository.rows[2]["sigstore_bundle"] = repository.rows[1]["sigstore_bundle"]
    assert codes(repository.save().check()) == ["LIC203", "REG108"]


def test_a_path_outside_the_repository_is_reported_once(repository: Repository) -> None:
    for id in "ab":
        repository.add(id)["sigstore_bundle"] = "../../same.sigstore.json"
    assert codes(repository.save().check()) == ["REG107", "REG107"]


@pytest.mark.parametrize(
    ("field", "help"),
    [
        ("id", "Add `id`."),
        ("onnx", 'Write "onnx": "m.onnx" above `sigstore_bundle`.'),
        ("sha256", 'Add "sha256": "", then: provenance hash --write'),
    ],
)
def test_a_field_that_is_missing_is_added_and_a_digest_is_computed(
    repository: Repository, field: str, help: str
) -> None:
    del repository.add("m")[field]
    found = [f.help for f in repository.save().check().failing if f.code == "REG101"]
    assert found == [help]


@pytest.mark.parametrize("field", ["description", "notes"])
@pytest.mark.parametrize(("value", "found"), [({"a": 1}, "an object"), (7, "a number")])
def test_a_field_of_another_type_is_corrected(
    repository: Repository, field: str, value: Any, found: str
) -> None:
    repository.add("m", **{field: value})
    (finding,) = repository.save().check().failing
    assert finding.message == f"field `{field}`: expected a string, found {found}"
    assert finding.help == f"Correct `{field}`."


def test_a_shared_bundle_is_reported_after_an_invalid_path(repository: Repository) -> None:
    for id in "abc":
        repository.add(id)["sigstore_bundle"] = "same.sigstore.json"
    repository.rows[0]["sigstore_bundle"] = "none.json"
    found = [(f.code, f.row) for f in repository.save().check().failing]
    assert found == [("REG101", "a"), ("REG108", "c")]


@pytest.mark.parametrize("names", [("a", "A"), ("A", "a"), ("a", "a")])
def test_bundles_that_differ_in_case_are_one_on_some_disks(
    repository: Repository, names: tuple[str, str]
) -> None:
    for id, name in zip("xy", names, strict=True):
        repository.add(id)["sigstore_bundle"] = f"{name}.sigstore.json"
    (found,) = repository.save().check().failing
    assert (found.code, found.row) == ("REG108", "y")
    assert ("if the disk ignores case" in found.message) == (names[0] != names[1])
