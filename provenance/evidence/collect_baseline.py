# SPDX-License-Identifier: Apache-2.0
"""Collect the baseline: the former registry, and what rules compare of the files beside it.

For rows that have changed, only the digests of their former sidecars and bundles are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from provenance.artifacts import digest, ensemble, limits, paths
from provenance.artifacts.baseline import Source
from provenance.artifacts.digest import is_sha256
from provenance.artifacts.documents.strict_json import JsonError, decode, parse_object
from provenance.artifacts.paths import FileError, PointerError, Tree
from provenance.artifacts.sidecar import Sidecar, sidecar_of
from provenance.config import Config, Gates
from provenance.evidence.baseline import Baseline
from provenance.evidence.evaluation import looser_limits
from provenance.evidence.evidence import BaselineEvidence, LooserRecord, LostFiles
from provenance.evidence.gates import selects
from provenance.evidence.policy import policy_changes
from provenance.evidence.registry_diff import Comparison, changed_digests
from provenance.evidence.rows import FormerRow
from provenance.registry import withdrawn
from provenance.registry.registry import Registry
from provenance.registry.rows import Row, int8_of


def collect_baseline(
    root: Tree,
    registry: Registry,
    baseline: Baseline,
    config: Config,
    select: Iterable[str] | None = None,
) -> BaselineEvidence:
    """Read the former state of the rows of `registry`, or of those with the labels in `select`.

    `config` is the configuration of the present tree.

    Raises:
        InputError: If the folder of the registry in the baseline cannot be listed.
        UnavailableError: If a file of the baseline is not in this clone.
    """
    wanted = None if select is None else set(select)
    comparison = Comparison(baseline.registry, registry)
    then = _Digests(baseline.registry, baseline.source)
    here = _Digests(registry, root)
    rows: dict[int, FormerRow] = {}
    taken: dict[int, FormerRow] = {}
    gone = {lost.row.onnx: lost.row for lost in comparison.lost_rows() if lost.row.onnx}
    for row in registry.rows:
        if wanted is not None and row.label not in wanted:
            continue
        was = comparison.was(row)
        if was is not None:
            rows[row.index] = _former(root, registry, then, here, row, was)
        elif row.onnx in gone:
            taken[row.index] = _former(root, registry, then, here, row, gone[row.onnx])
    gates = None if baseline.former is None else baseline.former.config.gates
    beside = list(_documents(root, registry, baseline, gates)) if wanted is None else []
    return BaselineEvidence(
        name=baseline.name,
        label=baseline.label,
        comparison=comparison,
        rows=rows,
        place=baseline.place,
        taken=taken,
        documents=tuple(found for found, is_lost in beside if is_lost),
        verdicts={
            found.path: found
            for found, is_lost in beside
            if not is_lost and isinstance(found, ensemble.GateVerdict)
        },
        lost=dict(_lost_files(root, registry, baseline, comparison)) if wanted is None else {},
        policy=policy_changes(baseline, config),
        records=tuple(_records(root, registry, baseline, comparison, config))
        if wanted is None
        else (),
        note=baseline.note,
        gates=gates,
        withdrawn=withdrawn.read(baseline.source, f"baseline {baseline.name}: ").entries,
    )


class _Digests:
    """The digests of files of one tree. Each file is read once, because rows may share it."""

    def __init__(self, registry: Registry, tree: Tree | Source) -> None:
        self._registry = registry
        self._tree = tree
        self._known: dict[tuple[str, int], str | None] = {}

    def of(self, name: str | None, limit: int) -> str | None:
        """Return the digest of the file that a row names, or None if either is missing."""
        if name is None:
            return None
        file = (self._registry.absolute(name), limit)
        if file not in self._known:
            self._known[file] = self._read(*file)
        return self._known[file]

    def _read(self, path: str, limit: int) -> str | None:
        try:
            data = self._tree.read(path, limit)
        except PointerError as e:
            return e.oid
        except FileError:
            return None  # the file cannot be compared
        # A commit holds Git LFS pointers. In a checkout, `git lfs` replaces them.
        return paths.pointed_to(data) or digest.of_bytes(data).sha256


def _former(
    root: Tree, registry: Registry, then: _Digests, here: _Digests, row: Row, was: Row
) -> FormerRow:
    if registry.mapping_of(row).skips_absent:
        signed = then.of(was.sigstore_bundle, limits.BUNDLE) is not None
        return replace(_former_files(root, registry, then, here, row, was), was_signed=signed)
    return _former_files(root, registry, then, here, row, was)


def _former_files(
    root: Tree, registry: Registry, then: _Digests, here: _Digests, row: Row, was: Row
) -> FormerRow:
    if was.onnx is None or row.onnx is None:
        return FormerRow(was)
    changed = bool(changed_digests(row, was))
    if not changed and root.exists(registry.absolute(sidecar_of(row.onnx))):
        return FormerRow(was)
    sidecar = then.of(sidecar_of(was.onnx), limits.DOCUMENT)
    if not changed:
        return FormerRow(was, sidecar)
    int8 = sidecar_of(int8_of(was.onnx))
    bundle = then.of(was.sigstore_bundle, limits.BUNDLE)
    now = here.of(row.sigstore_bundle, limits.BUNDLE) if bundle else None
    return FormerRow(was, sidecar, then.of(int8, limits.DOCUMENT), bundle, now)


def _lost_files(
    root: Tree, registry: Registry, baseline: Baseline, comparison: Comparison
) -> Iterator[tuple[str, LostFiles]]:
    """Yield the files of each lost row that still exist: they decide whether it can be restored."""
    beside = frozenset(baseline.source.names_in(baseline.registry.folder))
    for lost in comparison.lost_rows():
        row = lost.row
        if row.onnx is None or lost.renamed is not None:
            continue
        declared = {row.onnx: row.fields.get("sha256"), **row.external_data_sha256}
        if "int8_sha256" in row.fields and not row.is_variant:
            declared[int8_of(row.onnx)] = row.fields["int8_sha256"]
        sidecars = [sidecar_of(name) for name in (row.onnx, int8_of(row.onnx))]
        declared |= dict.fromkeys((name for name in sidecars if name in beside), None)
        files = [(registry.absolute(name), sha256) for name, sha256 in declared.items()]
        found = [(path, _is_here(root, path, sha256)) for path, sha256 in files]
        here = tuple(path for path, is_here in found if is_here)
        yield row.label, LostFiles(here, tuple(path for path, is_here in found if not is_here))


def _is_here(root: Tree, path: str, declared: object) -> bool:
    """Whether a file exists, with the declared digest if there is one."""
    if not is_sha256(declared):
        return root.exists(path)
    try:
        with root.open(path) as stream:
            return digest.of_stream(stream).sha256 == declared
    except (FileError, OSError):
        return False


def _records(
    root: Tree, registry: Registry, baseline: Baseline, comparison: Comparison, config: Config
) -> Iterator[LooserRecord]:
    """Yield the sidecars of single models that record looser limits than before.

    These are the sidecars of production models to which no gate of the configuration applies.
    """
    compared: set[tuple[str, str]] = set()  # rows may share a sidecar
    for row in registry.rows:
        was = comparison.was(row)
        if was is None or not (row.claims_production and was.claims_production):
            continue
        before, after = _sidecar_name(baseline.registry, was), _sidecar_name(registry, row)
        if before is None or after is None or config.gates.of_row(row.label):
            continue
        path = registry.absolute(after)
        if (before, path) in compared:
            continue
        compared.add((before, path))
        try:
            then = baseline.source.read(baseline.registry.absolute(before), limits.DOCUMENT)
            now = root.read(path, limits.DOCUMENT)
            if then == now:
                continue
            former, present = _sidecar(path, then), _sidecar(path, now)
        except (FileError, JsonError):
            continue  # the rules about sidecars report it
        if present.text_at("ensemble_id") is None:
            for where, limit, former_limit in looser_limits(former, present):
                position = present.locate(*where)
                yield LooserRecord(row.label, path, where[-1], limit, former_limit, position)


def _sidecar_name(registry: Registry, row: Row) -> str | None:
    """Return the name of the sidecar of a row. A mapped row has one only if it is mapped."""
    if registry.mapping_of(row).is_mapped:
        return row.text("sidecar")
    return None if row.onnx is None else sidecar_of(row.onnx)


def _sidecar(path: str, data: bytes) -> Sidecar:
    return Sidecar(path, digest.of_bytes(data), decode(data), parse_object(data))


def _documents(
    root: Tree, registry: Registry, baseline: Baseline, gates: Gates | None
) -> Iterator[tuple[ensemble.Manifest | ensemble.GateVerdict, bool]]:
    """Yield the manifests and verdicts of the baseline, and whether each no longer exists."""
    then = baseline.registry
    sidecars = {then.absolute(sidecar_of(r.onnx)) for r in then.rows if r.onnx}
    for name in baseline.source.names_in(then.folder):
        former = paths.join(then.folder, name)
        is_text = name.encode("utf-8", "replace").decode() == name  # otherwise it has no path
        if not name.endswith(".json") or not is_text or former in sidecars:
            continue
        path = paths.join(registry.folder, name)  # where it would be, if the registry has moved
        is_lost = not (root.exists(path) or root.exists(baseline.place.here(former)))
        try:
            data = baseline.source.read(former, limits.DOCUMENT)
            value = parse_object(data)
        except (FileError, JsonError):
            continue  # not a document that rules read
        sha256, text = digest.of_bytes(data), decode(data)
        found = ensemble.document(path, sha256, text, value)
        if found is None and gates is not None and selects(gates.declared, value):
            found = ensemble.GateVerdict(path, sha256, text, value)
        if found is not None:
            yield found, is_lost
