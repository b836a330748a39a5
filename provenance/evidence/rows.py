# SPDX-License-Identifier: Apache-2.0
"""What was read of one row: its models with their external data, sidecars, bundles, documents."""

from __future__ import annotations

from dataclasses import dataclass, field

from provenance.artifacts import ensemble
from provenance.artifacts.digest import Digest, sha256_of
from provenance.artifacts.documents.strict_json import Position
from provenance.artifacts.onnx_model import CutTensor, OnnxFacts
from provenance.artifacts.paths import FileError, FileProblem
from provenance.artifacts.registry import Row
from provenance.artifacts.sidecar import Sidecar
from provenance.attestations import bundle as bundles
from provenance.attestations.statement import Statement
from provenance.runtime.run import Run


@dataclass(frozen=True, slots=True)
class FileEvidence:
    """One file that was looked for. Either `digest` or `problem` is set.

    Attributes:
        path: Relative to the repository's root.
        name: Relative to the registry's folder; what statements call the file.
        sha256: The digest that was computed, None where the file could not be read.
    """

    path: str
    name: str
    digest: Digest | None = None
    problem: FileError | None = None
    sha256: str | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Look the digest up once: every rule compares it."""
        object.__setattr__(self, "sha256", self.digest.sha256 if self.digest else None)

    @property
    def missing(self) -> bool:
        """Whether nothing lies at the path."""
        return self.problem is not None and self.problem.problem is FileProblem.MISSING

    @property
    def pointer(self) -> bool:
        """Whether a Git LFS pointer lies at the path."""
        return self.problem is not None and self.problem.problem is FileProblem.POINTER


@dataclass(frozen=True, slots=True)
class ExternalFile(FileEvidence):
    """An external-data file of a model, and how many bytes of it the model needs.

    `cut` is the first tensor that is larger than what the model names of the file for it.
    """

    needs: int = 0
    tensor: str = ""
    cut: CutTensor | None = None

    @property
    def size(self) -> int | None:
        """How many bytes it has, None where it could not be read."""
        return self.digest.size if self.digest else None

    @property
    def is_short(self) -> bool:
        """Whether it is known to have fewer bytes than the model needs of it."""
        return self.size is not None and self.size < self.needs


@dataclass(frozen=True, slots=True)
class ModelEvidence(FileEvidence):
    """A `.onnx` file: facts, or why the bytes are not ONNX, and its external data.

    `run` is what came of running it, None where it was not run.
    """

    facts: OnnxFacts | None = None
    not_onnx: str | None = None
    external: tuple[ExternalFile, ...] = ()
    run: Run | None = None

    @property
    def files(self) -> tuple[FileEvidence, ...]:
        """The model and its external data: all that the runtime opens for it."""
        return (self, *self.external)

    @property
    def lacks_data(self) -> bool:
        """Whether external data of it does not exist."""
        return any(file.missing for file in self.external)

    @property
    def is_whole(self) -> bool:
        """Whether every file of it was read, and holds what the model needs of it."""
        return self.facts is not None and all(
            f.digest is not None and not f.is_short and f.cut is None for f in self.external
        )


@dataclass(frozen=True, slots=True)
class SidecarEvidence(FileEvidence):
    """A sidecar: its content, or why it has none and, where known, at which place."""

    sidecar: Sidecar | None = None
    malformed: str | None = None
    malformed_at: Position | None = None


@dataclass(frozen=True, slots=True)
class LicenseFile(FileEvidence):
    """A license file of this repository.

    Attributes:
        licenses: SPDX expressions of the licenses that it holds; none where that is not known.
        says_so: Whether the file names them itself. Else they are known by their text.
    """

    licenses: tuple[str, ...] = ()
    says_so: bool = False


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
    """Everything about one row. A part is None where the row does not name it.

    Attributes:
        entry: The row as the registry has it.
        models: The `.onnx` and its int8 variant, where the row has them.
        model_files: Everything the runtime opens for the row, each file once.
        sidecars: Those of the models, whether or not they are there.
    """

    entry: Row
    onnx: ModelEvidence | None = None
    int8: ModelEvidence | None = None
    sidecar: SidecarEvidence | None = None
    int8_sidecar: SidecarEvidence | None = None
    bundle: BundleEvidence | None = None
    attestation: BundleEvidence | None = None
    manifest: ensemble.Manifest | None = None
    verdict: ensemble.GateVerdict | None = None
    models: tuple[ModelEvidence, ...] = field(init=False, repr=False, compare=False)
    model_files: tuple[FileEvidence, ...] = field(init=False, repr=False, compare=False)
    sidecars: tuple[SidecarEvidence, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Collect once what every rule goes through."""
        models = tuple(m for m in (self.onnx, self.int8) if m is not None)
        files = {f.name: f for m in models for f in m.files}
        sidecars = tuple(s for s in (self.sidecar, self.int8_sidecar) if s is not None)
        object.__setattr__(self, "models", models)
        object.__setattr__(self, "model_files", tuple(files.values()))
        object.__setattr__(self, "sidecars", sidecars)

    @property
    def label(self) -> str:
        """How the row is called in findings."""
        return self.entry.label

    @property
    def index(self) -> int:
        """Its place in the registry."""
        return self.entry.index

    @property
    def variant(self) -> ModelEvidence | None:
        """The file of `int8_sha256`: the variant beside the model, or the model itself."""
        return self.onnx if self.int8 is None and self.entry.is_variant else self.int8

    def declared(self, file: FileEvidence) -> str | None:
        """The SHA-256 that the row declares for one of its model files, None where it has none.

        It is in lower-case hex, however the row spells it.
        """
        if file is self.onnx:
            found = self.entry.fields.get("sha256")
        elif file is self.int8:
            found = self.entry.fields.get("int8_sha256")
        else:
            found = self.entry.external_data_sha256.get(file.name)
        return sha256_of(found)

    def replaced(self, file: FileEvidence) -> bool:
        """Whether one of its model files is known to be another one than the row names.

        ART302 says so. What such a file holds says nothing about the row.
        """
        return file.sha256 is not None and self.declared(file) not in (None, file.sha256)

    @property
    def misses_a_model(self) -> bool:
        """Whether a model, or a Git LFS pointer in its place, leaves open what it refers to."""
        return any(m.missing or m.pointer for m in self.models)

    @property
    def is_seed(self) -> bool:
        """Whether a manifest lists the row's model, or its sidecar says that it is a seed."""
        sidecar = self.sidecar.sidecar if self.sidecar else None
        says_so = sidecar is not None and sidecar.text_at("ensemble_id") is not None
        return self.manifest is not None or says_so


@dataclass(frozen=True, slots=True)
class FormerRow:
    """A row as it was at the baseline, and what is known of the files that lay beside it then.

    Digests are SHA-256, and None where there was no such file, where it is not known, or where no
    rule asks: a sidecar is looked at where its model has changed or it is gone, a bundle where a
    model has changed.

    Attributes:
        sidecar, int8_sidecar, bundle: What they were at the baseline.
        bundle_now: What lies at the bundle's present path.
    """

    row: Row
    sidecar: str | None = None
    int8_sidecar: str | None = None
    bundle: str | None = None
    bundle_now: str | None = None
