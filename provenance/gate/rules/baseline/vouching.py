# SPDX-License-Identifier: Apache-2.0
"""BAS803, BAS804, BAS809: what vouches for a model, and changed, stayed or went without it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from provenance.artifacts.digest import is_mentioned
from provenance.artifacts.ensemble import Manifest
from provenance.artifacts.registry import Row
from provenance.evidence.ensembles import outlines
from provenance.evidence.evidence import BaselineEvidence
from provenance.evidence.registry_diff import changed_digests
from provenance.evidence.rows import FormerRow, RowEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules import promotion
from provenance.gate.rules.base import short
from provenance.gate.rules.baseline.base import BaselineRule, until_proven
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import Phase, Scope
from provenance.gate.rules.recovery_help import put_back
from provenance.gate.rules.sidecars.current import pairs


class EvidenceUnchanged(BaselineRule):
    """A model has changed since the baseline, and what vouches for it has not.

    ## What it does
    Where a digest of a row changed: requires that the sidecar changed too, or names the new bytes,
    and that the bundle is not the one of the former bytes. The same for a new row that took the
    file of one that is gone. Silent where another rule already fails
    for the sidecar, or says that it describes other bytes, and about bundles where signatures are
    judged.

    ## Why it matters
    A sidecar without a digest, or one beside weights in external data, looks right whatever lies
    beside it. Only its history shows that it was written for another model.

    ## Example
    `sha256` is new, and the sidecar, which names no digest, is byte for byte that of the former
    model.

    ## How to fix
    Export sidecar and model together, and let the sidecar name the digests: `"sha256"`, and for
    weights `"external_data_sha256"`. A bundle of former bytes is no signature of this model: sign
    again (`provenance release`), or remove it until then.
    """

    code = "BAS803"
    slug = "evidence-unchanged"

    def former(self, baseline: BaselineEvidence, row: RowEvidence) -> FormerRow | None:
        return baseline.former(row) or baseline.taken.get(row.index)

    def compare(
        self, case: Case, baseline: BaselineEvidence, row: RowEvidence, former: FormerRow
    ) -> Iterator[Finding]:
        # A digest that is not that of its file says nothing of the sidecar (ART302).
        changed = changed_digests(row.entry, former.row)
        changed = {f: d for f, d in changed.items() if f not in _replaced(row)}
        if not changed:
            return
        yield from self._sidecars(case, baseline, row, former, changed)
        unsigned = former.bundle is not None and former.bundle == former.bundle_now
        if unsigned and Phase.SIGNATURES not in case.phases:
            yield self.in_row(
                case,
                row,
                "sigstore_bundle",
                f"{row.entry.sigstore_bundle} is still the bundle of {baseline.name}, where "
                f"{_was(changed)}",
                "Sign again: provenance release. Until then, remove the bundle.",
                about=case.evidence.registry.absolute(row.entry.sigstore_bundle or ""),
            )

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
            mine = {file: changed[file] for file in files if file in changed}
            about = case.by_path.get(sidecar.path, ())
            is_said = any(f.fails or f.code in _STALE for f in about)
            if is_said or not mine or self._vouches(sidecar.text, mine):
                continue
            yield self.at(
                sidecar,
                ("sha256",),
                f"this is still the sidecar of {baseline.name}, where {_was(mine)}; nothing in it "
                "says that it describes the present bytes",
                "Export it with the model, and let it name the digests: "
                + ('"sha256".' if files[0] in mine else '"external_data_sha256": {"NAME": "…"}.'),
                row=row.label,
            )

    @staticmethod
    def _vouches(sidecar: str, changed: Mapping[str, tuple[str, str]]) -> bool:
        """Whether a sidecar names every file's new bytes: it may have been written before them."""
        return all(is_mentioned(now, sidecar) for _, now in changed.values())


_STALE: Final = ("SID402", "SID404", "SID405", "SID409")
"""The rules that say that a sidecar is not about these bytes, also where that is deferred."""


