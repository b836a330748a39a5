# SPDX-License-Identifier: Apache-2.0
"""Find the rows of documents: the nodes that name models, or the nodes around them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provenance.artifacts.paths import unsafe_reason
from provenance.operations.adoption.columns import plain
from provenance.operations.adoption.disk import Disk
from provenance.operations.adoption.outline import Outline, Pattern, is_digest
from provenance.operations.adoption.places import is_address
from provenance.registry.references import part_of
from provenance.registry.rows import MODEL_SUFFIX

_ONE_MODEL: Final = frozenset(
    ("license", "licence", "description", "task", "task_type", "framework", "model_type")
)
"""Fields at the top of a document that is about one model."""


_FILE_LISTS: Final = frozenset(
    ("files", "file", "assets", "weights", "artifacts", "model_files", "downloads")
)


_MAX_LISTS: Final = 200
"""Lists in one document that are looked at."""


def is_model(name: str) -> bool:
    """Return whether a name or an address is that of an ONNX model."""
    return (part_of(name, "name") if is_address(name) else name).endswith(MODEL_SUFFIX)


def is_name(text: str) -> bool:
    """Return whether a string can be the name or address of a file: it has a suffix."""
    if not 0 < len(text) <= 1024 or not text.isprintable():
        return False
    if is_address(text):
        text = part_of(text, "name")
    elif unsafe_reason(text) is not None:
        return False
    suffix = text.rpartition("/")[2][1:].rpartition(".")[2]
    return "." in text.rpartition("/")[2][1:] and 0 < len(suffix) <= 10 and suffix.isalnum()


def row_patterns(outline: Outline, disk: Disk) -> list[Pattern]:
    """Return the paths of the rows: of the nodes that name models, or of those around them."""
    found: dict[Pattern, None] = {}
    if is_one_model(outline):
        return [()]
    for pattern, values in _strings(outline):
        if any(map(is_model, values)) or any(_known(value, disk) for value in values[:200]):
            found[_row_of(pattern, outline)] = None
    for pattern in _maps_of_digests(outline):
        size = len(pattern)
        if not any(p[:size] == pattern or pattern[: len(p)] == p for p in found):
            found[pattern] = None
    outer = [p for p in found if not any(p[:n] in found for n in range(1, len(p)))]
    return outer[:_MAX_LISTS]


def _strings(outline: Outline) -> Iterator[tuple[Pattern, list[str]]]:
    """Yield the strings at each pattern, and the keys at each pattern of a map."""
    for pattern, items in outline.leaves.items():
        texts = [i.value for i in items if isinstance(i.value, str) and 0 < len(i.value) <= 1024]
        if texts:
            yield pattern, texts
    for pattern in outline.maps:
        yield pattern, [str(item.location[-1]) for item in outline.nodes.get(pattern, ())]


def _known(text: str, disk: Disk) -> bool:
    """Return whether a string ends in the name of a file on disk that has a suffix."""
    last = (part_of(text, "name") if is_address(text) else text).rpartition("/")[2]
    return "." in last[1:] and last in disk.listing.by_name


def _maps_of_digests(outline: Outline) -> Iterator[Pattern]:
    """Yield the maps and lists of records with a digest: their files may have the row's id."""
    for pattern in outline.nodes:
        if pattern:
            below = [(*pattern, name) for name in outline.records.get(pattern, ())]
            items = (i for one in (pattern, *below) for i in outline.leaves.get(one, ())[:5])
            if any(is_digest(item.value) for item in items):
                yield pattern


def _row_of(pattern: Pattern, outline: Outline) -> Pattern:
    wild = [number for number, step in enumerate(pattern) if step is None]
    if not wild:
        return ()
    last = pattern[: wild[-1] + 1]
    if _has(outline, last, _ONE_MODEL):
        return last
    for number in reversed(wild[:-1]):
        around = pattern[: number + 1]
        stated = [outline.leaves.get((*around, n), ()) for n in outline.records.get(around, ())]
        if 2 * max(map(len, stated), default=0) >= len(outline.nodes[around]):
            return around
    return last


def _has(outline: Outline, node: Pattern, names: frozenset[str]) -> bool:
    return any(
        plain(name) in names and (*node, name) in outline.leaves
        for name in outline.records.get(node, ())
    )


def is_one_model(outline: Outline) -> bool:
    """Return whether each document is about one model: its license or task is at the top."""
    top = outline.records.get((), ())
    lists = {
        pattern[0]
        for pattern, values in _strings(outline)
        if pattern and None in pattern and any(map(is_model, values))
    }
    if not _has(outline, (), _ONE_MODEL):
        return False
    if not lists:
        return any(is_model(v) for p, values in _strings(outline) if None not in p for v in values)
    nodes = [(name, None) for name in top if (name, None) in outline.nodes]
    return all(isinstance(n, str) and n.lower() in _FILE_LISTS for n in lists) and not any(
        _has(outline, node, _ONE_MODEL) for node in nodes
    )
