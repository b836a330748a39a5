# SPDX-License-Identifier: Apache-2.0
"""BAS803, BAS804, BAS809, BAS815: evidence that did not change with its model, or was removed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from provenance.artifacts.digest import is_mentioned
from provenance.artifacts.ensemble import Manifest
from provenance.evidence.ensembles import outlines
from provenance.evidence.evidence import BaselineEvidence
from provenance.evidence.registry_diff import changed_digests
from provenance.evidence.rows import FormerRow, RowEvidence
from provenance.gate.finding import Finding, Severity
from provenance.gate.rules import promotion
from provenance.gate.rules.base import short
from provenance.gate.rules.baseline.base import BaselineRule, until_proven
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import Phase, Scope
from provenance.gate.rules.recovery_help import put_back
from provenance.gate.rules.sidecars.current import pairs
from provenance.registry.rows import Row


class _OfSuccessors(BaselineRule):
    """A rule that also compares a new row with the removed row whose file it took over."""

    def former(self, baseline: BaselineEvidence, row: RowEvidence) -> FormerRow | None:
        return baseline.former(row) or baseline.taken.get(row.index)


class EvidenceUnchanged(_OfSuccessors):
    """A model changed since the baseline, but its sidecar did not.

    ## What it does
    If a digest of a row changed, requires that the sidecar changed too or names the new digest. The
    same applies to a new row that took over the file of a removed row. Does not report a sidecar
    that another rule already reports as wrong or stale.

    ## Why it matters
    A sidecar that does not name all digests fits any model. Only its history shows that it was
    written for another one.

    ## Example
    `sha256` is new. The sidecar does not name a digest and has not changed by a single byte.

    ## How to fix
    Export sidecar and model together, and let the sidecar name the digests: `"sha256"`, and for
    weights in external data `"external_data_sha256"`.
    """

    code = "BAS803"
    slug = "evidence-unchanged"

    def compare(
        self, case: Case, baseline: BaselineEvidence, row: RowEvidence, former: FormerRow
    ) -> Iterator[Finding]:
        changed = _changed(row, former)
        if changed:
            yield from self._sidecars(case, baseline, row, former, changed)

    def _sidecars(
        self,
        case: Case,
        baseline: BaselineEvidence,
        row: RowEvidence,
        former: FormerRow,
        changed: Mapping[str, tuple[str, str]],
    ) -> Iterator[Finding]:
        for model, evidence in pairs(row):
            sidecar = evidence.sidecar
            int8 = model is row.int8
            then = former.int8_sidecar if int8 else former.sidecar
            if sidecar is None or evidence.sha256 != then:
                continue
            files = ("int8_sha256" if int8 else "sha256", *(f.name for f in model.external))
            changes = {file: changed[file] for file in files if file in changed}
            about = case.by_path.get(sidecar.path, ())
            is_reported = any(f.fails or f.code in _STALE for f in about)
            if is_reported or not changes or self._names_all(sidecar.text, changes):
                continue
            names_model = files[0] in changes
            yield self.at(
                sidecar,
                ("sha256",),
                f"this is still the sidecar of {baseline.name}, where {_former_digests(changes)}; "
                "it does not name the new digest",
                "Export it with the model, and let it name the digests: "
                + ('"sha256".' if names_model else '"external_data_sha256": {"NAME": "…"}.'),
                row=row.label,
            )

    @staticmethod
    def _names_all(sidecar: str, changed: Mapping[str, tuple[str, str]]) -> bool:
        """Whether a sidecar names the new digest of every changed file.

        Such a sidecar is right even if it is older than the files.
        """
        return all(is_mentioned(now, sidecar) for _, now in changed.values())


class BundleSuperseded(_OfSuccessors):
    """A bundle describes another row than today's.

    ## What it does
    Warns if a digest of a row changed since the baseline, and its bundle did not. A warning does
    not fail the check: a pull request that changes a model cannot sign it. A run that verifies
    signatures does not show the warning, because there the bundle is an error (SIG605, ATT703).

    ## Why it matters
    Until the next release, the bundle does not sign the row. This run does not say that any bundle
    is valid.

    ## Example
    A pull request replaces a model and its digest. The bundle is still that of the main branch.

    ## How to fix
    Nothing in the pull request. After the merge, the next `provenance release` signs the row.
    """

    code = "BAS815"
    slug = "bundle-superseded"
    severity = Severity.WARNING

    def compare(
        self, case: Case, baseline: BaselineEvidence, row: RowEvidence, former: FormerRow
    ) -> Iterator[Finding]:
        changed = _changed(row, former)
        unsigned = former.bundle is not None and former.bundle == former.bundle_now
        if changed and unsigned and Phase.SIGNATURES not in case.phases:
            yield self.in_row(
                case,
                row,
                "sigstore_bundle",
                f"{row.entry.sigstore_bundle} describes another row, that of {baseline.name}, "
                f"where {_former_digests(changed)}",
                "The next release signs the row: provenance release",
                about=case.evidence.registry.absolute(row.entry.sigstore_bundle or ""),
            )


def _changed(row: RowEvidence, former: FormerRow) -> dict[str, tuple[str, str]]:
    """Return the declared digests that changed, except those of files that differ (ART302)."""
    changed = changed_digests(row.entry, former.row)
    return {file: pair for file, pair in changed.items() if file not in _replaced(row)}


_STALE: Final = ("SID402", "SID404", "SID405", "SID409")
"""The rules that report a stale sidecar. Their findings count even if they are deferred."""


def _replaced(row: RowEvidence) -> frozenset[str]:
    """Return the files that differ from their declared digests, named as in `changed_digests`."""
    names = {id(row.onnx): "sha256", id(row.int8): "int8_sha256"}
    return frozenset(names.get(id(f), f.name) for f in row.model_files if row.replaced(f))


def _former_digests(changed: Mapping[str, tuple[str, str]]) -> str:
    """Return the former digests as a clause: "sha256 is 08ab1aed…, not fa89df1b…"."""
    file, (then, now) = next(iter(changed.items()))
    more = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
    return f"{file} is {short(then)}, not {short(now)}{more}"


class PromotedByHand(BaselineRule):
    """A row changed from smoke to production without the required evidence.

    ## What it does
    If a row was `smoke: true` at the baseline and is `smoke: false` now, requires the same evidence
    as SID417. BAS802 reports a row that lost `smoke`. Problems that another rule already reports
    are not repeated, unless a deferral covers them: that deferral was made for a placeholder.

    ## Why it matters
    "Production" is a promise that the model passed its gate. ADR-1105 forbids setting the flag by
    hand.

    ## Example
    `"smoke": true` becomes `"smoke": false`, and the sidecar does not record a gate.

    ## How to fix
    `provenance promote ROW` changes the flag once the evidence is complete. Until then, keep
    `"smoke": true`.
    """

    code = "BAS804"
    slug = "promoted-by-hand"

    def compare(
        self, case: Case, baseline: BaselineEvidence, row: RowEvidence, former: FormerRow
    ) -> Iterator[Finding]:
        if not row.entry.claims_production or not former.row.smoke:
            return
        missing = promotion.missing(case.evidence, case.by_subject, row)
        if missing:
            helps = " ".join(dict.fromkeys(o.help for o in missing))
            yield self.in_row(
                case,
                row,
                "smoke",
                f"`{row.called('smoke')}` is true at {baseline.name} and false now, but the "
                "evidence for production is incomplete: " + "; ".join(o.message for o in missing),
                f"{until_proven(case, row, 'the evidence is complete')} {helps} Then: "
                + promotion.promote_command(row),
                about=missing[0].path,
            )


class RecordGone(BaselineRule):
    """An ensemble has lost its manifest or its gate verdict.

    ## What it does
    Looks for the ensemble manifests and gate verdicts of the baseline if the registry still has
    rows of the ensemble. A new manifest or verdict for the same ensemble replaces the former one.
    Does not report a verdict that ENS510 already reports as missing. SID407 leaves a lost manifest
    to this rule.

    ## Why it matters
    Without the manifest, five seeds are five separate models, and the rules about ensembles do not
    apply to them. Without the verdict, there is no record of the gate they passed.

    ## Example
    `e_v1.json`, which lists five members, exists at the baseline and no longer exists now.

    ## How to fix
    Put the file back: `git restore --source=origin/main -- e_v1.json`. If the removal is intended,
    declare it with a `[[deferral]]` that has the ensemble's id in `rows`.
    """

    code = "BAS809"
    slug = "record-gone"
    scopes = (Scope.REGISTRY,)
    deferrable = True
    needs_whole = True
    about_rows = False

    def conclude(self, case: Case, baseline: BaselineEvidence) -> Iterator[Finding]:
        claimants, documents = [row.claimant for row in case.facts], case.evidence.documents
        present = {_id_or_path(e.manifest): e for e in outlines(claimants, documents)}
        reported = {(f.code, subject) for f in case.findings for subject in f.subjects}
        manifests = [d for d in documents if isinstance(d, Manifest)]
        found: dict[str, Finding] = {}
        for ensemble in outlines(claimants, (*manifests, *baseline.documents)):
            id = _id_or_path(ensemble.manifest)
            rows = [row for _, _, row in ensemble.members if row is not None]
            if not rows:
                continue  # BAS801 reports the rows
            if id not in present and not all(("SID407", r.label) in reported for r in rows):
                path = ensemble.manifest.path
                found[path] = self._gone(case, baseline, "ensemble manifest", path, id, rows[0])
            verdicts = present[id].verdicts if id in present else ()
            if not verdicts and ("ENS510", id) not in reported:
                for verdict in ensemble.verdicts:
                    gone = self._gone(case, baseline, "gate verdict", verdict.path, id, rows[0])
                    found.setdefault(verdict.path, gone)
        yield from found.values()

    def _gone(
        self,
        case: Case,
        baseline: BaselineEvidence,
        what: str,
        path: str,
        id: str,
        row: Row,
    ) -> Finding:
        """Return a finding at a row of the ensemble, because the file itself is missing."""
        registry = case.evidence.registry
        return self.finding(
            f"the {what} of {id!r} is gone; {baseline.name} has {baseline.former_path(path)}",
            f"{put_back(baseline, path)}. {self.declare(id, 'it was removed')}",
            path=registry.path,
            position=registry.locate(row, "onnx"),
            about=path,
            ensemble=id,
        )


def _id_or_path(manifest: Manifest) -> str:
    return manifest.id or manifest.path
