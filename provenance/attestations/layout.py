# SPDX-License-Identifier: Apache-2.0
"""The layout of a release: its four steps, what each may do to the files, and who may perform it.

in-toto applies artifact rules to a queue of files: each rule removes the files that it matches, and
`DISALLOW *` at the end refuses the rest. The rules of all steps together require that:

- `check` read exactly the files that `export` made;
- `check` and `verify` changed nothing;
- `sign` read the files as `check` left them;
- `verify` read the files as `check` left them, and the bundles as `sign` made them;
- `verify` read everything that `export` made and everything that `sign` left: nothing got lost;
- the present files are those that `verify` read, and include everything that the registry names.
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
"""The command of the only inspection. in-toto records the files before and after it. The command
does nothing, so a verifier need not run it."""

MOST_REQUIRED: Final = 2_000
"""Files that a layout requires by name. in-toto copies the list of files for each rule, so its
memory grows with the square of this number."""

_ALL: Final = ["DISALLOW", "*"]

Rules = list[list[str]]


@dataclass(frozen=True)
class FunctionaryKey:
    """The public key of someone who may perform a step.

    Attributes:
        path: The file that the key was read from.
        key_id: The id of the key.
        as_json: The key with its id, in the form that layouts use and `securesystemslib` writes.
    """

    path: str
    key_id: str
    as_json: Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """A step, the keys that may perform it, and how many of them must."""

    name: str
    keys: tuple[FunctionaryKey, ...]
    threshold: int = 1


def layout(
    steps: Sequence[Step],
    *,
    expires: str,
    folders: Sequence[str],
    bundle_folders: Sequence[str],
    others: Sequence[str],
    required: Sequence[str],
) -> dict[str, Any]:
    """Return the payload of the layout.

    Args:
        steps: One for each of `STEPS`.
        expires: A time in UTC, `2026-12-31T00:00:00Z`.
        folders: The folders with the files of the release.
        bundle_folders: The folders with bundles.
        others: Files of the release elsewhere.
        required: Files that must exist in the end.

    Raises:
        InputError: If in-toto does not accept the layout.
    """
    from in_toto.models.layout import Layout
    from securesystemslib.exceptions import FormatError

    bundles = [_below(folder, f"*{SUFFIX}") for folder in bundle_folders]
    release = [_below(folder, "*") for folder in folders]
    release += map(glob.escape, others)
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
        raise InputError(f"in-toto does not accept the layout: {e}") from e
    return payload


def _step_rules(bundles: Sequence[str]) -> dict[str, tuple[Rules, Rules]]:
    """Return the rules for materials and products of each step."""
    signed = [["MATCH", b, "WITH", "PRODUCTS", "FROM", "sign"] for b in bundles]
    return {
        "export": (
            [["ALLOW", "*"]],
            # Bundles of an earlier release still exist; `sign` replaces them.
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
    """Return rules by which the present files must be those that `verify` read.

    Files outside the release are ignored.
    """
    return [
        *(["REQUIRE", path] for path in required),
        *(["MATCH", pattern, "WITH", "PRODUCTS", "FROM", "verify"] for pattern in release),
        *(["DISALLOW", pattern] for pattern in release),
        ["ALLOW", "*"],
    ]


def _same(what: str, step: str) -> list[str]:
    return ["MATCH", "*", "WITH", what, "FROM", step]


def _below(folder: str, pattern: str) -> str:
    """Return a pattern for files below a folder at any depth: in-toto's `*` also matches `/`."""
    return pattern if folder == "." else f"{glob.escape(folder)}/{pattern}"


DAYS: Final = 90
"""Days for which a layout is valid by default: a few releases."""

_DAYS: Final = range(1, 3651)


@dataclass(frozen=True, slots=True)
class StepEntry:
    """A table `[[layout.step]]`. `keys` are paths as written; if empty, the keys of all steps."""

    name: str
    keys: tuple[str, ...] = ()
    threshold: int = 1


@dataclass(frozen=True)
class LayoutTable:
    """The table `[layout]` of the configuration.

    Attributes:
        expires: The last day on which the layout is valid, or the number of days after signing.
        keys: The keys for steps that name none. If empty, the trusted keys.
        steps: The tables of single steps.
    """

    expires: datetime.date | int = DAYS
    keys: tuple[str, ...] = ()
    steps: tuple[StepEntry, ...] = ()

    def step(self, name: str) -> StepEntry:
        """Return the table of a step, with the keys of all steps if it names none."""
        found = next((s for s in self.steps if s.name == name), StepEntry(name))
        return StepEntry(name, found.keys or self.keys, found.threshold)

    def expires_at(self, now: datetime.datetime) -> str:
        """Return when a layout that is signed `now` expires, in the format of in-toto."""
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
