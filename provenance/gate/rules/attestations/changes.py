# SPDX-License-Identifier: Apache-2.0
"""Rules that compare a row, its sidecars and its deferrals with the signed ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

from provenance.artifacts.documents.strict_json import same
from provenance.artifacts.paths import FETCH, IS_POINTER
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
from provenance.registry.rows import DIGEST_FIELDS


class RowChanged(SignatureRule):
    """The row differs from the signed row.

    ## What it does
    Compares the row with the one in its bundle: the path of the registry file, every field as
    written in the registry, and the canonical row, which holds what this project understood of the
    row (classification, origin, evaluated gate, files with their roles). LIC205 reports changes of
    `license` and `license_url`. SIG605 reports a digest that changed together with its file.

    ## Why it matters
    Even if the bytes are right, the row can claim something that was not signed: production instead
    of smoke, another kind, another note. If the row is in another registry file, it is not the row
    that consumers of the signed registry read.

    ## Example
    Signed: `"smoke": true`. The registry: `"smoke": false`.

    ## How to fix
    Put the signed value back. If the change is right, sign again: `provenance release`.
    """

    code = "ATT703"
    slug = "row-changed"
    looks_around = True

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        index = case.evidence.registry.file_of(row.entry).path
        statement, signed = case.row_statement(row), case.signed_row(row)
        if statement is None or signed is None:
            return
        if signed.index != index:
            if not case.of_another_registry:  # else ATT712 reports it once
                yield self.in_row(
                    case,
                    row,
                    "id",
                    f"the row was signed as a row of the registry {signed.index[:100]!r}; the "
                    f"registry being verified is {index!r}",
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
        """Yield the fields of the row that differ from the signed ones, with messages."""
        now, then = row.entry.verbatim, signed.verbatim
        if same(now, then):
            return
        reported_elsewhere = {*LICENSE_FIELDS}
        if any(changed_files(row, statement)):
            reported_elsewhere |= {*DIGEST_FIELDS}  # SIG605 names the files, which says more
        for key in _differing(now, then, reported_elsewhere):
            shown, signed_as = differing(now.get(key), then.get(key))
            yield (
                key,
                f"`{key}` is {shown if key in now else 'missing'}; the signed row "
                f"{f'has {signed_as}' if key in then else 'does not have it'}",
            )

    @staticmethod
    def _canonical(case: Case, row: RowEvidence, signed: SignedRow) -> Iterator[tuple[str, str]]:
        """Yield the differences in the canonical row, for a row whose own fields are unchanged.

        Values that are computed from the documents beside the model are compared only if the
        documents are the signed ones. If not, ATT704 reports the sidecar, and ATT710 the manifest
        or the verdict.
        """
        documents_differ = case.evidence.whole or any(
            signed.sidecars.get(s.name) != s.sha256 for s in row.sidecars
        )
        now = canonical.stated_row(row)
        if not documents_differ:
            now = canonical.canonical_row(case.evidence, row)
        left_out = {*LICENSE_FIELDS, *(canonical.EVALUATED if documents_differ else ())}
        if case.config.named is not None:
            left_out.add("gate")  # evaluated by the signer's configuration, not by this one
        for key in _differing(now, signed.row, left_out):
            if key == "gate" and key not in now:
                continue  # other rules report the missing manifest or verdict
            if not same(now.get(key), signed.row.get(key)):
                shown, signed_as = differing(now.get(key), signed.row.get(key))
                yield (
                    key,
                    f"`{key}` of the canonical row is {shown}; the signed value is {signed_as}",
                )
        files = {f.name: f for f in canonical.row_files(row)}
        for file in signed.files:
            present = files.get(file.name)
            if present is not None and present.role != file.role:
                yield (
                    "onnx",
                    f"{file.name[:100]!r} is the {present.role} of the row; it was signed as "
                    f"{file.role}",
                )


class SidecarChanged(SignatureRule):
    """A sidecar differs from the one that was signed with the row.

    ## What it does
    Compares the digest of each sidecar with the one in the row's bundle. A sidecar that was removed
    or added since is reported too.

    ## Why it matters
    The sidecar determines the inputs of the model. An edited mean or a swapped feature order
    changes every score although the model itself is unchanged.

    ## Example
    `feature_mean` was edited after the release.

    ## How to fix
    Restore the released sidecar. If the change is intended, sign again: `provenance release`.
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
                difference = "was added after the row was signed"
            elif now is None:
                difference = "was signed with the row, but is missing"
            else:
                difference = f"has the digest {short(now)}; the signed digest is {short(then)}"
            yield self.finding(
                f"the sidecar {evidence.path} {difference}",
                "Restore the released sidecar, or sign again: provenance release",
                path=evidence.path,
                row=row.label,
            )


class DeferralsDiffer(SignatureRule):
    """The deferrals in force differ from the signed ones.

    ## What it does
    Compares the deferrals that cover the row now with those in its bundle.

    ## Why it matters
    The bundle tells consumers which problems were known at the release. A deferral that was added,
    reworded or extended afterwards is not signed.

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
            if not case.evidence.whole:  # some rules need the whole registry, and were not judged
                signed = [d for d in signed if not self._is_unjudged(case, d)]
            if not same(signed, now):
                yield self.finding(
                    f"signed deferrals: {_listed(signed)}; in force now: {_listed(now)}",
                    "Sign again with the deferrals as they are now: provenance release",
                    path=row.bundle[0].path,
                    row=row.label,
                )

    @staticmethod
    def _is_unjudged(case: Case, deferral: Mapping[str, Any]) -> bool:
        code = deferral.get("rule")
        return isinstance(code, str) and code in case.catalogue and not case.judged(code)


def _listed(deferrals: Sequence[Mapping[str, Any]]) -> str:
    entries = [
        f"{d.get('rule')} until {d.get('expires') or 'its cause is gone'} ({d.get('reference')})"
        for d in deferrals
    ]
    return ", ".join(entries) or "none"


def _differing(now: Mapping[str, Any], then: Mapping[str, Any], ignored: Set[str]) -> Sequence[str]:
    """Return the keys whose values differ between two objects, sorted."""
    keys = [
        key
        for key, value in now.items()
        if key not in ignored and not (key in then and same(value, then[key]))
    ]
    return sorted([*keys, *(then.keys() - now.keys() - ignored)])
