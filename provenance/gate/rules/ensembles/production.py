# SPDX-License-Identifier: Apache-2.0
"""What a production ensemble must have: one flag, and a gate that it passed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from provenance.artifacts.paths import FETCH, IS_POINTER
from provenance.artifacts.registry import Classification
from provenance.evidence.beside import Fault
from provenance.evidence.ensembles import Ensemble, current_sidecar, named_ensemble
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


class SmokeMixed(EnsembleRule):
    """An ensemble is partly smoke and partly production.

    ## What it does
    Compares `smoke` of the members' rows with each other and with that of the manifest. Silent
    where there is no verdict on the production members (ENS510): then all of them are held. A
    manifest that is older than its members (ENS521) does not count.

    ## Why it matters
    One placeholder among five trained seeds is enough to spoil the mean and the interval.

    ## Example
    The rows say `"smoke": false`, the manifest still says `"smoke": true`.

    ## How to fix
    Where the verdict is PROMOTE: `provenance promote --ensemble ID` flips rows and manifest, if the
    evidence is complete. Otherwise say `"smoke": true` in all rows and in the manifest.
    """

    code = "ENS509"
    slug = "smoke-mixed"
    looks_around = True

    def judge_ensemble(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        if not held_for_want_of_a_verdict(case, ensemble):
            # A deferral that was made for placeholders does not hide what production says.
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
            says = f"some members are {' and others '.join(kinds)}; {fewest} are {these}"
            says = says[:400]
        elif not rows or claimed is None:
            return
        elif not isinstance(claimed, bool):
            says = f"`smoke` is {shown(claimed)}, which is not true or false"
            smoke = next(iter(rows.values())) is Classification.SMOKE
            help = f"Write {str(smoke).lower()}, as the rows of its members do."
        elif _claim(claimed) not in rows.values():
            says = f"the manifest says {_claim(claimed)}, the rows of all its members say otherwise"
        else:
            return
        yield self.at(ensemble.manifest, (where,), says, help, ensemble=ensemble)


_ORDER: Final = (
    Classification.SMOKE,
    Classification.PRODUCTION,
    Classification.UNCLAIMED,
)
"""In what order the kinds of members are named; of two that are as few, the first is blamed."""


def _claim(smoke: bool) -> Classification:
    return Classification.SMOKE if smoke else Classification.PRODUCTION


class VerdictMissing(EnsembleRule):
    """A production ensemble has no gate verdict.

    ## What it does
    Looks for the verdict file of an ensemble that has production members: a JSON file beside the
    registry whose name starts with the ensemble's id, with a `verdict` and its `gate`; or the
    manifest itself, where it has both. A file of such a name that cannot be read, or has one of the
    two, is reported as that (ENS519).

    ## Why it matters
    Production means that the gate was passed. Without the numbers that is hearsay.

    ## Example
    Five rows with `"smoke": false`, and no `…_PROMOTE.json`.

    ## How to fix
    Run the gate and commit its verdict; then `provenance promote --ensemble ID`. Until then, say
    `"smoke": true` in the rows of all members and in the manifest.
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
            says = f"{count}, and several gate verdicts: {several}"
            help = "Keep the verdict on these members, and move the others elsewhere."
        elif ensemble.name not in case.evidence.broken_documents:
            lost = lost_verdict(case, ensemble.name)
            says = f"{count}, and no gate verdict whose name starts with {ensemble.name!r}"
            says += lost.said if lost else ""
            help = lost.help if lost else hold(case, ensemble)
        else:
            return
        yield self.at(ensemble.manifest, ("id",), says, help, ensemble=ensemble)


