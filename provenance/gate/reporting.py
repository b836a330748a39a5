# SPDX-License-Identifier: Apache-2.0
"""Build the report from the findings and the facts of each row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from provenance.evidence import releases
from provenance.evidence.facts import RowFacts
from provenance.evidence.pipeline import PipelineEvidence
from provenance.gate import suppression
from provenance.gate.deferral_matching import InForce
from provenance.gate.finding import (
    Finding,
    ModelFile,
    ReleaseResult,
    Report,
    RowResult,
    TrustResult,
    Verdict,
)
from provenance.gate.rules import Case, Phase, Target
from provenance.gate.rules.foreign_statements import note
from provenance.runtime.run import Outcome
from provenance.signing.trust import Trust


def report(case: Case, name: str | None = None) -> Report:
    """Return the report of a case with all its findings.

    `name` is the name of what was judged; by default the path of the registry.
    """
    evidence, is_registry = case.evidence, case.target is Target.REGISTRY
    found = case.findings
    in_force = InForce(found)
    failing = [f for f in found if f.fails]
    failed = _failed(case, failing)
    findings, suppressed = suppression.split(found, case.catalogue, evidence.registry.path)
    return Report(
        registry=name or evidence.registry.path,
        rows=tuple(_row_result(case, r, in_force, failed=r.label in failed) for r in case.facts),
        findings=findings,
        trust=_trust_result(case.trust),
        notes=tuple(_all_notes(case)),
        baseline=evidence.baseline.label if evidence.baseline else None,
        not_judged=_not_judged(case) if is_registry else (),
        root=None if case.alone or evidence.released == () else evidence.root.root,
        release=_release_result(case),
        suppressed=suppressed,
    )


def _failed(case: Case, failing: Sequence[Finding]) -> frozenset[str]:
    """Return the rows that failing findings are about; in a release, also by their files.

    A model or file that is judged alone fails with any failing finding.
    """
    if case.alone and failing:
        return frozenset(row.label for row in case.facts)
    failed = {row for f in failing for row in f.rows}
    if case.target is Target.RELEASE:
        files = {path for f in failing for path in (f.path, *f.others)}
        failed |= {row.label for row in case.facts if not files.isdisjoint(row.paths)}
    return frozenset(failed)


def _row_result(case: Case, facts: RowFacts, in_force: InForce, *, failed: bool) -> RowResult:
    """Return the result of one row. For a single file, only what trusted signers said counts."""
    row, signed = facts.row, facts.signed_deferrals
    stated = not case.alone or signed is not None
    path = facts.models[0].path if facts.models else case.evidence.registry.path
    now = (signed or ()) if case.alone else in_force.of(facts.label, facts.manifest)
    of_model = case.target is not Target.BLOB
    return RowResult(
        id=facts.label if stated else path,
        path=path,
        line=row.position.line,
        classification=row.classification if stated else None,
        license=row.text("license") if stated else None,
        verdict=Verdict.FAILED if failed else Verdict.NOTHING if facts.absent else Verdict.VERIFIED,
        absent=facts.absent,
        model_files=tuple(
            ModelFile(f.path, f.sha256, f.size if of_model else None) for f in facts.model_files
        ),
        signatures=facts.signatures,
        deferrals=tuple(now),
        origin=facts.origin,
    )


def _all_notes(case: Case) -> Iterator[str]:
    baseline = case.evidence.baseline
    if baseline is not None and baseline.note:  # its own configuration was not used
        yield baseline.note
    yield from _runs(case)
    yield from _pipeline_notes(case.evidence.pipeline)
    if case.target is Target.REGISTRY:
        yield from _policy_notes(case)
    yield from _required(case)
    if case.target is Target.BLOB:
        yield from filter(None, (note(case, row) for row in case.evidence.rows))


def _runs(case: Case) -> tuple[str, ...]:
    """Return how many models ran, if running was requested. Unreadable models are not run."""
    if case.evidence.run is None:
        return ()
    models = {m.name: m for row in case.facts for m in row.models}
    runs = [m for m in models.values() if m.outcome is not None]
    versions = {m.runtime for m in runs if m.runtime is not None}
    runtime = f" with onnxruntime {', '.join(sorted(versions))}" if versions else ""
    ran = sum(run.outcome is Outcome.RAN for run in runs)
    unfed = sum(run.outcome is Outcome.UNFED for run in runs)
    failed = len(runs) - ran - unfed
    parts = [
        f"{ran} of {len(models)} models were loaded and run{runtime}",
        *([f"{unfed} only loaded"] if unfed else []),
        *([f"{failed} failed"] if failed else []),
        *([f"{len(models) - len(runs)} not tried"] if len(models) > len(runs) > 0 else []),
    ]
    return ("; ".join(parts),)


def _policy_notes(case: Case) -> Iterator[str]:
    """Yield notes about the policy that was applied, and a project that was not compared."""
    statement = case.signed_statement(case.evidence.summary) if case.trust is not None else None
    if statement is None:
        return
    if case.config.named and releases.policy_of(statement) != case.config.policy_sha256:
        yield f"policy: {case.config.path} from the command line, which differs from the signer's"
    if case.resource_uri is None:
        yield (
            "the project of the release was not compared: neither --resource-uri, nor "
            "`resource_uri` in the configuration, nor a git remote names the expected one"
        )


def _required(case: Case) -> Iterator[str]:
    """Yield what a consumer required, because the verdict depends on it."""
    newer = ["no release older than one that was used"] if case.evidence.seen is not None else []
    words = ", ".join(filter(None, (str(case.require), *newer)))
    if words and case.facts:
        yield f"required: {words}"


def _pipeline_notes(pipeline: PipelineEvidence | None) -> Iterator[str]:
    """Yield who performed which step, by a signed layout."""
    if pipeline is None or not pipeline.steps:
        return
    signed = f"layout {pipeline.path}, signed by {', '.join(pipeline.keys)}"
    yield f"{signed}, expires {pipeline.expires}"
    done = [
        f"{step.name} by {', '.join(link.key for link in step.counting) or 'no authorized key'}"
        for step in pipeline.steps
    ]
    yield f"steps: {'; '.join(done)}"


def _not_judged(case: Case) -> tuple[str, ...]:
    """Return what this run did not judge, so that it is not mistaken for verified."""
    evidence = case.evidence
    found = [phase.value for phase in Phase if phase.is_open and phase not in case.phases]
    if not evidence.whole:
        others = len(evidence.registry.rows) - len(case.facts)
        found.append(f"the other {others:,} rows, and what only the whole registry shows")
    absent = [facts for facts in case.facts if facts.absent]
    if absent:
        files = sum(len(facts.absent) for facts in absent)
        names = [facts.label for facts in absent]
        shown = ", ".join(names[:_ROWS]) + (
            f", and {len(names) - _ROWS:,} more" * (len(names) > _ROWS)
        )
        found.append(
            f"{len(absent):,} {'row' if len(absent) == 1 else 'rows'} of which "
            f"{files:,} {'file is' if files == 1 else 'files are'} not here: {shown}"
        )
    schema = evidence.schema
    if schema is not None and schema.unevaluated:
        parts = schema.unevaluated[:_PARTS]
        more = len(schema.unevaluated) - len(parts)
        some = "; ".join(parts) + (f"; and {more} more" if more else "")
        found.append(f"parts of the registry's schema, {schema.path}: {some}")
    return tuple(found)


_ROWS: Final = 100
"""How many rows whose files are not here are named."""

_PARTS: Final = 3
"""How many parts of a schema are listed as not judged."""


def _trust_result(trust: Trust | None) -> TrustResult | None:
    """Return the trust that was used, for the report."""
    if trust is None:
        return None
    return TrustResult(
        source=trust.source,
        keys=tuple((k.path, k.fingerprint) for k in trust.keys),
        identities=trust.identities,
        workflows=trust.workflows,
        signatures=trust.signatures,
        root=(trust.root.source, trust.root.sha256) if trust.root else None,
    )


def _release_result(case: Case) -> ReleaseResult | None:
    """Return the release whose summary a trusted signer signed, or None."""
    summary, registry = case.evidence.summary, case.evidence.registry
    if summary is None or case.trust is None:
        return None
    statement = case.signed_statement(summary)
    release = releases.release_of(summary)
    if statement is None or release is None:
        return None
    signed: dict[str, str] = {}
    if case.evidence.whole and summary.sha256 is not None:
        signed = releases.files_of(statement)
        if case.evidence.released is None:  # otherwise the consumer may have put it anywhere
            signed[summary.name] = summary.sha256
    return ReleaseResult(
        registry=release.registry,
        time=str(release.order),
        sha256=release.sha256,
        version=release.version,
        previous=release.previous,
        folder=registry.folder,
        signed=signed,
    )
