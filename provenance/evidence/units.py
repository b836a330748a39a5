# SPDX-License-Identifier: Apache-2.0
"""Units: rows that must be judged together, with the documents about them.

A unit is a single row, or all rows that share a manifest, a verdict or a file. The names in the
registry and in the documents beside it determine the units, before any file of a row is opened. In
addition, a row whose sidecar claims an ensemble is judged with that ensemble.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field

from provenance.artifacts.ensemble import Documents, GateVerdict, Manifest, is_named_after
from provenance.artifacts.sidecar import sidecar_of
from provenance.evidence.evidence import Evidence
from provenance.frozen import dataclass
from provenance.registry.registry import Registry
from provenance.registry.rows import Row, int8_of

NOTHING: Mapping[int, str] = {}


@dataclass(frozen=True, slots=True)
class Unit:
    """Rows that are judged together, with the documents about them.

    Attributes:
        rows: The rows, in the order of the registry. Empty for a manifest whose members have no
            row.
        documents: The manifests and verdicts about them.
        near: Rows that share a file or a document with them, but were not selected.
    """

    rows: tuple[Row, ...]
    documents: tuple[Manifest | GateVerdict, ...] = ()
    near: tuple[Row, ...] = ()

    @property
    def name(self) -> int | str:
        """A unique name in a plan: the index of the first row, or else the path of a document."""
        return self.rows[0].index if self.rows else self.documents[0].path

    @property
    def content(self) -> tuple[object, ...]:
        """The indexes of its rows and the paths of its documents, to compare units of two plans."""
        return (tuple(row.index for row in self.rows), tuple(d.path for d in self.documents))


@dataclass
class _Groups:
    """A union-find structure for rows and manifests, which `plan` numbers."""

    parent: dict[int, int] = field(default_factory=dict)
    first: dict[object, int] = field(default_factory=dict)

    def find(self, thing: int) -> int:
        """Return the lowest number in the group of `thing`. A new thing is a group alone."""
        root = thing
        while (above := self.parent.setdefault(root, root)) != root:
            root = above
        while (above := self.parent[thing]) != root:
            self.parent[thing], thing = root, above
        return root

    def share(self, thing: int, what: object) -> None:
        """Join `thing` with all things that share `what`."""
        one, other = self.find(thing), self.find(self.first.setdefault(what, thing))
        if one != other:
            self.parent[max(one, other)] = min(one, other)


def plan(
    registry: Registry,
    rows: Sequence[Row],
    documents: Documents,
    claims: Mapping[int, str] = NOTHING,
    broken: Iterable[str] = (),
) -> list[Unit]:
    """Return the units of `rows` in order of their first row, then those of manifests without rows.

    Args:
        registry: The registry.
        rows: All rows to be judged.
        documents: The manifests and verdicts beside the registry.
        claims: The ensemble that the sidecar of a row names, by the row's index. Empty before the
            sidecars are read.
        broken: The paths of files beside the registry that are unreadable or not valid documents.
    """
    groups = _Groups()
    for at, row in enumerate(rows):
        groups.find(at)
        for name in _names(row):
            groups.share(at, registry.absolute(name))
        groups.share(at, ("listed", row.label))
        if row.onnx is not None:
            groups.share(at, ("listed", row.onnx))
    manifests = [d for d in documents.found if isinstance(d, Manifest)]
    names: dict[int, set[str]] = {}
    for at, manifest in enumerate(manifests, len(rows)):
        groups.find(at)
        for listed in _listed(manifest):
            if ("listed", listed) in groups.first:
                groups.share(at, ("listed", listed))
        if manifest.id is not None:
            groups.share(at, ("ensemble", manifest.id))
            # A verdict may be about two ensembles: its file name may start with both ids.
            for verdict in documents.verdicts_on(manifest.id):
                groups.share(at, verdict.path)
    files = [path.rpartition("/")[2] for path in broken]
    claiming: dict[str, list[int]] = {}
    for at, row in enumerate(rows):
        if row.index in claims:
            claiming.setdefault(claims[row.index], []).append(at)
    listing = {groups.find(at) for at in range(len(rows), len(rows) + len(manifests))}
    with_manifest = {at for at in range(len(rows)) if groups.find(at) in listing}
    for id, places in claiming.items():
        # A claim joins rows only if some document is about the ensemble.
        verdicts = documents.verdicts_on(id)
        if (
            ("ensemble", id) in groups.first
            or verdicts
            or not with_manifest.isdisjoint(places)
            or any(is_named_after(file, id) for file in files)
        ):
            for at in places:
                groups.share(at, ("ensemble", id))
                for verdict in verdicts:
                    groups.share(at, verdict.path)
                names.setdefault(at, set()).add(id)
    return list(_units(groups, rows, manifests, documents, names))


def _names(row: Row) -> Iterator[str]:
    """Yield the files that a row names, and the files beside them that belong to them by name."""
    if row.onnx is not None:
        variant = int8_of(row.onnx)
        yield from (row.onnx, sidecar_of(row.onnx), variant, sidecar_of(variant))
    if row.sigstore_bundle is not None:
        yield row.sigstore_bundle
    yield from row.external_data_sha256
    yield from (file.name for file in row.files if file.name is not None and file.is_model)


def _listed(manifest: Manifest) -> Iterator[str]:
    """Yield the files and ids that a manifest lists."""
    yield from (entry for entry in manifest.entries if isinstance(entry, str))
    for member in manifest.members:
        yield from (name for name in (member.onnx, member.id) if name is not None)


def _units(
    groups: _Groups,
    rows: Sequence[Row],
    manifests: Sequence[Manifest],
    documents: Documents,
    names: Mapping[int, set[str]],
) -> Iterator[Unit]:
    members: dict[int, list[int]] = {}
    for thing in range(len(rows) + len(manifests)):
        members.setdefault(groups.find(thing), []).append(thing)
    order = {document.path: place for place, document in enumerate(documents.found)}
    for group in members.values():
        listing = [manifests[thing - len(rows)] for thing in group if thing >= len(rows)]
        ids = {manifest.id for manifest in listing if manifest.id}
        ids.update(*(names.get(thing, ()) for thing in group))
        verdicts = (verdict for id in sorted(ids) for verdict in documents.verdicts_on(id))
        found: dict[str, Manifest | GateVerdict] = {m.path: m for m in listing}
        found.update((verdict.path, verdict) for verdict in verdicts)
        yield Unit(
            tuple(rows[thing] for thing in group if thing < len(rows)),
            tuple(sorted(found.values(), key=lambda document: order[document.path])),
        )


def plan_of(around: Evidence, claims: Mapping[int, str] = NOTHING) -> list[Unit]:
    """Return the units of the rows that `around` selects. For `claims`, see `plan`."""
    registry = around.registry
    broken = (*around.unreadable, *around.not_documents)
    units = plan(registry, registry.rows, Documents(around.documents), claims, broken)
    return units if around.whole else list(only(units, around.unread or ()))


def only(units: Iterable[Unit], rows: Iterable[Row]) -> Iterator[Unit]:
    """Yield the units of the selected rows. The other rows of these units become `near`."""
    selected = {row.index for row in rows}
    for unit in units:
        chosen = tuple(row for row in unit.rows if row.index in selected)
        if chosen:
            near = tuple(row for row in unit.rows if row.index not in selected)
            yield Unit(chosen, unit.documents, near)


def in_tasks(units: Iterable[Unit], rows: int) -> Iterator[tuple[Unit, ...]]:
    """Yield the units in tasks of at least `rows` rows, except the last. No unit is split.

    A unit without rows counts as one row.
    """
    task: list[Unit] = []
    count = 0
    for unit in units:
        task.append(unit)
        count += max(1, len(unit.rows))
        if count >= rows:
            yield tuple(task)
            task, count = [], 0
    if task:
        yield tuple(task)
