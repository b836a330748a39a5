# SPDX-License-Identifier: Apache-2.0
"""The frozen JSON of a report."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from provenance import fix
from provenance.gate.finding import Suppressed
from provenance.output import machine
from tests.support import reports
from tests.support.repository import Repository

SCHEMA = json.loads(
    resources.files("provenance.schemas").joinpath("report.schema.json").read_text()
)


def valid(report: Any) -> Any:
    value = json.loads(machine.render(machine.report(report)))
    Draft202012Validator(SCHEMA).validate(value)
    return value


def releases(repository: Repository) -> Any:
    repository.add()
    return repository.save().release()


def fixes(repository: Repository) -> Any:
    repository.add(opset=18)
    return fix(repository.save().config)


@pytest.mark.parametrize("operation", [*reports.REPORTS, releases, fixes])
def test_every_report_fits_the_schema(
    repository: Repository, operation: Callable[[Repository], Any]
) -> None:
    assert valid(operation(repository))["version"] == 1


def test_the_schema_is_valid_and_refuses_a_report_without_a_field(repository: Repository) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    value = valid(reports.with_error(repository))
    for field in SCHEMA["required"]:
        less = {k: v for k, v in value.items() if k != field}
        assert not Draft202012Validator(SCHEMA).is_valid(less)


def test_a_finding_has_its_location_and_the_next_step(repository: Repository) -> None:
    assert valid(reports.with_error(repository))["findings"] == [
        {
            "code": "ART310",
            "slug": "opset-mismatch",
            "severity": "error",
            "row": "m",
            "ensemble": None,
            "path": "model/registry.json",
            "line": 8,
            "column": 16,
            "about": "model/registry.json",
            "message": "`opset` is 18; m.onnx imports opset 17",
            "help": 'Write "opset": 17: provenance check --fix',
            "deferred": None,
        }
    ]


def test_a_finding_about_an_ensemble_names_it(repository: Repository) -> None:
    (found,) = valid(reports.with_ensemble_error(repository))["findings"]
    assert (found["row"], found["ensemble"]) == (None, "ens")


@pytest.mark.parametrize("id", ["é\u202e\x1b", "###[stop-commands]x"])
def test_text_from_files_is_ascii_and_no_command_to_a_runner(
    repository: Repository, id: str
) -> None:
    repository.add(id, onnx="m.onnx")
    text = machine.render(machine.report(repository.save().check()))
    assert text.isascii()
    assert "##" not in text
    assert json.loads(text)["rows"][0]["id"] == id


def test_a_suppressed_finding_is_listed_with_the_rule_that_suppresses_it(
    repository: Repository,
) -> None:
    repository.add(opset=18, license=5)
    report = repository.save().check()
    finding, by = report.findings
    value = valid(replace(report, findings=(by,), suppressed=(Suppressed(finding, by),)))
    (listed,) = value["suppressed"]
    assert (listed["code"], listed["by"], listed["row"]) == ("ART310", "REG101", "m")


def test_signatures_are_listed_where_they_were_not_judged(full: Repository) -> None:
    assert any(said.startswith("signatures") for said in valid(full.check())["not_judged"])
    assert "signatures" not in " ".join(valid(full.released().verify())["not_judged"])
