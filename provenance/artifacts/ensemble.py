# SPDX-License-Identifier: Apache-2.0
"""Ensemble manifests and gate verdicts: what binds the seeds of an ensemble together.

Both are JSON objects beside the registry and are known by what they hold: a manifest lists
`members`, a verdict has a `verdict` and the `gate` it was concluded from.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import field
from functools import cached_property
from typing import Any

from provenance.artifacts import limits
from provenance.artifacts.digest import Digest, canonical
from provenance.artifacts.documents.strict_json import JsonPath, type_name
from provenance.artifacts.forms import is_whole
from provenance.artifacts.sidecar import Document
from provenance.frozen import dataclass

_WORD = re.compile("[A-Za-z0-9]")


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
    def count(self) -> int:
        """How many entries `members` has."""
        return len(self.value["members"])

    @property
    def entries(self) -> Sequence[Any]:
        """The entries of `members`, as many of them as are looked at."""
        entries: Sequence[Any] = self.value["members"][: limits.MEMBERS]
        return entries

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """The entries that are objects; others are for the rules to report."""
        return tuple(_member(m) for m in self.entries if isinstance(m, dict))

    @cached_property
    def names(self) -> frozenset[tuple[str | None, str | None]]:
        """The file and the id of each member, to be looked up."""
        return frozenset((m.onnx, m.id) for m in self.members)


@dataclass(frozen=True, init=False)
class GateVerdict(Document):
    """A recorded evaluation: PROMOTE or HOLD, with its numbers and thresholds."""

    @property
    def verdict(self) -> str | None:
        """PROMOTE or HOLD."""
        return self.text_at("verdict")


@dataclass(frozen=True)
class Documents:
    """The manifests and verdicts of a registry, by what they are about: looked up, not searched."""

    found: tuple[Manifest | GateVerdict, ...] = ()
    _known: dict[str, tuple[GateVerdict, ...]] = field(default_factory=dict, compare=False)

    def manifest_of(
        self, onnx: str, ensemble_id: str | None, id: str | None = None, sha256: str | None = None
    ) -> Manifest | None:
        """The manifest that lists a model; where several do, or none, the one its sidecar names.

        A member with the file of a row, and with another id and another digest, is another model
        under a wrong name (ENS501), unless the row's sidecar says that it is of an ensemble.

        `onnx` is relative to the registry's folder, and `ensemble_id` is from the sidecar; `id`
        and `sha256` are those of the row.
        """
        if ensemble_id is not None:
            listed = self._listing.get((onnx, "of", ensemble_id)) or self._listing.get((onnx,))
            return listed or self._by_id.get(ensemble_id)
        marks = (("id", id), ("sha256", sha256), ("id", None))
        found = (self._listing.get((onnx, *mark)) for mark in marks)
        return next((manifest for manifest in found if manifest is not None), None)

    def verdicts_on(self, id: str | None) -> tuple[GateVerdict, ...]:
        """The verdicts on an ensemble: those whose file name starts with its id."""
        if not id:
            return ()
        if id not in self._known:
            # All names that start with the id stand together.
            first = bisect_left(self._verdicts, id, key=file_name)
            last = bisect_right(self._verdicts, id, key=lambda v: file_name(v)[: len(id)])
            near = self._verdicts[first:last]
            self._known[id] = tuple(v for v in near if is_named_after(file_name(v), id))
        return self._known[id]

    def verdict_on(self, id: str | None) -> GateVerdict | None:
        """The one verdict on an ensemble, None where there is none or more than one."""
        found = self.verdicts_on(id)
        return found[0] if len(found) == 1 else None

    @cached_property
    def _verdicts(self) -> list[GateVerdict]:
        return sorted((d for d in self.found if isinstance(d, GateVerdict)), key=file_name)

    @cached_property
    def _by_id(self) -> Mapping[str, Manifest]:
        manifests = [d for d in self.found if isinstance(d, Manifest)]
        return {m.id: m for m in reversed(manifests) if m.id}

    @cached_property
    def _listing(self) -> Mapping[tuple[str | None, ...], Manifest]:
        """The first manifest that lists a file: at all, of each id, as that of a member."""
        found: dict[tuple[str | None, ...], Manifest] = {}
        for manifest in self.found:
            if isinstance(manifest, Manifest):
                for member in manifest.members:
                    if member.onnx is not None:
                        found.setdefault((member.onnx,), manifest)
                        found.setdefault((member.onnx, "of", manifest.id), manifest)
                        found.setdefault((member.onnx, "id", member.id), manifest)
                        if member.sha256 is not None:
                            found.setdefault((member.onnx, "sha256", member.sha256), manifest)
        return found


def file_name(document: Document) -> str:
    """A document's name in its folder."""
    return document.path.rpartition("/")[2]


def is_named_after(name: str, id: str) -> bool:
    """Whether a file's name says that it is about `id`.

    `e_v1_PROMOTE.json` is about `e_v1`, `e_v10_PROMOTE.json` is not.
    """
    return name.startswith(id) and _WORD.match(name, len(id)) is None


def is_manifest(value: Mapping[str, Any]) -> bool:
    """Whether a JSON object is an ensemble manifest."""
    return isinstance(value.get("members"), list)


def is_gate_verdict(value: Mapping[str, Any]) -> bool:
    """Whether a JSON object is a gate verdict."""
    return isinstance(value.get("verdict"), str) and isinstance(value.get("gate"), dict)


def not_a_manifest(value: Mapping[str, Any]) -> tuple[str, JsonPath] | None:
    """Why a JSON object is no manifest, and at which place; None where it is one."""
    return _wrong(value, "members", list, "a list")


def not_a_verdict(value: Mapping[str, Any]) -> tuple[str, JsonPath] | None:
    """The same of a verdict, None also where nothing in it is like one."""
    if "verdict" not in value and "gate" not in value:
        return None
    return _wrong(value, "verdict", str, "a text") or _wrong(value, "gate", dict, "an object")


def _wrong(
    value: Mapping[str, Any], key: str, form: type, called: str
) -> tuple[str, JsonPath] | None:
    if key not in value:
        return f"`{key}` is missing", ()
    found = value[key]
    if isinstance(found, form):
        return None
    return f"`{key}` is {type_name(found)}, and not {called}", (key,)


def document(
    path: str, digest: Digest, text: str, value: Mapping[str, Any]
) -> Manifest | GateVerdict | None:
    """The document that a JSON object is; None where it is neither."""
    if is_manifest(value):
        return Manifest(path, digest, text, value)
    return GateVerdict(path, digest, text, value) if is_gate_verdict(value) else None


def _member(value: Mapping[str, Any]) -> Member:
    def text(key: str) -> str | None:
        found = value.get(key)
        return found if isinstance(found, str) else None

    seed, sha256 = value.get("seed"), text("sha256")
    return Member(
        id=text("id"),
        onnx=text("onnx"),
        seed=seed if is_whole(seed) else None,
        sha256=None if sha256 is None else canonical(sha256),
    )
