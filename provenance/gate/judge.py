# SPDX-License-Identifier: Apache-2.0
"""Rules and deferrals, applied to evidence: the report.

Each phase sees the findings of the earlier ones, so that a deferral can be judged by what it
covered. Nothing here reads a file; the date is given.
"""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from provenance.artifacts.documents.strict_json import START
from provenance.artifacts.sidecar import sidecar_of
from provenance.attestations.signed_row import EXTERNAL_DATA, is_row
from provenance.config import Config
from provenance.errors import InputError
from provenance.evidence import releases
from provenance.evidence.classification import origin
from provenance.evidence.evidence import Evidence
from provenance.evidence.facts import RowFacts
from provenance.evidence.pipeline import PipelineEvidence
from provenance.evidence.progress import Progress
from provenance.evidence.rows import RowEvidence
from provenance.gate import batch_verification, foreign, suppression
from provenance.gate.batch_verification import Question
from provenance.gate.capping import gather
from provenance.gate.deferral_matching import Deferrals, InForce
from provenance.gate.finding import (
    Finding,
    ModelFile,
    ReleaseResult,
    Report,
    RowResult,
    SignatureResult,
    TrustResult,
    Verdict,
)
from provenance.gate.requirements import NOTHING, Require
from provenance.gate.rules import BY_CODE, CATALOGUE, Case, Phase, Rule, Target
from provenance.gate.signature_set import SignatureSet
from provenance.runtime.run import Outcome
from provenance.signing.judgement import Judgement
from provenance.signing.trust import Trust
from provenance.signing.trust_table import TrustTable

HELP: Final = "Do not use it. Fetch the model and its bundle again from the publisher."
TREE_HELP: Final = "Do not use it. Fetch the release again, or ask the publisher to correct it."


def judge(
    evidence: Evidence,
    config: Config,
    *,
    trust: Trust | None,
    today: datetime.date,
    require: Require = NOTHING,
    resource_uri: str | None = None,
    progress: Progress | None = None,
    processes: int = 1,
    for_consumer: bool = False,
) -> Report:
    """Everything the rules conclude.

    Without `trust` no signature is judged, without a baseline not what became of the rows since.
    Many certificates are judged by so many `processes`. `require` is what a consumer requires
    beyond that, `resource_uri` names the project whose release summary it has to be. With
    `for_consumer`, the help is for those who use the models of another publisher.

    Raises:
        InputError: A deferral names a rule that does not exist.
    """
    for deferral in config.deferrals:
        if deferral.rule not in BY_CODE:
            near = difflib.get_close_matches(deferral.rule, BY_CODE, 1)
            raise InputError(
                f"{config.path}: [[deferral]] {deferral.index + 1}: no rule {deferral.rule!r}",
                help=f"Did you mean {near[0]}?" if near else "provenance rules lists them.",
            )
    unseen = {
        Phase.SIGNATURES: trust is None,
        Phase.RUNTIME: not evidence.ran,
        Phase.BASELINE: evidence.baseline is None,
        Phase.REQUIREMENTS: require == NOTHING and evidence.seen is None,
        Phase.PIPELINE: evidence.pipeline is None,
    }
    phases = [p for p in Phase if not unseen.get(p, False)]
    declared = Deferrals(config.deferrals)
    progress = progress or Progress()
    judgements: Mapping[Question, Judgement] = {}
    if trust is not None:
        asked = batch_verification.questions(evidence)
        judgements = batch_verification.judge(asked, trust, processes, progress)
    case = Case(
        evidence,
        trust,
        config,
        today,
        facts=tuple(map(RowFacts.of, evidence.rows)),
        catalogue=BY_CODE,
        phases=tuple(phases),
        judgements=judgements,
        require=require,
        resource_uri=resource_uri,
    )
    rules = [r for r in CATALOGUE if r.phase in phases and (trust is not None or not r.needs_trust)]
    progress.begin("judging rules", len(rules))
    for phase in phases:
        concluded: list[Finding] = []
        for rule in rules:
            if rule.phase is phase:
                speaking = type(rule)(TREE_HELP) if for_consumer else rule
                concluded += (_defer(f, declared) for f in gather(judged(speaking, case), declared))
                progress.advance()
        case = replace(case, findings=(*case.findings, *concluded))
    found = sorted(placed(case.findings, evidence), key=_reading_order(evidence))
    in_force = InForce(found)
    failed = {row for f in found if f.fails for row in f.rows}
    findings, suppressed = suppression.split(found, BY_CODE, evidence.registry.path)
    return Report(
        registry=evidence.registry.path,
        rows=tuple(_row_result(case, r, in_force, failed=r.label in failed) for r in evidence.rows),
        findings=findings,
        trust=trust_result(trust),
        notes=(
            *_notes(evidence),
            *_pipeline_notes(evidence.pipeline),
            *_policy_notes(case),
            *required(case),
        ),
        baseline=evidence.baseline.label if evidence.baseline else None,
        not_judged=_not_judged(evidence, phases),
        root=evidence.root.root,
        release=release_result(case),
        suppressed=suppressed,
    )


