# SPDX-License-Identifier: Apache-2.0
"""Ensembles: each manifest joined with the rows that ship its members, and the verdicts on it.

The join is made once, by looking up: it takes as long for two thousand manifests as they are long.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from provenance.artifacts.digest import is_sha256
from provenance.artifacts.ensemble import (
    Documents,
    GateVerdict,
    Manifest,
    Member,
    is_gate_verdict,
)
from provenance.artifacts.onnx_model import OnnxFacts
from provenance.artifacts.registry import Row
from provenance.artifacts.sidecar import Sidecar
from provenance.evidence.rows import ModelEvidence, RowEvidence, SidecarEvidence


@dataclass(frozen=True)
class EnsembleMember:
    """A member of a manifest with its place in it and the row that ships it, where there is one."""

    index: int
    listed: Member
    row: RowEvidence | None

    @property
    def label(self) -> str:
        """How the member is called in messages."""
        return self.listed.id or self.listed.onnx or f"member {self.index}"

    @property
    def row_label(self) -> str | None:
        """The label of the row that ships it."""
        return self.row.label if self.row else None

    @cached_property
    def sidecar(self) -> Sidecar | None:
        """The member's sidecar, unless it is known to describe other bytes than the row's."""
        if self.row is None or not self._as_declared:
            return None
        return current_sidecar(self.row.onnx, self.row.sidecar)

    @cached_property
    def facts(self) -> OnnxFacts | None:
        """What the member's file says, unless it is another file than the row's."""
        model = self.row.onnx if self.row else None
        return model.facts if model is not None and self._as_declared else None

    @cached_property
    def sha256(self) -> str | None:
        """The digest that the row declares, or else that of its file, where either is known."""
        declared = self.row.entry.text("sha256") if self.row else None
        return declared if is_sha256(declared) else self._in_file

    @property
    def outdated(self) -> bool:
        """Whether the manifest has a digest for it that neither its row nor its file has."""
        claimed = self.listed.sha256
        known = (self.sha256, self._in_file)
        return self.sha256 is not None and is_sha256(claimed) and claimed not in known

    @property
    def _in_file(self) -> str | None:
        return self.row.onnx.sha256 if self.row and self.row.onnx else None

    @cached_property
    def _as_declared(self) -> bool:
        """Whether the bytes are those that the row names; ART302 says where they are not."""
        if self.row is None or self.row.onnx is None:
            return False
        return self.row.entry.digest("sha256") in (None, self.row.onnx.sha256)

    @cached_property
    def seeds(self) -> frozenset[int]:
        """The seeds that manifest and sidecar give the member: one, where they agree."""
        recorded = self.sidecar.seed if self.sidecar else None
        return frozenset(s for s in (self.listed.seed, recorded) if s is not None)


@dataclass(frozen=True)
class Ensemble:
    """A manifest, its members with their rows, and the verdicts on it.

    Attributes:
        name: What the ensemble is called: by its manifest, or, where all members' sidecars agree
            on another id that is no other manifest's, by them.
        members: The members of the manifest that are objects.
        unlisted: Rows whose sidecars say that they belong to it, and that it does not list.
        verdicts: The verdict files named after it, or the manifest, where that has a verdict.
    """

    manifest: Manifest
    name: str | None
    members: tuple[EnsembleMember, ...]
    unlisted: tuple[RowEvidence, ...]
    verdicts: tuple[GateVerdict, ...]

    @property
    def verdict(self) -> GateVerdict | None:
        """Return the verdict on the ensemble, or None if there are none or several."""
        return self.verdicts[0] if len(self.verdicts) == 1 else None

    @cached_property
    def shipped(self) -> tuple[EnsembleMember, ...]:
        """The members that are shipped, each row once: one that is listed twice is ENS502's."""
        found: dict[int, EnsembleMember] = {}
        for member in self.members:
            if member.row is not None:
                found.setdefault(member.row.index, member)
        return tuple(found.values())

    @cached_property
    def outdated(self) -> tuple[EnsembleMember, ...]:
        """The members that were replaced since the manifest was written, if there are several.

        One digest may be a slip, and digests that stand at the wrong members were exchanged.
        """
        listed = {member.listed.sha256 for member in self.members}
        found = [
            member for member in self.shipped if member.outdated and member.sha256 not in listed
        ]
        return tuple(found) if len(found) > 1 else ()

    @cached_property
    def claims(self) -> Mapping[str, Any]:
        """What the manifest says of its members; nothing if it is known to describe others."""
        return {} if self.outdated else self.manifest.value

    @cached_property
    def production(self) -> tuple[EnsembleMember, ...]:
        """The members whose rows say production."""
        return tuple(s for s in self.shipped if s.row is not None and s.row.entry.claims_production)

    @cached_property
    def offered(self) -> tuple[EnsembleMember, ...]:
        """The members whose rows do not say smoke."""
        return tuple(s for s in self.shipped if s.row is not None and not s.row.entry.smoke)

    @cached_property
    def described(self) -> Sequence[tuple[EnsembleMember, Sidecar]]:
        """The members whose sidecars are not known to describe other bytes."""
        return [(m, m.sidecar) for m in self.shipped if m.sidecar is not None]


