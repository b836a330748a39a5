# SPDX-License-Identifier: Apache-2.0
"""Join each ensemble manifest with the rows that ship its members, and with its verdicts.

The join is done once, by lookup, so its cost is linear in the size of the manifests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
from provenance.artifacts.sidecar import Sidecar, once
from provenance.config.gates import Gate, Gates
from provenance.evidence.rows import ModelEvidence, RowEvidence, SidecarEvidence
from provenance.frozen import dataclass
from provenance.registry.rows import Row


@dataclass(frozen=True)
class EnsembleMember:
    """A member of a manifest, with its place in the manifest, and the row that ships it, if any."""

    index: int
    listed: Member
    row: RowEvidence | None

    @property
    def label(self) -> str:
        """The name of the member in messages."""
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
        """The facts of the member's model, or None if its digest is not the declared one."""
        model = self.row.onnx if self.row else None
        return model.facts if model is not None and self._as_declared else None

    @cached_property
    def sha256(self) -> str | None:
        """The digest that the row declares, or else that of its file, or None."""
        declared = self.row.entry.text("sha256") if self.row else None
        return declared if is_sha256(declared) else self._in_file

    @property
    def outdated(self) -> bool:
        """Whether the manifest declares a digest for it that neither its row nor its file has."""
        claimed = self.listed.sha256
        known = (self.sha256, self._in_file)
        return self.sha256 is not None and is_sha256(claimed) and claimed not in known

    @property
    def _in_file(self) -> str | None:
        return self.row.onnx.sha256 if self.row and self.row.onnx else None

    @cached_property
    def _as_declared(self) -> bool:
        """Whether the file has the digest that the row declares; ART302 reports if it does not."""
        if self.row is None or self.row.onnx is None:
            return False
        return self.row.entry.digest("sha256") in (None, self.row.onnx.sha256)

    @cached_property
    def seeds(self) -> frozenset[int]:
        """The seeds of the member in manifest and sidecar: a single one if they agree."""
        recorded = self.sidecar.seed if self.sidecar else None
        return frozenset(s for s in (self.listed.seed, recorded) if s is not None)


@dataclass(frozen=True)
class Ensemble:
    """A manifest, its members with their rows, and the verdicts on it.

    Attributes:
        manifest: The manifest.
        name: The id of the ensemble: that of the manifest. If the sidecars of all members agree on
            another id, which is not that of another manifest, it is theirs.
        members: The members of the manifest that are objects.
        unlisted: Rows whose sidecars claim the ensemble, but which the manifest does not list.
        verdicts: The verdict files named after it, or the manifest itself if it has a verdict.
        gates: The gates of the configuration that apply to it.
    """

    manifest: Manifest
    name: str | None
    members: tuple[EnsembleMember, ...]
    unlisted: tuple[RowEvidence, ...]
    verdicts: tuple[GateVerdict, ...]
    gates: tuple[Gate, ...] = ()

    @property
    def verdict(self) -> GateVerdict | None:
        """The verdict on the ensemble, or None unless there is exactly one."""
        return self.verdicts[0] if len(self.verdicts) == 1 else None

    @cached_property
    def shipped(self) -> tuple[EnsembleMember, ...]:
        """The members that have a row, each row once (ENS502 reports one that is listed twice)."""
        found: dict[int, EnsembleMember] = {}
        for member in self.members:
            if member.row is not None:
                found.setdefault(member.row.index, member)
        return tuple(found.values())

    @cached_property
    def outdated(self) -> tuple[EnsembleMember, ...]:
        """The members that were replaced since the manifest was written, if there are several.

        A single wrong digest may be a slip. Digests of other members in the manifest were swapped.
        """
        listed = {member.listed.sha256 for member in self.members}
        found = [
            member for member in self.shipped if member.outdated and member.sha256 not in listed
        ]
        return tuple(found) if len(found) > 1 else ()

    @cached_property
    def claims(self) -> Mapping[str, Any]:
        """The content of the manifest, or an empty mapping if it describes replaced members."""
        return {} if self.outdated else self.manifest.value

    @cached_property
    def production(self) -> tuple[EnsembleMember, ...]:
        """The members whose rows claim production."""
        return tuple(s for s in self.shipped if s.row is not None and s.row.entry.claims_production)

    @cached_property
    def offered(self) -> tuple[EnsembleMember, ...]:
        """The members whose rows do not claim smoke."""
        return tuple(s for s in self.shipped if s.row is not None and not s.row.entry.smoke)

    @cached_property
    def described(self) -> Sequence[tuple[EnsembleMember, Sidecar]]:
        """The members whose sidecars do not declare a digest of other bytes."""
        return [(m, m.sidecar) for m in self.shipped if m.sidecar is not None]


