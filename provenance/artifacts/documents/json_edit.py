# SPDX-License-Identifier: Apache-2.0
"""Minimal-diff editing of a JSON text: what is not edited keeps every character.

New members are set off as their neighbours are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from provenance.artifacts.documents.source_map import Member, SourceMap
from provenance.artifacts.documents.strict_json import JsonPath
from provenance.errors import InputError
from provenance.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Raw:
    """A value as it stood in another JSON text: its escapes and number forms are kept.

    `indent` is the white space that its line began with, where it has several lines; `key` is the
    key of a member, as it was written.
    """

    text: str
    indent: str = ""
    key: str | None = None

    @classmethod
    def of(cls, source: SourceMap, path: JsonPath, where: str) -> Raw:
        """The value at `path` of another text. Raises InputError if it is missing."""
        member = _find(source, path, where)
        start = member.start if member.key_start is None else member.key_start
        line = start + 1 - source.position(start).column
        key = None
        if member.key_start is not None:
            end = source.text.rindex('"', start, member.start) + 1
            key = source.text[start:end]
        return cls(source.text[member.start : member.end], _space_at(source.text, line), key)

    def placed(self, gap: str) -> str:
        """The text where `gap` sets it off: what follows its first line is indented anew."""
        newline, found, indent = gap.rpartition("\n")
        first, *lines = self.text.replace("\r\n", "\n").split("\n")  # no string has a line end
        if not found:
            return " ".join((first, *(line.strip(_SPACE) for line in lines)))
        kept = (line.removeprefix(self.indent) for line in lines)
        start = ("\r\n" if newline.endswith("\r") else "\n") + indent
        return start.join((first, *kept))


@dataclass(frozen=True, slots=True)
class Set:
    """Replace the value at `path`."""

    path: JsonPath
    value: Any


@dataclass(frozen=True, slots=True)
class Insert:
    """Add what is to be at `path` after `after` in the same object or array; first if that is None.

    The last steps are the keys of members, or the numbers of items.
    """

    path: JsonPath
    value: Any
    after: str | int | None


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove the member of an object at `path`."""

    path: JsonPath


@dataclass(frozen=True, slots=True)
class Move:
    """Move the member `path`, as it is written, to behind the member `after` of its object."""

    path: JsonPath
    after: str


Edit: TypeAlias = Set | Insert | Remove | Move


@dataclass(frozen=True, slots=True)
class _Change:
    start: int
    end: int
    new: str
    alone: bool = False  # the first in something empty: no comma, unless another follows


_SPACE = " \t\r\n"


def edit(source: SourceMap, edits: Iterable[Edit], where: str) -> str:
    """The text of `source` with `edits` done. `where` is the file, for messages.

    Raises:
        InputError: An edit addresses something that is not there.
    """
    edits = list(edits)
    removals = list(dict.fromkeys(e.path for e in edits if isinstance(e, Remove)))
    others = (e for e in edits if not isinstance(e, Remove))
    text = _applied(source.text, [c for e in others for c in _changes(source, e, where)], where)
    return _applied(text, list(_removals(SourceMap(text), removals, where)), where)


def reaches(source: SourceMap, edit: Edit) -> bool:
    """Whether all that `edit` speaks of is there, and where it stands is known."""
    match edit:
        case Set() | Remove():
            needed = [edit.path]
        case Move():
            needed = [edit.path, (*edit.path[:-1], edit.after)]
        case Insert():
            parent = edit.path[:-1]
            needed = [parent if edit.after is None else (*parent, edit.after)]
    return all(source.find(path) is not None for path in needed)


def _applied(text: str, changes: list[_Change], where: str) -> str:
    # Stable: what is added at one place keeps its order.
    changes.sort(key=lambda c: (c.start, c.end))
    parts: list[str] = []
    done = 0
    for i, change in enumerate(changes):
        if change.start < done:
            raise InputError(f"{where}: two edits of one place", help="Make them one by one.")
        more = change.alone and i + 1 < len(changes) and changes[i + 1].start == change.start
        parts += [text[done : change.start], change.new, "," if more else ""]
        done = change.end
    return "".join((*parts, text[done:]))


