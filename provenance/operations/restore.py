# SPDX-License-Identifier: Apache-2.0
"""`restore`: rows and fields that were lost since the baseline are put back where they stood.

A digest, an opset or a `smoke` of former bytes is refused. Licenses, notes and the registry's own
fields are put back whatever the bytes are (ADR-1105). What was changed and not lost is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from provenance.artifacts import registry as registries
from provenance.artifacts import writing
from provenance.artifacts.baseline import named
from provenance.artifacts.documents import json_edit
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


@dataclass(frozen=True, slots=True)
class Restored:
    """One thing that was lost, and what became of it.

    Attributes:
        row: The row; None for a field of the registry itself.
        field: The field, by the registry's own name; None for a whole row.
        refused: Why it is not put back; None where it is.
    """

    row: str | None
    field: str | None
    refused: str | None = None


@dataclass(frozen=True)
class Restoration:
    """Everything that was lost, and the difference that putting it back made, or would make.

    `declared` are the rows, or the registry's path, whose losses a deferral declares.
    """

    registry: str
    baseline: str
    lost: tuple[Restored, ...]
    declared: tuple[str, ...]
    diff: str
    written: bool

    @property
    def refused(self) -> tuple[Restored, ...]:
        """What is not put back."""
        return tuple(lost for lost in self.lost if lost.refused is not None)

    @property
    def verdict(self) -> Verdict:
        """FAILED where anything is refused."""
        return Verdict.FAILED if self.refused else Verdict.VERIFIED


def restore(
    config: Config,
    baseline: str,
    *,
    rows: Sequence[str] = (),
    write: bool = True,
    progress: Progress | None = None,
) -> Restoration:
    """Put back what the registry, or the rows with the given ids, lost since `baseline`.

    `baseline` is named as for `check`. Without `rows`, what a deferral declares to be gone on
    purpose is left alone.

    Raises:
        InputError: A registry cannot be read, there or here, or cannot be written.
        UnavailableError: The baseline is not at hand.
    """
    name = named(baseline, Path())
    if name is None:
        raise InputError("restore needs a baseline", help="--baseline git:origin/main")
    tree, registry = read_registry(config)
    with open_baseline(name, config) as opened:
        label, comparison = opened.label, Comparison(opened.registry, registry)
    lost, declared = _lost(comparison, rows, config)
    edits: list[Edit] = [
        comparison.row_edit(item) if isinstance(item, LostRow) else comparison.field_edit(item)
        for item in lost
    ]
    refused = _refused(tree, comparison, lost, edits, progress)
    results = [_result(comparison, item, refused.get(id(item))) for item in lost]
    kept = [edit for edit, result in zip(edits, results, strict=True) if result.refused is None]
    before = registry.source.text
    edited = Change(config.registry, before, json_edit.edit(registry.source, kept, config.registry))
    if write:
        writing.write_changes(tree, [edited])
    return Restoration(
        registry=config.registry,
        baseline=label,
        lost=tuple(results),
        declared=declared,
        diff=edited.diff,
        written=write and bool(edited.diff),
    )


def _lost(
    comparison: Comparison, selected: Sequence[str], config: Config
) -> tuple[list[LostField | LostRow], tuple[str, ...]]:
    """What was lost and is to be put back; and whose losses are declared."""
    everything = list(_all_lost(comparison))
    known_rows(comparison.now, selected, (name for _, _, names in everything for name in names))
    wanted = set(selected)
    found: list[LostField | LostRow] = []
    declared: dict[str, None] = {}
    deferrals = Deferrals(config.deferrals)
    for item, rule, names in everything:
        if wanted:
            if wanted & set(names):
                found.append(item)
        elif rule is not None and deferrals.covering(rule, names[0]) is not None:
            declared[names[0]] = None
        else:
            found.append(item)
    return found, tuple(declared)


def _all_lost(
    comparison: Comparison,
) -> Iterator[tuple[LostField | LostRow, str | None, tuple[str, ...]]]:
    """All that was lost, the rule whose deferral declares it, and what it is called."""
    for field in comparison.lost_fields_of_registry():
        yield field, "BAS807", (comparison.now.path,)
    for row in comparison.lost_rows():
        yield row, "BAS801", (row.row.label,)
    for present in comparison.now.rows:
        for field in comparison.lost_fields(present):
            # No deferral covers a missing license: LIC201 to LIC203 see to that.
            rule = None if field.field in EMPTY_IS_LOST else "BAS802"
            was = comparison.was(present) or present
            yield field, rule, (present.label, was.label)  # which differ where the id was lost


def _refused(
    tree: Tree,
    comparison: Comparison,
    lost: Sequence[LostField | LostRow],
    edits: Sequence[Edit],
    progress: Progress | None,
) -> Mapping[int, str | None]:
    """Why lost things are refused whose bytes must be looked at, with everything put back.

    By the identity of what was lost.
    """
    back = {item.row.label: item.row for item in lost if isinstance(item, LostRow)}
    of_row: dict[int, list[LostField | LostRow]] = {}  # a former row, or a present one
    for item in lost:
        if isinstance(item, LostRow) or item.field in OF_BYTES:
            of_row.setdefault(id(item.row), []).append(item)
    if not of_row:
        return {}
    now = comparison.now
    whole = json_edit.edit(now.source, edits, now.path)
    restored = registries.parse_bytes(whole.encode("utf-8"), now.path, now.names)
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
    """Why a thing is not put back of which the bytes of `row` know whether it is true."""
    if isinstance(item, LostRow):
        declared = {"sha256": None, **item.row.fields}  # without one nothing says which bytes
        return other_bytes(row, declared)
    was = comparison.was(item.row) if item.row is not None else None
    return refutation(row, item.field, was) if was is not None and item.field else None


def _result(comparison: Comparison, item: LostField | LostRow, refused: str | None) -> Restored:
    """What becomes of one lost thing: put back, or refused where it would be a lie."""
    if isinstance(item, LostField):
        return Restored(item.row.label if item.row else None, item.key, refused)
    if item.renamed is not None:
        now = item.renamed.label
        refused = f"the row {now!r} has its model now: it has another id"
    return Restored(item.row.label, None, refused)