def _replaced(row: RowEvidence) -> frozenset[str]:
    """The files whose declared digests are not theirs, by the names of `changed_digests`."""
    names = {id(row.onnx): "sha256", id(row.int8): "int8_sha256"}
    return frozenset(names.get(id(f), f.name) for f in row.model_files if row.replaced(f))


def _was(changed: Mapping[str, tuple[str, str]]) -> str:
    """What the digests were: "sha256 is 08ab1aed…, not fa89df1b…"."""
    file, (then, now) = next(iter(changed.items()))
    more = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
    return f"{file} is {short(then)}, not {short(now)}{more}"


class PromotedByHand(BaselineRule):
    """A row went from smoke to production without the evidence for it.

    ## What it does
    Where a row was `smoke: true` at the baseline and says `smoke: false` now: requires the evidence
    of SID417. A row that has lost its `smoke` is BAS802's. What another rule already reports is not
    repeated; what a deferral covers is: it was made for a placeholder.

    ## Why it matters
    "Production" is a promise that the gate was passed. ADR-1105 forbids to give it by hand.

    ## Example
    `"smoke": true` becomes `"smoke": false`, and the sidecar records no gate.

    ## How to fix
    `provenance promote ROW` flips the flag, once the evidence is complete. Until then the row is
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
                f"`{case.name_of('smoke')}` is true at {baseline.name} and not here, and the "
                "evidence for production is not complete: " + "; ".join(o.message for o in missing),
                f"{until_proven(case, row, 'the evidence is complete')} {helps} Then: "
                + promotion.promote_command(row),
                about=missing[0].path,
            )


class RecordGone(BaselineRule):
    """An ensemble has lost its manifest or its gate verdict.

    ## What it does
    Looks for the ensemble manifests and gate verdicts of the baseline, where rows of the ensemble
    are still here. Another manifest of the same ensemble, or another verdict on it, takes the place
    of the former. Silent where ENS510 misses it; SID407 leaves a lost manifest to this rule.

    ## Why it matters
    Without the manifest five seeds are five models, and no rule about ensembles looks at them any
    more. Without the verdict nothing says what they were held to.

    ## Example
    `e_v1.json`, which lists five members, is there at the baseline and not any more.

    ## How to fix
    Put the file back: `git restore --source=origin/main -- e_v1.json`. If it is meant, declare it
    with a `[[deferral]]` that has the ensemble's id in `rows`.
    """

    code = "BAS809"
    slug = "record-gone"
    scopes = (Scope.REGISTRY,)
    deferrable = True
    needs_whole = True
    about_rows = False

    def conclude(self, case: Case, baseline: BaselineEvidence) -> Iterator[Finding]:
        claimants, documents = [row.claimant for row in case.facts], case.evidence.documents
        here = {_called(e.manifest): e for e in outlines(claimants, documents)}
        said = {(f.code, subject) for f in case.findings for subject in f.subjects}
        manifests = [d for d in documents if isinstance(d, Manifest)]
        found: dict[str, Finding] = {}
        for ensemble in outlines(claimants, (*manifests, *baseline.documents)):
            id = _called(ensemble.manifest)
            rows = [row for _, _, row in ensemble.members if row is not None]
            if not rows:
                continue  # BAS801 tells of them
            if id not in here and not all(("SID407", r.label) in said for r in rows):
                path = ensemble.manifest.path
                found[path] = self._gone(case, baseline, "ensemble manifest", path, id, rows[0])
            present = here[id].verdicts if id in here else ()
            if not present and ("ENS510", id) not in said:
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
        """The finding at a row of the ensemble, since the file itself is not there."""
        registry = case.evidence.registry
        return self.finding(
            f"the {what} of {id!r} is gone; {baseline.name} has {baseline.former_path(path)}",
            f"{put_back(baseline, path)}. {self.declare(id, 'it was removed')}",
            path=registry.path,
            position=registry.locate(row, "onnx"),
            about=path,
            ensemble=id,
        )


def _called(manifest: Manifest) -> str:
    return manifest.id or manifest.path