def current_sidecar(model: ModelEvidence | None, read: SidecarEvidence | None) -> Sidecar | None:
    """Return the sidecar, or None if it declares a digest of other bytes (SID402, SID404)."""
    sidecar = read.sidecar if read else None
    if model is None or sidecar is None:
        return None
    return sidecar if sidecar.claimed_sha256 in (None, model.sha256) else None


def ensemble_of(row: RowEvidence) -> str | None:
    """Return the id of the ensemble that a row's sidecar claims, or None."""
    return row.named if current_sidecar(row.onnx, row.sidecar) is not None else None


class Claimant(NamedTuple):
    """A row of the registry, and the ensemble that its sidecar claims.

    `named` is the claim of any sidecar. `ensemble` is None if the sidecar describes other bytes.
    """

    row: Row
    ensemble: str | None
    named: str | None


class Outline(NamedTuple):
    """An ensemble by its documents and the claims of rows. The fields are those of `Ensemble`."""

    manifest: Manifest
    name: str | None
    members: tuple[tuple[int, Member, Row | None], ...]
    verdicts: tuple[GateVerdict, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The ids by which a gate applies to it: its own, and those of its members."""
        listed = (member.id for _, member, _ in self.members)
        labels = (row.label for _, _, row in self.members if row is not None)
        names = (self.manifest.id, self.name, *listed, *labels)
        return tuple(dict.fromkeys(name for name in names if name is not None))


def outlines(
    rows: Sequence[Claimant], documents: Sequence[Manifest | GateVerdict]
) -> Iterator[Outline]:
    """Yield all ensembles beside a registry; `rows` are all of its rows."""
    claims = {each.row.index: each.ensemble for each in rows}
    named = {each.named for each in rows if each.named}
    known = Documents(tuple(documents))
    manifests = [d for d in documents if isinstance(d, Manifest)]
    ids = {m.id for m in manifests if m.id}
    listed = {name for m in manifests for member in m.members for name in (member.onnx, member.id)}
    shipped = _Shipped([r for r, *_ in rows if r.onnx in listed or r.label in listed])
    for manifest in manifests:
        # Any list of anything may be called `members`.
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


@once
def gates_of_manifest(manifest: Manifest, gates: Gates, *also: str | None) -> tuple[Gate, ...]:
    """Return the gates that apply to an ensemble: by its id, those of its members, or `also`."""
    names = (manifest.id, *(member.id for member in manifest.members), *also)
    return gates.of_ensemble(dict.fromkeys(name for name in names if name is not None))


def join(
    rows: Sequence[RowEvidence],
    documents: Sequence[Manifest | GateVerdict],
    gates: Gates = Gates(),  # noqa: B008 (frozen)
) -> Iterator[Ensemble]:
    """Yield all ensembles, with the evidence of the rows."""
    of_place = {row.index: row for row in rows}
    claimants = [Claimant(row.entry, ensemble_of(row), row.named) for row in rows]
    claims: dict[str | None, list[RowEvidence]] = {}
    for row, claimant in zip(rows, claimants, strict=True):
        claims.setdefault(claimant.ensemble, []).append(row)
    for manifest, name, listed, verdicts in outlines(claimants, documents):
        members = tuple(
            EnsembleMember(index, member, of_place[row.index] if row else None)
            for index, member, row in listed
        )
        unlisted = _unlisted(manifest, members, claims.get(name, [])) if name else []
        labels = (row.label for _, _, row in listed if row is not None)
        applying = gates_of_manifest(manifest, gates, name, *labels) if gates.declared else ()
        yield Ensemble(manifest, name, members, tuple(unlisted), verdicts, applying)


class _Shipped:
    """Looks up rows by what a member may name, because many rows may have the same file."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows: dict[tuple[str | None, ...], Row] = {}
        self._by_id: dict[str, Row] = {}
        for row in rows:
            file, id, sha256 = row.onnx, row.text("id"), row.digest("sha256")
            for key in ((file,), (file, id), (file, id, sha256)):
                self._rows.setdefault(key, row)
            self._by_id.setdefault(row.label, row)

    def row_of(self, member: Member) -> Row | None:
        """Return the row that ships a member, by its file or else by its id, or None.

        If file and id belong to two rows, the digest decides between them.
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
    # A rule reports entries that are names instead of objects.
    names = {m for m in manifest.value["members"] if isinstance(m, str)}
    names |= {m.onnx for m in manifest.members if m.onnx}
    return [
        r for r in claiming if r.index not in listed_rows and not names & {r.entry.onnx, r.label}
    ]
