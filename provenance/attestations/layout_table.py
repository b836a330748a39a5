# SPDX-License-Identifier: Apache-2.0
"""`[layout]` of the configuration: who may do which step, and until when."""

from __future__ import annotations

import datetime
from typing import Final

from provenance.artifacts.documents.toml_tables import Table
from provenance.artifacts.forms import Form, is_day, is_names, is_whole
from provenance.attestations.layout import STEPS
from provenance.frozen import dataclass

DAYS: Final = 90
"""How long a layout holds unless it is said: a few releases."""

_DAYS: Final = range(1, 3651)


@dataclass(frozen=True, slots=True)
class StepEntry:
    """`[[layout.step]]`. Keys are paths as written; none where everybody's keys do."""

    name: str
    keys: tuple[str, ...] = ()
    threshold: int = 1


@dataclass(frozen=True)
class LayoutTable:
    """`[layout]`.

    Attributes:
        expires: The last day on which it holds, or for how many days it does once it is signed.
        keys: The keys of all steps that do not name any; where these are none, the trusted keys.
        steps: What is said of single steps.
    """

    expires: datetime.date | int = DAYS
    keys: tuple[str, ...] = ()
    steps: tuple[StepEntry, ...] = ()

    def step(self, name: str) -> StepEntry:
        """What is said of a step, with the keys of all steps where it has none of its own."""
        found = next((s for s in self.steps if s.name == name), StepEntry(name))
        return StepEntry(name, found.keys or self.keys, found.threshold)

    def expires_at(self, now: datetime.datetime) -> str:
        """When a layout that is signed `now` expires, as in-toto writes it."""
        if isinstance(self.expires, int):
            moment = now + datetime.timedelta(days=self.expires)
        else:
            following = self.expires + datetime.timedelta(days=1)
            moment = datetime.datetime.combine(following, datetime.time(), datetime.UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def parse(table: Table) -> LayoutTable:
    """Return the table `layout` of a configuration. Raises InputError."""
    layout = table.table("layout", {"expires", "keys", "step"}, "[layout]")
    steps: dict[str, StepEntry] = {}
    for entry in layout.tables("step", {"name", "keys", "threshold"}):
        name = entry.need("name", _STEP)
        if name in steps:
            raise entry.error(f"the step {name!r} is repeated", "Name all its keys in one table.")
        threshold = entry.get("threshold", _THRESHOLD, 1)
        steps[name] = StepEntry(name, tuple(entry.get("keys", _KEYS, ())), threshold)
    return LayoutTable(
        layout.get("expires", _EXPIRES, DAYS),
        tuple(layout.get("keys", _KEYS, ())),
        tuple(steps.values()),
    )


_STEP: Final = Form[str](f"one of {', '.join(STEPS)}", lambda value: value in STEPS)
_THRESHOLD: Final = Form[int]("a whole number, 1 or more", lambda v: is_whole(v) and v > 0)
_KEYS: Final = Form[list[str]](
    "a list of public key files",
    lambda value: is_names(value) and all(value),
    'keys = ["keys/builder.pub"]',
)
_EXPIRES: Final = Form[datetime.date | int](
    f"a date, or a number of days up to {_DAYS[-1]:,}",
    lambda value: is_day(value) or (is_whole(value) and value in _DAYS),
    f"expires = {DAYS}",
)
