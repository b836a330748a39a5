# SPDX-License-Identifier: Apache-2.0
"""Rules about the gates of the configuration, for ensembles and for single models."""

from __future__ import annotations

from collections.abc import Iterator

from provenance.artifacts.sidecar import Document
from provenance.config.gates import EVERY_ROW, Gate
from provenance.evidence.classification import gate_results
from provenance.evidence.ensembles import Ensemble, outlines
from provenance.evidence.gates import Fault, GateResult, of_ensemble
from provenance.evidence.origin import stated
from provenance.evidence.rows import RowEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import Scope
from provenance.gate.rules.ensembles.base import EnsembleRule


class GateFailed(EnsembleRule):
    """A model or ensemble that is not smoke does not pass a gate of the configuration.

    ## What it does
    Reads the values from where each `[[gate]]` says: for an ensemble from its gate verdict, for any
    other model from its sidecar. Compares them with the gate:

    - the value with `threshold`,
    - the value of each member with `member_threshold`,
    - the difference between the highest and the lowest member with `spread`.

    A value that equals its limit passes. If the two differ only by a rounding error, the outcome in
    the document decides. Rows that are `smoke: true` are skipped, and so is a sidecar that is known
    to describe other bytes.

    ## Why it matters
    The configuration promises that every production model reaches this limit. The limit comes from
    the configuration, so a document cannot lower it.

    ## Example
    `metric = "PSNR"`, `threshold = 38.5`, and a sidecar with 37.9 at the path of the gate.

    ## How to fix
    Train again until the gate is passed. Until then, write `"smoke": true`. If the limit is wrong,
    change it in the configuration; BAS816 asks for a reason.
    """

    code = "ENS522"
    slug = "gate-failed"
    needs_whole = False
    scopes = (Scope.ENSEMBLE, Scope.ROW)

    def judge_ensemble(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        verdict = ensemble.verdict
        if verdict is None or not ensemble.offered:
            return
        for result in of_ensemble(verdict, ensemble.manifest, ensemble.gates):
            for fault in result.failed:
                yield self._failed(verdict, fault, ensemble=ensemble)

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        if row.manifest is not None or row.entry.smoke or row.sidecar is None:
            return
        for result in gate_results(case.evidence, row):
            assert row.sidecar.sidecar is not None  # else there is no result
            for fault in result.failed:
                yield self._failed(row.sidecar.sidecar, fault, row=row)

    def _failed(
        self,
        document: Document,
        fault: Fault,
        row: RowEvidence | None = None,
        ensemble: Ensemble | None = None,
    ) -> Finding:
        smoke = 'write "smoke": true in all rows of the ensemble and in its manifest.'
        if row is not None:
            smoke = row.worded('write "smoke": true in the row.')
        return self.at(
            document,
            fault.where,
            fault.message,
            f"Train again until the gate is passed. Until then, {smoke}",
            row=row.label if row else None,
            ensemble=ensemble,
        )


class GateValueMissing(EnsembleRule):
    """A production model or ensemble has no value for a gate of the configuration.

    ## What it does
    Requires a finite number at the paths of each `[[gate]]` that applies to a production row or
    ensemble: `verdict` and `sidecar` must select exactly one number, and `members` one for each
    member of the manifest. Values that are named after members must name all of them.

    Left to other rules: a verdict or a sidecar that is missing, cannot be read, or describes other
    bytes (ENS510, ENS519, SID401, SID404, SID405). An imported model, whose sidecar declares its
    `origin`, needs no value.

    ## Why it matters
    Without the value, nothing shows that the model passed the gate. A misspelt path must not switch
    the gate off.

    ## Example
    `sidecar = "$.evaluation.psnr"`, and a sidecar with `"evaluation": {"ssim": 0.98}`.

    ## How to fix
    Run the evaluation and record its value at this path, or correct the path in the configuration.
    """

    code = "ENS523"
    slug = "gate-value-missing"
    needs_whole = False
    scopes = (Scope.ENSEMBLE, Scope.ROW)

    def judge_ensemble(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        verdict = ensemble.verdict
        if verdict is None or not ensemble.production:
            return
        for result in of_ensemble(verdict, ensemble.manifest, ensemble.gates):
            yield from self._missing(verdict, result, ensemble=ensemble)

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        if row.manifest is not None or not row.entry.claims_production:
            return
        if row.sidecar is None:
            yield from self._without_sidecar(case, row)
            return
        sidecar = row.sidecar.sidecar
        if sidecar is not None and stated(row, sidecar) is None:
            for result in gate_results(case.evidence, row):
                yield from self._missing(sidecar, result, row=row.label)

    def _missing(
        self,
        document: Document,
        result: GateResult,
        row: str | None = None,
        ensemble: Ensemble | None = None,
    ) -> Iterator[Finding]:
        for fault in result.missing:
            yield self.at(
                document,
                fault.where,
                f"{fault.message} ({result.gate.name})",
                "Run the evaluation and record its value at this path, or correct the path in the "
                "configuration.",
                row=row,
                ensemble=ensemble,
            )

    def _without_sidecar(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        for gate in case.evidence.gates_of(row):
            yield self.in_row(
                case,
                row,
                "onnx",
                f"the row has no sidecar, so there is no value of {gate.metric} ({gate.name})",
                "Map the sidecar of the model: "
                '[registry.defaults] sidecar = "{onnx|folder}/{onnx|stem}.json", or leave the row '
                "out of the `rows` of the gate.",
            )


class GateUnmatched(EnsembleRule):
    """A gate of the configuration applies to no row and no ensemble.

    ## What it does
    Requires that each entry in `rows` of a `[[gate]]` matches a row or an ensemble for which the
    gate has a path: an ensemble, by its id or that of a member, if there is `verdict` or `members`;
    a row outside ensembles if there is `sidecar`. A gate without `rows` must apply to at least one.

    ## Why it matters
    A gate that applies to nothing looks like a promise and checks nothing. The cause is usually a
    misspelt id, or a path for the wrong kind of document.

    ## Example
    `rows = ["denoiser_v2"]`, but the id of the row is `denoiser_v3`.

    ## How to fix
    Correct the entry, add the missing path, or remove the gate.
    """

    code = "ENS524"
    slug = "gate-unmatched"
    scopes = (Scope.DOCUMENT,)
    needs_whole = True
    about_rows = False

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        declared = case.evidence.gates.declared
        if not declared or not case.evidence.whole:
            return
        found = outlines([row.claimant for row in case.facts], case.evidence.documents)
        ensembles = [set(outline.names) for outline in found]
        members = {name for names in ensembles for name in names}
        seeds = {row.label for row in case.facts if row.named is not None}
        models = {row.label for row in case.facts} - members - seeds
        for gate in declared:
            names = (members if gate.of_ensembles else set()) | (
                models if gate.of_models else set()
            )
            for entry in gate.rows:
                if not _matches(gate, entry, names):
                    yield self._unmatched(case, gate, entry, members | models | seeds)

    def _unmatched(self, case: Case, gate: Gate, entry: str, every: set[str]) -> Finding:
        key = "rows" if gate.rows != EVERY_ROW else None
        kinds = [
            *(["an ensemble"] if gate.of_ensembles else []),
            *(["a row outside ensembles"] if gate.of_models else []),
        ]
        says = f"{gate.name}: {entry!r} matches no id of {' or '.join(kinds)}"
        if key is None:
            says = f"{gate.name} applies to nothing: there is no {' and no '.join(kinds)[3:]}"
        help = "Correct the entry, or remove it."
        if _matches(gate, entry, every):
            missing = "sidecar" if gate.of_ensembles else "verdict"
            help = f"Add `{missing}`, the path of the value for these rows, or remove the entry."
        return self.finding(
            says,
            help,
            path=case.config.path,
            position=case.config.gate_position(gate.index, key),
        )


def _matches(gate: Gate, entry: str, names: set[str]) -> bool:
    if gate.rows == EVERY_ROW:
        return bool(names)
    return entry in names or gate.only(entry).applies_to(names)
