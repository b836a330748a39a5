# SPDX-License-Identifier: Apache-2.0
"""Rules about production ensembles: a consistent `smoke`, and a verdict that says PROMOTE."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from provenance.artifacts.paths import FETCH, IS_POINTER
from provenance.evidence.beside import Fault
from provenance.evidence.ensembles import Ensemble, current_sidecar
from provenance.evidence.evaluation import PROMOTE
from provenance.evidence.rows import RowEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules.base import Rule, command, shown, some
from provenance.gate.rules.case import Case
from provenance.gate.rules.ensembles.base import EnsembleRule
from provenance.gate.rules.ensembles.verdicts import (
    not_passed,
    wrong_gate,
    wrong_verdict,
)
from provenance.gate.rules.recovery_help import lost_verdict
from provenance.gate.rules.registry import is_malformed
from provenance.registry.rows import Classification


class SmokeMixed(EnsembleRule):
    """An ensemble is partly smoke and partly production.

    ## What it does
    Compares `smoke` of the members' rows with each other and with the manifest. If the production
    members have no verdict, only ENS510 reports that, because its fix sets all members to smoke. A
    manifest that is older than its members (ENS521) is skipped.

    ## Why it matters
    One placeholder among five trained seeds is enough to distort the mean and the interval.

    ## Example
    The rows say `"smoke": false`, but the manifest still says `"smoke": true`.

    ## How to fix
    If the verdict is PROMOTE, run `provenance promote --ensemble ID`: it updates rows and manifest
    once the evidence is complete. Otherwise write `"smoke": true` in all rows and in the manifest.
    """

    code = "ENS509"
    slug = "smoke-mixed"
    looks_around = True

    def judge_ensemble(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        if not held_for_want_of_a_verdict(case, ensemble):
            # A deferral of ENS521 made for placeholders must not hide a claim of production.
            id = ensemble.manifest.id or ensemble.manifest.path
            deferred = ensemble.production and case.deferrals.covering("ENS521", id)
            claims = ensemble.manifest.value if deferred else ensemble.claims
            yield from self._mixed(ensemble, claims, hold(case, ensemble))

    def _mixed(self, ensemble: Ensemble, claims: Mapping[str, Any], hold: str) -> Iterator[Finding]:
        rows = {
            s.row.label: s.row.entry.classification
            for s in ensemble.members
            if s.row is not None
            and not is_malformed("smoke", s.row.entry.fields.get("smoke", True))
        }
        claimed, id = claims.get("smoke"), ensemble.manifest.id
        passed = ensemble.verdict is not None and ensemble.verdict.verdict == PROMOTE
        help = hold
        if passed and id is not None:
            promote = command("promote", "--ensemble", id)
            help = f"Promote or hold the ensemble as a whole: {promote}"
        where = "smoke"
        if len(set(rows.values())) > 1:
            kinds = [kind for kind in _ORDER if kind in rows.values()]
            fewest = min(kinds, key=list(rows.values()).count)
            these = ", ".join(label for label, kind in rows.items() if kind is fewest)
            where = "members"
            says = f"some members are {' and others '.join(kinds)}; {fewest}: {these}"
            says = says[:400]
        elif not rows or claimed is None:
            return
        elif not isinstance(claimed, bool):
            says = f"`smoke` is {shown(claimed)}, expected true or false"
            smoke = next(iter(rows.values())) is Classification.SMOKE
            help = f"Write {str(smoke).lower()}, as the rows of its members do."
        elif _claim(claimed) not in rows.values():
            says = f"the manifest says {_claim(claimed)}, but no row of its members does"
        else:
            return
        yield self.at(ensemble.manifest, (where,), says, help, ensemble=ensemble)


_ORDER: Final = (
    Classification.SMOKE,
    Classification.PRODUCTION,
    Classification.UNCLAIMED,
)
"""The order in which classifications are listed. If two are equally rare, the first is blamed."""


def _claim(smoke: bool) -> Classification:
    return Classification.SMOKE if smoke else Classification.PRODUCTION


class VerdictMissing(EnsembleRule):
    """A production ensemble has no gate verdict.

    ## What it does
    Looks for the verdict file of each ensemble with production members. It is a JSON file beside
    the registry whose name starts with the ensemble's id and that has `verdict` and `gate`, or the
    manifest itself if it has both. A file with such a name that cannot be read, or has only one of
    the two, is left to ENS519.

    ## Why it matters
    Production means that the ensemble passed its gate. Without the verdict there is no evidence.

    ## Example
    Five rows say `"smoke": false`, but there is no `…_PROMOTE.json`.

    ## How to fix
    Run the gate and commit its verdict, then run `provenance promote --ensemble ID`. Until then,
    write `"smoke": true` in the rows of all members and in the manifest.
    """

    code = "ENS510"
    slug = "verdict-missing"
    looks_around = True

    def judge_ensemble(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        if not ensemble.production or ensemble.verdict is not None:
            return
        count = f"{len(ensemble.production)} production members"
        several = ", ".join(v.path for v in ensemble.verdicts)[:300]
        if several:
            says = f"{count}, but several gate verdicts: {several}"
            help = "Keep the verdict on these members, and move the others elsewhere."
        elif ensemble.name not in case.evidence.broken_documents:
            lost = lost_verdict(case, ensemble.name)
            says = f"{count}, but no gate verdict whose name starts with {ensemble.name!r}"
            says += lost.said if lost else ""
            help = lost.help if lost else hold(case, ensemble)
        else:
            return
        yield self.at(ensemble.manifest, ("id",), says, help, ensemble=ensemble)


class VerdictHold(EnsembleRule):
    """The gate did not promote an ensemble whose members are not smoke.

    ## What it does
    Requires that the verdict on an ensemble is PROMOTE if one of its members is not smoke. A
    verdict that does not follow from its numbers is left to ENS511. A file without a `verdict` is
    judged by its values alone (ENS522).

    ## Why it matters
    HOLD means that the numbers did not reach their thresholds, so the rows must not claim more.

    ## Example
    The rows say `"smoke": false`, but the verdict file says HOLD.

    ## How to fix
    Put `"smoke": true` back, and train again.
    """

    code = "ENS513"
    slug = "verdict-hold"

    def judge_ensemble(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        verdict = ensemble.verdict
        if verdict is None or not ensemble.offered or verdict.verdict == PROMOTE:
            return
        if verdict.verdict is None and ensemble.gates:
            return  # the values decide: ENS522
        wrong = wrong_verdict(verdict, bool(ensemble.gates))
        if ("verdict",) not in {where for where, _ in wrong}:
            yield self.at(
                verdict,
                ("verdict",),
                f"the verdict is {shown(verdict.verdict)}, but {len(ensemble.offered)} members "
                "are not smoke",
                "Declare the members as smoke until the gate says PROMOTE.",
                ensemble=ensemble,
            )


class GateNotPassed(Rule):
    """The sidecar of a row that is not smoke says that the model did not pass its gate.

    ## What it does
    Looks for a HOLD, `passed: false` or `gate_passed: false` in the sidecar of each row that is not
    `smoke: true`. Members of an ensemble with a verdict are left to ENS512 and ENS513; for an
    ensemble without one, this rule reports the record and ENS512 ignores it. A record that
    contradicts itself is left to ENS511. A sidecar that is known to describe other bytes is
    skipped.

    ## Why it matters
    Production promises that these bytes passed the gate, but the record says that they did not.

    ## Example
    The row says `"smoke": false`, the sidecar `"gate_passed": false`.

    ## How to fix
    Put `"smoke": true` back, and train again.
    """

    code = "ENS517"
    slug = "gate-not-passed"

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        sidecar = current_sidecar(row.onnx, row.sidecar)
        ensemble = case.evidence.ensemble_of(row)
        is_judged = ensemble is not None and ensemble.verdict is not None
        if sidecar is None or row.entry.smoke or is_judged:
            return
        failed = not_passed(sidecar)
        if failed is not None and not any(wrong_gate(sidecar)):
            yield self.at(
                sidecar,
                failed,
                f"{row.entry.classification.said}, but `{'.'.join(failed)}` of its sidecar is "
                f"{shown(sidecar.get(*failed))}",
                row.worded('Put "smoke": true back until the model passes its gate.'),
                row=row.label,
            )


class DocumentUnreadable(EnsembleRule):
    """A manifest or a gate verdict cannot be read, or is not valid.

    ## What it does
    Reads the JSON files beside the registry whose names start with the id of an ensemble, as given
    by a manifest or a sidecar. If the manifest of an ensemble is missing, the file named exactly
    like the ensemble must be the manifest, with a list `members`. If an ensemble has production
    members and no verdict, a file with a `verdict` or a `gate` must be the verdict: `verdict` must
    be a string and `gate` an object.

    ## Why it matters
    A file that cannot be read cannot be checked. The members or the numbers in it count as missing.

    ## Example
    `regressor_v2_PROMOTE.json` ends in the middle of a number.

    ## How to fix
    Export it again, or correct it at the place in the message.
    """

    code = "ENS519"
    slug = "document-unreadable"
    looks_around = True

    def judge_unit(self, case: Case) -> Iterator[Finding]:
        """Yield the findings about the ensemble ids of the unit, with or without a manifest."""
        for id, broken in case.evidence.broken_documents.items():
            for path, fault in broken.items():
                is_pointer = fault.reason.endswith(IS_POINTER)
                yield self.finding(
                    f"{path}, by its name a document of the ensemble {id!r}, {fault.reason}",
                    FETCH if is_pointer else "Export it again, or correct it at this place.",
                    path=path,
                    position=fault.position,
                    ensemble=id,
                )


def hold(case: Case, ensemble: Ensemble) -> str:
    """Return the help that lists what must say smoke until the ensemble can be promoted."""
    production = [s.row.label for s in ensemble.production if s.row is not None]
    places = (
        [f"the row{'s' if production[1:] else ''} {some(production, 10)}"] if production else []
    )
    if ensemble.claims.get("smoke") is False:
        places.append(ensemble.manifest.path)
    until = f'Until its gate says PROMOTE, write "smoke": true in {" and in ".join(places)}'
    id = ensemble.manifest.id
    return (
        f"{until}. Then: {command('promote', '--ensemble', id)}" if id is not None else f"{until}."
    )


def held_for_want_of_a_verdict(case: Case, ensemble: Ensemble) -> bool:
    """Return whether the fix of ENS510 sets all members to smoke, so that none differ anymore."""
    broken = ensemble.name in case.evidence.broken_documents
    missing = ensemble.production and not ensemble.verdicts and not broken
    return bool(missing) and lost_verdict(case, ensemble.name) is None


def documents_are_pointers(row: RowEvidence, broken: Mapping[str, Mapping[str, Fault]]) -> bool:
    """Return whether one of the `broken` documents of a seed's ensemble is a Git LFS pointer."""
    id = row.manifest.id if row.manifest else row.named
    return any(fault.reason.endswith(IS_POINTER) for fault in broken.get(id or "", {}).values())
