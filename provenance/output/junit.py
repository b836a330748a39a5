# SPDX-License-Identifier: Apache-2.0
"""A report as JUnit XML for CI servers: a suite for the registry, and one for each row.

A rule with findings is a failed test, or a skipped one if a deferral covers the findings. A row
without failed or skipped tests has one passed test. Warnings are the output of the first test of
the suite.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final
from xml.etree import ElementTree as ET

from provenance.gate.finding import Finding, Report, Verdict
from provenance.output.text import explained, place, printable

NAME: Final = "onnx-provenance"
PASSED: Final = "passed"


def render(report: Report) -> str:
    """Return the report. Characters that XML forbids are escaped."""
    by_row: dict[str | None, list[Finding]] = {None: []}
    for row in report.rows:
        by_row.setdefault(row.id, [])
    for finding in report.findings:
        by_row.setdefault(finding.row, []).append(finding)
        for other in finding.more if finding.row is not None else ():
            by_row.setdefault(other, []).append(replace(finding, row=other))
    root = ET.Element("testsuites", {"name": NAME})
    for name, findings in by_row.items():
        suite = _child(root, "testsuite", name=name or report.registry)
        if name is None:
            _describe(suite, report)
        _add_tests(suite, name or report.registry, findings)
        _count(suite, suite.findall("testcase"))
    _count(root, root.findall("*/testcase"))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _describe(suite: ET.Element, report: Report) -> None:
    """Add the properties of the whole report."""
    values = [("verdict", report.verdict.value)]
    values += [("not judged", text) for text in report.not_judged]
    values += [("trust", report.trust.source)] if report.trust is not None else []
    properties = _child(suite, "properties")
    for name, value in values:
        _child(properties, "property", name=name, value=value)
    if report.verdict is Verdict.NOTHING:
        test = _child(suite, "testcase", classname=report.registry, name="anything to verify")
        _child(test, "error", message="nothing to verify", type="nothing")


def _add_tests(suite: ET.Element, name: str, findings: Sequence[Finding]) -> None:
    """Add a test for each rule with findings, or one passed test."""
    deciding = [f for f in findings if _decides(f)]
    tests = [
        _finding_test(suite, *key[:2], list(group))
        for key, group in groupby(sorted(deciding, key=_test_of), key=_test_of)
    ]
    if not tests:
        tests = [_child(suite, "testcase", classname=name, name=PASSED)]
    warnings = [f for f in findings if not _decides(f)]
    if warnings:
        # Not all readers show the output of a suite, but all show the output of its tests.
        _child(tests[0], "system-out", "\n".join(map(_text, warnings)))


def _decides(finding: Finding) -> bool:
    return finding.fails or finding.deferred is not None


def _test_of(finding: Finding) -> tuple[str, str, bool]:
    """Return what identifies the test of a finding: subject, rule, and whether it is deferred."""
    return finding.subject, f"{finding.code} {finding.slug}", finding.deferred is None


def _finding_test(
    suite: ET.Element, subject: str, rule: str, findings: Sequence[Finding]
) -> ET.Element:
    test = _child(suite, "testcase", classname=subject, name=rule)
    first = findings[0]
    text = "\n".join(map(_text, findings))
    if first.deferred is not None:
        _child(test, "skipped", text, message=f"deferred: {explained(first.deferred)}")
    else:
        more = f" (and {len(findings) - 1:,} more)" if len(findings) > 1 else ""
        _child(test, "failure", text, message=first.message + more, type=first.code)
    return test


def _text(finding: Finding) -> str:
    return f"{place(finding)}: {printable(finding.message)}\n  next: {printable(finding.help)}"


def _count(element: ET.Element, tests: Iterable[ET.Element]) -> None:
    outcomes = [next(iter(test), test).tag for test in tests]
    element.set("tests", str(len(outcomes)))
    for outcome, attribute in (("failure", "failures"), ("error", "errors"), ("skipped",) * 2):
        element.set(attribute, str(outcomes.count(outcome)))


def _child(parent: ET.Element, tag: str, text: str = "", **attributes: str) -> ET.Element:
    values = {name: printable(value) for name, value in attributes.items()}
    child = ET.SubElement(parent, tag, values)
    child.text = text or None
    return child
