# SPDX-License-Identifier: Apache-2.0
"""Rules about recorded gates: each verdict follows from its numbers, and all records agree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from provenance.artifacts.digest import is_sha256, sha256_of
from provenance.artifacts.ensemble import GateVerdict, is_gate_verdict
from provenance.artifacts.sidecar import Document, Sidecar
from provenance.config.gates import PLCC_NAMES as NAMES
from provenance.evidence.ensembles import Ensemble, current_sidecar, outlines
from provenance.evidence.evaluation import OUTCOMES
from provenance.evidence.rows import RowEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules.base import Rule, short, shown
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import Scope
from provenance.gate.rules.ensembles.base import Agreement, Claim, EnsembleRule
from provenance.gate.rules.ensembles.folds import wrong_statistics
from provenance.gate.rules.ensembles.records import (
    disagreements,
    is_of_another_run,
    seeds_of_another,
)
from provenance.gate.rules.ensembles.verdicts import wrong_gate, wrong_verdict
from provenance.gate.rules.forms import Place
from provenance.gate.rules.sidecars.current import pairs


class VerdictWrong(EnsembleRule):
    """A gate verdict does not follow from its own numbers.

    ## What it does
    Recomputes the mean, the lowest seed and the spread from `per_seed_plccs`, compares them with
    the recorded values and thresholds, and derives the verdict. A condition fails if its number is
    missing, not finite, or not a correlation. The rule checks every verdict file beside the
    registry, the `gate` of every manifest and sidecar as far as it has numbers, and `gate_passed`
    against `ship_gate_mean_plcc` and the mean of `loso_folds`. A sidecar that is known to describe
    other bytes is skipped. A `gate` that is not an object, a `verdict` that is not a string, and a
    `passed` that is neither true nor false are reported too.

    If a `[[gate]]` of the configuration applies to the ensemble, the verdict file need not have
    `per_seed_plccs`. ENS522 compares the values that the gate names.

    ## Why it matters
    The numbers decide between PROMOTE and HOLD. A verdict edited by hand is not a result.

    ## Example
    One seed at 0.91, a threshold of 0.95, and the verdict PROMOTE.

    ## How to fix
    Run the gate again. Do not edit its result.
    """

    code = "ENS511"
    slug = "verdict-wrong"
    needs_whole = False
    scopes = (Scope.ENSEMBLE, Scope.ROW, Scope.DOCUMENT)

    def judge_ensemble(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        about, manifest = case.evidence.ensemble_by_document, ensemble.manifest
        for verdict in ensemble.verdicts:
            if about[verdict.path] is ensemble:  # its name may start with two ids
                wrong = wrong_verdict(verdict, bool(ensemble.gates))
                yield from self._named(verdict, wrong, ensemble)
        if all(verdict.path != manifest.path for verdict in ensemble.verdicts):
            yield from self._named(manifest, wrong_gate(manifest), ensemble)

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        for sidecar in current_sidecars(row):
            yield from self._named(sidecar, wrong_gate(sidecar), row=row.label)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        """Yield the findings about verdict files that belong to no ensemble."""
        documents = case.evidence.documents if case.evidence.whole else ()
        found = outlines([row.claimant for row in case.facts], documents)
        judged = {verdict.path for outline in found for verdict in outline.verdicts}
        for document in documents:
            if isinstance(document, GateVerdict) and document.path not in judged:
                by_configuration = not is_gate_verdict(document.value)
                yield from self._named(document, wrong_verdict(document, by_configuration))

    def _named(
        self,
        document: Document,
        wrong: Iterable[tuple[Place, str]],
        ensemble: Ensemble | None = None,
        row: str | None = None,
    ) -> Iterator[Finding]:
        # Place the finding at the outcome if that is wrong; numbers and flags are its reasons.
        found = sorted(wrong, key=lambda named: named[0] not in OUTCOMES)
        if found:
            says = "; ".join(message for _, message in found)[:400]
            yield self.at(
                document, found[0][0], says, "Run the gate again.", row=row, ensemble=ensemble
            )


class VerdictDisagrees(EnsembleRule):
    """The records of one gate disagree about the ensemble.

    ## What it does
    Compares the gate's verdict, numbers and thresholds in the verdict file, the manifest and the
    sidecars. The most frequent value counts as right, and each document that differs is reported
    once. Also compares the `ensemble_id` and the seeds of the verdict file with the manifest,
    unless all sidecars describe other bytes. Numbers that differ only by rounding to four or more
    decimals are equal. A record that contradicts itself is left to ENS511.

    ## Why it matters
    If two records of one evaluation differ, one of them comes from another run. A mean over a seed
    that is not shipped is the mean of another ensemble.

    ## Example
    The verdict file has 0.9975 for seed 0, its sidecar 0.9972.

    ## How to fix
    Export the verdict, the manifest and the sidecars together.
    """

    code = "ENS512"
    slug = "verdict-disagrees"

    def judge_ensemble(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        help = "Export the verdict, the manifest and the sidecars together."
        for found in disagreements(ensemble):
            yield self.at(
                found.document, found.where, found.message, help, row=found.row, ensemble=ensemble
            )
        verdict = ensemble.verdict
        if verdict is None:
            return
        named = verdict.value.get("ensemble_id")
        if named is not None and named != ensemble.name:
            says = (
                f"`ensemble_id` of the verdict is {shown(named)}, but by its file name it belongs "
                f"to {ensemble.name!r}"
            )
            yield self.at(verdict, ("ensemble_id",), says, help, ensemble=ensemble)
        for says in seeds_of_another(ensemble, verdict):
            yield self.at(verdict, ("gate", NAMES.values), says, help, ensemble=ensemble)


class CorpusDiffers(EnsembleRule):
    """Verdict, manifest and sidecars name different corpora.

    ## What it does
    Compares the corpus digests in the members' sidecars, the manifest and the verdict. The most
    frequent digest counts as right, and a value that is not a digest is reported. The verdict on
    production members must have a corpus digest. If one sidecar has one, all must. Skipped are a
    sidecar or a manifest that is known to describe other bytes (ENS521), and a verdict on another
    run (ENS512).

    ## Why it matters
    A verdict about one corpus says nothing about weights that were fitted on another.

    ## Example
    `"corpus": {"sha256": null}` in the verdict.

    ## How to fix
    Run the gate where the corpus is available, so that it records the digest.
    """

    code = "ENS514"
    slug = "corpus-differs"
    deferrable = True

    def judge_ensemble(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        members = [_corpus(sidecar, member.row_label) for member, sidecar in ensemble.described]
        verdict = None
        if ensemble.verdict is not None and not is_of_another_run(ensemble):
            verdict = _corpus(ensemble.verdict)
        manifest = [_corpus(ensemble.manifest)] if ensemble.claims else []
        corpora = [*members, *manifest, *([verdict] if verdict else [])]
        agreed = Agreement.of(c for c in corpora if is_sha256(c.value))
        there = f"; it is {short(agreed.value)} in {agreed.whose}" if agreed.most else ""
        run_again = "Run the gate on the corpus that the members were fitted on."
        for one in agreed.others:
            says = f"the corpus digest is {short(one.value)}{there}"
            yield self.at_claim(one, says, run_again, ensemble)
        for one in members if any(is_sha256(c.value) for c in members) else ():
            if one.value is None:
                says, help = "the sidecar has no corpus digest", "Export all members in one run."
                yield self.at_claim(one, says + there, help, ensemble)
        for one in corpora[len(members) :]:  # SID407 reports it for a member
            if one.value is not None and not is_sha256(one.value):
                says = f"the corpus digest is {shown(one.value)}, not a SHA-256 digest"
                yield self.at_claim(one, says + there, run_again, ensemble)
        if verdict is not None and verdict.value is None and ensemble.production:
            says = f"the verdict has no corpus digest{there}"
            help = "Run the gate where the corpus is available, so that it records the digest."
            yield self.at_claim(verdict, says, help, ensemble)


class RecordWrong(Rule):
    """The evaluation recorded in a sidecar does not follow from its folds.

    ## What it does
    Recomputes `loso_mean_…`, `loso_min_…`, `loso_max_…` and `loso_std_…` from `loso_folds`.
    Compares them and `ship_gate_mean_plcc` at the top level of the sidecar with those under
    `training`. Each must be a number. A deviation may be that of a sample or of the population, and
    a number may be rounded to four or more decimals. A sidecar that is known to describe other
    bytes is skipped.

    ## Why it matters
    The mean decides whether the model ships. If it does not follow from the folds, it comes from
    another run or was typed in by hand.

    ## Example
    `"loso_mean_plcc": 0.9975` beside nine folds whose mean is 0.9474.

    ## How to fix
    Evaluate again and let the exporter write the record. Do not edit it.
    """

    code = "ENS516"
    slug = "record-wrong"

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        for sidecar in current_sidecars(row):
            found = list(wrong_statistics(sidecar))
            if found:
                says = "; ".join(message for _, message in found)[:400]
                help = "Evaluate again and let the exporter write the record."
                yield self.at(sidecar, found[0][0], says, help, row=row.label)


def current_sidecars(row: RowEvidence) -> Iterator[Sidecar]:
    """Yield the sidecars of a row, without those that are known to describe other bytes."""
    return filter(None, (current_sidecar(model, read) for model, read in pairs(row)))


def _corpus(document: Document, row: str | None = None) -> Claim[Any]:
    """Return the corpus digest that a document records, and where it records it."""
    for where in (("corpus", "sha256"), ("corpus_sha256",)):
        if document.get(*where) is not None:
            written = document.get(*where)
            return Claim(document, row, where, sha256_of(written) or written)
    return Claim(document, row, ("corpus", "sha256"), None)
