# SPDX-License-Identifier: Apache-2.0
"""Find the files that rows name: their models, further files, and files beside the models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from provenance.frozen import dataclass
from provenance.operations.adoption import places
from provenance.operations.adoption.columns import (
    Column,
    Names,
    columns,
    is_expressible,
    is_literal,
    stem,
    words_of,
)
from provenance.operations.adoption.digests import Digests, digests_of
from provenance.operations.adoption.disk import Disk
from provenance.operations.adoption.documents import Document
from provenance.operations.adoption.ids import Id
from provenance.operations.adoption.outline import Item, Outline, Pattern
from provenance.operations.adoption.places import Named, Resolved, is_address
from provenance.operations.adoption.structure import is_model, is_name
from provenance.registry.references import is_silent, part_of
from provenance.registry.rows import MODEL_SUFFIX

_COMPANIONS: Final = frozenset(
    (
        *("labels", "label", "classes", "config", "configuration", "tokenizer", "vocab", "anchors"),
        *("vocabulary", "preprocessor", "dictionary", "dict", "charset", "merges", "data"),
    )
)
"""Words of fields that name files beside a model."""


_USUAL_COMPANIONS: Final = frozenset(
    (
        *("config.json", "generation_config.json", "preprocessor_config.json", "labels.txt"),
        *("labels.json", "classes.txt", "tokenizer.json", "tokenizer_config.json", "vocab.txt"),
        *("vocab.json", "merges.txt", "special_tokens_map.json", "tokenizer.model", "spm.model"),
    )
)
"""Names of files that are usually needed with the model beside them."""


_MAX_SETS: Final = 40
"""Fields with names of files that are looked at for each list."""


@dataclass(frozen=True)
class FileSet:
    """The files that one field of the rows, or of nodes below them, names.

    Attributes:
        node: The path from the row to the nodes that name a file each.
        names: The path from such a node to the name.
        is_key: Whether the key of the node is the name.
        items: The nodes' values or the keys' nodes.
        written: The names as written.
        resolved: Where the files are.
    """

    node: Pattern
    names: Names
    is_key: bool
    items: tuple[Item, ...]
    written: tuple[str, ...]
    resolved: Resolved

    @property
    def models(self) -> int:
        """The number of names of ONNX models."""
        return sum(is_model(name) for name in self.written)

    @property
    def is_remote(self) -> bool:
        """Whether all names are addresses."""
        return all(map(is_address, self.written))

    @property
    def depth(self) -> int:
        """The number of steps from a node to its name."""
        return len(self.names)

    def places(self) -> list[tuple[int, Any]]:
        """Return the place of each node."""
        return [item.place(len(item.location) - self.depth) for item in self.items]

    @property
    def paths(self) -> tuple[str | None, ...]:
        """The path of each file on disk, or None."""
        return self.resolved.paths


class RowFiles:
    """Finds the sets of files that rows name.

    Attributes:
        outline: What is below the rows.
        fields: The fields of the rows.
    """

    def __init__(
        self,
        rows: Sequence[Item],
        depth: int,
        documents: Sequence[Document],
        disk: Disk,
        *,
        has_key: bool,
    ) -> None:
        """Look at rows that are `depth` steps deep in their documents.

        `has_key` says whether their keys name them.
        """
        self.outline = Outline(rows, is_row=True)
        self._at = {(row.document, row.location): n for n, row in enumerate(rows)}
        self.fields = columns(self.outline, (), list(self._at))
        self._depth, self._documents, self._disk = depth, documents, disk
        self._has_key = has_key

    def sets(self, id: Id | None) -> list[FileSet]:
        """Return the sets of files that rows name, the models first."""
        found = sorted(self._candidates(id), key=_rank, reverse=True)
        models = [one for one in found if one.models]
        if not models:
            return []
        if not found[0].models:
            found = [*models, *(one for one in found if not one.models)]
        taken = [found[0]]
        for one in found[1:_MAX_SETS]:
            if self._is_further(one, taken):
                taken.append(one)
        return self._beside_models(taken)

    def _candidates(self, id: Id | None) -> Iterator[FileSet]:
        for pattern, items in self.outline.leaves.items():
            strings = [i for i in items if isinstance(i.value, str) and not is_silent(i.value)]
            named = [i for i in strings if is_name(i.value)]
            mixed = pattern in self.outline.records or (*pattern, None) in self.outline.nodes
            if mixed or not is_expressible(pattern):
                continue
            if named and 2 * len(named) >= len(strings):
                yield self._set(pattern, named, id)
        maps = [*self.outline.maps, *([()] if self._has_key else [])]
        for pattern in maps:
            nodes = self.outline.nodes.get(pattern, [])
            keys = [str(i.location[-1]) for i in nodes]
            if 2 * sum(map(is_name, keys)) >= len(keys) > 0 and not any(map(is_address, keys)):
                yield self._set(pattern, nodes, id, is_key=True)

    def _set(
        self, pattern: Pattern, items: list[Item], id: Id | None, *, is_key: bool = False
    ) -> FileSet:
        wild = [number for number, step in enumerate(pattern) if step is None]
        node = pattern if is_key else pattern[: wild[-1] + 1] if wild else ()
        names = tuple(step for step in pattern[len(node) :] if isinstance(step, str))
        written = tuple(str(i.location[-1]) if is_key else i.value for i in items)
        named = [
            Named(text, self._documents[i.document].folder, self._id_of(i, id))
            for text, i in zip(written, items, strict=True)
        ]
        resolved = places.resolve(named, self._disk)
        return FileSet(node, names, is_key, tuple(items), written, resolved)

    def _id_of(self, item: Item, id: Id | None) -> str | None:
        number = self._at.get(item.place(self._depth))
        return None if id is None or number is None else id.values[number]

    def _is_further(self, one: FileSet, taken: Sequence[FileSet]) -> bool:
        """Return whether a set has files that belong to the rows, beside those of other sets."""
        others = {path for other in taken for path in other.paths if path is not None}
        new = {path for path in one.paths if path is not None} - others
        same_node = any(other.node == one.node for other in taken)
        if not new:
            return not one.resolved.distinct and self._is_apart(one, taken)
        if one.models and not (same_node and one.is_remote):
            return True
        words = {*words_of(one.names[-1])} if one.names else set()
        if words & _COMPANIONS and not one.is_remote:
            return True
        found = self.columns_of(one)
        return any(d.proved for _, d in digests_of(found, one.paths, self._disk))

    def _is_apart(self, one: FileSet, taken: Sequence[FileSet]) -> bool:
        """Return whether files that are not here are others than those of the taken sets."""
        if one.is_remote or (one.is_key and one.node == ()):
            return False
        lasts = {part_of(name, "name") for other in taken for name in other.written}
        if any(part_of(name, "name") in lasts for name in one.written):
            return False
        return one.node == () and any(
            stem(one.names[-1:]) == stem(c.names[-1:]) for c, _ in self.digests(one)
        )

    def digests(self, one: FileSet) -> list[tuple[Column, Digests]]:
        """Return the fields that could be the digests of a set."""
        return digests_of(self.columns_of(one), one.paths, self._disk)

    def columns_of(self, one: FileSet) -> list[Column]:
        """Return the fields of the nodes that name the files of a set."""
        return columns(self.outline, one.node, one.places())

    def _beside_models(self, taken: list[FileSet]) -> list[FileSet]:
        """Return the sets, and those of files that are relative to the folder of the model."""
        main = taken[0]
        if main.node != ():
            return taken
        models = {
            item.place(self._depth): p for item, p in zip(main.items, main.paths, strict=True)
        }
        for number, one in enumerate(taken[1:], 1):
            if one.resolved.prefix not in (places.OWN, ".") and not one.is_remote:
                again = places.resolve(self._named(one, models), self._disk, beside_model=True)
                if again.prefix == places.ONNX_FOLDER:
                    taken[number] = replace(one, resolved=again)
        known = {path for one in taken for path in one.paths}
        for pattern, items in self.outline.leaves.items():
            named = [i for i in items if isinstance(i.value, str) and is_name(i.value)]
            if not named or any(one.node + one.names == pattern for one in taken):
                continue
            last = pattern[-1] if pattern else None
            words = {*words_of(last)} if isinstance(last, str) else set()
            if any(is_address(i.value) for i in named) or not (
                words & _COMPANIONS or None in pattern
            ):
                continue
            one = self._set(pattern, named, None)
            resolved = places.resolve(self._named(one, models), self._disk, beside_model=True)
            if resolved.distinct and not known & {*resolved.paths} - {None}:
                taken.append(replace(one, resolved=resolved))
        return taken

    def _named(self, one: FileSet, models: Mapping[tuple[int, Any], str | None]) -> list[Named]:
        """Return the names of a set, each with the model of its row."""
        return [
            Named(
                text,
                self._documents[item.document].folder,
                model=models.get(item.place(self._depth)),
            )
            for text, item in zip(one.written, one.items, strict=True)
        ]

    def companions(self, main: FileSet | None, sets: Sequence[FileSet]) -> list[str]:
        """Return the names of files that are beside the models in each of their folders.

        They are ONNX files, or have a usual name, and no row names them. With a single folder, an
        ONNX file in it can just as well be a model that was forgotten.
        """
        if main is None or None in main.paths:
            return []
        named = {path for one in sets for path in one.paths}
        folders = {path.rpartition("/")[0] for path in main.paths if path is not None}
        beside: dict[str, set[str]] = {folder: set() for folder in folders}
        for path in self._disk.listing.files:
            folder, _, name = path.rpartition("/")
            if folder in beside and path not in named and is_literal(name):
                is_shared = name.endswith(MODEL_SUFFIX) and len(folders) > 1
                if is_shared or name in _USUAL_COMPANIONS:
                    beside[folder].add(name)
        return sorted(set.intersection(*beside.values())) if beside else []


def _rank(one: FileSet) -> tuple[Any, ...]:
    models_here = len({p for p in one.paths if p is not None and p.endswith(MODEL_SUFFIX)})
    return (
        models_here,
        one.resolved.distinct,
        one.resolved.distinct > 0 or one.node != () or len({*one.written}) == len(one.written),
        not one.is_remote,
        one.models,
        one.resolved.prefix in (places.OWN, "."),
        -len(one.node) - len(one.names),
    )
