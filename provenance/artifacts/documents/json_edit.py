# SPDX-License-Identifier: Apache-2.0
"""Edit JSON text with minimal diffs: parts that are not edited keep every character.

New members are formatted like their neighbours.
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
    """A value from another JSON text, with its escapes and number formats.

    Attributes:
        text: The value as written.
        indent: The white space at the start of its first line.
        key: The key of the member as written, or None for an item of an array.
    """

    text: str
    indent: str = ""
    key: str | None = None

    @classmethod
    def of(cls, source: SourceMap, path: JsonPath, where: str) -> Raw:
        """Return the value at `path` of another text. Raises InputError if it is missing."""
        member = _find(source, path, where)
        start = _start(member)
        line = start + 1 - source.position(start).column
        key = None
        if member.key_start is not None:
            end = source.text.rindex('"', start, member.start) + 1
            key = source.text[start:end]
        return cls(source.text[member.start : member.end], _space_at(source.text, line), key)

    def placed(self, gap: str) -> str:
        """Return the text for a place that `gap` precedes, with its lines indented to match."""
        newline, found, indent = gap.rpartition("\n")
        first, *lines = self.text.replace("\r\n", "\n").split("\n")  # strings have no line ends
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
    """Add the value at `path`, after the sibling `after`, or as the first if that is None.

    The last step of `path`, and `after`, are keys of an object or indices of an array.
    """

    path: JsonPath
    value: Any
    after: str | int | None


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove the member of an object, or the element of an array, at `path`."""

    path: JsonPath


@dataclass(frozen=True, slots=True)
class Move:
    """Move the member at `path`, as it is written, behind the member `after` of its object."""

    path: JsonPath
    after: str


Edit: TypeAlias = Set | Insert | Remove | Move


@dataclass(frozen=True, slots=True)
class _Change:
    start: int
    end: int
    new: str
    alone: bool = False  # the first in an empty container: no comma, unless another follows


_SPACE = " \t\r\n"


def edit(source: SourceMap, edits: Iterable[Edit], where: str) -> str:
    """Return the text of `source` after `edits`. `where` is the file, for messages.

    Raises:
        InputError: If an edit addresses a value that is missing, or two edits overlap.
    """
    edits = list(edits)
    removals = list(dict.fromkeys(e.path for e in edits if isinstance(e, Remove)))
    others = (e for e in edits if not isinstance(e, Remove))
    text = _applied(source.text, [c for e in others for c in _changes(source, e, where)], where)
    return _applied(text, list(_removals(SourceMap(text), removals, where)), where)


def reaches(source: SourceMap, edit: Edit) -> bool:
    """Return whether all values that `edit` addresses exist and have a known position."""
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
    # The sort is stable: insertions at one place keep their order.
    changes.sort(key=lambda c: (c.start, c.end))
    parts: list[str] = []
    done = 0
    for i, change in enumerate(changes):
        if change.start < done:
            raise InputError(f"{where}: two edits overlap", help="Make one edit at a time.")
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
    """Return the change that inserts a value with its comma."""
    *parent, key = edit.path
    neighbour = None
    if edit.after is not None:
        purpose = f"cannot put `{key}` after it" if isinstance(key, str) else ""
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
    """Return the offset at which a value is inserted, and the white space that precedes it."""
    if neighbour is not None:
        start = before = _start(neighbour)
        while source.text[before - 1] in _SPACE:  # ends at a bracket or comma
            before -= 1
        return neighbour.end, source.text[before:start]
    inside = _find(source, parent, where).start + 1
    return inside, _space_at(source.text, inside)


def _space_at(text: str, at: int) -> str:
    """Return the white space that begins at an offset."""
    end = at
    while text[end] in _SPACE:  # ends at the closing bracket at the latest
        end += 1
    return text[at:end]


def _colon(source: SourceMap, neighbour: Member | None) -> str:
    """Return the separator between a key and its value, as in the neighbour."""
    if neighbour is None or neighbour.key_start is None:
        return ": "
    return source.text[neighbour.key_start : neighbour.start].rpartition('"')[2]


def _removals(source: SourceMap, paths: Iterable[JsonPath], where: str) -> Iterator[_Change]:
    """Yield the changes that remove members and elements, with their commas."""
    objects: dict[JsonPath, list[Member]] = {}
    for path in paths:
        objects.setdefault(path[:-1], []).append(_find(source, path, where))
    for members in objects.values():
        for first, last in _runs(source.text, members):
            yield _removed(source.text, first, last)


def _runs(text: str, members: Iterable[Member]) -> list[tuple[Member, Member]]:
    """Return the first and the last member of each run of adjacent members in one container."""
    runs: list[tuple[Member, Member]] = []
    for member in sorted(members, key=lambda m: m.start):
        if runs and _next_to(text, runs[-1][1]) == _start(member):
            runs[-1] = (runs[-1][0], member)
        else:
            runs.append((member, member))
    return runs


def _start(member: Member) -> int:
    """Return where a member begins: at its key, or in an array at its value."""
    return member.start if member.key_start is None else member.key_start


def _next_to(text: str, member: Member) -> int | None:
    """Return where the member after another one begins, or None after the last."""
    comma = member.end + len(_space_at(text, member.end))
    return comma + 1 + len(_space_at(text, comma + 1)) if text[comma] == "," else None


def _removed(text: str, first: Member, last: Member) -> _Change:
    """Return the change that removes a run of members with one comma."""
    start = before = _start(first)
    while text[before - 1] in _SPACE:
        before -= 1
    if text[before - 1] == ",":
        return _Change(before - 1, last.end, "")
    behind = _next_to(text, last)
    if behind is not None:
        return _Change(start, behind, "")
    return _Change(before, last.end, "")  # the container is empty then


def _find(source: SourceMap, path: JsonPath, where: str, purpose: str = "") -> Member:
    member = source.find(path)
    if member is None:
        shown = ".".join(map(str, path)) or "the file"
        raise InputError(f"{where}: `{shown}` is missing{f'; {purpose}' if purpose else ''}")
    return member


def _encoded(value: Any, source: SourceMap) -> str:
    if isinstance(value, Raw):
        return value.text
    return json.dumps(value, ensure_ascii=source.text.isascii())


def _indented(value: Any, gap: str, depth: int, source: SourceMap) -> str:
    """Encode a value, with one line for each member if the file is formatted like that."""
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
