# SPDX-License-Identifier: Apache-2.0
"""The outline of documents: which values are alike, by a path in which a wildcard replaces keys.

An object is a record, whose keys are names of fields, or a map, whose keys name its values. It is
a map if its values are objects with common keys, if its keys are names of models, or if all of
its values are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Final, TypeAlias

from provenance.artifacts import digest
from provenance.artifacts.documents.strict_json import JsonPath
from provenance.frozen import dataclass
from provenance.registry.rows import MODEL_SUFFIX

MAX_CHILDREN: Final = 2_000
"""Elements of a list or an object that are looked at. Structure repeats itself."""

MAX_NODES: Final = 400_000
"""Values that are looked at."""

MAX_STEPS: Final = 12
"""Steps of a path."""

Step: TypeAlias = str | tuple[str, ...] | None
"""A name, None for a wildcard, or several names."""

Pattern: TypeAlias = tuple[Step, ...]

_CONTAINERS: Final = frozenset(
    (
        *("artifacts", "assets", "checkpoints", "data", "detectors", "entries", "files", "index"),
        *("items", "manifest", "model", "models", "networks", "packages", "registry", "sources"),
        *("variants", "versions", "voices", "weights", "zoo"),
    )
)
"""Keys that say what is below them. They are not part of an id."""

_DATA: Final = "external_data_sha256"
"""A field whose value is an object: its keys are not looked at."""

_SAYS_DIGEST: Final = re.compile("sha|md5|digest|hash|checksum|sum|blake|commit|revision")
"""What keys contain that name digests of one file."""

_FILE_NAME: Final = re.compile(r"[^\n]{1,512}\.[A-Za-z0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class Item:
    """A value of a document.

    Attributes:
        document: The number of the document.
        location: Where the value is in it.
        value: The value.
    """

    document: int
    location: JsonPath
    value: Any

    def place(self, depth: int) -> tuple[int, JsonPath]:
        """Return the document and the location of the node around it that is `depth` deep."""
        return self.document, self.location[:depth]


class Outline:
    """The values of documents below some nodes, by their pattern.

    Attributes:
        nodes: The objects and values at each pattern that ends in a wildcard, and at the start.
        leaves: The strings, numbers and booleans at each pattern.
        maps: The patterns whose last step is a wildcard over the keys of an object.
        records: The keys of the objects at each pattern, with the number of objects that have them.
    """

    def __init__(self, nodes: Sequence[Item], *, is_row: bool = False) -> None:
        """Look at the values below `nodes`. If they are rows, they are records."""
        self.nodes: dict[Pattern, list[Item]] = {(): list(nodes)}
        self.leaves: dict[Pattern, list[Item]] = {}
        self.maps: set[Pattern] = set()
        self.records: dict[Pattern, Counter[str]] = {}
        self._left = MAX_NODES
        waiting: list[tuple[Pattern, list[Item]]] = [((), list(nodes))]
        while waiting and self._left > 0:
            pattern, items = waiting.pop()
            waiting += reversed(self._visit(pattern, items, is_row and not pattern))

    def _visit(
        self, pattern: Pattern, items: list[Item], is_row: bool
    ) -> list[tuple[Pattern, list[Item]]]:
        self._left -= len(items)
        plain = [i for i in items if not isinstance(i.value, (dict, list))]
        if plain:
            self.leaves.setdefault(pattern, []).extend(plain)
        if len(pattern) >= MAX_STEPS:
            return []
        below: dict[Pattern, list[Item]] = {}
        lists = [i for i in items if isinstance(i.value, list)]
        objects = [i for i in items if isinstance(i.value, dict)]
        wild = (*pattern, None)
        for item in lists:
            for number, value in enumerate(item.value[:MAX_CHILDREN]):
                below.setdefault(wild, []).append(
                    Item(item.document, (*item.location, number), value)
                )
        maps, records = ([], objects) if is_row else _parted(objects)
        if maps:
            self.maps.add(wild)
        for item in maps:
            for key, value in islice(item.value.items(), MAX_CHILDREN):
                below.setdefault(wild, []).append(Item(item.document, (*item.location, key), value))
        for item in records:
            self.records.setdefault(pattern, Counter()).update(item.value.keys())
            self._members(pattern, item, below)
        if wild in below:
            self.nodes.setdefault(wild, []).extend(below[wild])
        return list(below.items())

    def _members(self, pattern: Pattern, item: Item, below: dict[Pattern, list[Item]]) -> None:
        for key, value in islice(item.value.items(), MAX_CHILDREN):
            child = Item(item.document, (*item.location, key), value)
            if key == _DATA and isinstance(value, dict):
                self.leaves.setdefault((*pattern, key), []).append(child)
            else:
                below.setdefault((*pattern, key), []).append(child)


def _parted(objects: list[Item]) -> tuple[list[Item], list[Item]]:
    """Return the maps and the records among the objects at one pattern.

    They are all of one kind, except for a few records among maps of objects.
    """
    if objects and is_map([item.value for item in objects]):
        return objects, []
    of_objects = [i for i in objects if all(isinstance(v, dict) for v in i.value.values())]
    few = 0 < 4 * (len(objects) - len(of_objects)) <= len(of_objects)
    if few and is_map([item.value for item in of_objects]):
        known = {id(item) for item in of_objects}
        return of_objects, [item for item in objects if id(item) not in known]
    return [], objects


def is_map(objects: Sequence[dict[str, Any]], levels: int = 6) -> bool:
    """Return whether the keys of objects at the same pattern name their values.

    At most so many `levels` below them are looked at.
    """
    keys = dict.fromkeys(k for one in objects for k in islice(one, MAX_CHILDREN))
    values = [v for one in objects for v in islice(one.values(), MAX_CHILDREN)]
    if not values:
        return False
    if any(k.endswith(MODEL_SUFFIX) for k in keys) and all(map(_FILE_NAME.fullmatch, keys)):
        return True
    if len(values) > 1 and all(isinstance(v, str) and v.endswith(MODEL_SUFFIX) for v in values):
        return True
    if len(values) > 1 and all(map(is_digest, values)):
        return not any(_SAYS_DIGEST.search(k.lower()) for k in keys)
    if not all(isinstance(v, dict) and v for v in values):
        return False
    if len(keys) > 1:
        return _share_keys(values)
    (key,) = keys
    if levels <= 0 or key.lower() in _CONTAINERS or not is_map(values, levels - 1):
        return False
    return _of_objects(values, levels - 1)


def is_digest(value: object) -> bool:
    """Return whether a value is a digest in any known spelling."""
    return digest.parse(value) is not None


def _of_objects(maps: Sequence[dict[str, Any]], levels: int) -> bool:
    """Return whether the values of maps are maps themselves, so that the keys only group."""
    values = [v for one in maps for v in islice(one.values(), MAX_CHILDREN)]
    return all(isinstance(v, dict) for v in values) and is_map(values, levels)


def _share_keys(objects: Iterable[dict[str, Any]]) -> bool:
    """Return whether objects have a common key, or are maps of objects that have."""
    level = list(objects)
    for _ in range(MAX_STEPS):
        counted = Counter(key for one in level for key in islice(one, MAX_CHILDREN))
        if counted.most_common(1)[0][1] * 2 > len(level):
            return True
        below = [v for one in level for v in islice(one.values(), MAX_CHILDREN)]
        if len(below) > MAX_NODES or not all(isinstance(v, dict) and v for v in below):
            return False
        level = below
    return False