def judged(rule: Rule, case: Case) -> Iterator[Finding]:
    """Every finding of a rule."""
    if hasattr(rule, "judge"):  # not divided by scope yet
        yield from rule.judge(case)
        return
    if rule.of_units:
        yield from rule.judge_unit(case)
    if rule.of_whole:
        yield from rule.judge_whole(case)


def _notes(evidence: Evidence) -> tuple[str, ...]:
    """Return how the baseline was read, unless by its own configuration, and what was run."""
    baseline = evidence.baseline
    return (*([baseline.note] if baseline and baseline.note else []), *_runs(evidence))


def _runs(evidence: Evidence) -> tuple[str, ...]:
    """How many models ran, if they were to be run: those that cannot be read are not run."""
    if not evidence.ran:
        return ()
    models = {m.name: m.run for r in evidence.rows for m in r.models}
    runs = [run for run in models.values() if run is not None]
    versions = {run.version for run in runs}
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
    """What a user has to know about whose policy and which project the verdict is about."""
    statement = case.signed_statement(case.evidence.summary) if case.trust is not None else None
    if statement is None:
        return
    if case.config.named and releases.policy_of(statement) != case.config.policy_sha256:
        yield f"policy: {case.config.path}, named on the command line; it is not the signer's"
    if case.resource_uri is None:
        yield (
            "the project is not compared: neither --resource-uri, nor `resource_uri` in the "
            "configuration, nor a git remote names it"
        )


def required(case: Case) -> Iterator[str]:
    """What a consumer required: a result without that says less."""
    newer = ["no release before one that was used"] if case.evidence.seen is not None else []
    words = ", ".join(filter(None, (str(case.require), *newer)))
    if words and case.evidence.rows:
        yield f"required: {words}"


def _pipeline_notes(pipeline: PipelineEvidence | None) -> Iterator[str]:
    """Who did which step, by a layout that somebody signed."""
    if pipeline is None or not pipeline.steps:
        return
    signed = f"layout {pipeline.path}, signed by {', '.join(pipeline.keys)}"
    yield f"{signed}, expires {pipeline.expires}"
    done = [
        f"{step.name} by {', '.join(link.key for link in step.counting) or 'nobody'}"
        for step in pipeline.steps
    ]
    yield f"steps: {'; '.join(done)}"


def _not_judged(evidence: Evidence, phases: Sequence[Phase]) -> tuple[str, ...]:
    """What this run leaves open: nobody may take it for passed."""
    found = [phase.value for phase in Phase if phase.is_open and phase not in phases]
    if not evidence.whole:
        others = len(evidence.registry.rows) - len(evidence.rows)
        found.append(f"the other {others:,} rows, and what only the whole registry shows")
    schema = evidence.schema
    if schema is not None and schema.unevaluated:
        parts = schema.unevaluated[:_PARTS]
        more = len(schema.unevaluated) - len(parts)
        some = "; ".join(parts) + (f"; and {more} more" if more else "")
        found.append(f"parts of the registry's schema, {schema.path}: {some}")
    return tuple(found)


_PARTS: Final = 3
"""Parts of a schema that are named as not judged."""


