# SPDX-License-Identifier: Apache-2.0
"""Draft the mappings of documents that are alike: one for each list of models in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from provenance.operations.adoption.disk import Disk
from provenance.operations.adoption.documents import Document
from provenance.operations.adoption.draft import Draft
from provenance.operations.adoption.drafting import Drafting
from provenance.operations.adoption.outline import Item, Outline, Pattern
from provenance.operations.adoption.structure import is_one_model, row_patterns


def drafts(documents: Sequence[Document], disk: Disk) -> list[Draft]:
    """Return a draft for each list of models in documents that are alike, or an empty list."""
    outline = Outline([Item(n, (), d.value) for n, d in enumerate(documents)])
    found: dict[Pattern, Draft] = {}
    for pattern in row_patterns(outline, disk):
        made = Drafting(outline, (pattern,), documents, disk).draft()
        if made is not None:
            found[pattern] = made
    if any(len(pattern) for pattern in found) and () in found and not is_one_model(outline):
        del found[()]
    here = {pattern: one for pattern, one in found.items() if one.here}
    left = [one for pattern, one in found.items() if here and pattern not in here]
    result = _united(list((here or found).values()), outline, documents, disk)
    if result and left:
        notes = tuple(
            f"left out: {one.rows} ({_rows(one.number)}), because no file of it is here"
            for one in left
        )
        result[0] = _noted(result[0], notes)
    return result


def _noted(draft: Draft, notes: tuple[str, ...]) -> Draft:
    return replace(draft, notes=(*draft.notes, *notes))


def _rows(number: int) -> str:
    return "1 row" if number == 1 else f"{number:,} rows"


def _united(
    found: list[Draft], outline: Outline, documents: Sequence[Document], disk: Disk
) -> list[Draft]:
    """Return the drafts, those that differ only in the name of their list as one."""
    result: list[Draft] = []
    while found:
        first, *rest = found
        alike = [first, *(one for one in rest if _unites(first, one))]
        found = [one for one in rest if one not in alike]
        patterns = tuple(one.patterns[0] for one in alike)
        made = Drafting(outline, patterns, documents, disk).draft() if len(alike) > 1 else None
        result += alike if made is None else [made]
    return result


def _unites(a: Draft, b: Draft) -> bool:
    (first,), (second,) = a.patterns, b.patterns
    differ = [pair for pair in zip(first, second, strict=False) if pair[0] != pair[1]]
    is_named = len(differ) == 1 and all(isinstance(step, str) for step in differ[0])
    return len(first) == len(second) and is_named and a.key == b.key
