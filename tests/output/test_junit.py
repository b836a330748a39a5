# SPDX-License-Identifier: Apache-2.0
"""JUnit XML, parsed with a library that CI tools use."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from provenance.gate.finding import Report
from provenance.output import junit
from tests.support import reports
from tests.support.models import model
from tests.support.reports import failed_row, finding, report_of
from tests.support.repository import Repository


def parsed(report: Report) -> JUnitXml:
    """Parse the report with junitparser, and check its numbers of tests."""
    xml = JUnitXml.fromstring(junit.render(report).encode("utf-8"))
    stated = {s.name: (s.tests, s.failures, s.errors, s.skipped) for s in xml}
    total = (xml.tests, xml.failures, xml.errors, xml.skipped)
    xml.update_statistics()  # type: ignore[no-untyped-call]
    assert (xml.tests, xml.failures, xml.errors, xml.skipped) == total
    assert {s.name: (s.tests, s.failures, s.errors, s.skipped) for s in xml} == stated
    return xml


def suites(report: Report) -> dict[str, TestSuite]:
    return {suite.name: suite for suite in parsed(report)}


def result(test: TestCase) -> Any:
    (found,) = test.result
    return found


def test_a_clean_row_is_one_test_that_passed(full: Repository) -> None:
    found = suites(full.check())
    assert list(found) == ["model/registry.json", *(row["id"] for row in full.rows)]
    for suite in found.values():
        (test,) = suite
        assert (test.name, test.is_passed) == ("passed", True)


def test_a_rule_with_a_finding_is_a_test_that_failed(repository: Repository) -> None:
    repository.add(opset=18).pop("license")
    opset, license = suites(repository.save().check())["m"]
    assert (opset.name, license.name) == ("ART310 opset-mismatch", "LIC201 license-missing")
    assert opset.classname == "m"
    failure = result(opset)
    assert isinstance(failure, Failure)
    assert failure.type == "ART310"
    assert failure.message == "`opset` is 18; m.onnx imports opset 17"
    assert failure.text == (
        "model/registry.json:8:16: `opset` is 18; m.onnx imports opset 17\n"
        '  next: Write "opset": 17: provenance check --fix'
    )


def test_findings_of_one_rule_about_one_row_are_one_test(repository: Repository) -> None:
    repository.add(opset="17", notes=5)
    (test,) = suites(repository.save().check())["m"]
    assert result(test).message.endswith(" (and 1 more)")
    assert result(test).text.count("next: ") == 2


def test_a_deferred_finding_is_skipped_with_the_reason(repository: Repository) -> None:
    (test,) = suites(reports.with_deferral(repository))["m"]
    assert isinstance(result(test), Skipped)
    assert result(test).message == f"deferred: {reports.REASON} (ADR-1105)"
    assert "describes other bytes" in result(test).text


def test_a_warning_is_the_output_of_a_test_that_passed(repository: Repository) -> None:
    (test,) = suites(reports.with_warning(repository))["m"]
    assert test.is_passed
    assert "model/m.json:1:1: the sidecar has no `sha256`" in test.system_out


def test_findings_about_no_row_are_in_the_suite_of_the_registry(repository: Repository) -> None:
    repository.add()
    repository.write("left.onnx", model(salt=9))
    repository.defer("SID402", ["m"])
    suite = suites(repository.save().check())["model/registry.json"]
    assert {(t.classname, t.name) for t in suite} == {
        ("model/left.onnx", "ART311 stray-file"),
        ("provenance.toml", "DEF901 deferral-stale"),
    }


def test_the_registry_has_the_verdict_as_a_property(full: Repository) -> None:
    def properties(report: Report) -> dict[str, str]:
        found: Any = suites(report)["model/registry.json"]
        return {p.name: p.value for p in found.properties()}

    checked = properties(full.check())
    assert checked["verdict"] == "verified"
    assert checked["not judged"].startswith("signatures")
    judged = replace(full.released().verify(), not_judged=())
    assert properties(judged).keys() == {"verdict", "trust"}


def test_an_empty_registry_is_an_error(repository: Repository) -> None:
    xml = parsed(reports.empty(repository))
    assert xml.errors == 1
    assert any(isinstance(r, Error) for suite in xml for test in suite for r in test.result)


def test_rows_with_one_id_share_a_suite(repository: Repository) -> None:
    repository.add("m")
    repository.add("m", onnx="n.onnx")
    assert list(suites(repository.save().check())) == ["model/registry.json", "m"]


hostile = st.text(min_size=1, max_size=20)


@given(hostile, hostile, hostile)
def test_no_text_breaks_the_xml(id: str, message: str, path: str) -> None:
    found = finding(row=id, message=message, path=path, help=message)
    report = report_of(found, replace(found, row=None), rows=(failed_row(id, path),))
    assert parsed(report).failures == 2


@pytest.mark.parametrize(
    "text", ["]]>", "<![CDATA[", "&x;", "\x00\x08\x0b\x1f", "\ufffe\uffff", "\udcff"]
)
def test_what_xml_forbids_is_escaped(text: str) -> None:
    xml = parsed(report_of(finding(message=text, path=text)))
    (failure,) = [r for suite in xml for test in suite for r in test.result]
    assert all(c.isprintable() or c == "\n" for c in failure.text)
