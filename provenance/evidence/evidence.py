# SPDX-License-Identifier: Apache-2.0
"""Evidence: everything that was read and computed about a registry, frozen.

Most of it is read by `provenance.evidence.collect` and `read_rows`. Rules conclude from it and open
no file.
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
from provenance.artifacts.registry import Registry, Row
from provenance.artifacts.sidecar import Sidecar
from provenance.evidence.baseline import Place
from provenance.evidence.beside import Fault, NotADocument, SchemaEvidence
from provenance.evidence.ensembles import Ensemble, EnsembleMember, join, named_ensemble
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
    SidecarEvidence,
)
from provenance.frozen import dataclass
from provenance.runtime.settings import RunSettings


@dataclass(frozen=True, slots=True)
class LostFiles:
    """The files of a row that is gone: paths, from the present root.

    `here` are those with the bytes that the row declared; without the `absent` it cannot come back.
    """

    here: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


@dataclass(frozen=True)
class BaselineEvidence:
    """The registry as it was, which the present one is compared with.

    Attributes:
        name: The baseline as the user named it.
        label: The same, with the commit that it was.
        comparison: What the two registries differ in.
        rows: By its place in the registry, what each selected row was at the baseline.
        place: What the paths of the former registry are relative to.
        taken: The same of each new row that has the file of a row that is gone.
        documents: Ensemble manifests and gate verdicts of the baseline that are here no more.
        lost: By its label, the files of each row that is gone.
        policy: What the configuration changed since the baseline.
        note: Why the configuration of the baseline was not used; None if it was.
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

    def former(self, row: RowEvidence) -> FormerRow | None:
        """What a row was at the baseline; None where it is new."""
        return self.rows.get(row.index)

    def former_path(self, path: str) -> str:
        """Return where a file beside the registry was: elsewhere, if the registry has moved."""
        now, then = self.comparison.now, self.comparison.then
        below = posixpath.relpath(path, now.folder or ".")
        return path if below.startswith("../") else self.place.here(then.absolute(below))


