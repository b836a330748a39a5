# SPDX-License-Identifier: Apache-2.0
"""A whole release, judged by its summary alone: what a consumer concludes from one signature.

The summary signs the registry and every file of the release. So a row is what the publisher says
where the registry is the signed one, and a model is what was released where its digest is.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from typing import Final

from provenance.evidence.rows import RowEvidence
from provenance.gate.capping import gather
from provenance.gate.finding import ModelFile, Report, RowResult, Verdict
from provenance.gate.judge import (
    judged,
    placed,
    release_result,
    required,
    signature_results,
    trust_result,
)
from provenance.gate.rules import CATALOGUE, Case, Target

HELP: Final = "Do not use it. Fetch the release again from the publisher."


def judge_release(case: Case, path: str) -> Report:
    """Everything that follows from the summary of the registry at `path`, and from what is here.

    Where too few trusted signers have signed the summary, nothing else was opened: the report has
    the findings about its signatures, and no rows.
    """
    evidence, summary = case.evidence, case.evidence.summary
    assert summary is not None
    assert case.trust is not None
    found = [
        finding
        for rule in CATALOGUE
        if Target.RELEASE in rule.applies
        for finding in gather(judged(type(rule)(HELP), case))
    ]
    owners = {path: row.label for row in reversed(evidence.rows) for path in _paths(row)}
    found = [replace(f, row=owners.get(f.path)) if f.row is None else f for f in found]
    findings = tuple(placed(found, evidence))
    failing = [f for f in findings if f.fails]
    spoiled: set[str | None] = {path for f in failing for path in (f.path, *f.others)}
    spoiled |= {label for f in failing for label in f.rows}
    signature_set = case.signature_set(summary) if summary.bundle is not None else None
    signatures = signature_results(signature_set)
    return Report(
        registry=path,
        rows=tuple(replace(_result(row, spoiled), signatures=signatures) for row in evidence.rows),
        findings=findings,
        trust=trust_result(case.trust),
        notes=tuple(required(case)),
        root=evidence.root.root if evidence.released else None,
        release=release_result(case),
    )


def _paths(row: RowEvidence) -> list[str]:
    """The paths of all that belongs to a row."""
    bundles = () if row.bundle is None else (row.bundle,)
    return [file.path for file in (*row.model_files, *row.sidecars, *bundles)]


def _result(row: RowEvidence, spoiled: Set[str | None]) -> RowResult:
    """The result of one row: it has failed with any of its files."""
    failed = row.label in spoiled or not spoiled.isdisjoint(_paths(row))
    return RowResult(
        id=row.label,
        path=row.onnx.path if row.onnx else "",
        line=row.entry.position.line,
        classification=row.entry.classification,
        license=row.entry.text("license"),
        verdict=Verdict.FAILED if failed else Verdict.VERIFIED,
        model_files=tuple(
            ModelFile(f.path, f.sha256, f.digest.size if f.digest else None)
            for f in row.model_files
        ),
    )