def _changes(source: SourceMap, edit: Set | Insert | Move, where: str) -> tuple[_Change, ...]:
    match edit:
        case Set():
            member = _find(source, edit.path, where)
            return (_Change(member.start, member.end, _encoded(edit.value, source)),)
        case Insert():
            return (_insert(source, edit, where),)
        case Move():
            written = Raw.of(source, edit.path, where)
            added = _insert(source, Insert(edit.path, written, edit.after), where)
            return (*_removals(source, [edit.path], where), added)


def _insert(source: SourceMap, edit: Insert, where: str) -> _Change:
    """What is added, with its comma."""
    *parent, key = edit.path
    neighbour = None
    if edit.after is not None:
        purpose = f"to put `{key}` after" if isinstance(key, str) else ""
        neighbour = _find(source, (*parent, edit.after), where, purpose)
    at, gap = _place(source, tuple(parent), neighbour, where)
    new = _indented(edit.value, gap, len(edit.path), source)
    if isinstance(key, str):
        written = edit.value.key if isinstance(edit.value, Raw) else None
        new = f"{written or _encoded(key, source)}{_colon(source, neighbour)}{new}"
    if neighbour is not None:
        return _Change(at, at, f",{gap}{new}")
    alone = source.text[at + len(_space_at(source.text, at))] in "]}"
    return _Change(at, at, f"{gap}{new}" if alone else f"{gap}{new},", alone)


def _place(
    source: SourceMap, parent: JsonPath, neighbour: Member | None, where: str
) -> tuple[int, str]:
    """The offset at which something is added, and the white space that sets it off there."""
    if neighbour is not None:
        start = neighbour.start if neighbour.key_start is None else neighbour.key_start
        before = start
        while source.text[before - 1] in _SPACE:  # an outer bracket stands before it
            before -= 1
        return neighbour.end, source.text[before:start]
    inside = _find(source, parent, where).start + 1
    return inside, _space_at(source.text, inside)


def _space_at(text: str, at: int) -> str:
    """The white space that begins at an offset."""
    end = at
    while text[end] in _SPACE:  # a bracket ends every text that is edited
        end += 1
    return text[at:end]


def _colon(source: SourceMap, neighbour: Member | None) -> str:
    """What stands between a key and its value, as the neighbour has it."""
    if neighbour is None or neighbour.key_start is None:
        return ": "
    return source.text[neighbour.key_start : neighbour.start].rpartition('"')[2]


def _removals(source: SourceMap, paths: Iterable[JsonPath], where: str) -> Iterator[_Change]:
    """Nothing where members stand, with the commas that set them off."""
    objects: dict[JsonPath, list[Member]] = {}
    for path in paths:
        objects.setdefault(path[:-1], []).append(_find(source, path, where))
    for members in objects.values():
        for first, last in _runs(source.text, members):
            yield _removed(source.text, first, last)


def _runs(text: str, members: Iterable[Member]) -> list[tuple[Member, Member]]:
    """The first and the last of members of one object between which no other stands."""
    runs: list[tuple[Member, Member]] = []
    for member in sorted(members, key=lambda m: m.start):
        if runs and _next_to(text, runs[-1][1]) == member.key_start:
            runs[-1] = (runs[-1][0], member)
        else:
            runs.append((member, member))
    return runs


def _next_to(text: str, member: Member) -> int | None:
    """Where the member behind another one begins; None behind the last."""
    comma = member.end + len(_space_at(text, member.end))
    return comma + 1 + len(_space_at(text, comma + 1)) if text[comma] == "," else None


def _removed(text: str, first: Member, last: Member) -> _Change:
    """Nothing where a run of members stands, with the comma that sets it off."""
    assert first.key_start is not None  # a member of an object
    before = first.key_start
    while text[before - 1] in _SPACE:
        before -= 1
    if text[before - 1] == ",":
        return _Change(before - 1, last.end, "")
    behind = _next_to(text, last)
    if behind is not None:
        return _Change(first.key_start, behind, "")
    return _Change(before, last.end, "")  # all that there are


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
    if isinstance(value, Raw):
        return value.placed(gap)
    if not isinstance(value, dict) or not value or "\n" not in gap:
        return _encoded(value, source)
    indent = gap.rpartition("\n")[2]
    step = "\t" if "\t" in indent else " " * max(1, len(indent) // depth)
    lines = f",{gap}{step}".join(
        f"{json.dumps(k)}: {_encoded(v, source)}" for k, v in value.items()
    )
    return f"{{{gap}{step}{lines}{gap}}}"
