# SPDX-License-Identifier: Apache-2.0
"""Text for people: colour where it is wanted, and no control characters from what was read.

Many names take little room: `seed0…4` are five that follow each other.
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

_TO_A_RUNNER: Final = re.compile(r"(?<!\S):(?=:)|#(?=#)")
_NUMBERED: Final = re.compile(r"(0|[1-9][0-9]{0,8})([^0-9]*)$")
_LONGEST: Final = 300
"""Characters of a name that is looked at: a number is searched for in it."""

MOST: Final = 60
"""So many are listed; the others are counted."""

_RED, _ORANGE, _GREEN, _GREY = 196, 166, 64, 244
"""Of the 256 colours: each has a contrast of 3.8 or more on white and on black alike. The first 16
are the terminal's own, and their yellow and green cannot be read on white in most."""


@dataclass(frozen=True, slots=True)
class Style:
    """How text is shown. `width` is in columns."""

    colour: bool = False
    width: int = 100

    def error(self, text: str) -> str:
        """What fails."""
        return self._paint(text, fg=_RED, bold=True)

    def warning(self, text: str) -> str:
        """What is only shown."""
        return self._paint(text, fg=_ORANGE, bold=True)

    def good(self, text: str) -> str:
        """What is verified."""
        return self._paint(text, fg=_GREEN, bold=True)

    def quiet(self, text: str) -> str:
        """What is less important."""
        return self._paint(text, fg=_GREY)

    def strong(self, text: str) -> str:
        """A heading or name."""
        return self._paint(text, bold=True)

    def wrapped(self, text: str, indent: int, hang: int | None = None) -> list[str]:
        """Plain text in lines, of which there is always one; no path and no digest is broken."""
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
    """`text` on one line, with control and bidirectional characters written as escapes.

    Row ids, paths and notes come from files that are hostile until shown otherwise: none may move
    the cursor, colour the verdict, start a line of its own, or speak to the runner whose log it is
    written to. Runners obey `::command::` where a line starts with it, and `##[command]` anywhere.
    """
    return _TO_A_RUNNER.sub(lambda match: _escaped(match[0]), visible(text))


def diff_lines(diff: str, style: Style) -> list[str]:
    """The lines of a unified diff: what is added in one colour, what is removed in another."""
    paints = {"+": style.good, "-": style.error}
    lines = diff.removesuffix("\n").split("\n") if diff else []
    shown = ((line[:1], printable(line.removesuffix("\r").expandtabs(4))) for line in lines)
    return [paints.get(mark, style.quiet)(text) for mark, text in shown]


def visible(text: str) -> str:
    """Return `text` with control, bidirectional and other invisible characters as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return f"\\u{ord(character):04x}"


def place(finding: Finding) -> str:
    """A finding's place as terminals and editors link it: `path:line:column`."""
    position = finding.position
    where = f":{position.line}:{position.column}" if position else ""
    return f"{printable(finding.path)}{where}"


def explained(deferral: Deferral) -> str:
    """The reason of a deferral, the decision that it refers to, and its last day."""
    last = f", until {deferral.expires}" if deferral.expires else ""
    return f"{deferral.reason} ({deferral.reference}{last})"


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


def joined(names: Iterable[str]) -> str:
    """Names with commas; of each run that differs in its last number, first and last."""
    return some(runs(names))


def some(items: Iterable[str]) -> str:
    """Items with commas, and how many more there are."""
    found = list(items)
    more = f" and {len(found) - MOST:,} more" if len(found) > MOST else ""
    return ", ".join(found[:MOST]) + more


def runs(names: Iterable[str]) -> Iterator[str]:
    """The names; those that differ only in a last number, and count up by one, as one."""
    pending: list[tuple[str, int, str]] = []
    for name in names:
        match = _NUMBERED.search(name) if len(name) <= _LONGEST else None
        here = (name[: match.start()], int(match[1]), match[2]) if match else None
        if pending and here != _after(pending[-1]):
            yield from _told(pending)
            pending.clear()
        if here is None:
            yield name
        else:
            pending.append(here)
    yield from _told(pending)


def _after(last: tuple[str, int, str]) -> tuple[str, int, str]:
    return last[0], last[1] + 1, last[2]


def _told(run: list[tuple[str, int, str]]) -> Iterator[str]:
    if len(run) > 2:
        yield f"{run[0][0]}{run[0][1]}…{run[-1][1]}{run[0][2]}"
    else:
        yield from (f"{before}{number}{after}" for before, number, after in run)
