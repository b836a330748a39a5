# SPDX-License-Identifier: Apache-2.0
"""BAS801, BAS802, BAS805, BAS808: rows and fields that are gone, and a row of another kind."""

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
from provenance.gate.rules.misplaced import has_misplaced_sidecar
from provenance.gate.rules.recovery_help import no_longer_true, put_back, restore_row, restore_rows
from provenance.gate.rules.sidecars.current import pairs


class RowGone(BaselineRule):
    """A row of the baseline is gone.

    ## What it does
    Compares the ids of the rows with those at the baseline. Where a new row names the same file or
    the same bytes, the message says that the row has another id now.

    ## Why it matters
    Consumers ask for a model by its id. In a registry of a thousand lines nobody sees that thirty
    of them are gone, least of all in a merge.

    ## Example
    The baseline has the row `vmaf_tiny_v2`, and the registry has none with this id.

    ## How to fix
    `provenance restore ROW --baseline git:origin/main` puts the row back where it stood. A removal
    or a new name that is meant is declared: a `[[deferral]]` with the old id in `rows` and the
    reason, in the change that removes the row and its files. Once that is merged, the deferral has
    done its work, and the next change removes it (DEF901).
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
                continue  # REG102 says which id it had
            if lost.renamed is None:
                onnx = lost.row.onnx
                ships = f", for {onnx}" if onnx else ""
                message = f"this row is gone; {baseline.name} has it{ships}"
                declare = self.declare(id, "it was removed")
                left = _left_behind(case, baseline, lost, used)
                help = f"{restore_row(baseline, id)}. {declare}{left}"
            else:
                message = f"this row is gone; its model is now that of {lost.renamed.label!r}"
                help = (
                    f"Consumers ask for {id!r}: give the row its id back. "
                    f"{self.declare(id, 'it has another name')}"
                )
            yield self.finding(
                message,
                help,
                path=case.evidence.registry.path,
                row=id,
                position=self._place(case, baseline, lost),
            )

    def _place(self, case: Case, baseline: BaselineEvidence, lost: LostRow) -> Position:
        """Where the row stood: behind the one that is still before it."""
        registry = case.evidence.registry
        if lost.renamed is not None:
            return registry.locate(lost.renamed, "id")
        neighbour = baseline.comparison.neighbour(lost)
        if neighbour is not None:
            return registry.locate(neighbour)
        member = registry.source.find(registry.names.path)
        assert member is not None  # a registry without its list was refused
        return registry.source.position(member.start)


def _left_behind(
    case: Case, baseline: BaselineEvidence, lost: LostRow, used: Collection[str]
) -> str:
    """What else has to be done where a row was removed on purpose."""
    gone = baseline.lost.get(lost.row.label, LostFiles()).here
    here = [path for path in gone if path not in used]
    lists = [
        d.path
        for d in case.evidence.documents
        if isinstance(d, Manifest) and lost.row.onnx in {m.onnx for m in d.members}
    ]
    files = f" Remove {some(here, 5)} as well." if here else ""
    return files + (f" Export {some(lists, 3)} without it." if lists else "")


class FieldGone(BaselineRule):
    """A row has lost a field that it had at the baseline.

    ## What it does
    Compares the names of each row's fields with those at the baseline, also of fields that this
    tool does not know. Silent where another rule already misses the field, and where the model does
    not have what it speaks of any more. A row that has lost its `smoke` claims nothing any more.

    ## Why it matters
    A script that writes a registry drops what it does not know. In ADR-1105 three fields of five
    rows were lost in a change about something else.

    ## Example
    `"quant_accuracy_budget_plcc": 0.01` at the baseline, and no such field now.

    ## How to fix
    `provenance restore ROW --baseline git:origin/main` puts it back where it stood. If it is meant,
    declare it with a `[[deferral]]`.
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
            is_said = missed_by is not None and case.found(missed_by, row)
            if not is_said and not self._speaks_of_nothing(row, lost):
                yield self._gone(case, baseline, row, former, lost)

    def _speaks_of_nothing(self, row: RowEvidence, lost: LostField) -> bool:
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
            help = f"Write what is true of the present files ({reason})"
        if lost.field == "smoke" and changed_digests(row.entry, former.row):
            # `restore` refuses it: what it said was about other bytes.
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
"""The rules that miss a field without a baseline."""


class KindChanged(BaselineRule):
    """A row is of another kind than at the baseline.

    ## What it does
    Compares `kind` of the rows with the same id. Silent where the sidecar still says the former
    kind: SID408 says so.

    ## Why it matters
    The id names a model to its consumers. A filter under the id of a quality metric is another
    model; it needs an id of its own.

    ## Example
    `"kind": "fr"` at the baseline, `"kind": "nr"` now, and the same id.

    ## How to fix
    Give the new model a new id. If the kind was wrong before, declare that with a `[[deferral]]`.
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
                f"`{case.name_of('kind')}` is {shown(now)}; {baseline.name} has {shown(then)}",
                "Give another model another id. "
                + self.declare(row.label, "the kind was corrected"),
            )


class SidecarGone(BaselineRule):
    """A row has lost its sidecar.

    ## What it does
    Looks for the sidecar of each row that had one at the baseline. For production rows SID401 says
    that it is missing.

    ## Why it matters
    ADR-1105 keeps even stale sidecars: they hold the record of the gate that the next export has to
    pass again. A model without one cannot be fed, and nobody knows how it was made.

    ## Example
    `m.json` lies beside `m.onnx` at the baseline, and not any more.

    ## How to fix
    Put the file back: `git restore --source=origin/main -- m.json`. If it is meant, declare it with
    a `[[deferral]]`.
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
            help = "Export the sidecar with the model: the former one is of other bytes"
        yield self.in_row(
            case,
            row,
            "onnx",
            f"{path} does not exist; {baseline.name} has a sidecar for this row",
            f"{help}. {self.declare(row.label, 'it was removed')}",
            about=path,
        )
