# SPDX-License-Identifier: Apache-2.0
"""BAS806, BAS807, BAS810: changed licenses, removed fields of the registry, and policy changes."""

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
from provenance.gate.rules.baseline.gates import loosened
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import Scope
from provenance.gate.rules.license import former_license, same_license
from provenance.gate.rules.recovery_help import restore_rows


class LicenseChanged(BaselineRule):
    """The license of a row changed since the baseline.

    ## What it does
    Compares `license` of the rows with the same id. These are not changes: another spelling of the
    same expression, the same name as a `LicenseRef-`, and the id of the license file in place of an
    id that is not on the SPDX list.

    Does not report the change if LIC206 reports that the license differs from its file, or if
    LIC204 advises to put the former license back. Also does not report an imported model: the bytes
    and the sidecar changed too, and the sidecar declares an `origin` under the new license.

    ## Why it matters
    Only the copyright holder can change the license. Consumers who obtained the model under the
    former license still rely on it.

    ## Example
    `"CC-BY-NC-4.0"` at the baseline, and `"MIT"` now.

    ## How to fix
    Put the license back. If the model was relicensed, or the former entry was wrong, declare the
    change with a `[[deferral]]` that refers to the decision.
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
            return  # LIC204 advises to put the former license back
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
            f"`{row.called('license')}` is {shown(now)}; {baseline.name} has {shown(then)}",
            f"Put it back. {origin}" + self.declare(row.label, "the license was changed"),
        )


def _is_imported_anew(row: RowEvidence, former: FormerRow, license: str) -> bool:
    """Whether the row has a new, imported model whose origin declares this license."""
    declared = origin(row)
    return (
        declared is not None
        and _is_anew(row, former)
        and same_license(declared["license"], license)
    )


def _is_anew(row: RowEvidence, former: FormerRow) -> bool:
    """Whether both the model and its sidecar have changed."""
    sidecar = row.sidecar
    if sidecar is None or sidecar.sidecar is None:
        return False
    return "sha256" in changed_digests(row.entry, former.row) and sidecar.sha256 != former.sidecar


class RegistryFieldGone(BaselineRule):
    """The registry has lost a top-level field.

    ## What it does
    Compares the members beside the list of rows with those at the baseline.

    ## Why it matters
    Editors and validators use `$schema`. Consumers accept or refuse a registry by its
    `schema_version`.

    ## Example
    `"schema_version": 1` at the baseline, and no such field now.

    ## How to fix
    `provenance restore --baseline git:origin/main` puts the field back. If the removal is intended,
    declare it with a `[[deferral]]` that has the path of the registry in `rows`.
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


def _loosened_gates(case: Case, baseline: BaselineEvidence) -> frozenset[Position]:
    """Return the positions of the changes of gates that BAS816 reports."""
    if baseline.gates is None:
        return frozenset()
    return frozenset(
        case.config.gate_position(None if gate is None else gate.index, key)
        for key, gate, _ in loosened(baseline.gates, case.config.gates)
    )


class PolicyChanged(BaselineRule):
    """The configuration changed since the baseline.

    ## What it does
    Compares every key of the configuration with the baseline: the path of the registry, trust and
    the number of signatures, deferrals, gates, how models are run, and the baseline itself. Entries
    of a list are matched by what they name, so a new expiry date is one change. Files that both
    configurations name, such as public keys, are compared by their digests. A gate that became
    easier to pass is left to BAS816.

    ## Why it matters
    The configuration decides what is checked and whose signatures count. A pull request that adds
    a deferral, or points `registry` at another file, changes the check that it has to pass.

    ## Example
    `signatures` is 2 at the baseline and 1 now, or `expires` of a deferral is a year later.

    ## How to fix
    Review it as a change of policy. If the change is not intended, put the former value back. The
    warning disappears once the baseline has the new value.
    """

    code = "BAS810"
    slug = "policy-changed"
    scopes = (Scope.DOCUMENT,)
    severity = Severity.WARNING
    about_rows = False

    def conclude(self, case: Case, baseline: BaselineEvidence) -> Iterator[Finding]:
        reported = _loosened_gates(case, baseline)
        for change in baseline.policy:
            if "[[gate]]" in change.key and change.position in reported:
                continue
            then = "does not have it" if change.was is None else f"has {change.was}"
            yield self.finding(
                f"{change.key} is {change.now or 'missing'}; {baseline.name} {then}",
                "Review it as a change of policy. If it is not intended, put the former value "
                "back.",
                path=case.config.path,
                position=change.position,
            )
