# SPDX-License-Identifier: Apache-2.0
"""A unified diff for people."""

from __future__ import annotations

from provenance.output.text import Style, printable


def lines(diff: str, style: Style) -> list[str]:
    """The lines of a unified diff: what is added in one colour, what is removed in another."""
    return [_line(line, style) for line in diff.removesuffix("\n").split("\n")] if diff else []


def _line(line: str, style: Style) -> str:
    text = printable(line.removesuffix("\r").expandtabs(4))
    if line.startswith("+"):
        return style.good(text)
    return style.error(text) if line.startswith("-") else style.quiet(text)