def judge_file(
    evidence: Evidence,
    trust: Trust,
    path: str,
    today: datetime.date,
    predicate_types: Collection[str] = foreign.EXPECTED,
    require: Require = NOTHING,
    resource_uri: str | None = None,
) -> Report:
    """What a consumer can conclude about one model file from its bundle.

    A statement that is no row bundle has to be of one of the `predicate_types`, and is not enough
    where anything of the row is required.

    The deferrals that were in force when it was signed are part of the result; one whose date has
    passed is an error here too.
    """
    root = evidence.root.root
    nowhere = Config(root, path, path, TrustTable(), (), "", "", root)
    row = evidence.rows[0]
    case = Case(
        evidence,
        trust,
        nowhere,
        today,
        facts=tuple(map(RowFacts.of, evidence.rows)),
        require=require,
        resource_uri=resource_uri,
    )
    if row.bundle is not None and not is_row(row.bundle.statement):
        # A signature over one file knows of no row: an int8 variant beside it is another file.
        row = replace(row, int8=None, int8_sidecar=None)
        case = replace(case, evidence=replace(evidence, rows=(row,)))
    found = [
        f
        for rule in CATALOGUE
        if Target.MODEL in rule.applies
        for f in gather(judged(type(rule)(HELP), case))
    ]
    if case.is_message_signature(row):
        found = [_as_file_only(f) if f.code == "ATT701" else f for f in found]
        found += gather(_unsigned_data(row))
    signed_by_others = case.signed_statement(row.bundle)
    if signed_by_others is not None and not is_row(signed_by_others):
        found = [f for f in found if f.code != "ATT701"]
        found += gather(foreign.judge(row, signed_by_others, predicate_types))
    if case.needs_row:
        found = [_as_row_required(f) if f.code == "ATT711" else f for f in found]
    signed = case.signed_row(row)
    deferrals = signed.deferrals if signed is not None else ()
    found += gather(_expired(deferrals, row, today))
    found += gather(_absent(case, row))
    found = [replace(f, path=f.about, position=None) for f in found]
    found = list(placed(found, evidence))
    result = replace(
        _row_result(case, row, InForce(found), failed=any(f.fails for f in found)),
        deferrals=deferrals,
        # What lies beside the file is not signed: the bundle says where the model is from.
        origin=signed.row.get("origin") if signed is not None else None,
    )
    if signed is None:  # then nobody who is trusted has said what this row is
        result = replace(result, id=result.path, license=None, classification=None)
    return Report(
        registry=path,
        rows=(result,),
        findings=tuple(found),
        trust=trust_result(trust),
        notes=tuple(required(case)),
        release=release_result(case),
    )


def _unsigned_data(row: RowEvidence) -> list[Finding]:
    """A signature over one file's bytes says nothing about the weights that it keeps elsewhere."""
    return [
        BY_CODE["ATT702"].finding(
            f"{file.path} holds weights of the model and is not signed",
            "Ask the publisher for a bundle of onnx-provenance, which signs every file.",
            path=file.path,
            row=row.label,
        )
        for file in row.model_files
        if file.digest is not None and file is not row.onnx
    ]


def _expired(
    deferrals: Sequence[Mapping[str, Any]], row: RowEvidence, today: datetime.date
) -> list[Finding]:
    """Dates in ISO form compare as text; a signed deferral without one never expires."""
    return [
        BY_CODE["DEF903"].finding(
            f"it was signed with a deferral of {d.get('rule')} that expired on {d.get('expires')}",
            "Ask the publisher for a release without it.",
            path=row.onnx.path if row.onnx else "",
            row=row.label,
        )
        for d in deferrals
        if isinstance(d.get("expires"), str) and d["expires"] < today.isoformat()
    ]


def _absent(case: Case, row: RowEvidence) -> Iterator[Finding]:
    """What was signed with the row and is not here.

    Models and external data are errors: a runtime that opens one opens what was never verified. A
    sidecar need not have been fetched, unless that is required.
    """
    signed, statement = case.signed_row(row), case.row_statement(row)
    if signed is None or statement is None:
        return
    names = {f.name for f in row.model_files}
    bytes_here = {f.sha256 for f in row.model_files}
    missing = [
        file
        for file in signed.files
        if file.name not in names
        and statement.digest_of(file.name) not in bytes_here
        # What a Git LFS pointer refers to is not known.
        and not (file.role == EXTERNAL_DATA and row.misses_a_model)
    ]
    for file in missing:
        what = "external data" if file.role == EXTERNAL_DATA else "a model of the row"
        yield replace(
            BY_CODE["ATT705"].finding(
                f"the publisher also signed {file.name[:200]}, {what}, which is not here",
                "Fetch it from the publisher too, and put it beside the model.",
                path=file.name,
            ),
            row=row.label,
        )
    here = {s.name for s in row.sidecars} | {sidecar_of(file.name) for file in missing}
    rule = BY_CODE["USE011" if case.require.files or case.require.production else "ATT713"]
    for name in signed.sidecars:
        if name not in here:
            yield rule.finding(
                f"the sidecar {name[:200]} was signed with the row and is not here",
                "Fetch it from the publisher too, and put it beside the model.",
                path=name,
                row=row.label,
            )


