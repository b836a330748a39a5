# SPDX-License-Identifier: Apache-2.0
"""Lookups over the whole registry, which rules about a single row need."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

from provenance.artifacts import ensemble, limits, spdx
from provenance.artifacts.digest import sha256_of
from provenance.artifacts.sidecar import Sidecar
from provenance.evidence.beside import SchemaEvidence
from provenance.evidence.bundle_names import BundleNames
from provenance.evidence.rows import FileEvidence
from provenance.evidence.strays import Belongings, belongings
from provenance.frozen import dataclass
from provenance.registry.reading import STOCK_ROWS
from provenance.registry.registry import Registry

if TYPE_CHECKING:  # loaded only for a registry that names a schema
    from provenance.artifacts.documents.schema_work import Violation


@dataclass(frozen=True)
class RegistryWide:
    """Lookups over the whole registry, each computed on first use.

    Attributes:
        registry: The registry, with all its rows.
        schema: The schema that it names, or None.
        documents: All manifests and verdicts beside it.
        broken: The JSON files beside it that cannot be read, or are not valid documents.
        strays: The files beside the models that no row names.
        stray_sidecars: The sidecars that do not belong to a row.
        claimed: The ensembles that sidecars name, if all sidecars are known.
    """

    registry: Registry
    schema: SchemaEvidence | None
    documents: tuple[ensemble.Manifest | ensemble.GateVerdict, ...]
    broken: tuple[str, ...] = ()
    strays: tuple[FileEvidence, ...] = ()
    stray_sidecars: tuple[Sidecar, ...] = ()
    claimed: frozenset[str] = frozenset()

    @cached_property
    def owners(self) -> Mapping[str, tuple[str, str]]:
        """The first file with each declared digest, and the label of its row."""
        found: dict[str, tuple[str, str]] = {}
        for row in self.registry.rows:
            names = {row.onnx: row.text("sha256")} if row.onnx else {}
            for name, declared in (*names.items(), *row.external_data_sha256.items()):
                if sha256 := sha256_of(declared):
                    found.setdefault(sha256, (self.registry.absolute(name), row.label))
        return found

    @cached_property
    def bundle_names(self) -> BundleNames | None:
        """The pattern of the bundles' names, or None."""
        return BundleNames.of(self.registry)

    @cached_property
    def odd_licenses(self) -> frozenset[str]:
        """The first licenses that are not on the SPDX list, for which findings suggest others."""
        licenses = dict.fromkeys(filter(None, (r.text("license") for r in self.registry.rows)))
        odd = (license for license in licenses if not spdx.is_known(license))
        return frozenset(islice(odd, limits.SUGGESTIONS))

    @cached_property
    def violations(self) -> Mapping[str | int | None, Sequence[Violation]]:
        """The violations of the schema, each once, by the row's place, or None outside the rows."""
        found: defaultdict[str | int | None, dict[object, Violation]] = defaultdict(dict)
        for each in self.schema.violations if self.schema is not None else ():
            below = each.path[1:] if each.path[:1] == STOCK_ROWS else ()
            index = below[0] if below else None
            found[index].setdefault((each.path, each.keyword, each.member), each)
        return {index: tuple(violations.values()) for index, violations in found.items()}

    @cached_property
    def manifest_ids(self) -> Mapping[str | None, str]:
        """The ids of all manifests beside the registry, each with the path of its first manifest.

        Manifests that list files come first, because any list of anything may be called `members`.
        """
        manifests = [d for d in self.documents if isinstance(d, ensemble.Manifest)]
        manifests.sort(key=lambda manifest: not any(m.onnx for m in manifest.members))
        return {manifest.id: manifest.path for manifest in reversed(manifests)}

    @cached_property
    def broken_names(self) -> Sequence[tuple[str, ...]]:
        """The names and paths of the files in `broken`, sorted."""
        return sorted((path.rpartition("/")[2], path) for path in self.broken)

    @cached_property
    def belongings(self) -> Belongings:
        """The files that belong to the stray models."""
        return belongings(self.strays, self.stray_sidecars)

    @cached_property
    def _stray_paths(self) -> Mapping[str, str]:
        return {stray.name: stray.path for stray in self.strays}

    def stray_files(self, name: str | None) -> Sequence[str]:
        """Return the stray file of that name, relative to the registry, and the files of it."""
        path = self._stray_paths.get(name or "")
        return () if path is None else (path, *self.belongings.of.get(path, ()))

    @cached_property
    def stray_owners(self) -> Mapping[str, int]:
        """The place of the row that each stray sidecar describes, by the sidecar's path."""
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
        """The first stray sidecar that describes each row, by the row's place."""
        owners = self.stray_owners
        return {owners[s.path]: s for s in reversed(self.stray_sidecars) if s.path in owners}
