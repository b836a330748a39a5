# SPDX-License-Identifier: Apache-2.0
"""BAS806, BAS807, BAS810: licenses, the fields of the registry itself, and the policy."""

from __future__ import annotations

from collections.abc import Iterator

from provenance.artifacts import spdx
from provenance.artifacts.documents.strict_json import Position
from provenance.evidence.classification import origin
from provenance.evidence.evidence import BaselineEvidence
from provenance.evidence.registry_diff import changed_digests
from provenance.evidence.rows import FormerRow, RowEvidence
from provenance.gate.finding import Finding, Severity
from provenance.gate.rules.base import shown
from provenance.gate.rules.baseline.base import BaselineRule
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import Scope
from provenance.gate.rules.license import former_license, same_license
from provenance.gate.rules.recovery_help import restore_rows


class LicenseChanged(BaselineRule):
    """A row is offered under another license than at the baseline.

    ## What it does
    Compares `license` of the rows with the same id. Another way to write the same expression, or
    the same name as a `LicenseRef-`, is no change, nor is the id of its license file in the place
    of one that is on no list. Silent where LIC206 reports that the license is not that of its file,
    where LIC204 says to put the former one back, and for an imported model: where the bytes and the
    sidecar have changed too, and the sidecar declares an `origin` under this license.

    ## Why it matters
    The holder of the rights decides the license, not a commit. Whoever took the model under the
    former one still relies on it.

    ## Example
    `"CC-BY-NC-4.0"` at the baseline, `"MIT"` now.

    ## How to fix
    Put the license back. If the model was licensed anew, or the entry was wrong, declare it with a
    `[[deferral]]` and refer to the decision.
    """

    code = "BAS806"
    slug = "license-changed"
    yields_to = ("LIC206",)
    deferrable = True

    def compare(
        self, case: Case, baseline: BaselineEvidence, row: RowEvidence, former: FormerRow
    ) -> Iterator[Finding]:
        now, then = row.entry.text("license"), former.row.text("license")
        if now is None or then is None or same_license(now, then):
            return
        if case.fails("LIC204", row) and former_license(case, row) is not None:
            return  # which says what to put back
        file = case.evidence.license_files.get(row.entry.text("license_url") or "")
        corrected = file is not None and not spdx.is_known(then) and now in file.licenses
        if corrected or _is_imported_anew(row, former, now):
            return
        origin = ""
        if _is_anew(row, former):
            origin = "If the model was imported, declare its `origin` in the sidecar. "
        yield self.in_row(
            case,
            row,
            "license",
            f"`{case.name_of('license')}` is {shown(now)}; {baseline.name} has {shown(then)}",
            f"Put it back. {origin}" + self.declare(row.label, "the license was changed"),
        )


def _is_imported_anew(row: RowEvidence, former: FormerRow, license: str) -> bool:
    """Whether another model took a row's place, with its own origin under its own license."""
    declared = origin(row)
    return (
        declared is not None
        and _is_anew(row, former)
        and same_license(declared["license"], license)
    )


def _is_anew(row: RowEvidence, former: FormerRow) -> bool:
    """Whether the bytes of the model have changed, and its sidecar with them."""
    sidecar = row.sidecar
    if sidecar is None or sidecar.sidecar is None:
        return False
    return "sha256" in changed_digests(row.entry, former.row) and sidecar.sha256 != former.sidecar


class RegistryFieldGone(BaselineRule):
    """The registry has lost a field of its own.

    ## What it does
    Compares the members beside the list of rows with those at the baseline.

    ## Why it matters
    `$schema` is what editors and other validators go by, `schema_version` what consumers refuse or
    accept a registry by.

    ## Example
    `"schema_version": 1` at the baseline, and no such field now.

    ## How to fix
    `provenance restore --baseline git:origin/main` puts it back. If it is meant, declare it: a
    `[[deferral]]` with the path of the registry in `rows`.
    """

    code = "BAS807"
    slug = "registry-field-gone"
    scopes = (Scope.REGISTRY,)
    deferrable = True
    needs_whole = True
    about_rows = False

    def conclude(self, case: Case, baseline: BaselineEvidence) -> Iterator[Finding]:
        registry = case.evidence.registry
        for lost in baseline.comparison.lost_fields_of_registry():
            was = lost.was if len(lost.was) <= 80 else f"{lost.was[:79]}…"
            yield self.finding(
                f"no `{lost.key}`; {baseline.name} has {was}",
                f"{restore_rows(baseline)}. {self.declare(registry.path, 'it was removed')}",
                path=registry.path,
                position=Position(1, 1),
            )


class PolicyChanged(BaselineRule):
    """The configuration decides otherwise than at the baseline.

    ## What it does
    Compares every key of the configuration with that of the baseline: the registry's path, trust
    and the number of signatures, deferrals, gates, how models are run, the baseline itself. An
    entry of a list is recognised by what it names, so that a moved date is one change. Files that
    both configurations name, such as public keys, are compared by their digests.

    ## Why it matters
    The configuration decides what is checked and whose signatures count. A pull request that adds
    a deferral, or points `registry` at another file, passes the check that it has just changed.

    ## Example
    `signatures` is 2 at the baseline and 1 now, or `expires` of a deferral is a year later.

    ## How to fix
    Review it as a change of policy. If it is not meant, put the former value back. The warning
    disappears once the baseline has the new value.
    """

    code = "BAS810"
    slug = "policy-changed"
    scopes = (Scope.DOCUMENT,)
    severity = Severity.WARNING
    about_rows = False

    def conclude(self, case: Case, baseline: BaselineEvidence) -> Iterator[Finding]:
        for change in baseline.policy:
            then = "does not have it" if change.was is None else f"has {change.was}"
            yield self.finding(
                f"{change.key} is {change.now or 'missing'}; {baseline.name} {then}",
                "Review it as a change of policy. If it is not meant, put the former value back.",
                path=case.config.path,
                position=change.position,
            )
