# SPDX-License-Identifier: Apache-2.0
"""The folder that the files of a mapping are relative to, and the references to their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from provenance.operations.adoption import columns as fields_
from provenance.operations.adoption import places
from provenance.operations.adoption.columns import Line
from provenance.operations.adoption.disk import Disk, State
from provenance.operations.adoption.documents import Document
from provenance.operations.adoption.file_sets import FileSet


def base_of(
    sets: Sequence[FileSet], documents: Sequence[Document], depth: int
) -> tuple[str | None, list[str]]:
    """Return the base, and what stands before the name of each set, relative to the base."""
    found = [one.resolved.prefix for one in sets]
    folders = dict.fromkeys(d.folder for d in documents)
    here = [n for n, one in enumerate(sets) if one.resolved.distinct]
    absolute = {n: found[n] for n in here if found[n] not in (places.OWN, places.ONNX_FOLDER)}
    own = [n for n in here if found[n] == places.OWN]
    prefixes = ["" for _ in sets]
    for number, prefix in enumerate(found):
        if prefix == places.ONNX_FOLDER:
            prefixes[number] = f"{places.ONNX_FOLDER}/"
    for number, one in enumerate(sets):
        if number not in here and not one.is_remote and _is_repeated(one, depth):
            prefixes[number] = f"{places.ID}/"
    if not absolute:
        return None, prefixes
    if len(folders) == 1:
        (folder,) = folders
        statics = dict.fromkeys(places.static(p) for p in absolute.values())
        if own:
            statics[folder] = None
        base = places.common(statics)
        for number, prefix in absolute.items():
            prefixes[number] = _slash(places.below(base, prefix))
        for number in own:
            prefixes[number] = _slash(places.below(base, folder))
        return (None if base == folder else base), prefixes
    statics = dict.fromkeys(places.static(p) for p in absolute.values())
    base = "." if own else places.common(statics)
    for number, prefix in absolute.items():
        prefixes[number] = _slash(places.below(base, prefix))
    for number in own:
        prefixes[number] = "{index|folder}/"
    return base, prefixes


def path_lines(one: FileSet, prefix: str, disk: Disk) -> tuple[Line, Line | None]:
    """Return the line for the path of a set, and that for its address if both are in one."""
    text = _own_text(one)
    if one.resolved.by_name:
        if not one.resolved.distinct:
            comment = f"{len(one.written):,} addresses; no file of them is here"
            return Line("url", text, comment), None
        name = f"{{{in_braces(one)[1:-1]}|name}}"
        path = Line("path", f"{prefix}{name}", here(one.paths, disk))
        return path, Line("url", text)
    if prefix:
        text = f"{prefix}{in_braces(one)}"
    return Line("path", text, here(one.paths, disk)), None


def _is_repeated(one: FileSet, depth: int) -> bool:
    """Return whether different rows name files alike, such as `model.onnx` in folders of theirs."""
    rows: dict[str, set[tuple[int, Any]]] = {}
    for name, item in zip(one.written, one.items, strict=True):
        rows.setdefault(name, set()).add(item.place(depth))
    return one.node != () and any(len(found) > 1 for found in rows.values())


def _own_text(one: FileSet) -> str:
    if one.is_key:
        return "~"
    return fields_.reference(one.names) if one.names else "$"


def in_braces(one: FileSet) -> str:
    """Return the reference to the names of a set in a template."""
    return "{~}" if one.is_key else f"{{{fields_.path_text(one.names)}}}"


def _slash(prefix: str) -> str:
    return f"{prefix}/" if prefix else ""


def here(paths: Sequence[str | None], disk: Disk) -> str:
    """Return how many of the files are on disk, as a comment."""
    found = [disk.look(path).state for path in paths if path is not None]
    if not found:
        return "not proved: no file of it is here"
    pointers = found.count(State.POINTER)
    suffix = f", {pointers:,} as Git LFS pointers" if pointers else ""
    if len(paths) == 1:
        return f"proved: the file is here{suffix and ', as a Git LFS pointer'}"
    return f"proved: {len(found):,} of {len(paths):,} files are here{suffix}"
