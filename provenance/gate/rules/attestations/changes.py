# SPDX-License-Identifier: Apache-2.0
"""Whether a row, its sidecars and its deferrals are those that were signed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

from provenance.artifacts.documents.strict_json import same
from provenance.artifacts.paths import FETCH, IS_POINTER
from provenance.artifacts.registry import DIGEST_FIELDS
from provenance.attestations.signed_row import SignedRow
from provenance.attestations.statement import Statement, digests_of
from provenance.evidence import canonical
from provenance.evidence.rows import RowEvidence
from provenance.gate.deferral_matching import InForce
from provenance.gate.finding import Finding
from provenance.gate.rules.base import differing, short
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import REGISTRY_AND_MODEL, Phase, Scope
from provenance.gate.rules.license import LICENSE_FIELDS
from provenance.gate.rules.signatures import SignatureRule, changed_files


class RowChanged(SignatureRule):
    """The row is not the one that was signed.

    ## What it does
    Compares the row with the one in its bundle: the registry file it was read from, every field of
    the row as it is written there, and the canonical row, which is what this project understands of
    it (classification, origin, evaluated gate, files with their roles). `license` and `license_url`
    are reported by LIC205; a digest that was changed together with its file, by SIG605.

    ## Why it matters
    The bytes may be right and the row still say something that was not signed: production instead
    of smoke, another kind, another note. A row of another registry file is not the row that
    consumers of the signed registry read.

    ## Example
    Signed: `"smoke": true`. The registry: `"smoke": false`.

    ## How to fix
    Put the signed value back. If the change is right, sign again: `provenance release`.
    """

    code = "ATT703"
    slug = "row-changed"
    looks_around = True

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        registry = case.evidence.registry
        statement, signed = case.row_statement(row), case.signed_row(row)
        if statement is None or signed is None:
            return
        if signed.index != registry.path:
            if not case.of_another_registry:  # else ATT712 reports it once
                yield self.in_row(
                    case,
                    row,
                    "id",
                    f"it was signed as a row of {signed.index[:100]!r}; the registry that is "
                    f"verified is {registry.path!r}",
                    "Set `registry` in the configuration back to the signed registry, or sign "
                    "again: provenance release",
                )
            return
        changed = list(self._verbatim(row, statement, signed))
        if not changed:
            changed = list(self._canonical(case, row, signed))
        for field, message in changed:
            yield self.in_row(
                case,
                row,
                field,
                message,
                "Put the signed value back, or sign again: provenance release",
            )

    @staticmethod
    def _verbatim(
        row: RowEvidence, statement: Statement, signed: SignedRow
    ) -> Iterator[tuple[str, str]]:
        """The members of the row, as the registry has it, that differ from the signed ones."""
        here, there = row.entry.verbatim, signed.verbatim
        if same(here, there):
            return
        told = {*LICENSE_FIELDS}
        if any(changed_files(row, statement)):
            told |= {*DIGEST_FIELDS}  # SIG605 names the files, which says more
        for key in _differing(here, there, told):
            shown, signed_as = differing(here.get(key), there.get(key))
            yield (
                key,
                f"`{key}` is {shown if key in here else 'missing'}; signed "
                f"is {signed_as if key in there else 'missing'}",
            )

    @staticmethod
    def _canonical(case: Case, row: RowEvidence, signed: SignedRow) -> Iterator[tuple[str, str]]:
        """What of the canonical row differs although the row is written as it was signed.

        What is computed from the documents beside the model is compared where these are the signed
        ones: else ATT704 reports the sidecar, and ATT710 the manifest or verdict.
        """
        documents_differ = case.evidence.whole or any(
            signed.sidecars.get(s.name) != s.sha256 for s in row.sidecars
        )
        now = canonical.stated_row(row)
        if not documents_differ:
            now = canonical.canonical_row(case.evidence, row)
        left_out = {*LICENSE_FIELDS, *(canonical.EVALUATED if documents_differ else ())}
        for key in _differing(now, signed.row, left_out):
            if key == "gate" and key not in now:
                continue  # its manifest or verdict is missing, which other rules report
            if not same(now.get(key), signed.row.get(key)):
                shown, signed_as = differing(now.get(key), signed.row.get(key))
                yield key, f"`{key}` of the canonical row is {shown}; signed is {signed_as}"
        files = {f.name: f for f in canonical.row_files(row)}
        for file in signed.files:
            here = files.get(file.name)
            if here is not None and here.role != file.role:
                yield (
                    "onnx",
                    f"{file.name[:100]!r} is the {here.role} of the row; signed is {file.role}",
                )


class SidecarChanged(SignatureRule):
    """A sidecar is not the one that was signed with the row.

    ## What it does
    Compares the digest of each sidecar with the one in the row's bundle; a sidecar that is gone, or
    was added since, is reported too.

    ## Why it matters
    The sidecar decides what the model is fed: an edited mean, a swapped feature order or a new
    verdict changes every score, with not one byte of the model changed.

    ## Example
    `feature_mean` was edited after the release.

    ## How to fix
    Restore the released sidecar. If the change is meant, sign again: `provenance release`.
    """

    code = "ATT704"
    slug = "sidecar-changed"
    applies = REGISTRY_AND_MODEL

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        statement = case.row_statement(row)
        if statement is None:
            return
        signed = digests_of(statement.predicate.get("sidecars"), "name")
        for evidence in row.sidecars:
            then, now = signed.get(evidence.name), evidence.sha256
            if evidence.pointer and self.consumer_advice is not None:
                yield self.finding(
                    f"the sidecar {evidence.path} {IS_POINTER}",
                    FETCH,
                    path=evidence.path,
                    row=row.label,
                )
            if then == now or evidence.pointer:  # SID405 reports pointers, to a publisher
                continue
            if then is None:
                what = "was not there when the row was signed"
            elif now is None:
                what = "was signed with the row and is not there"
            else:
                what = f"is {short(now)}; signed with the row is {short(then)}"
            yield self.finding(
                f"the sidecar {evidence.path} {what}",
                "Restore the released sidecar, or sign again: provenance release",
                path=evidence.path,
                row=row.label,
            )


class DeferralsDiffer(SignatureRule):
    """The deferrals in force are not those that were signed.

    ## What it does
    Compares the deferrals that cover the row now with those in its bundle.

    ## Why it matters
    A consumer reads in the bundle what was known to be wrong. An exception that was added, reworded
    or extended after the release is one that nobody signed.

    ## Example
    `expires` was moved from 2026-12-31 to 2027-12-31.

    ## How to fix
    Sign again with the deferrals as they are now: `provenance release`.
    """

    code = "ATT706"
    slug = "deferrals-differ"
    phase = Phase.OUTCOME
    scopes = (Scope.OUTCOME,)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        released = [f for f in case.findings if case.catalogue[f.code].phase.is_released]
        in_force = InForce(released)
        for row in case.facts:
            if row.signed_deferrals is None:
                continue
            now = in_force.of(row.label, row.manifest)
            signed = list(row.signed_deferrals)
            if not case.evidence.whole:  # what some rows do not show is neither in force nor gone
                signed = [d for d in signed if not self._unseen(case, d)]
            if not same(signed, now):
                yield self.finding(
                    f"signed with {_deferrals(signed)}; in force {_deferrals(now)}",
                    "Sign again with the deferrals as they are now: provenance release",
                    path=row.bundle[0].path,
                    row=row.label,
                )

    @staticmethod
    def _unseen(case: Case, deferral: Mapping[str, Any]) -> bool:
        code = deferral.get("rule")
        return isinstance(code, str) and code in case.catalogue and not case.judged(code)


def _deferrals(deferrals: Sequence[Mapping[str, Any]]) -> str:
    texts = [
        f"{d.get('rule')} until {d.get('expires') or 'its cause is gone'} ({d.get('reference')})"
        for d in deferrals
    ]
    return "; ".join(texts) or "no deferral"


def _differing(
    now: Mapping[str, Any], then: Mapping[str, Any], left_out: Set[str]
) -> Sequence[str]:
    """The keys under which two objects do not have the same, sorted."""
    keys = [
        key
        for key, value in now.items()
        if key not in left_out and not (key in then and same(value, then[key]))
    ]
    return sorted([*keys, *(then.keys() - now.keys() - left_out)])
