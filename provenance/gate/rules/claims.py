# SPDX-License-Identifier: Apache-2.0
"""SID417 to SID419: what a row claims, and whether the evidence beside it is there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provenance.artifacts.registry import is_blank
from provenance.artifacts.sidecar import Sidecar
from provenance.evidence import classification, origin
from provenance.evidence.ensembles import Ensemble
from provenance.evidence.evidence import Evidence
from provenance.evidence.rows import ModelEvidence, RowEvidence
from provenance.gate.finding import Finding, Severity
from provenance.gate.rules import promotion
from provenance.gate.rules.base import Rule, shown
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import Phase, Scope
from provenance.gate.rules.license import same_license
from provenance.gate.rules.recovery_help import is_lost_with_its_manifest
from provenance.gate.rules.sidecars.current import ClaimRule


class ProductionUnproven(Rule):
    """A row says production, and the evidence for it is not complete.

    ## What it does
    Asks of every row with `"smoke": false` what `provenance promote` asks before it writes that: a
    sidecar with the digest of these very bytes, a gate that was passed by its own numbers (that of
    the ensemble, or of the sidecar), widths that agree, and a complete license. No gate is asked of
    an imported model, whose sidecar declares its `origin`. A gate that nothing can fail (a
    threshold of 0, a spread of at most 1) or whose verdict is in words of its own is no evidence,
    and bytes that another row declares as a placeholder are not production. What another rule
    already reports is not repeated, nor is a row that was flipped since the baseline (BAS804). What
    a deferral covers is reported: `promote` refuses it too, so that this rule cannot be deferred.

    ## Why it matters
    "Production" is a promise to every consumer who asks for it (`--require production`). A flag
    that is set by hand is no evidence.

    ## Example
    `"smoke": false`, and a sidecar with `id` and `sha256` alone: no gate was ever recorded.

    ## How to fix
    Add what the message names. Until then the row says `"smoke": true` if it is a placeholder.
    Without `smoke` a row claims nothing, and no consumer who requires production accepts it.
    """

    code = "SID417"
    slug = "production-unproven"
    looks_around = True
    yields_to = ("BAS804",)
    phase = Phase.CLAIMS

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        if not row.entry.claims_production:
            return
        if row.manifest is None and is_lost_with_its_manifest(case, row):
            return  # BAS809 reports the manifest, and what it says is not known
        missing = promotion.missing(case.evidence, case.by_subject, row)
        if missing:
            messages = "; ".join(dict.fromkeys(o.message for o in missing))
            helps = " ".join(dict.fromkeys(o.help for o in missing))
            yield self.in_row(
                case,
                row,
                "smoke",
                f"the row says production, and the evidence is not complete: {messages}"[:600],
                f"{helps} Until then {case.in_its_words(say_smoke(row))}.",
                about=missing[0].path,
            )


def say_smoke(row: RowEvidence) -> str:
    """What to write until the evidence is complete: in the row, and where it is repeated."""
    sidecar = row.sidecar.sidecar if row.sidecar else None
    where = ""
    if row.manifest is not None:
        where = " in all rows of the ensemble and in its manifest"
    elif sidecar is not None and sidecar.get("smoke") is False:
        where = " in the row and in its sidecar"
    return f'say "smoke": true{where}'


class SmokeProven(Rule):
    """A row says smoke, and the evidence for production is complete.

    ## What it does
    Warns where sidecar, digests, gate and license are what SID417 asks of a production row: of an
    ensemble, where that is so for all of its members. A warning does not fail the gate.

    ## Why it matters
    The production weights are here, and every consumer who requires production refuses them. Such
    a row was left behind when its model was trained.

    ## Example
    `"smoke": true`, and a sidecar of these very bytes with the verdict PROMOTE.

    ## How to fix
    `provenance promote ROW`, or `provenance promote --ensemble ID`.
    """

    code = "SID418"
    slug = "smoke-proven"
    looks_around = True
    severity = Severity.WARNING
    phase = Phase.CLAIMS
    scopes = (Scope.ENSEMBLE, Scope.ROW)

    def judge_ensemble(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        # An ensemble is promoted as a whole or not at all.
        shipped = [member.row for member in ensemble.shipped if member.row is not None]
        if all(_is_ready(case, row) for row in shipped):
            for row in (*shipped, *(r for r in ensemble.unlisted if _is_ready(case, r))):
                if row.manifest is not None and row.manifest.path == ensemble.manifest.path:
                    yield self._proven(case, row)

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        if row.manifest is None and _is_ready(case, row):
            yield self._proven(case, row)

    def _proven(self, case: Case, row: RowEvidence) -> Finding:
        assert row.sidecar is not None  # else it is not ready
        fails = any(f.severity is Severity.ERROR for f in promotion.about(case.by_subject, row))
        first = "correct the errors of this row, then" if fails else "run"
        return self.in_row(
            case,
            row,
            "smoke",
            f"the row says smoke, and the evidence for production is complete: "
            f"{row.sidecar.path} describes these bytes, and {_proof(case.evidence, row)}",
            f"If the model is meant for use, {first}: {promotion.promote_command(row)}",
            about=row.sidecar.path,
        )


_DOCUMENTS = ("SID", "ENS506", "ENS511", "ENS512", "ENS514", "ENS516")
"""The rules that find, about a row, that its documents are not evidence."""


def _is_ready(case: Case, row: RowEvidence) -> bool:
    """Whether a smoke row's documents are complete evidence, and agree with each other."""
    if not row.entry.smoke or row.sidecar is None or row.sidecar.sidecar is None:
        return False
    found = promotion.about(case.by_subject, row)
    if any(f.fails and f.row and f.code.startswith(_DOCUMENTS) for f in found):
        return False
    return not any(True for _ in promotion.obstacles(case.evidence, (), row))


