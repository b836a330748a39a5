# SPDX-License-Identifier: Apache-2.0
"""Find the folder that the file names of an index are relative to, by the files on disk.

It can be the folder of the index, the root, any other folder, a folder of each row that its id
names, or the folder of the row's model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from provenance.artifacts import paths
from provenance.frozen import dataclass
from provenance.operations.adoption.disk import Disk
from provenance.registry.references import part_of
from provenance.registry.rows import MODEL_SUFFIX

OWN: Final = ""
"""The folder of the index file, as a prefix."""

ID: Final = "{id}"
ONNX_FOLDER: Final = "{onnx|folder}"

_SAMPLE: Final = 40
_SAME_NAME: Final = 200
_MAX_PREFIXES: Final = 60


@dataclass(frozen=True, slots=True)
class Named:
    """A file as an index names it.

    Attributes:
        name: The name or address.
        folder: The folder of the index file.
        id: The id of the row, or None.
        model: The path of the row's model on disk, or None.
    """

    name: str
    folder: str
    id: str | None = None
    model: str | None = None


@dataclass(frozen=True)
class Resolved:
    """Where the files of an index are.

    Attributes:
        prefix: The folder relative to the root, with `ID` or `ONNX_FOLDER` in it; or `OWN`.
        by_name: Whether only the last segment of each name counts.
        paths: For each name, the path of the file on disk, or None if it is not there.
    """

    prefix: str
    by_name: bool
    paths: tuple[str | None, ...]

    @property
    def distinct(self) -> int:
        """The number of different files that are on disk."""
        return len({path for path in self.paths if path is not None})


def is_address(text: str) -> bool:
    """Return whether a name is an address."""
    return "://" in text


def resolve(names: Sequence[Named], disk: Disk, *, beside_model: bool = False) -> Resolved:
    """Return where the files with these names are.

    The prefix with the most different files is chosen, the simpler one of equals.
    """
    by_name = bool(names) and all(is_address(one.name) for one in names)
    best: Resolved | None = None
    for prefix in _prefixes(names, disk, by_name, beside_model):
        found = tuple(_path(one, prefix, by_name, disk) for one in names)
        one = Resolved(prefix, by_name, found)
        if best is None or _score(one) > _score(best):
            best = one
        if None not in best.paths and best.distinct == len(names):
            break
    return best or Resolved(OWN, by_name, tuple(None for _ in names))


def _score(one: Resolved) -> tuple[int, int]:
    return one.distinct, sum(path is not None for path in one.paths)


def _path(one: Named, prefix: str, by_name: bool, disk: Disk) -> str | None:
    folder = _folder(one, prefix)
    if folder is None or (is_address(one.name) and not by_name):
        return None
    name = part_of(one.name, "name") if by_name else one.name
    if not name or paths.unsafe_reason(name) is not None:
        return None
    path = paths.join(folder, name)
    return path if disk.has(path) else None


def _folder(one: Named, prefix: str) -> str | None:
    if prefix == OWN:
        return one.folder
    if prefix == ONNX_FOLDER:
        return None if one.model is None else one.model.rpartition("/")[0] or "."
    if ID in prefix:
        return None if one.id is None else prefix.replace(ID, one.id)
    return prefix


def _prefixes(
    names: Sequence[Named], disk: Disk, by_name: bool, beside_model: bool
) -> Iterator[str]:
    yield OWN
    if beside_model:
        yield ONNX_FOLDER
    yield "."
    counted: Counter[str] = Counter()
    ids = {one.id for one in names if one.id}
    for one in names[:_SAMPLE]:
        counted.update(dict.fromkeys(_prefixes_of(one, disk, by_name, ids), 1))
    # Few folders are named by ids. Of equally frequent prefixes, that nearest to the root is first.
    ordered = sorted(counted, key=lambda p: (ID not in p, -counted[p], p.count("/"), p))
    yield from ordered[:_MAX_PREFIXES]


def _prefixes_of(one: Named, disk: Disk, by_name: bool, ids: Collection[str]) -> Iterator[str]:
    """Yield the folders in which a file with this name is, also with the id of a row replaced."""
    name = part_of(one.name, "name") if by_name else one.name.removeprefix("./")
    last = name.rpartition("/")[2]
    for path in disk.listing.by_name.get(last, ())[:_SAME_NAME]:
        if path == name or path.endswith(f"/{name}"):
            prefix = path[: len(path) - len(name)].rstrip("/") or "."
            yield prefix
            segments = prefix.split("/")
            for id in {one.id, *(segment for segment in segments if segment in ids)}:
                replaced = _with_id(prefix, id)
                if replaced is not None:
                    yield replaced


def _with_id(folder: str, id: str | None) -> str | None:
    """Return a folder with the id in place of its segments that are the id, or None."""
    if not id or f"/{id}/" not in f"/{folder}/":
        return None
    return f"/{folder}/".replace(f"/{id}/", f"/{ID}/").strip("/")


def by_id(rows: Sequence[tuple[str, str]], disk: Disk) -> tuple[str, tuple[str | None, ...]] | None:
    """Return a template with the id for the models of rows that name no file, and their paths.

    Args:
        rows: The id and the folder of the index file of each row.
        disk: The files.
    """
    counted: Counter[str] = Counter()
    for id, _ in rows[:_SAMPLE]:
        for path in disk.listing.models.get(id.rpartition("/")[2], ()):
            counted.update(_templates(path, id))
    best: tuple[str, tuple[str | None, ...]] | None = None
    found = 0
    for template in sorted(counted, key=lambda t: (-counted[t], t.count("/"), t))[:_MAX_PREFIXES]:
        named = (template.replace(ID, id) for id, _ in rows)
        there = tuple(path if disk.has(path) else None for path in named)
        number = len({path for path in there if path is not None})
        if number > found:
            best, found = (template, there), number
    return best


def _templates(path: str, id: str) -> Iterator[str]:
    folder, _, name = path.rpartition("/")
    stem = name.removesuffix(MODEL_SUFFIX)
    where = _with_id(folder, id) or folder
    if stem == id:
        yield f"{where}/{ID}{MODEL_SUFFIX}".lstrip("/")
    elif ID in where:
        yield f"{where}/{name}"


def static(prefix: str) -> str:
    """Return the folder of a prefix before its first placeholder; "." for the root."""
    if "{" not in prefix:
        return prefix
    return prefix[: prefix.index("{")].rpartition("/")[0] or "."


def below(base: str, prefix: str) -> str:
    """Return a prefix relative to `base`, which is a folder that it begins with."""
    if base == ".":
        return "" if prefix == "." else prefix
    return prefix[len(base) :].lstrip("/")


def common(folders: Mapping[str, None]) -> str:
    """Return the deepest folder that contains all of `folders`."""
    segments = [[] if f == "." else f.split("/") for f in folders]
    shared = segments[0] if segments else []
    for one in segments[1:]:
        count = 0
        while count < min(len(shared), len(one)) and shared[count] == one[count]:
            count += 1
        shared = shared[:count]
    return "/".join(shared) or "."
