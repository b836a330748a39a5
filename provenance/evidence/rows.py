# SPDX-License-Identifier: Apache-2.0
"""The evidence of one row: its models with their external data, sidecars, bundles, documents."""

from __future__ import annotations

from dataclasses import field

from provenance.artifacts import ensemble
from provenance.artifacts.digest import Digest, sha256_of
from provenance.artifacts.documents.strict_json import Position
from provenance.artifacts.onnx_model import CutTensor, OnnxFacts
from provenance.artifacts.paths import FileError, FileProblem
from provenance.artifacts.sidecar import Sidecar
from provenance.attestations import bundle as bundles
from provenance.attestations.statement import Statement
from provenance.frozen import dataclass
from provenance.registry.rows import DeclaredDigest, DeclaredFile, Row
from provenance.runtime.run import Run


@dataclass(frozen=True, slots=True)
class FileEvidence:
    """A file of a row, whether or not it exists. Either `digest` or `problem` is set.

    Attributes:
        path: The path relative to the repository's root.
        name: The path relative to the registry's folder, as in statements.
        digest: The digest and size, or None if the file could not be read.
        problem: Why the file could not be read, or None.
        sha256: The computed digest, or None if the file could not be read.
    """

    path: str
    name: str
    digest: Digest | None = None
    problem: FileError | None = None
    sha256: str | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Look up the digest once, because every rule compares it."""
        object.__setattr__(self, "sha256", self.digest.sha256 if self.digest else None)

    @property
    def missing(self) -> bool:
        """Whether nothing exists at the path."""
        return self.problem is not None and self.problem.problem is FileProblem.MISSING

    @property
    def pointer(self) -> bool:
        """Whether the file is a Git LFS pointer."""
        return self.problem is not None and self.problem.problem is FileProblem.POINTER


@dataclass(frozen=True, slots=True)
class ExternalFile(FileEvidence):
    """An external-data file of a model.

    Attributes:
        needs: The number of bytes that the model needs of it.
        tensor: The tensor that needs the last of these bytes.
        cut: The first tensor that is larger than the part of the file that the model assigns to it.
    """

    needs: int = 0
    tensor: str = ""
    cut: CutTensor | None = None

    @property
    def size(self) -> int | None:
        """The size in bytes, or None if the file could not be read."""
        return self.digest.size if self.digest else None

    @property
    def is_short(self) -> bool:
        """Whether it is known to have fewer bytes than the model needs."""
        return self.size is not None and self.size < self.needs


@dataclass(frozen=True, slots=True)
class ModelEvidence(FileEvidence):
    """A `.onnx` file with its external data.

    Attributes:
        facts: What was read from the model, or None if it could not be read.
        not_onnx: Why the bytes are not ONNX, or None.
        external: The external data.
        run: The result of running the model, or None if it was not run.
    """

    facts: OnnxFacts | None = None
    not_onnx: str | None = None
    external: tuple[ExternalFile, ...] = ()
    run: Run | None = None

    @property
    def files(self) -> tuple[FileEvidence, ...]:
        """The model and its external data: all files that the runtime opens for it."""
        return (self, *self.external)

    @property
    def lacks_data(self) -> bool:
        """Whether any of its external data is missing."""
        return any(file.missing for file in self.external)

    @property
    def is_whole(self) -> bool:
        """Whether all of its files were read and contain all that the model needs."""
        return self.facts is not None and all(
            f.digest is not None and not f.is_short and f.cut is None for f in self.external
        )


@dataclass(frozen=True, slots=True)
class SidecarEvidence(FileEvidence):
    """A sidecar.

    Attributes:
        sidecar: The content, or None if it could not be read.
        malformed: Why it is not a JSON object, or None.
        malformed_at: The position of that problem, if it is known.
    """

    sidecar: Sidecar | None = None
    malformed: str | None = None
    malformed_at: Position | None = None


@dataclass(frozen=True, slots=True)
class LicenseFile(FileEvidence):
    """A license file of this repository.

    Attributes:
        licenses: The SPDX expressions of its licenses, or empty if they are not known.
        says_so: Whether the file names its licenses. Otherwise their text was recognized.
    """

    licenses: tuple[str, ...] = ()
    says_so: bool = False


@dataclass(frozen=True, slots=True)
class BundleEvidence(FileEvidence):
    """A bundle.

    Attributes:
        bundle: The content, or None if it could not be read.
        statement: The statement in the DSSE envelope, or None.
        malformed: Why it is not a valid bundle, or None.
        countersigned: The bundles beside it in which other signers signed the same statement.
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
    """Everything about one row. A part is None if the row does not have it.

    Attributes:
        entry: The row of the registry.
        onnx: The `.onnx` file.
        int8: Its int8 variant.
        sidecar, int8_sidecar: The sidecars of these models.
        bundle: The row bundle.
        attestation: The seed attestation.
        manifest: The ensemble manifest that lists the row.
        verdict: The gate verdict on that ensemble.
        further: The files that the row names in `files`, in that order. Those that only have an
            address are left out.
        absent: The names of the files that are not in the tree, where the mapping allows that
            (`absent = "skip"`). Such a row is counted, and neither judged by its bytes nor signed.
        models: The `.onnx` file, its int8 variant, and the further models, if the row has them.
        model_files: All files of the row, each once: models, external data, companions.
        sidecars: The sidecars of the models, whether or not they exist.
        named: The ensemble that its sidecar claims, even if the sidecar describes other bytes.
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
    further: tuple[FileEvidence, ...] = ()
    absent: tuple[str, ...] = ()
    models: tuple[ModelEvidence, ...] = field(init=False, repr=False, compare=False)
    model_files: tuple[FileEvidence, ...] = field(init=False, repr=False, compare=False)
    sidecars: tuple[SidecarEvidence, ...] = field(init=False, repr=False, compare=False)
    named: str | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Collect once what every rule iterates over."""
        models = tuple(m for m in (self.onnx, self.int8) if m is not None)
        if self.further:
            known = {model.name for model in models}
            more = (f for f in self.further if isinstance(f, ModelEvidence))
            models += tuple(model for model in more if model.name not in known)
        files = {f.name: f for m in models for f in m.files}
        for file in self.further:
            files.setdefault(file.name, file)
        sidecars = tuple(s for s in (self.sidecar, self.int8_sidecar) if s is not None)
        object.__setattr__(self, "models", models)
        object.__setattr__(self, "model_files", tuple(files.values()))
        object.__setattr__(self, "sidecars", sidecars)
        sidecar = self.sidecar.sidecar if self.sidecar else None
        object.__setattr__(self, "named", sidecar.text_at("ensemble_id") if sidecar else None)

    @property
    def label(self) -> str:
        """The name of the row in findings."""
        return self.entry.label

    def called(self, field: str) -> str:
        """Return the name of a field in the index, for messages."""
        return self.entry.called(field)

    def worded(self, text: str) -> str:
        """Return `text` with the names of the index for the quoted fields in it."""
        return self.entry.worded(text)

    @property
    def index(self) -> int:
        """Its place in the registry."""
        return self.entry.index

    @property
    def variant(self) -> ModelEvidence | None:
        """The file of `int8_sha256`: the variant beside the model, or the model itself."""
        return self.onnx if self.int8 is None and self.entry.is_variant else self.int8

    def declared(self, file: FileEvidence) -> str | None:
        """Return the SHA-256 that the row declares for one of its model files, or None.

        It is in lower-case hex, however the row spells it.
        """
        if file is self.onnx:
            found = self.entry.fields.get("sha256")
        elif file is self.int8:
            found = self.entry.fields.get("int8_sha256")
        else:
            found = self.entry.external_data_sha256.get(file.name)
        if found is None and self.entry.files:
            listed = self.listed(file)
            found = None if listed is None else listed.digest("sha256")
        return sha256_of(found)

    def declared_size(self, file: FileEvidence) -> int | None:
        """Return the size that the row declares for one of its files, or None."""
        listed = self.listed(file)
        if listed is not None and listed.size is not None:
            return listed.size
        size = self.entry.fields.get("size") if file is self.onnx else None
        return size if type(size) is int else None

    def other_digests(self, file: FileEvidence) -> tuple[DeclaredDigest, ...]:
        """Return the digests that the row declares for a file, of other algorithms than SHA-256."""
        listed = self.listed(file) if self.entry.files else None
        found = self.entry.digests if file is self.onnx else ()
        if listed is not None:
            found += tuple(d for d in listed.digests if d.algorithm != "sha256")
        return found

    @property
    def remote(self) -> tuple[str, ...]:
        """The addresses of the files that have no path. They are recorded, and not opened."""
        entry = self.entry
        url = entry.text("url") if entry.onnx is None and not entry.files else None
        found = tuple(f.url for f in entry.files if f.name is None and f.url is not None)
        return found if url is None else (url, *found)

    def listed(self, file: FileEvidence) -> DeclaredFile | None:
        """Return the entry of `files` that names a file, or None."""
        return next((each for each in self.entry.files if each.name == file.name), None)

    def replaced(self, file: FileEvidence) -> bool:
        """Whether one of its model files has another digest than the row declares.

        ART302 reports it. The content of such a file proves nothing about the row.
        """
        return file.sha256 is not None and self.declared(file) not in (None, file.sha256)

    @property
    def misses_a_model(self) -> bool:
        """Whether a model is missing or a Git LFS pointer, so its external data is not known."""
        return any(m.missing or m.pointer for m in self.models)

    @property
    def is_seed(self) -> bool:
        """Whether a manifest lists the row's model, or its sidecar claims an ensemble."""
        return self.manifest is not None or self.named is not None


@dataclass(frozen=True, slots=True)
class FormerRow:
    """A row as it was at the baseline, with digests of the files beside it.

    A SHA-256 is None if the file did not exist, is not known, or no rule needs it. Rules need the
    former sidecar if its model has changed or the sidecar is missing now, and the former bundle if
    a model has changed.

    Attributes:
        row: The former row.
        sidecar, int8_sidecar, bundle: Their SHA-256 at the baseline.
        bundle_now: The SHA-256 of the file at the bundle's present path.
        was_signed: Whether its bundle existed, if the mapping allows that files are absent.
    """

    row: Row
    sidecar: str | None = None
    int8_sidecar: str | None = None
    bundle: str | None = None
    bundle_now: str | None = None
    was_signed: bool = False
