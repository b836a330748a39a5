# SPDX-License-Identifier: Apache-2.0
"""Evidence: everything that was read and computed about a registry, frozen.

`provenance.gate.collect` reads it; rules conclude from it, and nothing after it opens a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from provenance.artifacts import ensemble
from provenance.artifacts.digest import Digest
from provenance.artifacts.onnx_model import OnnxFacts
from provenance.artifacts.paths import FileError, Tree, Trouble
from provenance.artifacts.registry import Registry, Row
from provenance.artifacts.sidecar import Sidecar
from provenance.attestations import bundle as bundles
from provenance.attestations.statement import Statement
from provenance.gate.ensemble import Ensemble, join


@dataclass(frozen=True, slots=True)
class FileEvidence:
    """One file that was looked for. Either `digest` or `trouble` is set.

    Attributes:
        path: Relative to the repository's root.
        name: Relative to the registry's folder; what statements call the file.
    """

    path: str
    name: str
    digest: Digest | None = None
    trouble: FileError | None = None

    @property
    def sha256(self) -> str | None:
        """The digest that was computed, None where the file could not be read."""
        return self.digest.sha256 if self.digest else None

    @property
    def missing(self) -> bool:
        """Whether nothing lies at the path."""
        return self.trouble is not None and self.trouble.trouble is Trouble.MISSING


@dataclass(frozen=True, slots=True)
class ExternalFile(FileEvidence):
    """An external-data file of a model, and how many bytes of it the model needs."""

    needs: int = 0
    tensor: str = ""


@dataclass(frozen=True, slots=True)
class ModelEvidence(FileEvidence):
    """A `.onnx` file: facts, or why the bytes are not ONNX, and its external data."""

    facts: OnnxFacts | None = None
    not_onnx: str | None = None
    external: tuple[ExternalFile, ...] = ()

    @property
    def files(self) -> tuple[FileEvidence, ...]:
        """The model and its external data: all that the runtime opens for it."""
        return (self, *self.external)


@dataclass(frozen=True, slots=True)
class SidecarEvidence(FileEvidence):
    """A sidecar: its content, or why it has none."""

    sidecar: Sidecar | None = None
    malformed: str | None = None


@dataclass(frozen=True, slots=True)
class BundleEvidence(FileEvidence):
    """A bundle: its content and, of a DSSE envelope, its statement; or why it has none.

    `countersigned` are the bundles beside it in which others signed the same.
    """

    bundle: bundles.Bundle | None = None
    statement: Statement | None = None
    malformed: str | None = None
    countersigned: tuple[BundleEvidence, ...] = ()

    @property
    def files(self) -> tuple[BundleEvidence, ...]:
        """The bundle and its countersignatures."""
        return (self, *self.countersigned)


@dataclass(frozen=True, slots=True)
class RowEvidence:
    """Everything about one row. A part is None where the row does not name it."""

    row: Row
    onnx: ModelEvidence | None = None
    int8: ModelEvidence | None = None
    sidecar: SidecarEvidence | None = None
    int8_sidecar: SidecarEvidence | None = None
    bundle: BundleEvidence | None = None
    attestation: BundleEvidence | None = None
    manifest: ensemble.Manifest | None = None
    verdict: ensemble.GateVerdict | None = None

    @property
    def models(self) -> tuple[ModelEvidence, ...]:
        """The `.onnx` and its int8 variant, where the row has them."""
        return tuple(m for m in (self.onnx, self.int8) if m is not None)

    @property
    def model_files(self) -> tuple[FileEvidence, ...]:
        """Everything the runtime opens for the row, each file once."""
        return tuple({f.name: f for m in self.models for f in m.files}.values())

    @property
    def is_seed(self) -> bool:
        """Whether a manifest lists the row's model, or its sidecar says that it is a seed."""
        sidecar = self.sidecar.sidecar if self.sidecar else None
        says_so = sidecar is not None and sidecar.text_at("ensemble_id") is not None
        return self.manifest is not None or says_so


@dataclass(frozen=True)
class Evidence:
    """Everything about a registry.

    Attributes:
        registry: The registry as read.
        rows: The selected rows, in the order of the registry.
        whole: Whether all rows were selected; only then are strays and the summary judged.
        documents: Ensemble manifests and gate verdicts beside the registry.
        strays: Files beside the registry or the bundles that nothing names.
        unreadable: JSON files beside the registry that cannot be read, with the reason.
        summary: The release summary, None where bundles were not collected.
    """

    root: Tree
    registry: Registry
    rows: tuple[RowEvidence, ...]
    whole: bool
    documents: tuple[ensemble.Manifest | ensemble.GateVerdict, ...] = ()
    strays: tuple[FileEvidence, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    stray_bundles: tuple[str, ...] = ()
    summary: BundleEvidence | None = None

    @cached_property
    def ensembles(self) -> tuple[Ensemble, ...]:
        """All ensembles; none where some rows were selected, which do not show who is missing."""
        return tuple(join(self.rows, self.documents)) if self.whole else ()

    @property
    def model_files(self) -> tuple[FileEvidence, ...]:
        """All model files of all rows, each once, in the order of the registry."""
        return tuple({f.name: f for r in self.rows for f in r.model_files}.values())

    @property
    def sidecars(self) -> tuple[SidecarEvidence, ...]:
        """All sidecars that exist."""
        found = (s for r in self.rows for s in (r.sidecar, r.int8_sidecar))
        return tuple({s.name: s for s in found if s is not None and not s.missing}.values())

    @property
    def bundles(self) -> tuple[BundleEvidence, ...]:
        """All row bundles and seed attestations that exist."""
        found = (b for r in self.rows for b in (r.bundle, r.attestation))
        return tuple({b.path: b for b in found if b is not None and not b.missing}.values())