@dataclass(frozen=True)
class Evidence:
    """Everything about a registry.

    Attributes:
        registry: The registry as read.
        rows: The rows that were read, in the order of the registry: of a unit, or all.
        whole: Whether all rows were selected; only then are strays and the summary judged.
        unread: The selected rows, which are yet to be read, unit by unit; None if they were read.
        with_bundles: Whether bundles are read with them.
        documents: Ensemble manifests and gate verdicts beside the registry.
        strays: Files beside the models that nothing names, by path. Models are `StrayModel`.
        stray_sidecars: JSON files beside the registry that speak of a model, which no row has.
        license_files: The license files here that rows point at, by their `license_url`.
        unreadable: JSON files beside the registry that cannot be read, with the reason.
        unreadable_at: Where that is known, the place in such a file.
        not_documents: JSON objects beside the registry that are no sidecar, manifest or verdict.
        nameless: JSON files beside the registry whose names are no text.
        wide: What is looked up over all rows and documents, where these are not all here.
        placeholders: The row and the path of each model that a row says to be smoke, by digest.
        misplaced: The strays that are a file which a row misses, by the SHA-256 that the row
            declares. The rule that reports the row names the stray too.
        schema: The schema that the registry names, None if it names none in this repository.
        summary: The release summary, None where bundles were not collected.
        released: The files that the summary names, and those that a row names and it does not,
            where a release is judged by its summary alone; else None.
        run: How the models are run, None if they are not.
        baseline: The registry as it was, None where the run compares with nothing.
        seen: The last release of each registry that was used before; None without a state file.
        pipeline: The layout of the release and its links, None where there is no layout.
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

    @cached_property
    def ensembles(self) -> tuple[Ensemble, ...]:
        """All ensembles; none where some rows were selected, which do not show who is missing."""
        return tuple(join(self.rows, self.documents)) if self.whole else ()

    def ensemble_of(self, row: RowEvidence) -> Ensemble | None:
        """The ensemble in which a row is a member; known only where all rows were selected."""
        return next((each for each, _ in self._memberships.get(row.index, ())), None)

    def names_in_manifests(self, row: RowEvidence) -> frozenset[str | None]:
        """What the manifests that list a row call its model."""
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
        """The ensemble that each manifest or verdict is about, by its path; the last of several."""
        found = {v.path: each for each in self.ensembles for v in each.verdicts}
        return {e.manifest.path: e for e in self.ensembles} | found

    @cached_property
    def broken_documents(self) -> Mapping[str, Mapping[str, Fault]]:
        """What is wrong with JSON files that are named after an ensemble, by its id and their path.

        The ensembles are those that the rows belong to, or say that they do.
        """
        if not self.whole:
            return {}
        names = {each.name for each in self.ensembles}
        ids = {d.id for d in self.documents if isinstance(d, ensemble.Manifest)} | names
        ids |= set(map(named_ensemble, self.rows))
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
                # The longest: `e_small_PROMOTE.json` is about `e_small`, where there is one.
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
        """Why a document cannot be read, or is no `manifest` or `verdict` where one is missed."""
        if path in self.unreadable:
            reason = f"cannot be read: it {self.unreadable[path]}"
            return Fault(reason, self.unreadable_at.get(path, START))
        found = self.not_documents[path]
        if manifest:
            reason = f"is no manifest: {found.as_manifest.reason}"
            return Fault(reason, found.as_manifest.position)
        if verdict and found.as_verdict is not None:
            return Fault(
                f"is no gate verdict: {found.as_verdict.reason}", found.as_verdict.position
            )
        return None

    @cached_property
    def first_rows(self) -> Mapping[str, int]:
        """The place of the first row of each model, or else of its variant, by the path."""
        found: dict[str, int] = {}
        models = [(row.onnx, row.index) for row in self.rows]
        for model, index in (*models, *((row.int8, row.index) for row in self.rows)):
            if model is not None:
                found.setdefault(model.path, index)
        return found

    @cached_property
    def described(self) -> Mapping[int, Sequence[tuple[ModelEvidence, Sidecar]]]:
        """By the place of a row, its models with the sidecars that may be about their bytes.

        Of a file of two rows, the sidecar is its own row's, or the first one's (ART313).
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
        """The rows that name each model, by its path, without those whose digest is another's."""
        found: defaultdict[str, list[RowEvidence]] = defaultdict(list)
        for row in self.rows:
            if row.onnx is not None and not row.replaced(row.onnx):
                found[row.onnx.path].append(row)
        return found

    @cached_property
    def registry_wide(self) -> RegistryWide:
        """What is looked up over all rows and documents; of a unit by itself, over its own."""
        return self.wide or RegistryWide(
            self.registry,
            self.schema,
            self.documents,
            (*self.unreadable, *self.not_documents),
            self.strays,
            self.stray_sidecars,
        )

    @property
    def model_files(self) -> tuple[FileEvidence, ...]:
        """All model files of all rows, each once, in the order of the registry."""
        return tuple({f.name: f for r in self.rows for f in r.model_files}.values())

    @property
    def sidecars(self) -> tuple[SidecarEvidence, ...]:
        """All sidecars that exist."""
        found = (s for r in self.rows for s in r.sidecars)
        return tuple({s.name: s for s in found if not s.missing}.values())

    @property
    def bundles(self) -> tuple[BundleEvidence, ...]:
        """All row bundles and seed attestations that exist."""
        found = (b for r in self.rows for b in (r.bundle, r.attestation))
        return tuple({b.path: b for b in found if b is not None and not b.missing}.values())


def missed_digests(rows: Iterable[RowFacts]) -> frozenset[str]:
    """The digests that rows declare and that none of the files has which they name."""
    declared: set[str] = set()
    present: set[str] = set()
    for row in rows:
        fields = (row.row.fields.get(name) for name in ("sha256", "int8_sha256"))
        values = map(sha256_of, (*fields, *row.row.external_data_sha256.values()))
        declared.update(filter(None, values))
        present.update(f.sha256 for f in row.model_files if f.sha256 is not None)
    return frozenset(declared - present)
