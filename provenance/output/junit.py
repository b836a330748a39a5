# SPDX-License-Identifier: Apache-2.0
"""A report as JUnit XML, as CI servers read it: a suite for the registry, and one for each row.

A rule that found something is a test that failed, or that was skipped where a deferral covers it. A
row without either is one test that passed. Warnings are what the first test of the suite wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final
from xml.etree import ElementTree as ET

from provenance.gate.finding import Finding, Report, Verdict
from provenance.output.text import explained, place, printable

NAME: Final = "onnx-provenance"
PASSED: Final = "passed"


def render(report: Report) -> str:
    """The report. Every character that XML forbids was written as an escape."""
    by_row: dict[str | None, list[Finding]] = {None: []}
    for row in report.rows:
        by_row.setdefault(row.id, [])
    for finding in report.findings:
        by_row.setdefault(finding.row, []).append(finding)
        for other in finding.more if finding.row is not None else ():
            by_row.setdefault(other, []).append(replace(finding, row=other))
    root = _element("testsuites", {"name": NAME})
    for name, findings in by_row.items():
        suite = _suite(name or report.registry, findings)
        if name is None:
            suite.insert(0, _properties(report))
            if report.verdict is Verdict.NOTHING:
                test = _test(report.registry, "anything to verify")
                _child(test, "error", {"message": "nothing to verify", "type": "nothing"}, "")
                suite.insert(1, test)
        _count(suite, suite.findall("testcase"))
        root.append(suite)
    _count(root, root.findall("*/testcase"))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(name: str, findings: Sequence[Finding]) -> ET.Element:
    suite = _element("testsuite", {"name": name})
    deciding = [f for f in findings if _decides(f)]
    for key, found in groupby(sorted(deciding, key=_test_of), key=_test_of):
        suite.append(_finding_test(*key[:2], list(found)))
    if not deciding:
        suite.append(_test(name, PASSED))
    warnings = [f for f in findings if not _decides(f)]
    if warnings:
        # Not all readers look for what a suite wrote; all look at its tests.
        _child(suite[0], "system-out", {}, "\n".join(map(_text, warnings)))
    return suite


def _decides(finding: Finding) -> bool:
    return finding.fails or finding.deferred is not None


def _test_of(finding: Finding) -> tuple[str, str, bool]:
    """What is equal for findings that are one test: what it is about, the rule, its outcome."""
    return finding.subject, f"{finding.code} {finding.slug}", finding.deferred is None


def _finding_test(subject: str, rule: str, findings: Sequence[Finding]) -> ET.Element:
    test = _test(subject, rule)
    first = findings[0]
    text = "\n".join(map(_text, findings))
    if first.deferred is not None:
        reason = f"deferred: {explained(first.deferred)}"
        _child(test, "skipped", {"message": reason}, text)
    else:
        more = f" (and {len(findings) - 1:,} more)" if len(findings) > 1 else ""
        _child(test, "failure", {"message": first.message + more, "type": first.code}, text)
    return test


def _test(subject: str, name: str) -> ET.Element:
    return _element("testcase", {"classname": subject, "name": name})


def _text(finding: Finding) -> str:
    return f"{place(finding)}: {printable(finding.message)}\n  next: {printable(finding.help)}"


def _properties(report: Report) -> ET.Element:
    properties = _element("properties", {})
    values = [("verdict", report.verdict.value)]
    values += [("not judged", text) for text in report.not_judged]
    values += [("trust", report.trust.source)] if report.trust is not None else []
    for name, value in values:
        _child(properties, "property", {"name": name, "value": value}, "")
    return properties


def _count(element: ET.Element, tests: Iterable[ET.Element]) -> None:
    outcomes = [next(iter(test), test).tag for test in tests]
    element.set("tests", str(len(outcomes)))
    for outcome, attribute in (("failure", "failures"), ("error", "errors"), ("skipped",) * 2):
        element.set(attribute, str(outcomes.count(outcome)))


def _child(parent: ET.Element, tag: str, attributes: Mapping[str, str], text: str) -> None:
    child = _element(tag, attributes)
    child.text = text or None
    parent.append(child)


def _element(tag: str, attributes: Mapping[str, str]) -> ET.Element:
    return ET.Element(tag, {name: printable(value) for name, value in attributes.items()})
