# SPDX-License-Identifier: Apache-2.0
"""Fields of rows: what they may be, and where each finding about one is reported."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any, Final

import pytest

from provenance.artifacts import limits
from provenance.artifacts.paths import Tree
from provenance.config import Config
from provenance.evidence.evidence import Evidence
from provenance.gate.rules.case import Case
from provenance.gate.rules.registry import is_malformed, outside
from provenance.registry.mapping import stock
from provenance.registry.reading import nowhere
from provenance.signing.trust_table import TrustTable
from tests.support.findings import listed, only, shown
from tests.support.repository import Repository, codes

DIGEST: Final = "0123456789abcdef" * 4
ABSENT: Final = object()


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
def test_values_of_a_field(field: str, right: list[Any], wrong: list[Any]) -> None:
    assert [v for v in right if is_malformed(field, v)] == []
    assert [v for v in wrong if not is_malformed(field, v)] == []


@pytest.mark.parametrize(("count", "findings"), [(19, 19), (20, 20), (21, 21), (25, 21)])
def test_twenty_invalid_entries_are_reported_one_by_one(
    repository: Repository, count: int, findings: int
) -> None:
    repository.add("m")
    repository.rows += ["x"] * count  # type: ignore[list-item]
    found = repository.save().check().failing
    assert [f.code for f in found] == ["REG101"] * findings
    rest = [f for f in found if f.row is None]
    assert len(rest) == (1 if count > 20 else 0)
    for finding in rest:
        assert finding.message == f"{count} entries of `models` are not rows (objects)"
        lines = repository.registry.read_text("utf-8").splitlines()
        assert finding.position.line == lines.index('    "x",') + 1 + 20


@pytest.mark.parametrize(
    ("fields", "message", "help"),
    [
        *(
            ({"sha256": value}, f"found {shown}", "")
            for value, shown in (
                ("x" * 60, repr("x" * 60)),
                ("x" * 61, repr("x" * 60) + "…"),
                ("", "''"),
                (7, "a number"),
            )
        ),
        (
            {"quant_mode": "Dynamic"},
            ": field `quant_mode`: expected dynamic, qat, static (the runtime opens the int8 "
            "variant), or fp32, fp16, bf16, none, found 'Dynamic'",
            "",
        ),
        *(
            (
                {name: value},
                f": field `{name}`: expected a string, found {shown}",
                f"Correct `{name}`.",
            )
            for name in ("description", "notes")
            for value, shown in (({"a": 1}, "an object"), (7, "a number"))
        ),
        ({"id": ABSENT}, "", "Add `id`."),
        ({"onnx": ABSENT}, "", 'Write "onnx": "m.onnx" above `sigstore_bundle`.'),
        ({"sha256": ABSENT}, "", 'Add "sha256": "", then: provenance hash --write'),
        (
            {"sha256": ABSENT, "sha265": DIGEST, "shaa": "x"},
            "",
            "Did you mean `sha256` instead of `sha265`?",
        ),
    ],
)
def test_malformed_field_is_reported_with_the_next_step(
    repository: Repository, fields: dict[str, Any], message: str, help: str
) -> None:
    row = repository.add("m")
    for name, value in fields.items():
        row[name] = value
        if value is ABSENT:
            del row[name]
    finding = only(repository.save().check(), "REG101")
    assert f"{message} ->" in shown(finding) or not message
    assert not help or finding.help == help


def test_long_id_is_cut_in_the_message(repository: Repository) -> None:
    repository.add("m")["id"] = "x" * 5000
    finding = only(repository.save().check())
    assert (finding.code, finding.row) == ("REG101", "#0")
    assert len(finding.message) < 300


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
def test_repeated_key_is_reported_at_its_second_place(
    repository: Repository, text: str, row: str | None, line: int, column: int
) -> None:
    """Only a key in the list of rows is reported for a row."""
    repository.add("m")
    repository.save()
    repository.write("registry.json", text)
    (finding,) = (f for f in repository.check().findings if f.code == "REG103")
    found = (finding.row, finding.position.line, finding.position.column)
    assert found == (row, line, column)


CASE: Final = Case(
    Evidence(
        Tree(Path("/repository")),
        nowhere("model/r.json"),
        (),
        whole=True,
    ),
    None,
    Config(Path("/"), "c.toml", (stock("model/r.json"),), TrustTable(), (), "", "", Path("/")),
    datetime.date(2026, 6, 30),
)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        *(
            (path, None)
            for path in (
                *("m.sigstore.json", "../m.sigstore.json", "..m.sigstore.json"),
                *("../..m.sigstore.json", ".", "a/../m.sigstore.json", "..m.onnx", "a../m.onnx"),
            )
        ),
        ("..", None),  # the repository itself
        ("../..", "leaves the repository"),
        ("../../m.sigstore.json", "leaves the repository"),
        ("a/../m.onnx", "climbs with '..'"),
    ],
)
def test_path_stays_in_the_repository(value: str, reason: str | None) -> None:
    assert outside(CASE, value) == reason


@pytest.mark.parametrize(("more", "reported"), [(-1, False), (0, True), (1, True)])
def test_registry_of_the_limit_is_too_large_for_its_consumer(
    repository: Repository, more: int, reported: bool
) -> None:
    repository.add("m", notes="")
    repository.save()
    text = repository.registry.read_text("utf-8")
    padding = "x" * (limits.CONSUMER_REGISTRY - len(text) + more)
    repository.edit_registry('"notes": ""', f'"notes": "{padding}"')
    assert ("REG106" in {f.code for f in repository.check().findings}) is reported


BUNDLE: Final = ".sigstore.json"
SEED: Final = "../bundles/ens_seed0.onnx"


@pytest.mark.parametrize(
    ("bundles", "expected"),
    [
        ([None, "x", "x"], "LIC203 a, REG108 c"),
        (["../../x", "../../x"], "REG107 a, REG107 b"),
        (["x.json", "x", "x"], "REG101 a, REG108 c"),  # "x.json.sigstore.json" is valid
        (["x", "X"], "REG108 b"),
        (["X", "x"], "REG108 b"),
        (["x", "x"], "REG108 b"),
    ],
)
def test_shared_path_of_a_bundle_is_reported_once(
    repository: Repository, bundles: list[str | None], expected: str
) -> None:
    for id, name in zip("abc", bundles, strict=False):
        row = repository.add(id)
        row["sigstore_bundle"] = f"{name}{BUNDLE}"
        if name is None:
            del row["sigstore_bundle"]
        if name == "x.json":
            row["sigstore_bundle"] = name
    report = repository.save().check()
    assert listed(report.failing) == expected
    if bundles[:2] == ["x", "X"]:
        assert only(report).message == (
            "'model/X.sigstore.json' is also the path of a document of row 'a' "
            "('model/x.sigstore.json'), if the disk ignores case"
        )
    if bundles == ["x", "x"]:
        assert "if the disk ignores case" not in only(report).message


@pytest.mark.parametrize(
    ("seeds", "bundle", "expected"),
    [
        (2, f"{SEED}{BUNDLE}", "REG108 ens_seed1"),  # and so is its attestation
        (1, f"{SEED}.provenance{BUNDLE}", "REG108 ens_seed0"),
    ],
)
def test_bundle_at_the_path_of_an_attestation_is_reported_once(
    repository: Repository, seeds: int, bundle: str, expected: str
) -> None:
    repository.add_ensemble("ens", seeds)[-1]["sigstore_bundle"] = bundle
    assert listed(repository.save().check().failing) == expected


def test_order_counts_in_a_row_of_two_fields(repository: Repository) -> None:
    row = repository.add("m")
    repository.rows[0] = {f: row[f] for f in ("sigstore_bundle", "onnx")}
    assert "REG105" in codes(repository.save().check())


def test_duplicate_id_is_reported_after_a_row_without_an_id(repository: Repository) -> None:
    repository.add("m")
    del repository.add("n")["id"]
    repository.add("m", onnx="o.onnx")
    assert codes(repository.save().check()).count("REG102") == 1