def current_sidecar(model: ModelEvidence | None, read: SidecarEvidence | None) -> Sidecar | None:
    """What was read, unless it is known to describe other bytes (SID402 and SID404 say that)."""
    sidecar = read.sidecar if read else None
    if model is None or sidecar is None:
        return None
    return sidecar if sidecar.claimed_sha256 in (None, model.sha256) else None


def ensemble_of(row: RowEvidence) -> str | None:
    """The ensemble that a row's sidecar says it belongs to, by its id."""
    sidecar = current_sidecar(row.onnx, row.sidecar)
    return sidecar.text_at("ensemble_id") if sidecar else None


def named_ensemble(row: RowEvidence) -> str | None:
    """The same, also where the sidecar is known to describe other bytes."""
    sidecar = row.sidecar.sidecar if row.sidecar else None
    return sidecar.text_at("ensemble_id") if sidecar else None


class Claimant(NamedTuple):
    """A row of the registry, and the ensemble that its sidecar says it belongs to.

    `named` is that of any sidecar, `ensemble` of one that is not known to describe other bytes.
    """

    row: Row
    ensemble: str | None
    named: str | None


class Outline(NamedTuple):
    """What an ensemble is by its documents and the rows' claims. `members` are as in `Ensemble`."""

    manifest: Manifest
    name: str | None
    members: tuple[tuple[int, Member, Row | None], ...]
    verdicts: tuple[GateVerdict, ...]


def outlines(
    rows: Sequence[Claimant], documents: Sequence[Manifest | GateVerdict]
) -> Iterator[Outline]:
    """All ensembles beside a registry; `rows` are all of its rows."""
    shipped = _Shipped([each.row for each in rows])
    claims = {each.row.index: each.ensemble for each in rows}
    named = {each.named for each in rows if each.named}
    known = Documents(tuple(documents))
    manifests = [d for d in documents if isinstance(d, Manifest)]
    ids = {m.id for m in manifests if m.id}
    for manifest in manifests:
        # `members` alone is any list of anything.
        if manifest.id not in named and not any(m.onnx for m in manifest.members):
            continue
        members = tuple(_members(manifest, shipped))
        claimed = {claims[row.index] for _, _, row in members if row is not None} - {None}
        name = claimed.pop() if len(claimed) == 1 and not claimed & ids else manifest.id
        verdicts = known.verdicts_on(name)
        if not verdicts and is_gate_verdict(manifest.value):
            own = manifest
            verdicts = (GateVerdict(own.path, own.digest, own.text, own.value),)
        yield Outline(manifest, name, members, verdicts)


def join(
    rows: Sequence[RowEvidence], documents: Sequence[Manifest | GateVerdict]
) -> Iterator[Ensemble]:
    """The same, with what was read of the rows."""
    of_place = {row.index: row for row in rows}
    claimants = [Claimant(row.entry, ensemble_of(row), named_ensemble(row)) for row in rows]
    claims: dict[str | None, list[RowEvidence]] = {}
    for row, claimant in zip(rows, claimants, strict=True):
        claims.setdefault(claimant.ensemble, []).append(row)
    for manifest, name, listed, verdicts in outlines(claimants, documents):
        members = tuple(
            EnsembleMember(index, member, of_place[row.index] if row else None)
            for index, member, row in listed
        )
        unlisted = _unlisted(manifest, members, claims.get(name, [])) if name else []
        yield Ensemble(manifest, name, members, tuple(unlisted), verdicts)


class _Shipped:
    """The rows by what a member may name: looked up, because many may have one file."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows: dict[tuple[str | None, ...], Row] = {}
        self._by_id: dict[str, Row] = {}
        for row in rows:
            file, id, sha256 = row.onnx, row.text("id"), row.digest("sha256")
            for key in ((file,), (file, id), (file, id, sha256)):
                self._rows.setdefault(key, row)
            self._by_id.setdefault(row.label, row)

    def row_of(self, member: Member) -> Row | None:
        """The row that ships a member; its file goes before its id.

        Where file and id are those of two rows, the digest says which of them is the wrong name.
        """
        file, id, sha256 = member.onnx, member.id, member.sha256
        keys = ((file, id, sha256), (file, id), (file,)) if file else ()
        candidates = [self._rows[key] for key in keys if key in self._rows][:1]
        if id is not None and id in self._by_id:
            candidates.append(self._by_id[id])
        agreeing = [row for row in candidates if row.digest("sha256") == sha256]
        return next(iter(agreeing or candidates), None)


def _members(manifest: Manifest, shipped: _Shipped) -> Iterator[tuple[int, Member, Row | None]]:
    places = [i for i, member in enumerate(manifest.entries) if isinstance(member, dict)]
    for index, member in zip(places, manifest.members, strict=True):
        yield index, member, shipped.row_of(member)


def _unlisted(
    manifest: Manifest, members: Sequence[EnsembleMember], claiming: Sequence[RowEvidence]
) -> list[RowEvidence]:
    listed_rows = {s.row.index for s in members if s.row is not None}
    # An entry that is a name and no object is reported as that.
    names = {m for m in manifest.value["members"] if isinstance(m, str)}
    names |= {m.onnx for m in manifest.members if m.onnx}
    return [
        r for r in claiming if r.index not in listed_rows and not names & {r.entry.onnx, r.label}
    ]
