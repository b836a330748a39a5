# SPDX-License-Identifier: Apache-2.0
"""Minimal-diff editing of a JSON text: what is not edited keeps every character.

Key order, indentation, escapes and line ends are the file's own. New members are set off as their
neighbours are, so that a diff shows the lines that changed and no others.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from provenance.artifacts.source_map import Member, SourceMap
from provenance.artifacts.strict_json import JsonPath
from provenance.errors import InputError


@dataclass(frozen=True, slots=True)
class Raw:
    """A value as it stood in another JSON text: its escapes and number forms are kept."""

    text: str


@dataclass(frozen=True, slots=True)
class Set:
    """Replace the value at `path`."""

    path: JsonPath
    value: Any


@dataclass(frozen=True, slots=True)
class Insert:
    """Add the member `path` after the member `after` of the same object; first where it is None."""

    path: JsonPath
    value: Any
    after: str | None


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove the member of an object at `path`."""

    path: JsonPath


@dataclass(frozen=True, slots=True)
class InsertItem:
    """Add an object to the array at `path`, after the item `after`; first where it is None."""

    path: JsonPath
    value: Any
    after: int | None


Edit: TypeAlias = Set | Insert | Remove | InsertItem

_Change: TypeAlias = tuple[int, int, str]
_SPACE = " \t\r\n"


def edit(source: SourceMap, edits: Iterable[Edit], where: str) -> str:
    """The text of `source` with `edits` done. `where` is the file, for messages.

    Raises:
        InputError: An edit addresses something that is not there.
    """
    text = source.text
    edits = list(edits)
    changes = [_change(source, e, where) for e in edits if not isinstance(e, Remove)]
    changes.sort(key=lambda c: c[:2])  # stable: what is added at one place keeps its order
    for start, end, new in reversed(changes):
        text = text[:start] + new + text[end:]
    for removal in edits:  # one by one: neighbours share a comma
        if isinstance(removal, Remove):
            start, end = _removed(SourceMap(text), removal.path, where)
            text = text[:start] + text[end:]
    return text


def _change(source: SourceMap, edit: Set | Insert | InsertItem, where: str) -> _Change:
    match edit:
        case Set():
            member = _find(source, edit.path, where)
            return member.start, member.end, _encoded(edit.value, source)
        case Insert():
            return _insert(source, edit, where)
        case InsertItem():
            return _insert_item(source, edit, where)


def _insert(source: SourceMap, edit: Insert, where: str) -> _Change:
    *parent, key = edit.path
    neighbour = None
    if edit.after is not None:
        neighbour = _find(source, (*parent, edit.after), where, f"to put `{key}` after")
    at, gap = _place(source, tuple(parent), neighbour, where)
    member = f"{json.dumps(key)}: {_indented(edit.value, gap, len(edit.path), source)}"
    return at, at, _joined(source, at, gap, member, first=neighbour is None)


def _insert_item(source: SourceMap, edit: InsertItem, where: str) -> _Change:
    neighbour = None
    if edit.after is not None:
        neighbour = _find(source, (*edit.path, edit.after), where)
    at, gap = _place(source, edit.path, neighbour, where)
    item = _indented(edit.value, gap, len(edit.path) + 1, source)
    return at, at, _joined(source, at, gap, item, first=neighbour is None)


def _place(
    source: SourceMap, parent: JsonPath, neighbour: Member | None, where: str
) -> tuple[int, str]:
    """The offset at which something is added, and the white space that sets it off there."""
    if neighbour is not None:
        start = neighbour.start if neighbour.key_start is None else neighbour.key_start
        before = source.text[:start]
        return neighbour.end, before[len(before.rstrip(_SPACE)) :]
    outer = _find(source, parent, where)
    inside = source.text[outer.start + 1 : outer.end - 1]
    return outer.start + 1, inside[: len(inside) - len(inside.lstrip(_SPACE))]


def _joined(source: SourceMap, at: int, gap: str, new: str, *, first: bool) -> str:
    """What is added, with its comma."""
    if not first:
        return f",{gap}{new}"
    alone = source.text[at:].lstrip(_SPACE)[:1] in ("}", "]")
    return f"{gap}{new}" if alone else f"{gap}{new},"


def _removed(source: SourceMap, path: JsonPath, where: str) -> tuple[int, int]:
    """From where to where a member reaches, with the comma that sets it off."""
    member = _find(source, path, where)
    text = source.text
    assert member.key_start is not None  # a member of an object
    before = text[: member.key_start].rstrip(_SPACE)
    if before.endswith(","):
        return len(before) - 1, member.end
    behind = text[member.end :].lstrip(_SPACE)
    if behind.startswith(","):
        return member.key_start, len(text) - len(behind[1:].lstrip(_SPACE))
    return len(before), member.end  # the only one


def _find(source: SourceMap, path: JsonPath, where: str, purpose: str = "") -> Member:
    member = source.find(path)
    if member is None:
        shown = ".".join(map(str, path)) or "the file"
        raise InputError(f"{where}: there is no `{shown}`{f' {purpose}' if purpose else ''}")
    return member


def _encoded(value: Any, source: SourceMap) -> str:
    if isinstance(value, Raw):
        return value.text
    return json.dumps(value, ensure_ascii=source.text.isascii())


def _indented(value: Any, gap: str, depth: int, source: SourceMap) -> str:
    """A value with a line for each of its members, where the file is written so."""
    if not isinstance(value, dict) or not value or "\n" not in gap:
        return _encoded(value, source)
    indent = gap.rpartition("\n")[2]
    step = "\t" if "\t" in indent else " " * max(1, len(indent) // depth)
    lines = f",{gap}{step}".join(
        f"{json.dumps(k)}: {_encoded(v, source)}" for k, v in value.items()
    )
    return f"{{{gap}{step}{lines}{gap}}}"
