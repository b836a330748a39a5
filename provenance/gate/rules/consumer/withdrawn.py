# SPDX-License-Identifier: Apache-2.0
"""USE012: a model that its publisher has withdrawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from provenance.evidence import releases
from provenance.evidence.rows import RowEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules.case import Case
from provenance.gate.rules.consumer.requirement import Requirement
from provenance.gate.rules.declaration import Phase, Scope, Target
from provenance.registry.withdrawn import Withdrawal, WithdrawnError, by_digest


class ModelWithdrawn(Requirement):
    """The publisher has withdrawn the model.

    ## What it does
    Compares the digests of the model and of its external data with those that a trusted release
    summary lists as withdrawn. The summary is that of `--summary`, or the one beside the bundle or
    the model. It does not have to be required, and it may be of a later release than the model.
    With `--state FILE`, releases that were used before count as well.

    ## Why it matters
    The bundle of a withdrawn model stays valid forever. Only a later summary says that the
    publisher no longer wants the model to be used, and why.

    ## Example
    `detector_v1.onnx` with its genuine bundle, beside the summary of the release that replaced it
    by `detector_v2`.

    ## How to fix
    Use the model that the message names as its replacement, or ask the publisher.
    """

    code = "USE012"
    slug = "model-withdrawn"
    phase = Phase.SIGNATURES
    applies = frozenset({Target.MODEL, Target.RELEASE})
    scopes = (Scope.ROW, Scope.DOCUMENT)

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        known = _withdrawn(case)
        found = {
            entry.id: (file, entry)
            for file in reversed(row.model_files if known else ())
            if file.sha256 is not None and (entry := known.get(file.sha256)) is not None
        }
        for file, entry in found.values():
            instead = f"Use {entry.replaced_by!r} instead." if entry.replaced_by else ""
            yield self.finding(
                f"{file.path} {entry.why}",
                f"Do not use it. {instead or 'Ask the publisher what to use instead.'}",
                path=file.path,
                row=row.label,
            )

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        for summary in (case.evidence.summary, *case.evidence.advisories):
            statement = case.signed_statement(summary)
            if summary is None or statement is None:
                continue
            try:
                releases.withdrawn_of(statement)
            except WithdrawnError as e:
                yield self.of_summary(
                    summary,
                    f"{summary.path}: the list of withdrawn models cannot be read: {e}",
                    "Use a newer version of this program, or ask the publisher.",
                )


def _withdrawn(case: Case) -> Mapping[str, Withdrawal]:
    """Return what trusted summaries, and releases that were used before, withdraw, by digest."""
    found: dict[str, Withdrawal] = {}
    for release in (case.evidence.seen or {}).values():
        found |= by_digest(release.withdrawn)
    for summary in (case.evidence.summary, *case.evidence.advisories):
        statement = case.signed_statement(summary)
        if statement is not None and releases.predicate_of(statement) is not None:
            try:
                found |= by_digest(releases.withdrawn_of(statement))
            except WithdrawnError:
                continue  # reported by `judge_whole`
    return found
