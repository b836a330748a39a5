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

from provenance.gate.finding import Suppressed
from provenance.output import machine
from tests.support.repository import Repository, replace_once

SCHEMA = json.loads(
    resources.files("provenance.schemas").joinpath("report.schema.json").read_text()
)


def valid(report: Any) -> Any:
    value = json.loads(machine.render(machine.report(report)))
    Draft202012Validator(SCHEMA).validate(value)
    return value


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def fails(repository: Repository) -> Any:
    repository.add_sidecar(repository.add(license=5, opset=18), sha256="0" * 64)
    repository.rows.append({"own": 1})
    return repository.save().check()


def defers(repository: Repository) -> Any:
    repository.add_sidecar(repository.add(), sha256="0" * 64)
    repository.defer("SID402", ["m"])
    return repository.save().check()


def verifies(repository: Repository) -> Any:
    repository.add_ensemble()
    return repository.released().verify()


def releases(repository: Repository) -> Any:
    repository.add()
    return repository.save().release()


def fixes(repository: Repository) -> Any:
    from provenance import fix

    repository.add(opset=18)
    return fix(repository.save().config)


def is_empty(repository: Repository) -> Any:
    return repository.save().check()


@pytest.mark.parametrize("operation", [fails, defers, verifies, releases, fixes, is_empty])
def test_every_report_fits_the_schema(
    repository: Repository, operation: Callable[[Repository], Any]
) -> None:
    assert valid(operation(repository))["version"] == 1


def test_a_finding_says_where_it_is_and_what_to_do(repository: Repository) -> None:
    repository.add(opset=18)
    (finding,) = valid(repository.save().check())["findings"]
    assert finding == {
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


def test_the_schema_refuses_a_report_that_lacks_a_field(repository: Repository) -> None:
    repository.add()
    value = valid(repository.save().check())
    for field in SCHEMA["required"]:
        less = {k: v for k, v in value.items() if k != field}
        assert not Draft202012Validator(SCHEMA).is_valid(less)


def test_the_text_is_ascii_whatever_was_read(repository: Repository) -> None:
    repository.add("é\u202e\x1b", onnx="m.onnx")
    text = machine.render(machine.report(repository.save().check()))
    assert text.isascii()
    assert json.loads(text)["rows"][0]["id"] == "é\u202e\x1b"


def test_no_text_that_was_read_speaks_to_the_runner(repository: Repository) -> None:
    repository.add("###[stop-commands]x", onnx="m.onnx")
    text = machine.render(machine.report(repository.save().check()))
    assert "##" not in text
    assert json.loads(text)["rows"][0]["id"] == "###[stop-commands]x"


def test_a_finding_about_an_ensemble_names_it(repository: Repository) -> None:
    repository.add_ensemble(smoke=False)
    replace_once(repository.path("ens.json"), '"id": "ens",', '"id": "ens", "ensemble_size": 9,')
    value = valid(repository.save().check())
    assert [(f["row"], f["ensemble"]) for f in value["findings"]] == [(None, "ens")]


def test_what_was_suppressed_is_listed_with_the_rule_that_names_the_cause(
    repository: Repository,
) -> None:
    repository.add(opset=18, license=5)
    report = repository.save().check()
    finding, by = report.findings
    value = valid(replace(report, findings=(by,), suppressed=(Suppressed(finding, by),)))
    (listed,) = value["suppressed"]
    assert (listed["code"], listed["by"], listed["row"]) == ("ART310", "REG101", "m")


def test_what_was_not_judged_is_said(full: Repository) -> None:
    assert any(said.startswith("signatures") for said in valid(full.check())["not_judged"])
    said = " ".join(valid(full.released().verify())["not_judged"])
    assert "signatures" not in said