def _as_file_only(finding: Finding) -> Finding:
    rule = BY_CODE["ATT711"]
    return replace(
        finding,
        code=rule.code,
        slug=rule.slug,
        severity=rule.severity,
        help="Ask the publisher for a bundle of onnx-provenance, which binds the row.",
    )


def _as_row_required(finding: Finding) -> Finding:
    rule = BY_CODE["USE001"]
    message = f"{finding.message}; required is a bundle that does"
    return replace(finding, code=rule.code, slug=rule.slug, severity=rule.severity, message=message)


def trust_result(trust: Trust | None) -> TrustResult | None:
    """The trust that was used, for the report."""
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


def release_result(case: Case) -> ReleaseResult | None:
    """The release that a trusted signer speaks of, for the report."""
    summary, registry = case.evidence.summary, case.evidence.registry
    if summary is None or case.trust is None:
        return None
    statement = case.signed_statement(summary)
    release = releases.release_of(summary)
    if statement is None or release is None:
        return None
    files: dict[str, str] = {}
    if case.evidence.whole and summary.sha256 is not None:
        files = {registry.absolute(n): d for n, d in releases.files_of(statement).items()}
        if case.evidence.released is None:  # else it lies wherever the consumer has put it
            files[summary.path] = summary.sha256
    return ReleaseResult(
        registry=release.registry,
        time=str(release.order),
        sha256=release.sha256,
        version=release.version,
        previous=release.previous,
        files=tuple(sorted(files.items())),
    )


def _defer(finding: Finding, declared: Deferrals) -> Finding:
    if not BY_CODE[finding.code].deferrable:
        return finding
    deferral = declared.covering(finding.code, finding.subject)
    return finding if deferral is None else finding.defer(deferral)


def placed(findings: Sequence[Finding], evidence: Evidence) -> Iterator[Finding]:
    """What is said of a text file as a whole has its start for a place."""
    texts = evidence.texts if any(f.position is None for f in findings) else frozenset()
    texts -= {f.path for f in evidence.model_files}  # of one file, the model is the registry too
    for finding in findings:
        whole = finding.position is None and finding.path in texts
        yield replace(finding, position=START) if whole else finding


def _reading_order(evidence: Evidence) -> Callable[[Finding], tuple[bool, int, str, int]]:
    """As the registry is read: row by row, then the registry as a whole, then the deferrals."""
    place = {r.label: r.index for r in evidence.rows}

    def key(finding: Finding) -> tuple[bool, int, str, int]:
        row = place.get(finding.row, len(place)) if finding.row else len(place)
        line = finding.position.line if finding.position else 0
        return (finding.code.startswith("DEF"), row, finding.code, line)

    return key


def _row_result(case: Case, row: RowEvidence, in_force: InForce, *, failed: bool) -> RowResult:
    """Return the result of one row; `failed` says that a finding about it fails."""
    signature_set = case.row_signatures(row) if case.trust is not None else None
    return RowResult(
        id=row.label,
        path=row.onnx.path if row.onnx else case.evidence.registry.path,
        line=row.entry.position.line,
        classification=row.entry.classification,
        license=row.entry.text("license"),
        verdict=Verdict.FAILED if failed else Verdict.VERIFIED,
        model_files=tuple(
            ModelFile(f.path, f.sha256, f.digest.size if f.digest else None)
            for f in row.model_files
        ),
        signatures=signature_results(signature_set),
        deferrals=tuple(in_force.of(row.label, row.manifest.id if row.manifest else None)),
        origin=origin(row),
    )


def signature_results(signature_set: SignatureSet | None) -> tuple[SignatureResult, ...]:
    """Those that counted; none where they were too few."""
    if signature_set is None or not signature_set.counts:
        return ()
    return tuple(
        SignatureResult(
            signer=signer.name,
            issuer=signer.issuer,
            entry=str(entry),
            times=tuple((m.time, m.clock.value) for m in signer.moments),
        )
        for signer, entry in signature_set.counted
    )
