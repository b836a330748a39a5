# SPDX-License-Identifier: Apache-2.0
"""The output formats. Each renderer is imported only when its format is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from provenance.output.text import Style

if TYPE_CHECKING:
    from provenance.gate.finding import Report

REPORT_FORMATS: Final = ("human", "json", "sarif", "junit", "github", "markdown", "sha256sums")
"""The formats of commands whose result is a report, such as `check`, `verify` and `release`."""

RESULT_FORMATS: Final = ("human", "json")
"""The formats of all other commands."""


def render(
    report: Report, format: str, style: Style, *, verbose: bool = False, folder: str = ""
) -> str:
    """Return the report in one of `REPORT_FORMATS`.

    Args:
        report: The report.
        format: The format.
        style: The width and colours, for the format `human`.
        verbose: Whether to show every row, and every finding separately.
        folder: The path of the tree in its repository, "" for the root. Services that show
            findings in a repository expect paths relative to its root.

    Raises:
        ValueError: If the format is unknown.
    """
    match format:
        case "human":
            from provenance.output import human

            return human.render(report, style, verbose=verbose)
        case "json":
            from provenance.output import machine

            return machine.render(machine.report(report))
        case "sarif":
            from provenance.output import sarif

            return sarif.render(report, folder)
        case "junit":
            from provenance.output import junit

            return junit.render(report)
        case "github":
            from provenance.output import github

            return github.render(report, folder)
        case "markdown":
            from provenance.output import markdown

            return markdown.render(report)
        case "sha256sums":
            from provenance.output import sha256sums

            return sha256sums.render(report)
    raise ValueError(f"unknown format {format!r}, expected one of {REPORT_FORMATS}")
