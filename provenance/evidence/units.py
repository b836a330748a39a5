# SPDX-License-Identifier: Apache-2.0
"""Units: rows that have to be judged together, and the documents about them.

A unit is a row, or all rows that share a manifest, a verdict or a file. Which they are follows from
the names in the registry and in the documents beside it, before any file of a row is opened. Only
what a sidecar says joins more: a row that claims an ensemble is judged with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field

from provenance.artifacts.ensemble import Documents, GateVerdict, Manifest, is_named_after
from provenance.artifacts.registry import Registry, Row, int8_of
from provenance.artifacts.sidecar import sidecar_of
from provenance.evidence.evidence import Evidence
from provenance.frozen import dataclass

NOTHING: Mapping[int, str] = {}


@dataclass(frozen=True, slots=True)
class Unit:
    """Rows that are judged together, in the order of the registry, with the documents about them.

    A manifest whose members have no row is a unit without rows. `near` are rows that share a file
    or a document with them and were not selected.
    """

    rows: tuple[Row, ...]
    documents: tuple[Manifest | GateVerdict, ...] = ()
    near: tuple[Row, ...] = ()

    @property
    def name(self) -> int | str:
        """What tells it from the others of a plan: the place of its first row, or a document."""
        return self.rows[0].index if self.rows else self.documents[0].path

    @property
    def content(self) -> tuple[object, ...]:
        """What it is of: its rows, by their places, and its documents, by their paths."""
        return (tuple(row.index for row in self.rows), tuple(d.path for d in self.documents))


@dataclass
class _Groups:
    """Things in groups that are joined where they share something."""

    parent: dict[int, int] = field(default_factory=dict)
    first: dict[object, int] = field(default_factory=dict)

    def find(self, thing: int) -> int:
        """The thing that stands for the group."""
        root = thing
        while (above := self.parent.setdefault(root, root)) != root:
            root = above
        while (above := self.parent[thing]) != root:
            self.parent[thing], thing = root, above
        return root

    def share(self, thing: int, what: object) -> None:
        """`thing` has what others may have, too."""
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
    """The units of `rows`, by their first row; then those of manifests without rows.

    Args:
        registry: The registry that they are of.
        rows: All that are to be judged.
        documents: The manifests and verdicts beside the registry.
        claims: The ensemble that the sidecar of a row names, by the row's place, where it is known.
        broken: Paths of files beside the registry that cannot be read, or are no documents.
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
            for verdict in documents.verdicts_on(manifest.id):  # its name may begin with two ids
                groups.share(at, verdict.path)
    files = [path.rpartition("/")[2] for path in broken]
    claiming: dict[str, list[int]] = {}
    for at, row in enumerate(rows):
        if row.index in claims:
            claiming.setdefault(claims[row.index], []).append(at)
    listing = {groups.find(at) for at in range(len(rows), len(rows) + len(manifests))}
    for id, places in claiming.items():
        # A claim joins what is about it: without any document it is a name.
        verdicts = documents.verdicts_on(id)
        if (
            ("ensemble", id) in groups.first
            or verdicts
            or any(groups.find(at) in listing for at in places)
            or any(is_named_after(file, id) for file in files)
        ):
            for at in places:
                groups.share(at, ("ensemble", id))
                for verdict in verdicts:
                    groups.share(at, verdict.path)
                names.setdefault(at, set()).add(id)
    return list(_units(groups, rows, manifests, documents, names))


def _names(row: Row) -> Iterator[str]:
    """Everything that a row names, and what lies beside that by its name."""
    if row.onnx is not None:
        variant = int8_of(row.onnx)
        yield from (row.onnx, sidecar_of(row.onnx), variant, sidecar_of(variant))
    if row.sigstore_bundle is not None:
        yield row.sigstore_bundle
    yield from row.external_data_sha256


def _listed(manifest: Manifest) -> Iterator[str]:
    """The files and ids that a manifest lists."""
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
    """The units of the rows that `around` selects, with `claims` as `plan` takes them."""
    registry = around.registry
    broken = (*around.unreadable, *around.not_documents)
    units = plan(registry, registry.rows, Documents(around.documents), claims, broken)
    return units if around.whole else list(only(units, around.unread or ()))


def only(units: Iterable[Unit], rows: Iterable[Row]) -> Iterator[Unit]:
    """The units of some of the rows: those that were selected."""
    selected = {row.index for row in rows}
    for unit in units:
        chosen = tuple(row for row in unit.rows if row.index in selected)
        if chosen:
            near = tuple(row for row in unit.rows if row.index not in selected)
            yield Unit(chosen, unit.documents, near)


def taken(registry: Registry) -> Mapping[str, str]:
    """The paths of the rows' models and sidecars, each with what it is: no external data."""
    found: dict[str, str] = {}
    for row in registry.rows:
        if row.onnx is not None:
            found[registry.absolute(sidecar_of(row.onnx))] = "a sidecar"
            found[registry.absolute(row.onnx)] = "a model"
    return found


def in_tasks(units: Iterable[Unit], rows: int) -> Iterator[tuple[Unit, ...]]:
    """The units in tasks of about so many rows each."""
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
