# SPDX-License-Identifier: Apache-2.0
"""Build the statements that belong to a registry's evidence.

`sign`, `attest` and `release` sign them; `verify` builds them again and compares.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from provenance.artifacts import paths
from provenance.attestations import bundle as bundles
from provenance.attestations import predicates
from provenance.attestations.statement import Statement, StatementError, Subject
from provenance.errors import InputError
from provenance.evidence.evidence import Evidence
from provenance.evidence.facts import RowFacts
from provenance.evidence.rows import RowEvidence, SidecarEvidence
from provenance.registry import withdrawn
from provenance.registry.registry import Registry


def summary_path(registry: Registry) -> str:
    """Return the path of a registry's release summary, relative to the root.

    It is in the deepest folder that contains all row bundles. A bundle outside the tree is ignored
    (REG107 reports it).
    """
    named = (registry.absolute(r.sigstore_bundle) for r in registry.rows if r.sigstore_bundle)
    inside = [b for b in named if paths.unsafe_reason(b) is None and not b.startswith("../")]
    return bundles.summary_path(registry.path, inside)


def sidecars_of(row: RowEvidence) -> tuple[SidecarEvidence, ...]:
    """Return the sidecars of a row that were read."""
    return tuple(s for s in row.sidecars if s.sidecar is not None)


def attestable(row: RowEvidence) -> bool:
    """Whether a row is an ensemble seed whose sidecar describes the bytes of its model."""
    sidecar = row.sidecar.sidecar if row.sidecar else None
    if not row.is_seed or sidecar is None or row.onnx is None or row.onnx.sha256 is None:
        return False
    return sidecar.claimed_sha256 == row.onnx.sha256


def row_subjects(row: RowEvidence) -> list[tuple[str, str]]:
    """Return the name and digest of each model file of a row. All of them have been read."""
    return [(f.name, f.digest.sha256) for f in row.model_files if f.digest is not None]


def broken_manifest(evidence: Evidence, row: RowEvidence) -> str | None:
    """Return the file with the name of a seed's manifest, if it is not a valid one, or None."""
    sidecar = row.sidecar.sidecar if row.sidecar else None
    if sidecar is None or row.manifest is not None:
        return None
    path = evidence.registry.absolute(f"{sidecar.text_at('ensemble_id')}.json")
    return path if path in evidence.unreadable or path in evidence.not_documents else None


def seed_predicate(evidence: Evidence, row: RowEvidence) -> dict[str, Any]:
    """Return the predicate of a seed attestation.

    Raises:
        StatementError: If the record of the training is incomplete.
    """
    assert row.sidecar is not None
    sidecar, manifest, verdict = row.sidecar.sidecar, row.manifest, row.verdict
    assert sidecar is not None
    if manifest is None:
        path = broken_manifest(evidence, row)
        broken = ""
        if path is not None and path in evidence.unreadable:
            broken = f"; {path} cannot be read: {evidence.unreadable[path]}"
        elif path is not None:
            reason = evidence.not_documents[path].as_manifest.reason
            broken = f"; {path} is not a manifest: {reason}"
        raise StatementError(
            f"{sidecar.path}: no ensemble manifest lists this seed, or has the id "
            f"{sidecar.text_at('ensemble_id')!r:.80}{broken}"
        )
    registry = evidence.registry
    return predicates.seed_provenance(
        sidecar,
        described=Subject(row.sidecar.name, sidecar.digest.sha256),
        manifest=Subject(registry.name_of(manifest.path), manifest.digest.sha256),
        verdict=Subject(registry.name_of(verdict.path), verdict.digest.sha256) if verdict else None,
        gate_verdict=verdict.verdict if verdict else None,
    )


def seed_statement(evidence: Evidence, row: RowEvidence) -> Statement:
    """Return the statement of a seed attestation, which says how the model was trained.

    Raises:
        InputError: If the sidecar lacks a seed or a training recipe, or has an invalid digest.
    """
    try:
        predicate = seed_predicate(evidence, row)
    except StatementError as e:
        raise InputError(str(e), help="Export the sidecar again with it.") from e
    try:
        return predicates.statement(predicates.SLSA_PROVENANCE, row_subjects(row), predicate)
    except StatementError as e:
        path = row.sidecar.path if row.sidecar else row.label
        raise InputError(f"{path}: {e}", help="Export the sidecar again.") from e


