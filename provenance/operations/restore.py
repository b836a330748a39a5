# SPDX-License-Identifier: Apache-2.0
"""`restore`: put back the rows and fields that were lost since the baseline, in their old places.

A digest, an opset or a `smoke` is not put back if it describes other bytes. Licenses, notes and the
registry's own fields are always put back (ADR-1105). Fields with changed values are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from provenance.artifacts import writing
from provenance.artifacts.baseline import Checkout, named
from provenance.artifacts.documents.json_edit import Edit
from provenance.artifacts.paths import Tree
from provenance.artifacts.writing import Change
from provenance.config import Config
from provenance.errors import InputError
from provenance.evidence.baseline import open_baseline
from provenance.evidence.collect import read_rows
from provenance.evidence.evidence import Evidence
from provenance.evidence.progress import Progress
from provenance.evidence.registry_diff import (
    EMPTY_IS_LOST,
    OF_BYTES,
    Comparison,
    LostField,
    LostRow,
)
from provenance.evidence.rows import RowEvidence
from provenance.frozen import dataclass
from provenance.gate.deferral_matching import Deferrals
from provenance.gate.finding import Verdict
from provenance.gate.rules.stale_fields import other_bytes, refutation
from provenance.operations.load_evidence import known_rows, read_registry
from provenance.registry import reading, withdrawn
from provenance.registry.withdrawn import Withdrawals


@dataclass(frozen=True, slots=True)
class Restored:
    """A row or field that was lost, and whether it is put back.

    Attributes:
        row: The id of the row, or None for a field of the registry itself.
        field: The field by the registry's own name, or None for a whole row.
        refused: Why it is not put back, or None if it is.
    """

    row: str | None
    field: str | None
    refused: str | None = None


@dataclass(frozen=True)
class Restoration:
    """Everything that was lost, and the diff of putting it back.

    Attributes:
        registry: The path of the registry.
        baseline: The baseline, for the report.
        lost: Every loss, and whether it is put back.
        declared: The rows, or the registry's path, whose losses a deferral declares.
        withdrawn: The rows that are gone because their models were withdrawn.
        diff: The edits that were or would be made.
        written: Whether they were written.
    """

    registry: str
    baseline: str
    lost: tuple[Restored, ...]
    declared: tuple[str, ...]
    diff: str
    written: bool
    withdrawn: tuple[str, ...] = ()

    @property
    def refused(self) -> tuple[Restored, ...]:
        """The losses that are not put back."""
        return tuple(lost for lost in self.lost if lost.refused is not None)

    @property
    def verdict(self) -> Verdict:
        """FAILED if anything is refused."""
        return Verdict.FAILED if self.refused else Verdict.VERIFIED


def restore(
    config: Config,
    baseline: str,
    *,
    rows: Sequence[str] = (),
    write: bool = True,
    progress: Progress | None = None,
) -> Restoration:
    """Put back what the registry lost since `baseline`.

    Args:
        config: The configuration.
        baseline: The baseline, named as for `check`.
        rows: The ids of the rows to restore. By default all rows and the registry's own fields,
            except losses that a deferral or a withdrawal declares.
        write: Write the registry, instead of only returning the diff.
        progress: Receives what is being done.

    Raises:
        InputError: If the present registry or that of the baseline cannot be read, or the present
            one cannot be written.
        UnavailableError: If the baseline is not available.
    """
    name = named(baseline, Path())
    if name is None:
        raise InputError("restore needs a baseline", help="--baseline git:origin/main")
    tree, registry = read_registry(config)
    with open_baseline(name, config) as opened:
        label, comparison = opened.label, Comparison(opened.registry, registry)
    if registry.stock is None or comparison.then.stock is None:
        raise InputError(
            f"{registry.path}: `restore` edits only a registry in this project's own shape",
            help=f"See what is lost: provenance check --baseline {baseline}. Then put it back by "
            "hand, for example with `git checkout -p`.",
        )
    gone = withdrawn.read(Checkout(tree))
    lost, declared, never = _lost(comparison, rows, config, gone)
    edits: list[Edit] = [
        comparison.row_edit(item) if isinstance(item, LostRow) else comparison.field_edit(item)
        for item in lost
    ]
    refused = _refused(tree, comparison, lost, edits, progress)
    results = [_result(comparison, item, refused.get(id(item))) for item in lost]
    kept = [edit for edit, result in zip(edits, results, strict=True) if result.refused is None]
    file = registry.files[0]
    edited = Change(file.path, file.text, file.edited(kept))
    if write:
        writing.write_changes(tree, [edited])
    return Restoration(
        registry=registry.path,
        baseline=label,
        lost=tuple(results),
        declared=declared,
        diff=edited.diff,
        written=write and bool(edited.diff),
        withdrawn=never,
    )


def _lost(
    comparison: Comparison, selected: Sequence[str], config: Config, gone: Withdrawals
) -> tuple[list[LostField | LostRow], tuple[str, ...], tuple[str, ...]]:
    """Return what to put back, the rows whose losses are declared, and those withdrawn.

    Raises:
        InputError: If a selected row is unknown, or was withdrawn.
    """
    everything = list(_all_lost(comparison))
    known_rows(comparison.now, selected, (name for _, _, names in everything for name in names))
    wanted = set(selected)
    found: list[LostField | LostRow] = []
    declared: dict[str, None] = {}
    never: dict[str, None] = {}
    deferrals = Deferrals(config.deferrals)
    for item, rule, names in everything:
        is_gone = isinstance(item, LostRow) and gone.covers(item.row, comparison.now)
        if is_gone and wanted & set(names):
            raise InputError(
                f"row {names[0]}: its models were withdrawn ({withdrawn.FILE})",
                help="A withdrawn model does not come back. Export it again, with other bytes.",
            )
        if wanted:
            if wanted & set(names):
                found.append(item)
        elif is_gone:
            never[names[0]] = None
        elif rule is not None and deferrals.covering(rule, names[0]) is not None:
            declared[names[0]] = None
        else:
            found.append(item)
    return found, tuple(declared), tuple(never)


def _all_lost(
    comparison: Comparison,
) -> Iterator[tuple[LostField | LostRow, str | None, tuple[str, ...]]]:
    """Yield every loss, the rule whose deferral may declare it, and the ids it goes by."""
    for field in comparison.lost_fields_of_registry():
        yield field, "BAS807", (comparison.now.path,)
    for row in comparison.lost_rows():
        yield row, "BAS801", (row.row.label,)
    for present in comparison.now.rows:
        for field in comparison.lost_fields(present):
            # A deferral cannot cover a missing license: LIC201 to LIC203 report it.
            rule = None if field.field in EMPTY_IS_LOST else "BAS802"
            was = comparison.was(present) or present
            yield field, rule, (present.label, was.label)  # they differ if the id was lost


def _refused(
    tree: Tree,
    comparison: Comparison,
    lost: Sequence[LostField | LostRow],
    edits: Sequence[Edit],
    progress: Progress | None,
) -> Mapping[int, str | None]:
    """Return why losses that depend on the bytes of files are refused, by the `id()` of each loss.

    A loss that is not refused has None. The files are read as if everything were put back.
    """
    back = {item.row.label: item.row for item in lost if isinstance(item, LostRow)}
    of_row: dict[int, list[LostField | LostRow]] = {}  # by the `id()` of the row
    for item in lost:
        if isinstance(item, LostRow) or item.field in OF_BYTES:
            of_row.setdefault(id(item.row), []).append(item)
    if not of_row:
        return {}
    now = comparison.now
    restored = reading.edited(now, {now.path: now.files[0].edited(edits)})
    present = iter(now.rows)
    rows = {row.index: back.get(row.label) or next(present) for row in restored.rows}
    wanted = tuple(row for row in restored.rows if id(rows[row.index]) in of_row)
    around = Evidence(tree.keeping_folders(), restored, (), whole=False, unread=wanted)
    return {
        id(item): _refusal(comparison, item, row)
        for row in read_rows(around, progress)
        for item in of_row[id(rows[row.index])]
    }


def _refusal(comparison: Comparison, item: LostField | LostRow, row: RowEvidence) -> str | None:
    """Return why the bytes of `row` do not allow putting a loss back, or None."""
    if isinstance(item, LostRow):
        declared = {"sha256": None, **item.row.fields}  # a row without a digest matches no bytes
        return other_bytes(row, declared)
    was = comparison.was(item.row) if item.row is not None else None
    return refutation(row, item.field, was) if was is not None and item.field else None


def _result(comparison: Comparison, item: LostField | LostRow, refused: str | None) -> Restored:
    """Return the result for one loss."""
    if isinstance(item, LostField):
        return Restored(item.row.label if item.row else None, item.key, refused)
    if item.renamed is not None:
        now = item.renamed.label
        refused = f"its model is now that of the row {now!r}: the id has changed"
    return Restored(item.row.label, None, refused)
