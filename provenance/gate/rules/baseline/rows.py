# SPDX-License-Identifier: Apache-2.0
"""BAS801, BAS802, BAS805, BAS808: removed rows, fields and sidecars, and rows of another kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from provenance.artifacts.documents.strict_json import Position
from provenance.artifacts.ensemble import Manifest
from provenance.evidence.evidence import BaselineEvidence, LostFiles
from provenance.evidence.registry_diff import LostField, LostRow, changed_digests
from provenance.evidence.rows import FormerRow, RowEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules.base import shown, some
from provenance.gate.rules.baseline.base import BaselineRule, until_proven
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import Scope
from provenance.gate.rules.lost_rows import is_withdrawn
from provenance.gate.rules.misplaced import has_misplaced_sidecar
from provenance.gate.rules.recovery_help import no_longer_true, put_back, restore_row, restore_rows
from provenance.gate.rules.sidecars.current import pairs
from provenance.registry.registry import start_of


class RowGone(BaselineRule):
    """A row of the baseline is gone.

    ## What it does
    Compares the ids of the rows with those at the baseline. If a new row names the same file or has
    the same bytes, the message says that the row has a new id. A row whose models were withdrawn
    under its id (`withdrawn.json`) is not reported.

    ## Why it matters
    Consumers request a model by its id. In a registry of a thousand lines, a reviewer easily misses
    that thirty lines are gone, above all in a merge.

    ## Example
    The baseline has the row `vmaf_tiny_v2`, and the registry has no row with this id.

    ## How to fix
    `provenance restore ROW --baseline git:origin/main` puts the row back in its former position. If
    the model is no longer to be used, withdraw it: `provenance remove ROW --reason TEXT`. If only
    the row is removed or has a new id, declare it in the same change: a `[[deferral]]` with the
    old id in `rows` and the reason. After the merge the deferral is no longer needed, and the next
    change removes it (DEF901).
    """

    code = "BAS801"
    slug = "row-gone"
    scopes = (Scope.REGISTRY,)
    deferrable = True
    needs_whole = True
    about_rows = False

    def conclude(self, case: Case, baseline: BaselineEvidence) -> Iterator[Finding]:
        ids = Counter(row.row.text("id") for row in case.facts)
        used = {f.path for row in case.facts for f in (*row.model_files, *row.sidecars)}
        for lost in baseline.comparison.lost_rows():
            id = lost.row.label
            if lost.renamed is not None and ids[lost.renamed.text("id")] > 1:
                continue  # REG102 reports the former id
            if is_withdrawn(case, lost.row):
                continue  # BAS813 shows the entry
            if lost.renamed is None:
                onnx = lost.row.onnx
                model = f", for {onnx}" if onnx else ""
                message = (
                    f"this row is gone; {baseline.name} has it{model}{_half_withdrawn(case, id)}"
                )
                declare = self.declare(id, "it was removed")
                left = _left_behind(case, baseline, lost, used)
                help = f"{restore_row(baseline, id)}. {declare}{left}"
            else:
                message = f"this row is gone; its model is now in the row {lost.renamed.label!r}"
                help = (
                    f"Consumers ask for {id!r}: give the row its id back. "
                    f"{self.declare(id, 'the id was changed')}"
                )
            yield self.finding(
                message,
                help,
                path=case.evidence.registry.path,
                row=id,
                position=self._place(case, baseline, lost),
            )

    def _place(self, case: Case, baseline: BaselineEvidence, lost: LostRow) -> Position:
        """Return where the row was: at the row that preceded it, or else at the list of rows."""
        registry = case.evidence.registry
        if lost.renamed is not None:
            return registry.locate(lost.renamed, "id")
        neighbour = baseline.comparison.neighbour(lost)
        if neighbour is not None:
            return registry.locate(neighbour)
        rows = lost.row.location[:-1]
        return start_of(registry.files[0], rows)


def _half_withdrawn(case: Case, id: str) -> str:
    """Return what is missing if a row was withdrawn, but not with all of its digests."""
    withdrawn = case.evidence.withdrawn
    if withdrawn is None or all(entry.id != id for entry in withdrawn.entries):
        return ""
    return "; withdrawn.json has this id, but not the digests of all models of the row"


def _left_behind(
    case: Case, baseline: BaselineEvidence, lost: LostRow, used: Collection[str]
) -> str:
    """Return the further steps for a row that was removed on purpose."""
    remaining = baseline.lost.get(lost.row.label, LostFiles()).here
    unused = [path for path in remaining if path not in used]
    manifests = [
        d.path
        for d in case.evidence.documents
        if isinstance(d, Manifest) and lost.row.onnx in {m.onnx for m in d.members}
    ]
    remove = f" Remove {some(unused, 5)} as well." if unused else ""
    return remove + (f" Export {some(manifests, 3)} without it." if manifests else "")


class FieldGone(BaselineRule):
    """A row has lost a field that it had at the baseline.

    ## What it does
    Compares the names of each row's fields with those at the baseline, including fields that this
    tool does not know. Does not report a field that another rule already reports as missing, or a
    field about something that the model no longer has. A row that lost `smoke` becomes unclaimed.

    ## Why it matters
    Scripts that write a registry drop fields that they do not know. In ADR-1105 a change about
    something else removed three fields from five rows.

    ## Example
    `"quant_accuracy_budget_plcc": 0.01` at the baseline, and no such field now.

    ## How to fix
    `provenance restore ROW --baseline git:origin/main` puts the field back in its former position.
    If the removal is intended, declare it with a `[[deferral]]`.
    """

    code = "BAS802"
    slug = "field-gone"
    deferrable = True

    def compare(
        self, case: Case, baseline: BaselineEvidence, row: RowEvidence, former: FormerRow
    ) -> Iterator[Finding]:
        for lost in baseline.comparison.lost_fields(row.entry):
            empty = lost.key in row.entry.verbatim and row.entry.verbatim[lost.key] is None
            missed_by = "REG101" if empty else _MISSED_BY.get(lost.field or "")
            is_reported = missed_by is not None and case.found(missed_by, row)
            if not is_reported and not self._is_obsolete(row, lost):
                yield self._gone(case, baseline, row, former, lost)

    def _is_obsolete(self, row: RowEvidence, lost: LostField) -> bool:
        """Whether the lost field is about external data, and the model no longer has any."""
        return lost.field == "external_data_sha256" and all(
            m.facts is not None and not m.external for m in row.models
        )

    def _gone(
        self,
        case: Case,
        baseline: BaselineEvidence,
        row: RowEvidence,
        former: FormerRow,
        lost: LostField,
    ) -> Finding:
        reason = no_longer_true(baseline, row, lost)
        help = restore_rows(baseline, row.label)
        if reason is not None:
            help = f"Write the value for the present files ({reason})"
        if lost.field == "smoke" and changed_digests(row.entry, former.row):
            # `restore` refuses to put it back: the former value was about other bytes.
            help = until_proven(case, row, "the new model is promoted on evidence")
            help = help.removesuffix(".")
        return self.in_row(
            case,
            row,
            None,
            f"no `{lost.key}`; {baseline.name} has {shown(lost.was)}",
            f"{case.declare_first(lost.key)}{help}. {self.declare(row.label, 'it was removed')}",
        )


_MISSED_BY: Final[Mapping[str, str]] = {
    "id": "REG101",
    "onnx": "REG101",
    "sha256": "REG101",
    "license": "LIC201",
    "license_url": "LIC202",
    "sigstore_bundle": "LIC203",
    "external_data_sha256": "ART306",
    "int8_sha256": "ART308",
}
"""The rules that report a missing field without a baseline."""


class KindChanged(BaselineRule):
    """The kind of a row changed since the baseline.

    ## What it does
    Compares `kind` of the rows with the same id. If the sidecar still has the former kind, SID408
    reports the difference instead.

    ## Why it matters
    Consumers identify a model by its id. A filter is not the same model as a quality metric, so it
    needs a new id.

    ## Example
    `"kind": "fr"` at the baseline, and `"kind": "nr"` now, with the same id.

    ## How to fix
    Give the new model a new id. If the former kind was wrong, declare the correction with a
    `[[deferral]]`.
    """

    code = "BAS805"
    slug = "kind-changed"
    deferrable = True

    def compare(
        self, case: Case, baseline: BaselineEvidence, row: RowEvidence, former: FormerRow
    ) -> Iterator[Finding]:
        now, then = row.entry.text("kind"), former.row.text("kind")
        if None in (now, then) or now == then:
            return
        claims = {e.sidecar.text_at("kind") for _, e in pairs(row) if e.sidecar} - {None, now}
        if not (claims and case.fails("SID408", row)):
            yield self.in_row(
                case,
                row,
                "kind",
                f"`{row.called('kind')}` is {shown(now)}; {baseline.name} has {shown(then)}",
                "Give the new model a new id. " + self.declare(row.label, "the kind was corrected"),
            )


class SidecarGone(BaselineRule):
    """A row has lost its sidecar.

    ## What it does
    Looks for the sidecar of each row that had one at the baseline. For production rows, SID401
    reports a missing sidecar.

    ## Why it matters
    ADR-1105 keeps even stale sidecars, because they record the gate that the next export must pass
    again. Without its sidecar, the inputs and the origin of a model are unknown.

    ## Example
    `m.json` exists beside `m.onnx` at the baseline, and no longer exists now.

    ## How to fix
    Put the file back: `git restore --source=origin/main -- m.json`. If the removal is intended,
    declare it with a `[[deferral]]`.
    """

    code = "BAS808"
    slug = "sidecar-gone"
    deferrable = True

    def compare(
        self, case: Case, baseline: BaselineEvidence, row: RowEvidence, former: FormerRow
    ) -> Iterator[Finding]:
        if former.sidecar is None or row.sidecar is None or not row.sidecar.missing:
            return
        if has_misplaced_sidecar(case, row) or case.found("SID401", row):
            return
        path = row.sidecar.path
        help = put_back(baseline, path)
        if changed_digests(row.entry, former.row):
            help = "Export the sidecar with the model: the former one describes other bytes"
        yield self.in_row(
            case,
            row,
            "onnx",
            f"{path} does not exist; {baseline.name} has a sidecar for this row",
            f"{help}. {self.declare(row.label, 'it was removed')}",
            about=path,
        )
