# SPDX-License-Identifier: Apache-2.0
"""Evidence: everything that was read and computed about a registry, frozen.

`provenance.evidence.collect` reads it; rules conclude from it, and nothing after it opens a file.
"""

from __future__ import annotations

import posixpath
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

from provenance.artifacts import ensemble, limits, spdx
from provenance.artifacts.digest import sha256_of
from provenance.artifacts.documents.strict_json import START, Position
from provenance.artifacts.paths import Tree
from provenance.artifacts.registry import Registry
from provenance.artifacts.sidecar import Sidecar
from provenance.evidence.baseline import Place
from provenance.evidence.bundle_names import BundleNames
from provenance.evidence.ensembles import Ensemble, EnsembleMember, join, named_ensemble
from provenance.evidence.facts import RowFacts
from provenance.evidence.pipeline import PipelineEvidence
from provenance.evidence.policy import PolicyChange
from provenance.evidence.registry_diff import Comparison
from provenance.evidence.releases import Release
from provenance.evidence.rows import (
    BundleEvidence,
    FileEvidence,
    FormerRow,
    LicenseFile,
    RowEvidence,
    SidecarEvidence,
)
from provenance.evidence.strays import Belongings, belongings

if TYPE_CHECKING:  # loaded only for a registry that names a schema
    from provenance.artifacts.documents.schema_work import Violation


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a document, in words that follow "it", and at which place."""

    reason: str
    position: Position


@dataclass(frozen=True, slots=True)
class NotADocument:
    """A JSON object that is no document about models.

    Attributes:
        as_manifest, as_verdict: Why it is neither; None where nothing in it looks like a verdict.
    """

    as_manifest: Fault
    as_verdict: Fault | None


@dataclass(frozen=True, slots=True)
class SchemaEvidence:
    """The JSON Schema at `path` that the registry names.

    Attributes:
        violations: What it does not allow of the registry.
        unevaluated: Parts of it that were not evaluated, each with the reason.
        undeclared: Keys that a row may not have, each with the place to declare it in the schema.
    """

    path: str
    violations: tuple[Violation, ...] = ()
    unevaluated: tuple[str, ...] = ()
    undeclared: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LostFiles:
    """The files of a row that is gone: paths, from the present root.

    Attributes:
        here: Those that are here with the bytes that the row declared.
        absent: Those that are not, and without which the row cannot come back.
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
class RegistryWide:
    """What follows from a whole registry and the documents beside it, when it is asked for."""

    registry: Registry
    schema: SchemaEvidence | None
    documents: tuple[ensemble.Manifest | ensemble.GateVerdict, ...]

    @cached_property
    def owners(self) -> Mapping[str, tuple[str, str]]:
        """The first file of each digest that a row declares, and the label of the row."""
        found: dict[str, tuple[str, str]] = {}
        for row in self.registry.rows:
            names = {row.onnx: row.text("sha256")} if row.onnx else {}
            for name, declared in (*names.items(), *row.external_data_sha256.items()):
                if sha256 := sha256_of(declared):
                    found.setdefault(sha256, (self.registry.absolute(name), row.label))
        return found

    @cached_property
    def bundle_names(self) -> BundleNames | None:
        """How the rows of the registry name their bundles."""
        return BundleNames.of(self.registry)

    @cached_property
    def odd_licenses(self) -> frozenset[str]:
        """The first licenses that are not on the SPDX list, of which a near one is suggested."""
        licenses = dict.fromkeys(filter(None, (r.text("license") for r in self.registry.rows)))
        odd = (license for license in licenses if not spdx.is_known(license))
        return frozenset(islice(odd, limits.SUGGESTIONS))

    @cached_property
    def violations(self) -> Mapping[str | int | None, Sequence[Violation]]:
        """What the schema does not allow, each once: by the row's place, None beside the rows."""
        found: defaultdict[str | int | None, dict[object, Violation]] = defaultdict(dict)
        rows = self.registry.names.path
        for each in self.schema.violations if self.schema is not None else ():
            below = each.path[len(rows) :] if each.path[: len(rows)] == rows else ()
            index = below[0] if below else None
            found[index].setdefault((each.path, each.keyword, each.member), each)
        return {index: tuple(violations.values()) for index, violations in found.items()}

    @cached_property
    def manifest_ids(self) -> Mapping[str | None, str]:
        """The ids of all manifests beside the registry, each with the path of the first of them.

        One that lists files goes before one that does not: `members` alone is any list of anything.
        """
        manifests = [d for d in self.documents if isinstance(d, ensemble.Manifest)]
        manifests.sort(key=lambda manifest: not any(m.onnx for m in manifest.members))
        return {manifest.id: manifest.path for manifest in reversed(manifests)}


