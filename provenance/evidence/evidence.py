# SPDX-License-Identifier: Apache-2.0
"""The evidence about a registry: everything that was read and computed, as frozen values.

`provenance.evidence.collect` and `read_rows` read most of it. Rules only use the evidence and open
no files.
"""

from __future__ import annotations

import posixpath
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from functools import cached_property

from provenance.artifacts import ensemble
from provenance.artifacts.digest import sha256_of
from provenance.artifacts.documents.strict_json import START, Position
from provenance.artifacts.paths import Tree
from provenance.artifacts.sidecar import Sidecar
from provenance.config.gates import Gate, Gates
from provenance.evidence.baseline import Place
from provenance.evidence.beside import Fault, NotADocument, SchemaEvidence
from provenance.evidence.ensembles import Ensemble, EnsembleMember, gates_of_manifest, join
from provenance.evidence.facts import RowFacts
from provenance.evidence.pipeline import PipelineEvidence
from provenance.evidence.policy import PolicyChange
from provenance.evidence.registry_diff import Comparison
from provenance.evidence.registry_wide import RegistryWide
from provenance.evidence.releases import Release
from provenance.evidence.rows import (
    BundleEvidence,
    FileEvidence,
    FormerRow,
    LicenseFile,
    ModelEvidence,
    RowEvidence,
)
from provenance.frozen import dataclass
from provenance.registry.registry import Registry
from provenance.registry.rows import Row
from provenance.registry.withdrawn import Withdrawal, Withdrawals
from provenance.runtime.settings import RunSettings


@dataclass(frozen=True, slots=True)
class LostFiles:
    """The files of a row that was lost, as paths relative to the present root.

    Attributes:
        here: The files that exist with the declared bytes.
        absent: The other files. Without them, the row cannot be restored.
    """

    here: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LooserRecord:
    """A limit in a sidecar that is looser than at the baseline.

    Attributes:
        row: The label of the row.
        path: The path of the sidecar.
        name: The name of the limit.
        now: The limit, or None if it is missing.
        then: The former limit.
        position: The position of the limit, or of the sidecar.
    """

    row: str
    path: str
    name: str
    now: float | None
    then: float | None
    position: Position


@dataclass(frozen=True)
class BaselineEvidence:
    """The baseline that the present registry is compared with.

    Attributes:
        name: The baseline as the user named it.
        label: The name with the commit that it resolved to.
        comparison: The differences of the two reading.
        rows: The former state of each selected row, by its place in the registry.
        place: The folder that the paths of the former registry are relative to.
        documents: The ensemble manifests and gate verdicts of the baseline that no longer exist.
        verdicts: The former gate verdicts at paths that still exist, by path.
        records: The limits in sidecars of single models that are looser than before.
        lost: The files of each lost row, by its label.
        policy: The changes of the configuration since the baseline.
        note: Why the configuration of the baseline was not used, or None if it was.
        taken: For each new row that has the file of a lost row, by its place, that row.
        gates: The gates of the baseline's configuration, or None if that was not used.
        withdrawn: The models that were withdrawn at the baseline.
    """

    name: str
    label: str
    comparison: Comparison
    rows: Mapping[int, FormerRow]
    place: Place
    documents: tuple[ensemble.Manifest | ensemble.GateVerdict, ...] = ()
    lost: Mapping[str, LostFiles] = field(default_factory=dict)
    policy: tuple[PolicyChange, ...] = ()
    note: str | None = None
    taken: Mapping[int, FormerRow] = field(default_factory=dict)
    gates: Gates | None = None
    verdicts: Mapping[str, ensemble.GateVerdict] = field(default_factory=dict)
    records: tuple[LooserRecord, ...] = ()
    withdrawn: tuple[Withdrawal, ...] = ()

    def former(self, row: RowEvidence) -> FormerRow | None:
        """Return the former state of a row, or None if it is new."""
        return self.rows.get(row.index)

    def former_path(self, path: str) -> str:
        """Return the former path of a file beside the registry, which may have moved."""
        now, then = self.comparison.now, self.comparison.then
        below = posixpath.relpath(path, now.folder or ".")
        return path if below.startswith("../") else self.place.here(then.absolute(below))


