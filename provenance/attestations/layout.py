# SPDX-License-Identifier: Apache-2.0
"""The layout of a release: four steps, and what each may do to the files.

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
import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from provenance.attestations.bundle import SUFFIX
from provenance.errors import InputError

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


class FunctionaryKey(Protocol):
    """Who may do a step: a public key under its id, as layouts hold it."""

    @property
    def path(self) -> str:
        """Where it was read, for messages."""

    @property
    def key_id(self) -> str:
        """Its id."""

    @property
    def as_json(self) -> Mapping[str, Any]:
        """The key with its id, as `securesystemslib` writes it."""


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
    """The payload of the layout.

    Args:
        steps: One for each of `STEPS`.
        expires: A time in UTC, `2026-12-31T00:00:00Z`.
        folders: Where the files of the release are, and `bundle_folders` where bundles are written.
        bundle_folders: See `folders`.
        config: The configuration, where it is among the files.
        required: Files that have to be here in the end.

    Raises:
        InputError: in-toto itself does not take it.
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
