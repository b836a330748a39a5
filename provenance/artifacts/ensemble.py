# SPDX-License-Identifier: Apache-2.0
"""Ensemble manifests and gate verdicts, the documents that the seeds of an ensemble share.

Both are JSON objects beside the registry. They are recognized by their fields: a manifest has a
list `members`; a gate verdict has a `verdict` and the `gate` that it follows from.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping, Sequence
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
    """One member of an ensemble, as its manifest lists it."""

    id: str | None
    onnx: str | None
    seed: int | None
    sha256: str | None


@dataclass(frozen=True, init=False)
class Manifest(Document):
    """An ensemble manifest."""

    @property
    def id(self) -> str | None:
        """The id of the ensemble. The sidecars of its seeds repeat it as `ensemble_id`."""
        return self.text_at("id")

    @property
    def count(self) -> int:
        """The number of entries in `members`."""
        return len(self.value["members"])

    @property
    def entries(self) -> Sequence[Any]:
        """The entries of `members`, at most `limits.MEMBERS`."""
        entries: Sequence[Any] = self.value["members"][: limits.MEMBERS]
        return entries

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """The entries that are objects. Rules report the others."""
        return tuple(_member(m) for m in self.entries if isinstance(m, dict))

    @cached_property
    def names(self) -> frozenset[tuple[str | None, str | None]]:
        """The file and the id of each member, as a set."""
        return frozenset((m.onnx, m.id) for m in self.members)


@dataclass(frozen=True, init=False)
class GateVerdict(Document):
    """A gate verdict: PROMOTE or HOLD, with the measured numbers and their thresholds."""

    @property
    def verdict(self) -> str | None:
        """PROMOTE or HOLD."""
        return self.text_at("verdict")


@dataclass(frozen=True)
class Documents:
    """The ensemble manifests and gate verdicts of a registry, indexed for look-ups."""

    found: tuple[Manifest | GateVerdict, ...] = ()
    _known: dict[str, tuple[GateVerdict, ...]] = field(default_factory=dict, compare=False)

    def manifest_of(
        self, onnx: str, ensemble_id: str | None, id: str | None = None, sha256: str | None = None
    ) -> Manifest | None:
        """Return the manifest that lists a model.

        If several manifests list it, or none, this is the manifest that its sidecar names. Without
        a sidecar that names one, a member with the file of the row but another id and another
        digest does not count: it is another model under a wrong name (ENS501).

        Args:
            onnx: The model's file, relative to the registry's folder.
            ensemble_id: The `ensemble_id` of the sidecar.
            id: The id of the row.
            sha256: The digest in the row.
        """
        if ensemble_id is not None:
            listed = self._listing.get((onnx, "of", ensemble_id)) or self._listing.get((onnx,))
            return listed or self._by_id.get(ensemble_id)
        marks = (("id", id), ("sha256", sha256), ("id", None))
        found = (self._listing.get((onnx, *mark)) for mark in marks)
        return next((manifest for manifest in found if manifest is not None), None)

    def verdicts_on(self, id: str | None) -> tuple[GateVerdict, ...]:
        """Return the verdicts on an ensemble: those whose file name starts with its id."""
        if not id:
            return ()
        if id not in self._known:
            # In the sorted list, all names that start with the id are adjacent.
            first = bisect_left(self._verdicts, id, key=file_name)
            last = bisect_right(self._verdicts, id, key=lambda v: file_name(v)[: len(id)])
            near = self._verdicts[first:last]
            self._known[id] = tuple(v for v in near if is_named_after(file_name(v), id))
        return self._known[id]

    def verdict_on(self, id: str | None) -> GateVerdict | None:
        """Return the verdict on an ensemble, or None unless there is exactly one."""
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
        """The first manifest for a file, for a file and ensemble, and for a file and member."""
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
    """Return the file name of a document, without its folder."""
    return document.path.rpartition("/")[2]


def is_named_after(name: str, id: str) -> bool:
    """Return whether a file name starts with `id` as a whole word.

    `e_v1_PROMOTE.json` is named after `e_v1`; `e_v10_PROMOTE.json` is not.
    """
    return name.startswith(id) and _WORD.match(name, len(id)) is None


def is_named_after_one_of(name: str, ids: Collection[str]) -> bool:
    """Return whether a file name starts with one of `ids`, which should be a set."""
    return any(name[:end] in ids and is_named_after(name, name[:end]) for end in range(len(name)))


def is_manifest(value: Mapping[str, Any]) -> bool:
    """Return whether a JSON object is an ensemble manifest."""
    return isinstance(value.get("members"), list)


def is_gate_verdict(value: Mapping[str, Any]) -> bool:
    """Return whether a JSON object is a gate verdict."""
    return isinstance(value.get("verdict"), str) and isinstance(value.get("gate"), dict)


def not_a_manifest(value: Mapping[str, Any]) -> tuple[str, JsonPath] | None:
    """Return why a JSON object is not a manifest, and the path of the fault; None if it is one."""
    return _wrong(value, "members", list, "a list")


def not_a_verdict(value: Mapping[str, Any]) -> tuple[str, JsonPath] | None:
    """Return the same for a gate verdict; None also if the object does not resemble one."""
    if "verdict" not in value and "gate" not in value:
        return None
    return _wrong(value, "verdict", str, "a string") or _wrong(value, "gate", dict, "an object")


def _wrong(
    value: Mapping[str, Any], key: str, form: type, called: str
) -> tuple[str, JsonPath] | None:
    if key not in value:
        return f"`{key}` is missing", ()
    found = value[key]
    if isinstance(found, form):
        return None
    return f"`{key}` is {type_name(found)}, not {called}", (key,)


def document(
    path: str, digest: Digest, text: str, value: Mapping[str, Any]
) -> Manifest | GateVerdict | None:
    """Return the manifest or gate verdict that a JSON object is, or None if it is neither."""
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
