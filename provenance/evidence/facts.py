# SPDX-License-Identifier: Apache-2.0
"""Facts: the digests, sizes and names that are kept of each row after its unit has been judged.

The rules about the whole registry and the report use them.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import Any, Self

from provenance.artifacts.digest import Digest
from provenance.artifacts.paths import FileProblem
from provenance.evidence.ensembles import Claimant, ensemble_of
from provenance.evidence.rows import BundleEvidence, FileEvidence, ModelEvidence, RowEvidence
from provenance.frozen import dataclass
from provenance.registry.rows import Row
from provenance.runtime.run import Outcome


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One file of a row.

    Attributes:
        path, name: As in `FileEvidence`.
        sha256: The computed digest, or None if the file could not be read.
        size: The size in bytes of a model file, or None if it could not be read.
        problem: Why the file could not be read, or None.
    """

    path: str
    name: str
    sha256: str | None = None
    size: int | None = None
    problem: FileProblem | None = None

    @classmethod
    def of(cls, file: FileEvidence, digest: Digest | None = None) -> Self:
        """Return the facts of a file, with its size if its `digest` is given."""
        size = digest.size if digest else None
        problem = file.problem.problem if file.problem else None
        return cls(file.path, file.name, file.sha256, size, problem)

    @property
    def missing(self) -> bool:
        """Whether nothing exists at the path."""
        return self.problem is FileProblem.MISSING

    @property
    def pointer(self) -> bool:
        """Whether the file is a Git LFS pointer."""
        return self.problem is FileProblem.POINTER


@dataclass(frozen=True, slots=True)
class ModelFacts(FileFacts):
    """A model of a row.

    Attributes:
        parsed: Whether it could be parsed.
        lacks_data: Whether any of its external data is missing.
        outcome: The outcome of running it, or None if it was not run.
        runtime: The version of the runtime, or None if it was not run.
    """

    parsed: bool = False
    lacks_data: bool = False
    outcome: Outcome | None = None
    runtime: str | None = None

    @classmethod
    def of_model(cls, model: ModelEvidence) -> ModelFacts:
        """Return the facts of a model."""
        run = model.run
        return cls(
            model.path,
            model.name,
            model.sha256,
            model.digest.size if model.digest else None,
            model.problem.problem if model.problem else None,
            parsed=model.facts is not None,
            lacks_data=model.lacks_data,
            outcome=run.outcome if run else None,
            runtime=run.version if run else None,
        )


@dataclass(frozen=True, slots=True)
class SignatureResult:
    """A signature that counted.

    Attributes:
        signer: The path of the key, or the subject of the certificate.
        issuer: The issuer of the identity, or None for a key.
        entry: The trust entry under which it counted, in words.
        times: When it was signed, in UTC, each time with its source: `log` or `timestamp`.
    """

    signer: str
    issuer: str | None
    entry: str
    times: tuple[tuple[datetime.datetime, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RowFacts:
    """What is kept of one row.

    Attributes:
        row: The row of the registry.
        models: The `.onnx` file and its int8 variant, if the row has them.
        model_files: All files that the runtime opens for the row, each once.
        sidecars: The sidecars of the models, whether or not they exist.
        bundle, attestation: The row bundle and the seed attestation, each followed by its
            countersignatures, or empty if the row has none.
        is_seed: Whether a manifest lists the row, or its sidecar claims an ensemble.
        manifest: The id of the manifest that lists it, or None.
        ensemble: The id of the ensemble that its sidecar claims, or None.
        named: The same, also if the sidecar describes other bytes.
        misses_a_model: Whether a model is missing, so that its external data is not known.
        origin: The origin of an imported model, or None.
        absent: The names of files that are not in the tree, and the addresses of files that have
            no path. The row is neither signed nor judged by them.
        signatures: The signatures over its bundle that counted.
        signed_deferrals: The deferrals that trusted signers signed with the row, or None if they
            did not sign the row.
        signed_subjects: If `misses_a_model`, the names of all files that they signed for it.
    """

    row: Row
    models: tuple[ModelFacts, ...]
    model_files: tuple[FileFacts, ...]
    sidecars: tuple[FileFacts, ...]
    bundle: tuple[FileFacts, ...]
    attestation: tuple[FileFacts, ...]
    is_seed: bool
    manifest: str | None
    ensemble: str | None
    named: str | None
    misses_a_model: bool
    origin: Mapping[str, Any] | None = None
    signatures: tuple[SignatureResult, ...] = ()
    signed_deferrals: tuple[Mapping[str, Any], ...] | None = None
    signed_subjects: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        row: RowEvidence,
        *,
        origin: Mapping[str, Any] | None = None,
        signatures: tuple[SignatureResult, ...] = (),
        signed_deferrals: tuple[Mapping[str, Any], ...] | None = None,
        signed_subjects: tuple[str, ...] = (),
    ) -> RowFacts:
        """Return the facts of a row. Without judged signatures, they cover only the row itself."""
        models = tuple([ModelFacts.of_model(model) for model in row.models])
        known = {model.name: model for model in models}
        return cls(
            row=row.entry,
            models=models,
            model_files=tuple(
                [known.get(f.name) or FileFacts.of(f, f.digest) for f in row.model_files]
            ),
            sidecars=tuple([FileFacts.of(file) for file in row.sidecars]),
            bundle=_bundle(row.bundle),
            attestation=_bundle(row.attestation),
            is_seed=row.is_seed,
            manifest=row.manifest.id if row.manifest else None,
            ensemble=ensemble_of(row),
            named=row.named,
            misses_a_model=row.misses_a_model,
            origin=origin,
            signatures=signatures,
            signed_deferrals=signed_deferrals,
            signed_subjects=signed_subjects,
            absent=(*row.absent, *row.remote),
        )

    @property
    def label(self) -> str:
        """The name of the row in findings."""
        return self.row.label

    def called(self, field: str) -> str:
        """Return the name of a field in the index, for messages."""
        return self.row.called(field)

    @property
    def onnx(self) -> ModelFacts | None:
        """The file of `onnx`, or None. Without it, a row has no int8 variant either."""
        return self.models[0] if self.row.onnx is not None and self.models else None

    @property
    def paths(self) -> list[str]:
        """The paths of all files that belong to the row in a release."""
        return [f.path for f in (*self.model_files, *self.sidecars, *self.bundle[:1])]

    @property
    def claimant(self) -> Claimant:
        """The row with the ensemble that its sidecar claims."""
        return Claimant(self.row, self.ensemble, self.named)

    @property
    def bundles(self) -> Iterator[FileFacts]:
        """The row bundle and the seed attestation that exist, without countersignatures."""
        for files in (self.bundle, self.attestation):
            if files and not files[0].missing:
                yield files[0]


def _bundle(bundle: BundleEvidence | None) -> tuple[FileFacts, ...]:
    return () if bundle is None else tuple([FileFacts.of(file) for file in bundle.files])
