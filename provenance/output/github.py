# SPDX-License-Identifier: Apache-2.0
"""A report as workflow commands, which GitHub shows as annotations of the changed files.

GitHub shows only ten annotations of each level for a step. The first annotations therefore show
each kind of finding once, with its number of occurrences; the other occurrences follow. The log and
the step summary are always complete.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from provenance.gate.finding import Finding, Report
from provenance.output.grouping import blocks, summary
from provenance.output.text import explained, printable

SHOWN: Final = 10
"""The number of annotations of one level that GitHub shows for a step."""


def render(report: Report, folder: str = "") -> str:
    """Return the workflow commands and the verdict.

    `folder` is the path of the tree in its repository.
    """
    lines: list[str] = []
    hidden = 0
    for level, findings in (
        ("error", report.failing),
        ("warning", report.warnings),
        ("notice", report.deferred),
    ):
        lines += _annotations(level, findings, report, folder)
        hidden += max(0, len(findings) - SHOWN)
    if hidden:
        lines.append(
            f"GitHub shows {SHOWN} annotations of each level for a step; "
            f"{hidden:,} more are in this log."
        )
    lines += [f"not judged: {printable(text)}" for text in report.not_judged]
    lines.append(printable(summary(report)))
    return "\n".join(lines) + "\n"


def _annotations(
    level: str, findings: Sequence[Finding], report: Report, folder: str
) -> Iterator[str]:
    entries = [entry for block in blocks(findings, report.rows) for entry in block.entries]
    for entry in entries:
        more = len(entry.findings) - 1
        others = f" (and {more:,} more like it)" if more else ""
        yield _command(level, entry.first, others, folder)
    for entry in entries:
        for finding in entry.findings[1:]:
            yield _command(level, finding, "", folder)


def _command(level: str, finding: Finding, others: str, folder: str) -> str:
    path = f"{folder}/{finding.path}" if folder else finding.path
    properties = {"file": path}
    if finding.position is not None:
        properties |= {"line": str(finding.position.line), "col": str(finding.position.column)}
    properties["title"] = f"{finding.code} {finding.slug}"
    about = f"{finding.row}: " if finding.row else ""
    if finding.deferred is not None:
        then = f"deferred: {explained(finding.deferred)}"
    else:
        then = f"next: {finding.help}"
    text = f"{printable(about + finding.message)}{others}\n{printable(then)}"
    shown = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{level} {shown}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(printable(text)).replace(":", "%3A").replace(",", "%2C")