class VerdictHold(EnsembleRule):
    """A production ensemble was not promoted by its gate.

    ## What it does
    Requires the verdict PROMOTE for an ensemble that has one, and members that are not smoke. Where
    the verdict is not what its numbers give, ENS511 reports that.

    ## Why it matters
    HOLD means that the numbers did not reach their thresholds. Somebody flipped the rows anyway.

    ## Example
    `"smoke": false`, and a verdict file with HOLD.

    ## How to fix
    Put `"smoke": true` back, and train again.
    """

    code = "ENS513"
    slug = "verdict-hold"

    def judge_ensemble(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        verdict = ensemble.verdict
        if verdict is None or not ensemble.offered or verdict.verdict == PROMOTE:
            return
        if ("verdict",) not in {where for where, _ in wrong_verdict(verdict)}:
            yield self.at(
                verdict,
                ("verdict",),
                f"the verdict is {shown(verdict.verdict)}, and {len(ensemble.offered)} members "
                "are not smoke",
                "Let the members say that they are smoke until the gate says PROMOTE.",
                ensemble=ensemble,
            )


class GateNotPassed(Rule):
    """The sidecar of a row that is not smoke says that its gate was not passed.

    ## What it does
    For each row that is not `smoke: true`: looks for a HOLD, and for `passed` or `gate_passed` that
    are false. Of the members of an ensemble with a verdict, ENS512 and ENS513 judge that; of one
    without, ENS512 leaves such a record alone. A record
    that contradicts itself is reported as that (ENS511), and a sidecar that is known to describe
    other bytes does not count.

    ## Why it matters
    Production is a promise that these bytes passed the gate. Here the record says that they did
    not.

    ## Example
    `"smoke": false` in the row, `"gate_passed": false` in the sidecar.

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
                f"{row.entry.classification.said}, and `{'.'.join(failed)}` of its sidecar is "
                f"{shown(sidecar.get(*failed))}",
                case.in_its_words('Put "smoke": true back until the gate is passed.'),
                row=row.label,
            )


class DocumentUnreadable(EnsembleRule):
    """A manifest or a verdict cannot be read, or has not the form of one.

    ## What it does
    Reads the JSON files beside the registry that are named after an ensemble: one that a manifest
    has, or that a sidecar names. Where its manifest is missing, a file of its very name must be it:
    with a list `members`. Where it has production members and no verdict, one with a `verdict` or a
    `gate` must be it: with both, a text and an object.

    ## Why it matters
    What cannot be read cannot be judged: the members, or the numbers, are as good as not there.

    ## Example
    `regressor_v2_PROMOTE.json` ends in the middle of a number.

    ## How to fix
    Export it again, or correct it at the place in the message.
    """

    code = "ENS519"
    slug = "document-unreadable"
    looks_around = True

    def judge_unit(self, case: Case) -> Iterator[Finding]:
        """The findings about ids of the unit: also those that its rows claim without a manifest."""
        for id, broken in case.evidence.broken_documents.items():
            for path, fault in broken.items():
                is_pointer = fault.reason.endswith(IS_POINTER)
                yield self.finding(
                    f"{path}, by its name about the ensemble {id!r}, {fault.reason}",
                    FETCH if is_pointer else "Export it again, or correct it at this place.",
                    path=path,
                    position=fault.position,
                    ensemble=id,
                )


def hold(case: Case, ensemble: Ensemble) -> str:
    """How an ensemble becomes production, and everything that says smoke until then."""
    production = [s.row.label for s in ensemble.production if s.row is not None]
    places = (
        [f"the row{'s' if production[1:] else ''} {some(production, 10)}"] if production else []
    )
    if ensemble.claims.get("smoke") is False:
        places.append(ensemble.manifest.path)
    smoke = case.in_its_words('"smoke": true')
    until = f"Until its gate says PROMOTE, say {smoke} in {' and in '.join(places)}"
    id = ensemble.manifest.id
    return (
        f"{until}. Then: {command('promote', '--ensemble', id)}" if id is not None else f"{until}."
    )


def held_for_want_of_a_verdict(case: Case, ensemble: Ensemble) -> bool:
    """Whether ENS510 asks for all members to be smoke: then they are no longer mixed."""
    broken = ensemble.name in case.evidence.broken_documents
    missing = ensemble.production and not ensemble.verdicts and not broken
    return bool(missing) and lost_verdict(case, ensemble.name) is None


def documents_are_pointers(row: RowEvidence, broken: Mapping[str, Mapping[str, Fault]]) -> bool:
    """Whether a Git LFS pointer is among the `broken` documents of a seed's ensemble."""
    id = row.manifest.id if row.manifest else named_ensemble(row)
    return any(fault.reason.endswith(IS_POINTER) for fault in broken.get(id or "", {}).values())
