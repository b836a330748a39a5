# SPDX-License-Identifier: Apache-2.0
"""What the gate recorded: verdicts that their numbers give, records that agree, one corpus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from provenance.artifacts.digest import is_sha256, sha256_of
from provenance.artifacts.ensemble import GateVerdict
from provenance.artifacts.sidecar import Document, Sidecar
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
    Computes mean, lowest seed and spread again from `per_seed_plccs`, compares them with the
    recorded ones and with the recorded thresholds, and derives the verdict. A condition fails
    where its number is missing, not finite, or no correlation. This for every verdict file beside
    the registry, and, as far as they have numbers, for the `gate` of every manifest and sidecar,
    and for `gate_passed` with `ship_gate_mean_plcc` and the mean of `loso_folds`. A sidecar that is
    known to describe other bytes does not count. A `gate` that is no object, a `verdict` that is no
    text, and a `passed` that is neither true nor false say nothing, and are named.

    ## Why it matters
    A verdict is PROMOTE or HOLD by its numbers, never by hand.

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
            if about[verdict.path] is ensemble:  # its name may begin with two ids
                yield from self._named(verdict, wrong_verdict(verdict), ensemble)
        if all(verdict.path != manifest.path for verdict in ensemble.verdicts):
            yield from self._named(manifest, wrong_gate(manifest), ensemble)

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        for sidecar in current_sidecars(row):
            yield from self._named(sidecar, wrong_gate(sidecar), row=row.label)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        """The verdicts on no ensemble."""
        documents = case.evidence.documents if case.evidence.whole else ()
        found = outlines([row.claimant for row in case.facts], documents)
        judged = {verdict.path for outline in found for verdict in outline.verdicts}
        for document in documents:
            if isinstance(document, GateVerdict) and document.path not in judged:
                yield from self._named(document, wrong_verdict(document))

    def _named(
        self,
        document: Document,
        wrong: Iterable[tuple[Place, str]],
        ensemble: Ensemble | None = None,
        row: str | None = None,
    ) -> Iterator[Finding]:
        # The outcome is what counts; numbers and flags are the reasons.
        found = sorted(wrong, key=lambda named: named[0] not in OUTCOMES)
        if found:
            says = "; ".join(message for _, message in found)[:400]
            yield self.at(
                document, found[0][0], says, "Run the gate again.", row=row, ensemble=ensemble
            )


class VerdictDisagrees(EnsembleRule):
    """The records of one gate are not about one ensemble.

    ## What it does
    Compares verdict, numbers and thresholds of the gate in the verdict file, the manifest and the
    sidecars with each other: what most of them have counts, and each that differs is named once.
    Compares the verdict file's `ensemble_id` and seeds with the manifest, unless all sidecars
    describe other bytes. A number that was rounded to four decimals or more is the same number; a
    record that contradicts itself is reported as that (ENS511).

    ## Why it matters
    Two records of one evaluation differ: one of them is of another run. A mean over a seed that is
    not shipped is the mean of another ensemble.

    ## Example
    The verdict file has 0.9975 for seed 0, its sidecar 0.9972.

    ## How to fix
    Export verdict, manifest and sidecars together.
    """

    code = "ENS512"
    slug = "verdict-disagrees"

    def judge_ensemble(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        help = "Export verdict, manifest and sidecars together."
        for found in disagreements(ensemble):
            yield self.at(
                found.document, found.where, found.message, help, row=found.row, ensemble=ensemble
            )
        verdict = ensemble.verdict
        if verdict is None:
            return
        named = verdict.value.get("ensemble_id")
        if named is not None and named != ensemble.name:
            says = f"the verdict is on {shown(named)}; by its name it is on {ensemble.name!r}"
            yield self.at(verdict, ("ensemble_id",), says, help, ensemble=ensemble)
        for says in seeds_of_another(ensemble, verdict):
            yield self.at(verdict, ("gate", "per_seed_plccs"), says, help, ensemble=ensemble)


class CorpusDiffers(EnsembleRule):
    """Verdict, manifest and sidecars were not made from one corpus.

    ## What it does
    Compares the corpus digests of the members' sidecars, the manifest and the verdict: what most of
    them have counts, and what is no digest is named. For production members the verdict must have
    one, and where one sidecar has one, each must. A sidecar or a manifest (ENS521) that is known to
    describe other bytes does not count, nor does a verdict on another run (ENS512).

    ## Why it matters
    A verdict about one corpus says nothing about weights that were fitted on another.

    ## Example
    `"corpus": {"sha256": null}` in the verdict.

    ## How to fix
    Run the gate with the corpus at hand, so that it records the digest.
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
        told = [*members, *manifest, *([verdict] if verdict else [])]
        agreed = Agreement.of(c for c in told if is_sha256(c.value))
        there = f"; it is {short(agreed.value)} in {agreed.whose}" if agreed.most else ""
        run_again = "Run the gate on the corpus that the members were fitted on."
        for one in agreed.others:
            says = f"the corpus is {short(one.value)}{there}"
            yield self.at_claim(one, says, run_again, ensemble)
        for one in members if any(is_sha256(c.value) for c in members) else ():
            if one.value is None:
                says, help = "the sidecar names no corpus digest", "Export all members in one run."
                yield self.at_claim(one, says + there, help, ensemble)
        for one in told[len(members) :]:  # SID407 reports it of a member
            if one.value is not None and not is_sha256(one.value):
                says = f"the corpus digest is {shown(one.value)}, which is none"
                yield self.at_claim(one, says + there, run_again, ensemble)
        if verdict is not None and verdict.value is None and ensemble.production:
            says = f"the verdict names no corpus digest{there}"
            at_hand = "Run the gate with the corpus at hand, so that it records the digest."
            yield self.at_claim(verdict, says, at_hand, ensemble)


class RecordWrong(Rule):
    """What a sidecar says of its evaluation does not follow from its folds.

    ## What it does
    Computes `loso_mean_…`, `loso_min_…`, `loso_max_…` and `loso_std_…` again from `loso_folds`, and
    compares them, and `ship_gate_mean_plcc`, at the top of the sidecar with those under `training`.
    Each is a number.
    A deviation may be that of a sample or of the whole; a number may be rounded to four decimals or
    more. A sidecar that is known to describe other bytes does not count.

    ## Why it matters
    The mean decides whether the model ships. If the folds do not give it, it is of another run, or
    was typed in.

    ## Example
    `"loso_mean_plcc": 0.9975` beside nine folds whose mean is 0.9474.

    ## How to fix
    Evaluate again, and let the exporter write the record. Do not edit it.
    """

    code = "ENS516"
    slug = "record-wrong"

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        for sidecar in current_sidecars(row):
            found = list(wrong_statistics(sidecar))
            if found:
                says = "; ".join(message for _, message in found)[:400]
                help = "Evaluate again, and let the exporter write the record."
                yield self.at(sidecar, found[0][0], says, help, row=row.label)


def current_sidecars(row: RowEvidence) -> Iterator[Sidecar]:
    """The sidecars of a row that are not known to describe other bytes."""
    return filter(None, (current_sidecar(model, read) for model, read in pairs(row)))


def _corpus(document: Document, row: str | None = None) -> Claim[Any]:
    """What a document says is the digest of its corpus, and where."""
    for where in (("corpus", "sha256"), ("corpus_sha256",)):
        if document.get(*where) is not None:
            written = document.get(*where)
            return Claim(document, row, where, sha256_of(written) or written)
    return Claim(document, row, ("corpus", "sha256"), None)
