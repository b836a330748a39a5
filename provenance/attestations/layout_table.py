# SPDX-License-Identifier: Apache-2.0
"""`[layout]` of the configuration: who may do which step, and until when."""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from provenance.artifacts.documents.toml_tables import known, tables
from provenance.attestations.layout import STEPS
from provenance.errors import InputError

DAYS: Final = 90
"""How long a layout holds unless it is said: a few releases."""

_DAYS: Final = range(1, 3651)
_EXAMPLE: Final = 'For example: keys = ["keys/builder.pub"]'


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


def parse(table: Mapping[str, Any], path: str) -> LayoutTable:
    """The table `layout` of a configuration. Raises InputError."""
    layout = table.get("layout", {})
    if not isinstance(layout, dict):
        raise InputError(f"{path}: `layout` is not a table", help="Write it as [layout].")
    known(layout, {"expires", "keys", "step"}, path, "layout.")
    steps = tuple(
        _step(entry, f"{path}: [[layout.step]] {number}", path)
        for number, entry in enumerate(tables(layout, "step", path, "layout."), 1)
    )
    names = [s.name for s in steps]
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"{path}: [[layout.step]] {name!r} stands there twice",
                help="Name all keys of a step in one table.",
            )
    return LayoutTable(
        _expires(layout.get("expires", DAYS), path),
        _keys(layout, f"{path}: `layout.keys`"),
        steps,
    )


def _step(entry: Mapping[str, Any], where: str, path: str) -> StepEntry:
    known(entry, {"name", "keys", "threshold"}, path, "layout.step.")
    name = entry.get("name")
    if name not in STEPS:
        near = difflib.get_close_matches(str(name), STEPS, 1)
        raise InputError(
            f"{where}: `name` is {str(name)[:40]!r}, which is no step",
            help=f"Did you mean {near[0]!r}?" if near else f"Steps are {', '.join(STEPS)}.",
        )
    threshold = entry.get("threshold", 1)
    if not isinstance(threshold, int) or isinstance(threshold, bool) or threshold < 1:
        raise InputError(f"{where}: `threshold` must be a whole number of 1 or more")
    return StepEntry(str(name), _keys(entry, f"{where}: `keys`"), threshold)


def _keys(entry: Mapping[str, Any], where: str) -> tuple[str, ...]:
    keys = entry.get("keys", [])
    if not isinstance(keys, list) or not all(isinstance(k, str) and k for k in keys):
        raise InputError(f"{where} must be a list of public key files", help=_EXAMPLE)
    return tuple(keys)


def _expires(value: object, path: str) -> datetime.date | int:
    if isinstance(value, int) and not isinstance(value, bool) and value in _DAYS:
        return value
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return value
    raise InputError(
        f"{path}: `layout.expires` must be a date, or a number of days up to {_DAYS[-1]:,}",
        help=f"For example: expires = {DAYS}",
    )