@dataclass(frozen=True)
class Evidence:
    """Everything about a registry.

    Attributes:
        registry: The registry as read.
        rows: The selected rows, in the order of the registry.
        whole: Whether all rows were selected; only then are strays and the summary judged.
        unread: Whether its rows are yet to be read, unit by unit, and with them what is stray.
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
        ran: Whether the models were run, where they could be.
        baseline: The registry as it was, None where the run compares with nothing.
        seen: The last release of each registry that was used before; None where nobody remembers.
        pipeline: The layout of the release and its links, None where there is no layout.
    """

    root: Tree
    registry: Registry
    rows: tuple[RowEvidence, ...]
    whole: bool
    unread: bool = False
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
    ran: bool = False
    baseline: BaselineEvidence | None = None
    seen: Mapping[str, Release] | None = None
    pipeline: PipelineEvidence | None = None

    @cached_property
    def ensembles(self) -> tuple[Ensemble, ...]:
        """All ensembles; none where some rows were selected, which do not show who is missing."""
        return tuple(join(self.rows, self.documents)) if self.whole else ()

    def ensemble_of(self, row: RowEvidence) -> Ensemble | None:
        """The ensemble in which a row is a member; known only where all rows were selected."""
        return next((each for each, _ in self._seats.get(row.index, ())), None)

    def names_in_manifests(self, row: RowEvidence) -> frozenset[str | None]:
        """What the manifests that list a row call its model."""
        return frozenset(member.listed.onnx for _, member in self._seats.get(row.index, ()))

    @cached_property
    def _seats(self) -> Mapping[int, Sequence[tuple[Ensemble, EnsembleMember]]]:
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
        manifests = names | self.registry_wide.manifest_ids.keys()
        unjudged = {each.name for each in self.ensembles if each.production and not each.verdicts}
        found: dict[str, dict[str, Fault]] = {}
        for id in sorted(filter(None, ids)):
            for at in range(bisect_left(self._broken, (id,)), len(self._broken)):
                name, path = self._broken[at]
                if not name.startswith(id):
                    break
                # The longest: `e_small_PROMOTE.json` is about `e_small`, where there is one.
                stems = (name[:end] for end in range(len(name), len(id), -1))
                longer = (s for s in stems if s in ids or s in manifests)
                named = ensemble.is_named_after
                if not named(name, id) or any(named(name, stem) for stem in longer):
                    continue
                is_missed = name == f"{id}.json" and id not in manifests
                fault = self._fault(path, manifest=is_missed, verdict=id in unjudged)
                if fault is not None:
                    found.setdefault(id, {})[path] = fault
        return found

    @cached_property
    def _broken(self) -> Sequence[tuple[str, ...]]:
        """Name and path of the JSON files beside the registry that are none, or no document."""
        paths = (*self.unreadable, *self.not_documents)
        return sorted((path.rpartition("/")[2], path) for path in paths)

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
    def belongings(self) -> Belongings:
        """Which files belong to the stray models."""
        return belongings(self.strays, self.stray_sidecars)

    @cached_property
    def _stray_paths(self) -> Mapping[str, str]:
        return {stray.name: stray.path for stray in self.strays}

    def stray_files(self, name: str | None) -> Sequence[str]:
        """The stray file of that name, relative to the registry, and what belongs to it."""
        path = self._stray_paths.get(name or "")
        return () if path is None else (path, *self.belongings.of.get(path, ()))

    @cached_property
    def stray_owners(self) -> Mapping[str, int]:
        """The place of the row that each stray sidecar speaks of, by its path."""
        rows = self.registry.rows if self.stray_sidecars else ()
        owners = {row.text("id"): row.index for row in reversed(rows)}
        owners |= {row.onnx: row.index for row in reversed(rows)}
        found: dict[str, int] = {}
        for sidecar in self.stray_sidecars:
            for claim in (sidecar.text_at("onnx"), sidecar.text_at("id")):
                if claim is not None and claim in owners:
                    found.setdefault(sidecar.path, owners[claim])
        return found

    @cached_property
    def stray_sidecar_of(self) -> Mapping[int, Sidecar]:
        """The first stray sidecar that speaks of a row, by its place in the registry."""
        owners = self.stray_owners
        return {owners[s.path]: s for s in reversed(self.stray_sidecars) if s.path in owners}

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
        return self.wide or RegistryWide(self.registry, self.schema, self.documents)

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