@dataclass(frozen=True)
class Evidence:
    """Everything about a registry.

    Attributes:
        root: The repository.
        registry: The registry.
        rows: The rows that were read, in the order of the registry: those of a unit, or all.
        whole: Whether all rows were selected. Only then are strays and the summary judged.
        unread: The selected rows that are still to be read, unit by unit, or None if they were
            read.
        with_bundles: Whether bundles are read with the rows.
        documents: The ensemble manifests and gate verdicts beside the registry.
        strays: The files beside the models that nothing names, by path. Models are `StrayModel`.
        stray_sidecars: The sidecars beside the registry that do not belong to a row.
        license_files: The license files that rows point at, by their `license_url`.
        unreadable: The JSON files beside the registry that cannot be read, with the reason.
        unreadable_at: The position of the problem in such a file, if it is known.
        not_documents: The JSON objects beside the registry that are not a sidecar, manifest or
            verdict.
        nameless: The JSON files beside the registry whose names are not valid UTF-8.
        wide: Lookups over all rows and documents, if `rows` and `documents` are not all of them.
        placeholders: The row and the path of each model that a row declares as smoke, by digest.
        misplaced: The strays that are a missing file of a row, by the SHA-256 that the row
            declares. The rule that reports the row also names the stray.
        stray_bundles: The paths of bundles that do not belong to anything.
        schema: The schema that the registry names, or None if it names no local one.
        summary: The release summary, or None if bundles are not read.
        released: If a release is judged by its summary alone, the files that the summary or a row
            names; otherwise None.
        run: The settings for running the models, or None if they are not run.
        baseline: The baseline, or None.
        seen: The last release of each registry that was used before, or None without a state file.
        pipeline: The layout of the release and its links, or None if no layout is given.
        gates: The gates of the configuration.
        withdrawn: The withdrawn models, or None if the target has no such file.
        formerly_withdrawn: The withdrawn models of the release that is being replaced.
        advisories: Release summaries that lie beside a single model and are not required. Only
            what they withdraw counts, and only if a trusted signer signed them.
    """

    root: Tree
    registry: Registry
    rows: tuple[RowEvidence, ...]
    whole: bool
    unread: tuple[Row, ...] | None = None
    with_bundles: bool = False
    documents: tuple[ensemble.Manifest | ensemble.GateVerdict, ...] = ()
    strays: tuple[FileEvidence, ...] = ()
    stray_sidecars: tuple[Sidecar, ...] = ()
    license_files: Mapping[str, LicenseFile] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    unreadable_at: Mapping[str, Position] = field(default_factory=dict)
    not_documents: Mapping[str, NotADocument] = field(default_factory=dict)
    nameless: tuple[str, ...] = ()
    wide: RegistryWide | None = None
    placeholders: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    misplaced: Mapping[str, FileEvidence] = field(default_factory=dict)
    stray_bundles: tuple[str, ...] = ()
    schema: SchemaEvidence | None = None
    summary: BundleEvidence | None = None
    released: tuple[FileEvidence, ...] | None = None
    run: RunSettings | None = None
    baseline: BaselineEvidence | None = None
    seen: Mapping[str, Release] | None = None
    pipeline: PipelineEvidence | None = None
    gates: Gates = Gates()
    withdrawn: Withdrawals | None = None
    formerly_withdrawn: tuple[Withdrawal, ...] = ()
    advisories: tuple[BundleEvidence, ...] = ()

    @cached_property
    def ensembles(self) -> tuple[Ensemble, ...]:
        """All ensembles; empty unless all rows were selected, because members could be missing."""
        return tuple(join(self.rows, self.documents, self.gates)) if self.whole else ()

    def ensemble_of(self, row: RowEvidence) -> Ensemble | None:
        """Return the ensemble of a row, or None. It is only known if all rows were selected."""
        return next((each for each, _ in self._memberships.get(row.index, ())), None)

    def gates_of(self, row: RowEvidence) -> tuple[Gate, ...]:
        """Return the configured gates that apply to a row: those of its ensemble if it has one."""
        if not self.gates.declared:
            return ()
        if row.manifest is None:
            known = self._gates_of_rows.get(row.label)
            if known is None:
                known = self._gates_of_rows[row.label] = self.gates.of_row(row.label)
            return known
        ensemble = self.ensemble_of(row)
        return ensemble.gates if ensemble else gates_of_manifest(row.manifest, self.gates)

    @cached_property
    def _gates_of_rows(self) -> dict[str, tuple[Gate, ...]]:
        return {}

    def names_in_manifests(self, row: RowEvidence) -> frozenset[str | None]:
        """Return the names of a row's model in the manifests that list the row."""
        return frozenset(member.listed.onnx for _, member in self._memberships.get(row.index, ()))

    @cached_property
    def _memberships(self) -> Mapping[int, Sequence[tuple[Ensemble, EnsembleMember]]]:
        found: defaultdict[int, list[tuple[Ensemble, EnsembleMember]]] = defaultdict(list)
        for each in self.ensembles:
            for member in each.members:
                if member.row is not None:
                    found[member.row.index].append((each, member))
        return found

    @cached_property
    def ensemble_by_document(self) -> Mapping[str, Ensemble]:
        """The ensemble of each manifest or verdict, by its path; the last one of several."""
        found = {v.path: each for each in self.ensembles for v in each.verdicts}
        return {e.manifest.path: e for e in self.ensembles} | found

    @cached_property
    def broken_documents(self) -> Mapping[str, Mapping[str, Fault]]:
        """The faults of JSON files that are named after an ensemble, by its id and their path.

        The ensembles are those that rows belong to or claim.
        """
        if not self.whole:
            return {}
        names = {each.name for each in self.ensembles}
        ids = {d.id for d in self.documents if isinstance(d, ensemble.Manifest)} | names
        ids |= {row.named for row in self.rows}
        wide = self.registry_wide
        manifests = names | wide.manifest_ids.keys()
        known = ids | manifests | wide.claimed
        unjudged = {each.name for each in self.ensembles if each.production and not each.verdicts}
        found: dict[str, dict[str, Fault]] = {}
        for id in sorted(filter(None, ids)):
            for at in range(bisect_left(wide.broken_names, (id,)), len(wide.broken_names)):
                name, path = wide.broken_names[at]
                if not name.startswith(id):
                    break
                # The longest id wins: `e_small_PROMOTE.json` is about `e_small`, if it exists.
                stems = (name[:end] for end in range(len(name), len(id), -1))
                longer = (s for s in stems if s in known)
                named = ensemble.is_named_after
                if not named(name, id) or any(named(name, stem) for stem in longer):
                    continue
                is_missed = name == f"{id}.json" and id not in manifests
                fault = self._fault(path, manifest=is_missed, verdict=id in unjudged)
                if fault is not None:
                    found.setdefault(id, {})[path] = fault
        return found

    def _fault(self, path: str, *, manifest: bool, verdict: bool) -> Fault | None:
        """Return the fault of a file that is unreadable, or not the missing document, or None.

        `manifest` and `verdict` say whether such a document is missing.
        """
        if path in self.unreadable:
            reason = f"cannot be read: it {self.unreadable[path]}"
            return Fault(reason, self.unreadable_at.get(path, START))
        found = self.not_documents[path]
        if manifest:
            reason = f"is not a manifest: {found.as_manifest.reason}"
            return Fault(reason, found.as_manifest.position)
        if verdict and found.as_verdict is not None:
            return Fault(
                f"is not a gate verdict: {found.as_verdict.reason}", found.as_verdict.position
            )
        return None

    @cached_property
    def first_rows(self) -> Mapping[str, int]:
        """The place of the first row that has each file as its model, or else as its variant."""
        found: dict[str, int] = {}
        models = [(row.onnx, row.index) for row in self.rows]
        for model, index in (*models, *((row.int8, row.index) for row in self.rows)):
            if model is not None:
                found.setdefault(model.path, index)
        return found

    @cached_property
    def described(self) -> Mapping[int, Sequence[tuple[ModelEvidence, Sidecar]]]:
        """The models of a row with the sidecars that may describe their bytes, by its place.

        If two rows have the same file, only the first row counts (ART313).
        """
        found: defaultdict[int, list[tuple[ModelEvidence, Sidecar]]] = defaultdict(list)
        for row in self.rows:
            for model, read in ((row.onnx, row.sidecar), (row.int8, row.int8_sidecar)):
                sidecar = read.sidecar if read is not None else None
                if model is None or sidecar is None or self.first_rows[model.path] != row.index:
                    continue
                if model.sha256 is None or sidecar.claimed_sha256 in (None, model.sha256):
                    found[row.index].append((model, sidecar))
        return found

    @cached_property
    def rows_by_model(self) -> Mapping[str, Sequence[RowEvidence]]:
        """The rows of each model, by its path, except rows that declare another digest."""
        found: defaultdict[str, list[RowEvidence]] = defaultdict(list)
        for row in self.rows:
            if row.onnx is not None and not row.replaced(row.onnx):
                found[row.onnx.path].append(row)
        return found

    @cached_property
    def registry_wide(self) -> RegistryWide:
        """Lookups over all rows and documents; for a unit that is judged alone, over its own."""
        return self.wide or RegistryWide(
            self.registry,
            self.schema,
            self.documents,
            (*self.unreadable, *self.not_documents),
            self.strays,
            self.stray_sidecars,
        )

    @property
    def bundles(self) -> tuple[BundleEvidence, ...]:
        """All row bundles and seed attestations that exist."""
        found = (b for r in self.rows for b in (r.bundle, r.attestation))
        return tuple({b.path: b for b in found if b is not None and not b.missing}.values())


def missed_digests(rows: Iterable[RowFacts]) -> frozenset[str]:
    """Return the digests that rows declare, but that no file of theirs has."""
    declared: set[str] = set()
    present: set[str] = set()
    for row in rows:
        fields = (row.row.fields.get(name) for name in ("sha256", "int8_sha256"))
        values = map(sha256_of, (*fields, *row.row.external_data_sha256.values()))
        declared.update(filter(None, values))
        present.update(f.sha256 for f in row.model_files if f.sha256 is not None)
    return frozenset(declared - present)
