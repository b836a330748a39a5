# SPDX-License-Identifier: Apache-2.0
"""SID417 to SID419: what a row claims about its model, and the evidence for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provenance.artifacts.sidecar import Sidecar
from provenance.evidence import classification, origin
from provenance.evidence.ensembles import Ensemble
from provenance.evidence.evaluation import HOLD, PROMOTE, SIGNED_AS
from provenance.evidence.evidence import Evidence
from provenance.evidence.rows import ModelEvidence, RowEvidence
from provenance.gate.finding import Finding, Severity
from provenance.gate.rules import promotion
from provenance.gate.rules.base import Rule, shown, some
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import Phase, Scope
from provenance.gate.rules.license import same_license
from provenance.gate.rules.recovery_help import is_lost_with_its_manifest
from provenance.gate.rules.sidecars.current import ClaimRule
from provenance.registry.rows import is_blank


class ProductionUnproven(Rule):
    """A row claims production without complete evidence.

    ## What it does
    Requires for every row with `"smoke": false` what `provenance promote` requires before it writes
    that value:

    - a sidecar with the digest of the present model file,
    - a gate whose numbers pass, recorded in the ensemble's verdict or in the sidecar, or where the
      `[[gate]]` that applies to the row says,
    - widths that agree, and a complete license.

    An imported model, whose sidecar declares its `origin`, needs no gate. A gate is not evidence if
    it cannot fail (a threshold of 0, a spread of at most 1) or if its verdict is not a known word.
    A model with the same bytes as another row's placeholder is not production.

    Problems that another rule already reports are not repeated, and neither are rows that were
    flipped since the baseline (BAS804). Problems under a deferral are reported: `promote` refuses
    them too, so this rule cannot be deferred.

    ## Why it matters
    "Production" is a promise to every consumer who requires it (`--require production`). A flag set
    by hand is not evidence.

    ## Example
    `"smoke": false`, and a sidecar with only `id` and `sha256`, which does not record a gate.

    ## How to fix
    Add what the message names. Until then, write `"smoke": true` if the model is a placeholder.
    A row without `smoke` is unclaimed, and consumers who require production refuse it.
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
            return  # BAS809 reports the manifest; its content is not known
        missing = promotion.missing(case.evidence, case.by_subject, row)
        if missing:
            messages = "; ".join(dict.fromkeys(o.message for o in missing))
            helps = " ".join(dict.fromkeys(o.help for o in missing))
            yield self.in_row(
                case,
                row,
                "smoke",
                f"the row says production, but the evidence is incomplete: {messages}"[:600],
                f"{helps} Until then {row.worded(say_smoke(row))}.",
                about=missing[0].path,
            )


def say_smoke(row: RowEvidence) -> str:
    """Return the advice to write `"smoke": true` in the row and wherever the value is repeated."""
    sidecar = row.sidecar.sidecar if row.sidecar else None
    where = ""
    if row.manifest is not None:
        where = " in all rows of the ensemble and in its manifest"
    elif sidecar is not None and sidecar.get("smoke") is False:
        where = " in the row and in its sidecar"
    return f'say "smoke": true{where}'


class SmokeProven(Rule):
    """A row says smoke although the evidence for production is complete.

    ## What it does
    Warns if the sidecar, digests, gate and license of a smoke row meet the conditions of SID417.
    Rows of an ensemble are reported only if all its members meet them. A warning does not fail the
    gate.

    ## Why it matters
    The production weights exist, but consumers who require production refuse them. The usual cause
    is that the row was not updated after its model was trained.

    ## Example
    `"smoke": true`, and a sidecar with the digest of the model and the verdict PROMOTE.

    ## How to fix
    Run `provenance promote ROW` or `provenance promote --ensemble ID`.
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
        has_errors = any(
            f.severity is Severity.ERROR for f in promotion.about(case.by_subject, row)
        )
        first = "correct the errors of this row, then" if has_errors else "run"
        return self.in_row(
            case,
            row,
            "smoke",
            f"the row says smoke, but the evidence for production is complete: "
            f"{row.sidecar.path} describes these bytes, and {_proof(case.evidence, row)}",
            f"If the model is meant for use, {first}: {promotion.promote_command(row)}",
            about=row.sidecar.path,
        )


_DOCUMENTS = ("SID", "ENS506", "ENS511", "ENS512", "ENS514", "ENS516")
"""The rules, by the start of their codes, that reject the documents of a row as evidence."""


def _is_ready(case: Case, row: RowEvidence) -> bool:
    """Whether a smoke row's documents are complete evidence, and agree with each other."""
    if not row.entry.smoke or row.sidecar is None or row.sidecar.sidecar is None:
        return False
    found = promotion.about(case.by_subject, row)
    if any(f.fails and f.row and f.code.startswith(_DOCUMENTS) for f in found):
        return False
    return not any(True for _ in promotion.obstacles(case.evidence, (), row))


def _proof(evidence: Evidence, row: RowEvidence) -> str:
    found = classification.signed_evaluations(evidence, row)
    if not found:
        return "the model is imported and declares its origin"
    result = PROMOTE if all(one.passed for one in found) else HOLD
    values = [
        f"{one.metric} {one.value:.4f}, {SIGNED_AS[one.direction].replace('-', ' ')} "
        f"{one.threshold:g}"
        for one in found
    ]
    return f"its gate gives {result} ({some(values, 3, '; ')})"


class OriginWrong(ClaimRule):
    """The `origin` in a sidecar is not valid or contradicts another value.

    ## What it does
    Checks the `origin` that declares an imported model, whose weights come from another project. It
    is an object with `source` (where the weights come from) and `license` (an SPDX expression), and
    optionally `license_url`, `revision` and `sha256` of the upstream file. Reports an origin

    - without `source` or `license`, or with a value of the wrong form,
    - whose license differs from the row's license,
    - in a sidecar that also records training in this repository (`gate`, `seed`,
      `training_recipe`, …; a gate counts at any depth),
    - of a model that an ensemble manifest lists.

    If the sidecar describes other bytes, only that is reported.

    ## Why it matters
    An imported model needs no gate. Therefore an origin must not hide a failed gate, or a license
    other than the one in the row.

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
            is_trained = where[0] != origin.ORIGIN or (len(where) == 1 and row.manifest is not None)
            remove = f"Remove `{origin.ORIGIN}`, or the record: the model has only one of them."
            write = 'Write it as "origin": {"source": "…", "license": "…"}.'
            help = remove if is_trained else write
            yield self.at(sidecar, where, message, help, row=row.label)
            return
        declared = sidecar.get(origin.ORIGIN)
        license = row.entry.fields.get("license")
        if declared is None or not isinstance(license, str) or is_blank(license):
            return
        if not same_license(declared["license"], license):
            field = row.called("license")
            yield self.at(
                sidecar,
                (origin.ORIGIN, "license"),
                f"`{origin.ORIGIN}.license` is {shown(declared['license'])}; in the row `{field}` "
                f"is {shown(license)}",
                "Decide which is right, and write it in both.",
                row=row.label,
            )


RULES: Final[tuple[type[Rule], ...]] = (ProductionUnproven, SmokeProven, OriginWrong)
