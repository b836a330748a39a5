# SPDX-License-Identifier: Apache-2.0
"""The formats of reports. Each renderer is imported only when its format is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from provenance.output.text import Style

if TYPE_CHECKING:
    from provenance.gate.finding import Report


@dataclass(frozen=True, slots=True)
class View:
    """How a report is shown.

    `verbose` shows every row, and every finding by itself. `folder` is the place of the tree in its
    repository, "" for its root: services that show findings in a repository take paths from there.
    """

    style: Style
    verbose: bool = False
    folder: str = ""


def _human(report: Report, view: View) -> str:
    from provenance.output import human

    return human.render(report, view.style, verbose=view.verbose)


def _json(report: Report, view: View) -> str:
    from provenance.output import machine

    return machine.render(machine.report(report))


def _sarif(report: Report, view: View) -> str:
    from provenance.output import sarif

    return sarif.render(report, view.folder)


def _junit(report: Report, view: View) -> str:
    from provenance.output import junit

    return junit.render(report)


def _github(report: Report, view: View) -> str:
    from provenance.output import github

    return github.render(report, view.folder)


def _markdown(report: Report, view: View) -> str:
    from provenance.output import markdown

    return markdown.render(report)


def _sha256sums(report: Report, view: View) -> str:
    from provenance.output import sha256sums

    return sha256sums.render(report)


REPORT_FORMATS: Final[Mapping[str, Callable[[Report, View], str]]] = {
    "human": _human,
    "json": _json,
    "sarif": _sarif,
    "junit": _junit,
    "github": _github,
    "markdown": _markdown,
    "sha256sums": _sha256sums,
}
"""Of commands that end in a report: `check`, `verify`, `sign`, `attest`, `release`."""

RESULT_FORMATS: Final = ("human", "json")
"""Of all other commands."""
