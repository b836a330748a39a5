# SPDX-License-Identifier: Apache-2.0
"""The layout of a release: four steps, what each may do to the files, and who may do which.

in-toto's artifact rules work through a queue: what a rule matches is taken out, and `DISALLOW *` at
the end refuses what is left. So a list of rules says one thing about what a step found or left, and
the lists together say:

- what `check` read is what `export` made, and nothing else;
- `check` and `verify` changed nothing;
- what `sign` read is what `check` left;
- what `verify` read is what `check` left, and of bundles what `sign` made;
- everything that `export` made, and everything that `sign` left, was verified: nothing got lost;
- the files that lie here are those that `verify` saw, and what the registry names is all here.
"""

from __future__ import annotations

import copy
import datetime
import glob
from collections.abc import Mapping, Sequence
from typing import Any, Final

from provenance.artifacts.documents.toml_tables import Table
from provenance.artifacts.forms import Form, is_day, is_names, is_whole
from provenance.attestations.bundle import SUFFIX
from provenance.errors import InputError
from provenance.frozen import dataclass

STEPS: Final = ("export", "check", "sign", "verify")
INSPECTION: Final = "untouched"
HARMLESS: Final = ("true",)
"""The command of the one inspection: in-toto records the files before and after it. It does
nothing, so that a verifier need not run it."""

MOST_REQUIRED: Final = 2_000
"""Files that a layout requires by name. in-toto keeps, for each of its rules, a copy of the list of
files: its memory grows with the square."""

_ALL: Final = ["DISALLOW", "*"]

Rules = list[list[str]]


@dataclass(frozen=True)
class FunctionaryKey:
    """Who may do a step: a public key as layouts hold it. `path` is where it was read.

    `as_json` is the key with its id, as `securesystemslib` writes it.
    """

    path: str
    key_id: str
    as_json: Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """A step, who may do it, and how many of them have to."""

    name: str
    keys: tuple[FunctionaryKey, ...]
    threshold: int = 1


def layout(
    steps: Sequence[Step],
    *,
    expires: str,
    folders: Sequence[str],
    bundle_folders: Sequence[str],
    config: str | None,
    required: Sequence[str],
) -> dict[str, Any]:
    """Return the payload of the layout, which in-toto accepts. Raises InputError.

    Args:
        steps: One for each of `STEPS`.
        expires: A time in UTC, `2026-12-31T00:00:00Z`.
        folders: Where the files of the release are.
        bundle_folders: Where bundles are written.
        config: The configuration, if it is among the files.
        required: Files that have to be here in the end.
    """
    from in_toto.models.layout import Layout
    from securesystemslib.exceptions import FormatError

    bundles = [_below(folder, f"*{SUFFIX}") for folder in bundle_folders]
    release = [_below(folder, "*") for folder in folders]
    release += [glob.escape(config)] if config else []
    expected = _step_rules(bundles)
    payload = {
        "_type": "layout",
        "expires": expires,
        "inspect": [
            {
                "_type": "inspection",
                "name": INSPECTION,
                "run": list(HARMLESS),
                "expected_materials": _inspection_rules(release, required),
                "expected_products": [],
            }
        ],
        "keys": {k.key_id: dict(k.as_json) for s in steps for k in s.keys},
        "readme": "A release of ONNX models: export, check, sign, verify.",
        "steps": [
            {
                "_type": "step",
                "name": step.name,
                "pubkeys": list(dict.fromkeys(k.key_id for k in step.keys)),
                "threshold": step.threshold,
                "expected_command": [],
                "expected_materials": expected[step.name][0],
                "expected_products": expected[step.name][1],
            }
            for step in steps
        ],
    }
    try:
        Layout.read(copy.deepcopy(payload))
    except FormatError as e:
        raise InputError(f"in-toto does not take the layout: {e}") from e
    return payload


def _step_rules(bundles: Sequence[str]) -> dict[str, tuple[Rules, Rules]]:
    """The rules for materials and products of each step."""
    signed = [["MATCH", b, "WITH", "PRODUCTS", "FROM", "sign"] for b in bundles]
    return {
        "export": (
            [["ALLOW", "*"]],
            # Bundles of an earlier release are still there; `sign` takes their place.
            [*(["ALLOW", b] for b in bundles), _same("PRODUCTS", "verify"), _ALL],
        ),
        "check": (
            [_same("PRODUCTS", "export"), _ALL],
            [_same("MATERIALS", "check"), _ALL],
        ),
        "sign": (
            [_same("PRODUCTS", "check"), _ALL],
            [_same("MATERIALS", "verify"), _ALL],
        ),
        "verify": (
            [*signed, *(["DISALLOW", b] for b in bundles), _same("PRODUCTS", "check"), _ALL],
            [_same("MATERIALS", "verify"), _ALL],
        ),
    }


def _inspection_rules(release: Sequence[str], required: Sequence[str]) -> Rules:
    """What lies here is what `verify` saw. Files outside the release are ignored."""
    return [
        *(["REQUIRE", path] for path in required),
        *(["MATCH", pattern, "WITH", "PRODUCTS", "FROM", "verify"] for pattern in release),
        *(["DISALLOW", pattern] for pattern in release),
        ["ALLOW", "*"],
    ]


def _same(what: str, step: str) -> list[str]:
    return ["MATCH", "*", "WITH", what, "FROM", step]


def _below(folder: str, pattern: str) -> str:
    """A pattern for what lies below a folder, at any depth: in-toto's `*` matches `/` too."""
    return pattern if folder == "." else f"{glob.escape(folder)}/{pattern}"


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