def _proof(evidence: Evidence, row: RowEvidence) -> str:
    gate = classification.evaluated_gate(evidence, row)
    if gate is None:
        return "it is an imported model with its origin"
    return (
        f"its gate gives {gate['result']} ({gate['metric']} {gate['value']:.4f}, at least "
        f"{gate['threshold']:g})"
    )


class OriginWrong(ClaimRule):
    """The origin in a sidecar is malformed, or contradicts something else.

    ## What it does
    An imported model, whose weights come from elsewhere, is declared in its sidecar: `origin`, an
    object with `source` (where the weights come from) and `license` (an SPDX expression), and, if
    known, `license_url`, `revision` and `sha256` of the upstream file. Reports an origin that lacks
    one of the first two, or in which a value has another form; one whose license is not the row's;
    and one beside a record of training in this repository (`gate`, `seed`, `training_recipe`, …),
    at whatever depth a gate is recorded, or in a model that an ensemble manifest lists. A sidecar
    of other bytes is reported as that only.

    ## Why it matters
    No gate is expected of an imported model. A declaration that hides a gate which was not passed,
    or that names another license than the one that the model is offered under, must not count.

    ## Example
    `"origin": {"source": "https://github.com/m-tassano/fastdvdnet"}`, without a `license`.

    ## How to fix
    Complete the origin. If the model was trained in this repository, remove it.
    """

    code = "SID419"
    slug = "origin-wrong"

    def judge_sidecar(
        self, case: Case, row: RowEvidence, model: ModelEvidence, sidecar: Sidecar
    ) -> Iterator[Finding]:
        fault = origin.fault(row, sidecar)
        if fault is not None:
            where, message = fault
            trained = where[0] != origin.ORIGIN or (len(where) == 1 and row.manifest is not None)
            help = f"Remove `{origin.ORIGIN}`, or the record: the model has one history."
            form = 'Write it as "origin": {"source": "…", "license": "…"}.'
            yield self.at(sidecar, where, message, help if trained else form, row=row.label)
            return
        declared = sidecar.get(origin.ORIGIN)
        license = row.entry.fields.get("license")
        if declared is None or not isinstance(license, str) or is_blank(license):
            return
        if not same_license(declared["license"], license):
            called = case.name_of("license")
            yield self.at(
                sidecar,
                (origin.ORIGIN, "license"),
                f"`{origin.ORIGIN}.license` is {shown(declared['license'])}; in the row `{called}` "
                f"is {shown(license)}",
                "Decide which is right, and write it in both.",
                row=row.label,
            )


RULES: Final[tuple[type[Rule], ...]] = (ProductionUnproven, SmokeProven, OriginWrong)
