# SPDX-License-Identifier: Apache-2.0
"""Many names in little room: `seed0…4` for five names that follow each other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

_NUMBERED: Final = re.compile(r"(0|[1-9][0-9]{0,8})([^0-9]*)$")
_LONGEST: Final = 300
"""Characters of a name that is looked at: a number is searched for in it."""


MOST: Final = 60
"""So many are listed; the others are counted."""


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
