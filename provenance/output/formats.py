# SPDX-License-Identifier: Apache-2.0
"""The formats of reports. Each renderer is imported only when its format is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from provenance.output.text import Style

if TYPE_CHECKING:
    from provenance.gate.finding import Report

REPORT_FORMATS: Final = ("human", "json", "sarif", "junit", "github", "markdown", "sha256sums")
"""Of commands that end in a report: `check`, `verify`, `sign`, `attest`, `release`."""

RESULT_FORMATS: Final = ("human", "json")
"""Of all other commands."""


def render(
    report: Report, format: str, style: Style, *, verbose: bool = False, folder: str = ""
) -> str:
    """Return the report in one of `REPORT_FORMATS`.

    `verbose` shows every row, and every finding by itself. `folder` is the place of the tree in its
    repository, "" for its root: services that show findings in a repository take paths from there.
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
    raise ValueError(f"{format!r} is not one of {REPORT_FORMATS}")
