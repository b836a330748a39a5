# SPDX-License-Identifier: Apache-2.0
"""Ensemble manifests and gate verdicts: what binds the seeds of an ensemble together.

Both are JSON objects beside the registry and are known by what they hold: a manifest lists
`members`, a verdict has a `verdict` and the `gate` it was concluded from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provenance.artifacts.sidecar import Document


@dataclass(frozen=True, slots=True)
class Member:
    """One seed of an ensemble, as its manifest claims it."""

    id: str | None
    onnx: str | None
    seed: int | None
    sha256: str | None


@dataclass(frozen=True, init=False)
class Manifest(Document):
    """An ensemble manifest."""

    @property
    def id(self) -> str | None:
        """The ensemble's id, which its seeds' sidecars repeat as `ensemble_id`."""
        return self.text_at("id")

    @property
    def members(self) -> tuple[Member, ...]:
        """The members that are objects; others are for the rules to report."""
        members = self.value.get("members")
        return tuple(_member(m) for m in members if isinstance(m, dict)) if members else ()

    def member_of(self, onnx: str) -> Member | None:
        """The member whose model file is `onnx`, a name relative to the registry's folder."""
        return next((m for m in self.members if m.onnx == onnx), None)


@dataclass(frozen=True, init=False)
class GateVerdict(Document):
    """A recorded evaluation: PROMOTE or HOLD, with its numbers and thresholds."""

    @property
    def verdict(self) -> str | None:
        """PROMOTE or HOLD."""
        return self.text_at("verdict")


def is_manifest(value: Mapping[str, Any]) -> bool:
    """Whether a JSON object is an ensemble manifest."""
    return isinstance(value.get("members"), list)


def is_gate_verdict(value: Mapping[str, Any]) -> bool:
    """Whether a JSON object is a gate verdict."""
    return isinstance(value.get("verdict"), str) and isinstance(value.get("gate"), dict)


def verdict_for(manifest: Manifest, verdicts: tuple[GateVerdict, ...]) -> GateVerdict | None:
    """The verdict on an ensemble: the one whose file name starts with the manifest's id."""
    stem = manifest.id
    if not stem:
        return None
    # `e_v1_PROMOTE.json` is on `e_v1`, `e_v10_PROMOTE.json` is not.
    name = re.compile(re.escape(stem) + r"(?![A-Za-z0-9])")
    named = [v for v in verdicts if name.match(v.path.rpartition("/")[2])]
    return named[0] if len(named) == 1 else None


def _member(value: Mapping[str, Any]) -> Member:
    def text(key: str) -> str | None:
        found = value.get(key)
        return found if isinstance(found, str) else None

    seed = value.get("seed")
    return Member(
        id=text("id"),
        onnx=text("onnx"),
        seed=seed if isinstance(seed, int) and not isinstance(seed, bool) else None,
        sha256=text("sha256"),
    )