def summary_subjects(evidence: Evidence, rows: Iterable[RowFacts]) -> dict[str, str]:
    """Return the digests of a release by name: registry, model files, documents about them."""
    registry, rows = evidence.registry, tuple(rows)
    subjects = {registry.name_of(file.path): file.digest.sha256 for file in registry.files}
    rows = tuple(row for row in rows if not row.absent)
    for files in ((r.model_files for r in rows), (r.sidecars for r in rows)):
        for file in chain.from_iterable(files):
            if file.sha256 is not None:
                subjects[file.name] = file.sha256
    for document in evidence.documents:
        subjects[registry.name_of(document.path)] = document.digest.sha256
    if evidence.withdrawn is not None and evidence.withdrawn.digest is not None:
        subjects[registry.name_of(withdrawn.FILE)] = evidence.withdrawn.digest.sha256
    return subjects


def held(evidence: Evidence, rows: Sequence[RowFacts]) -> dict[str, str | None]:
    """Return the digests of the present files by name, or None for a file that cannot be read."""
    if evidence.released is not None:
        return {file.name: file.sha256 for file in evidence.released}
    found: dict[str, str | None] = dict(summary_subjects(evidence, rows))
    found.update((b.name, b.sha256) for r in rows for b in r.bundles if b.sha256 is not None)
    return found


def unreadable(evidence: Evidence) -> dict[str, str]:
    """Return why existing files of a release could not be opened, by path."""
    found: dict[str, str] = {}
    for file in evidence.released or ():
        if file.problem is not None and not file.missing:
            reason = file.problem.message.removeprefix(repr(file.path)).strip()
            found[file.path] = f"gives{reason}" if reason.startswith(":") else reason
    return found


def summary_statement(
    evidence: Evidence,
    rows: Sequence[RowFacts],
    bundles: Sequence[Subject],
    *,
    resource_uri: str,
    policy_path: str,
    policy_sha256: str,
    deferrals: int,
    tool_version: str,
    time_verified: str,
    version: str | None = None,
    previous: str | None = None,
) -> Statement:
    """Return the statement of the release summary.

    `bundles` are the bundles of the release, by name. `resource_uri` names the project's registry.
    `previous` is the digest of the statement in the summary that is replaced.
    """
    classes = Counter(row.row.classification.value for row in rows if not row.absent)
    registry = evidence.registry
    return predicates.statement(
        predicates.SLSA_SUMMARY,
        list(summary_subjects(evidence, rows).items()),
        predicates.release_summary(
            resource_uri=resource_uri,
            index=registry.path,
            rows=dict(sorted(classes.items())),
            policy_path=policy_path,
            policy_sha256=policy_sha256,
            bundles=bundles,
            deferrals=deferrals,
            tool_version=tool_version,
            time_verified=time_verified,
            version=version,
            previous=previous,
            base=None if registry.stock else registry.folder,
            absent=[absent_row(row) for row in rows if row.absent],
            withdrawn=[e.as_json() for e in evidence.withdrawn.entries]
            if evidence.withdrawn is not None
            else [],
        ),
    )


def absent_row(facts: RowFacts) -> dict[str, Any]:
    """Return a row that is not signed, with what it declares of its files."""
    row = facts.row
    sha256 = row.digest("sha256")
    declared = {} if sha256 is None else {"sha256": sha256}
    declared |= {d.algorithm: d.hex for d in row.digests}
    own = row.onnx or row.text("url")
    files: list[dict[str, Any]] = []
    if own is not None:
        files.append({"name": own, "declared": declared})
    for file in row.files:
        name = file.name or file.url
        files.append({"name": name, "declared": {d.algorithm: d.hex for d in file.digests}})
    return {"id": facts.label, "files": files}
