# SPDX-License-Identifier: Apache-2.0
"""Text for people: colour where it is wanted, and no control characters from what was read."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import click


@dataclass(frozen=True, slots=True)
class Style:
    """How text is shown. `width` is in columns."""

    colour: bool = False
    width: int = 100

    def error(self, text: str) -> str:
        """What fails."""
        return self._paint(text, fg="red", bold=True)

    def warning(self, text: str) -> str:
        """What is only shown."""
        return self._paint(text, fg="yellow", bold=True)

    def good(self, text: str) -> str:
        """What is verified."""
        return self._paint(text, fg="green", bold=True)

    def quiet(self, text: str) -> str:
        """What is less important."""
        return self._paint(text, dim=True)

    def strong(self, text: str) -> str:
        """A heading or name."""
        return self._paint(text, bold=True)

    def fill(self, text: str, indent: int, hang: int | None = None) -> str:
        """Plain text, wrapped; paths and digests are never broken."""
        return textwrap.fill(
            text,
            max(40, self.width),
            initial_indent=" " * indent,
            subsequent_indent=" " * (indent if hang is None else hang),
            break_long_words=False,
            break_on_hyphens=False,
        )

    def diff(self, text: str) -> list[str]:
        """The lines of a difference, what is added apart from what is removed."""
        paint = {"+": self.good, "-": self.error}
        lines = (line.expandtabs(4) for line in text.splitlines())
        return [paint.get(line[:1], self.quiet)(printable(line)) for line in lines]

    def _paint(self, text: str, **how: object) -> str:
        return click.style(text, **how) if self.colour else text  # type: ignore[arg-type]


def printable(text: str) -> str:
    """`text` on one line, with control and bidirectional characters written as escapes.

    Row ids, paths and notes come from files that are hostile until shown otherwise: none may move
    the cursor, colour the verdict, or start a line of its own.
    """
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def count(number: int, noun: str) -> str:
    """A number with its noun: "1 row", "2 rows"."""
    plural = noun[:-1] + "ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def size(number: int | None) -> str:
    """A size in bytes as people read it."""
    if number is None:
        return ""
    value = float(number)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:,.0f} {unit}" if unit == "B" else f"{value:,.1f} {unit}"
        value /= 1024
    return f"{value:,.1f} GiB"
