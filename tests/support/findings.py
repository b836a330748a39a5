# SPDX-License-Identifier: Apache-2.0
"""Findings of a report as a test compares them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from provenance.gate.finding import Finding
from tests.support.repository import Repository


def listed(findings: Iterable[Finding]) -> str:
    """The findings in their order, each as `CODE` or `CODE row`, joined by commas."""
    return ", ".join(f"{f.code} {f.row}" if f.row else f.code for f in findings)


def shown(finding: Finding) -> str:
    """Path, message and help in one line, with an end of line.

    A test that names the borders, `: ` and ` ->` or ` -> ` and the end, compares a whole part.
    """
    return f"{finding.path}: {finding.message} -> {finding.help}\n"


def only(report: Any, code: str = "") -> Finding:
    """The one failing finding, or the one with a code."""
    (found,) = (f for f in report.failing if f.code.startswith(code))
    assert isinstance(found, Finding)
    return found


def line_of(finding: Finding, repository: Repository) -> str:
    """The line of a document that a finding points at, stripped."""
    assert finding.position is not None
    lines = (repository.root / finding.path).read_text("utf-8").splitlines()
    return lines[finding.position.line - 1].strip()
