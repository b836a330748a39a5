# SPDX-License-Identifier: Apache-2.0
"""Text for people: optional colours, escaped control characters, and shortened lists of names.

In a shortened list, five consecutive names become `seed0…4`.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

import click

from provenance.frozen import dataclass

if TYPE_CHECKING:
    from provenance.config import Deferral
    from provenance.gate.finding import Finding

_WORKFLOW_COMMAND: Final = re.compile(r"(?<!\S):(?=:)|#(?=#)")
_NUMBERED: Final = re.compile(r"(0|[1-9][0-9]{0,8})([^0-9]*)$")
_LONGEST: Final = 300
"""The maximum length of a name in which a number is searched for, in characters."""

MOST: Final = 60
"""The maximum number of items in a list. Any further items are only counted."""

_RED, _ORANGE, _GREEN, _GREY = 196, 166, 64, 244
"""Colours of the 256-colour palette, each with a contrast of at least 3.8 on white and on black.

The first 16 colours of the palette are not used: every terminal defines its own, and most of them
show a yellow and a green that are unreadable on white.
"""


@dataclass(frozen=True, slots=True)
class Style:
    """How text is shown: with or without colours, and its width in columns."""

    colour: bool = False
    width: int = 100

    def error(self, text: str) -> str:
        """Mark text about a failure."""
        return self._paint(text, fg=_RED, bold=True)

    def warning(self, text: str) -> str:
        """Mark text about a problem that does not fail the run."""
        return self._paint(text, fg=_ORANGE, bold=True)

    def good(self, text: str) -> str:
        """Mark text about a success."""
        return self._paint(text, fg=_GREEN, bold=True)

    def quiet(self, text: str) -> str:
        """Mark text of less importance."""
        return self._paint(text, fg=_GREY)

    def strong(self, text: str) -> str:
        """Mark a heading or a name."""
        return self._paint(text, bold=True)

    def wrapped(self, text: str, indent: int, hang: int | None = None) -> list[str]:
        """Wrap plain text into one or more lines, without breaking paths or digests."""
        lines = textwrap.wrap(
            text,
            max(40, self.width),
            initial_indent=" " * indent,
            subsequent_indent=" " * (indent if hang is None else hang),
            break_long_words=False,
            break_on_hyphens=False,
        )
        return lines or [" " * indent]

    def _paint(self, text: str, fg: int | None = None, bold: bool | None = None) -> str:
        return click.style(text, fg=fg, bold=bold) if self.colour else text


def printable(text: str) -> str:
    """Return untrusted text on one line, with control and bidirectional characters escaped.

    Row ids, paths and notes come from files that may be hostile. They must not move the cursor,
    colour the verdict, start a new line, or give commands to a CI runner that reads the log.
    Runners execute `::command::` at the start of a line, and `##[command]` anywhere.
    """
    return _WORKFLOW_COMMAND.sub(lambda match: _escaped(match[0]), visible(text))


def diff_lines(diff: str, style: Style) -> list[str]:
    """Return the lines of a unified diff, with added and removed lines in different colours."""
    paints = {"+": style.good, "-": style.error}
    lines = diff.removesuffix("\n").split("\n") if diff else []
    shown = ((line[:1], printable(line.removesuffix("\r").expandtabs(4))) for line in lines)
    return [paints.get(mark, style.quiet)(text) for mark, text in shown]


def visible(text: str) -> str:
    """Return `text` with control, bidirectional and other invisible characters escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return f"\\u{ord(character):04x}"


def place(finding: Finding) -> str:
    """Return the place of a finding as `path:line:column`, which terminals and editors link."""
    position = finding.position
    where = f":{position.line}:{position.column}" if position else ""
    return f"{printable(finding.path)}{where}"


def explained(deferral: Deferral) -> str:
    """Return the reason of a deferral, the decision that it refers to, and its last day if any."""
    last = f", until {deferral.expires}" if deferral.expires else ""
    return f"{deferral.reason} ({deferral.reference}{last})"


def count(number: int, noun: str) -> str:
    """Return a number with its noun, such as "1 row" or "2 rows"."""
    plural = noun[:-1] + "ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def size(number: int | None) -> str:
    """Return a number of bytes with a unit, such as "1.0 KiB"; "" for None."""
    if number is None:
        return ""
    value = float(number)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:,.0f} {unit}" if unit == "B" else f"{value:,.1f} {unit}"
        value /= 1024
    return f"{value:,.1f} GiB"


def joined(names: Iterable[str]) -> str:
    """Return names separated by commas, with consecutively numbered names shortened."""
    return some(runs(names))


def some(items: Iterable[str]) -> str:
    """Return at most `MOST` items separated by commas, and the number of further items."""
    all_items = list(items)
    more = f" and {len(all_items) - MOST:,} more" if len(all_items) > MOST else ""
    return ", ".join(all_items[:MOST]) + more


def runs(names: Iterable[str]) -> Iterator[str]:
    """Yield the names, with names that differ only in a consecutive last number as one range."""
    pending: list[tuple[str, int, str]] = []
    for name in names:
        match = _NUMBERED.search(name) if len(name) <= _LONGEST else None
        here = (name[: match.start()], int(match[1]), match[2]) if match else None
        if pending and here != _after(pending[-1]):
            yield from _shortened(pending)
            pending.clear()
        if here is None:
            yield name
        else:
            pending.append(here)
    yield from _shortened(pending)


def _after(last: tuple[str, int, str]) -> tuple[str, int, str]:
    return last[0], last[1] + 1, last[2]


def _shortened(run: list[tuple[str, int, str]]) -> Iterator[str]:
    if len(run) > 2:
        yield f"{run[0][0]}{run[0][1]}…{run[-1][1]}{run[0][2]}"
    else:
        yield from (f"{before}{number}{after}" for before, number, after in run)
