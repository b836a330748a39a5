# SPDX-License-Identifier: Apache-2.0
"""Draft the mapping of documents to rows: one `[registry]` table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, Final

from provenance.artifacts.documents.toml_text import quoted
from provenance.artifacts.paths import unsafe_reason
from provenance.frozen import dataclass
from provenance.operations.adoption import columns as fields_
from provenance.operations.adoption import ids, places
from provenance.operations.adoption.columns import Column, Digests, Line, Names
from provenance.operations.adoption.disk import Disk, State
from provenance.operations.adoption.documents import Document
from provenance.operations.adoption.ids import Id
from provenance.operations.adoption.outline import Item, Outline, Pattern, Step, is_digest
from provenance.operations.adoption.places import Named, Resolved, is_address
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

_ONE_MODEL: Final = frozenset(
    ("license", "licence", "description", "task", "task_type", "framework", "model_type")
)
"""Fields at the top of a document that is about one model."""

_FILE_LISTS: Final = frozenset(
    ("files", "file", "assets", "weights", "artifacts", "model_files", "downloads")
)


_MAX_LISTS: Final = 200
"""Lists in one document that are looked at."""

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


@dataclass(frozen=True)
class Draft:
    """A mapping, and how well it fits.

    Attributes:
        documents: The documents.
        rows: The path of the rows, or None for the rows of this project's own shape.
        number: The number of rows that were found.
        base: The folder that files are relative to, or None for that of the index.
        fields: The lines of [registry.fields].
        files: The lines of each [[registry.files]].
        meanings: Values that stand for something else, by field: the value, and what it means.
        notes: What was left out, or left to the author.
        hints: Names of files that are beside every model, and that no row names.
        proved: The number of files whose digest is proved.
        here: The number of different files that are on disk.
        found: The number of times that a file on disk is named.
        models: The number of models that are named.
        covers: The paths of the files on disk.
        key: What drafts of lists in one document must have in common to be one table.
        patterns: The paths of the rows.
        filtered: The number of entries that `rows` leaves out, because they name no file.
    """

    documents: tuple[Document, ...]
    rows: str | None
    number: int
    base: str | None = None
    fields: tuple[Line, ...] = ()
    files: tuple[tuple[Line, ...], ...] = ()
    meanings: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    proved: int = 0
    here: int = 0
    found: int = 0
    models: int = 0
    covers: frozenset[str] = frozenset()
    key: tuple[Any, ...] = ()
    patterns: tuple[Pattern, ...] = ()
    filtered: int = 0

    @property
    def score(self) -> tuple[int, int, int]:
        """How well it fits: proved files, files on disk, models that are named."""
        return self.proved, self.here, self.models

    def says(self, name: str) -> bool:
        """Return whether a field is mapped."""
        return any(line.key == name for line in self.fields)


def is_model(name: str) -> bool:
    """Return whether a name or an address is that of an ONNX model."""
    return (part_of(name, "name") if is_address(name) else name).endswith(MODEL_SUFFIX)


def drafts(documents: Sequence[Document], disk: Disk) -> list[Draft]:
    """Return a draft for each list of models in documents that are alike, or an empty list."""
    outline = Outline([Item(n, (), d.value) for n, d in enumerate(documents)])
    found: dict[Pattern, Draft] = {}
    for pattern in _row_patterns(outline, disk):
        made = _Drafting(outline, (pattern,), documents, disk).draft()
        if made is not None:
            found[pattern] = made
    if any(len(pattern) for pattern in found) and () in found and not _is_one_model(outline):
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
        made = _Drafting(outline, patterns, documents, disk).draft() if len(alike) > 1 else None
        result += alike if made is None else [made]
    return result


def _unites(a: Draft, b: Draft) -> bool:
    (first,), (second,) = a.patterns, b.patterns
    differ = [pair for pair in zip(first, second, strict=False) if pair[0] != pair[1]]
    is_named = len(differ) == 1 and all(isinstance(step, str) for step in differ[0])
    return len(first) == len(second) and is_named and a.key == b.key


def _row_patterns(outline: Outline, disk: Disk) -> list[Pattern]:
    """Return the paths of the rows: of the nodes that name models, or of those around them."""
    found: dict[Pattern, None] = {}
    if _is_one_model(outline):
        return [()]
    for pattern, values in _strings(outline):
        if any(map(is_model, values)) or any(_known(value, disk) for value in values[:200]):
            found[_row_of(pattern, outline)] = None
    for pattern in _maps_of_digests(outline):
        found.setdefault(pattern, None)
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
        if any((*around, name) in outline.leaves for name in outline.records.get(around, ())):
            return around
    return last


def _has(outline: Outline, node: Pattern, names: frozenset[str]) -> bool:
    return any(
        fields_.plain(name) in names and (*node, name) in outline.leaves
        for name in outline.records.get(node, ())
    )


def _is_one_model(outline: Outline) -> bool:
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


class _Drafting:
    """Makes the draft of the rows at some patterns, which differ in one name."""

    def __init__(
        self,
        outline: Outline,
        patterns: tuple[Pattern, ...],
        documents: Sequence[Document],
        disk: Disk,
    ) -> None:
        self._all, self._patterns, self._documents, self._disk = outline, patterns, documents, disk
        self._rows = [item for pattern in patterns for item in outline.nodes.get(pattern, ())]
        self._filter = ""
        self._filtered = 0
        self._start()

    def _start(self) -> None:
        self._outline = Outline(self._rows, is_row=True)
        self._depth = len(self._patterns[0])
        self._at = {(row.document, row.location): n for n, row in enumerate(self._rows)}
        places_ = list(self._at)
        self._columns = fields_.columns(self._outline, (), places_)
        keys = [
            self._depth - 1 - number
            for number, step in enumerate(self._patterns[0])
            if any(p[number] != step for p in self._patterns)
            or (step is None and self._patterns[0][: number + 1] in self._all.maps)
        ]
        self._own_key = 0 in keys
        self._keys = keys

    def draft(self) -> Draft | None:
        if not self._rows:
            return None
        id = self._id(None, None)
        sets = self._sets(id)
        if not sets:
            return self._by_id(id)
        if self._leave_out(sets):
            id = self._id(None, None)
            sets = self._sets(id)
            if not sets:
                return None
        return self._mapped(sets, id)

    # Files

    def _sets(self, id: Id | None) -> list[FileSet]:
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
        for pattern, items in self._outline.leaves.items():
            strings = [i for i in items if isinstance(i.value, str) and not is_silent(i.value)]
            named = [i for i in strings if _is_name(i.value)]
            mixed = pattern in self._outline.records or (*pattern, None) in self._outline.nodes
            if mixed or not fields_.is_expressible(pattern):
                continue
            if named and 2 * len(named) >= len(strings):
                yield self._set(pattern, named, id)
        maps = [*self._outline.maps, *([()] if self._own_key else [])]
        for pattern in maps:
            nodes = self._outline.nodes.get(pattern, [])
            keys = [str(i.location[-1]) for i in nodes]
            if 2 * sum(map(_is_name, keys)) >= len(keys) > 0 and not any(map(is_address, keys)):
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
        words = {*fields_.words_of(one.names[-1])} if one.names else set()
        if words & _COMPANIONS and not one.is_remote:
            return True
        found = self._columns_of(one)
        return any(d.proved for _, d in fields_.digests_of(found, one.paths, self._disk))

    def _is_apart(self, one: FileSet, taken: Sequence[FileSet]) -> bool:
        """Return whether files that are not here are others than those of the taken sets."""
        if one.is_remote or (one.is_key and one.node == ()):
            return False
        lasts = {part_of(name, "name") for other in taken for name in other.written}
        if any(part_of(name, "name") in lasts for name in one.written):
            return False
        return one.node == () and any(
            fields_.stem(one.names[-1:]) == fields_.stem(c.names[-1:])
            for c, _ in self._digests(one)
        )

    def _digests(self, one: FileSet) -> list[tuple[Column, Digests]]:
        return fields_.digests_of(self._columns_of(one), one.paths, self._disk)

    def _columns_of(self, one: FileSet) -> list[Column]:
        return fields_.columns(self._outline, one.node, one.places())

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
        for pattern, items in self._outline.leaves.items():
            named = [i for i in items if isinstance(i.value, str) and _is_name(i.value)]
            if not named or any(one.node + one.names == pattern for one in taken):
                continue
            last = pattern[-1] if pattern else None
            words = {*fields_.words_of(last)} if isinstance(last, str) else set()
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

    def _companions(self, main: FileSet | None, sets: Sequence[FileSet]) -> list[str]:
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
            if folder in beside and path not in named and fields_.is_literal(name):
                is_shared = name.endswith(MODEL_SUFFIX) and len(folders) > 1
                if is_shared or name in _USUAL_COMPANIONS:
                    beside[folder].add(name)
        return sorted(set.intersection(*beside.values())) if beside else []

    def _leave_out(self, sets: Sequence[FileSet]) -> bool:
        """Leave out the entries that name no file. Return whether there are such."""
        having = {item.place(self._depth) for one in sets for item in one.items}
        main = sets[0]
        steps = (*main.node, *main.names)
        names = steps[: steps.index(None)] if None in steps else steps
        without = [
            row
            for row in self._rows
            if (row.document, row.location) not in having and _is_silent_at(row.value, names)
        ]
        if not without or not having:
            return False
        gone = {(row.document, row.location) for row in without}
        if self._depth and self._patterns[0][-1] is None and names and not main.is_key:
            text = fields_.path_text([n for n in names if isinstance(n, str)])
            self._filter = f"[?@{text[1:]}{_not_silent(without, names, text[1:])}]"
        self._filtered += len(without)
        self._rows = [row for row in self._rows if (row.document, row.location) not in gone]
        self._start()
        return True

    def _by_id(self, id: Id | None) -> Draft | None:
        """Return the draft of rows that name no file, but whose id is in the path of a model."""
        if id is None or not id.is_unique:
            return None
        folders = [self._documents[row.document].folder for row in self._rows]
        made = places.by_id(list(zip(id.values, folders, strict=True)), self._disk)
        if made is None:
            return None
        template, paths = made
        found = self._columns
        could = fields_.digests_of(found, paths, self._disk)
        proved = _best_proved(could)
        if not proved:
            return None
        base = places.static(template)
        path = Line("onnx", places.below(base, template), _here(paths, self._disk))
        lines = [self._id_line(id), path]
        column = fields_.address_of(found, paths)
        if column is not None:
            lines.append(Line("url", fields_.reference(column.names)))
        lines += [one.line() for _, one in proved]
        size = fields_.size_of(found, paths, self._disk, "")
        lines += [] if size is None else [size[0]]
        skipped = {names for _, one in proved for names in one.names}
        lines += self._usual(skipped | ({column.names} if column is not None else set()))
        return self._draft(tuple(lines), (), base, paths, proved)

    # Fields

    def _id(self, model: FileSet | None, text: str | None) -> Id | None:
        """Return the id of the rows, or None."""
        options = list(ids.of_rows(self._rows, self._keys, self._columns, self._documents))
        if model is not None and text is not None:
            by_row = dict(
                zip((i.place(self._depth) for i in model.items), model.written, strict=True)
            )
            names = [by_row.get((row.document, row.location)) for row in self._rows]
            options += ids.of_models(self._rows, text, names)
            index = ids.of_index(self._rows, self._documents)
            if index is not None:
                options += [ids.joined(index, o) for o in ids.of_models(self._rows, text, names)]
        unique = [one for one in options if one.is_unique]
        tidy = [one for one in unique if one.is_tidy]
        return next(iter(tidy or unique), None)

    def _id_line(self, id: Id) -> Line:
        number = len(set(id.values))
        return Line("id", id.text, f"{number:,} different ids" if number > 1 else "")

    def _mapped(self, sets: list[FileSet], id: Id | None) -> Draft | None:
        main = next((one for one in sets if one.node == () and _all_models(one)), None)
        if id is None or (main is not None and not id.is_tidy):
            text = "onnx" if main is not None else None
            one = main
            if one is None and sets[0].node == ():
                one, text = sets[0], f"{_in_braces(sets[0])}"[1:-1]
            id = self._id(one, text) or id
        if id is None:
            return None
        base, prefixes = self._base(sets)
        digests = self._chosen(sets)
        fields: list[Line] = [self._id_line(id)]
        tables: list[tuple[Line, ...]] = []
        urls: list[Names] = []
        sizes: list[Names] = []
        for number, one in enumerate(sets):
            path, url = self._path_lines(one, prefixes[number])
            found = self._columns_of(one)
            if one.node == ():  # what is said of one file is not said of another
                found = [c for c in found if c.names not in (*urls, *sizes)]
            if url is None:
                column = fields_.address_of(found, one.written)
                if column is not None and column.names != one.names:
                    url = Line("url", fields_.reference(column.names))
                    urls.append(column.names)
            named = [path, *([url] if url is not None else [])]
            if path.key == "url":
                named = [path]
            about = [d.line() for _, d in digests[number]]
            size = fields_.size_of(found, one.paths, self._disk, fields_.stem(one.names[-1:]))
            if size is not None:
                about.append(size[0])
                sizes.append(size[1].names)
            if one is main:
                fields += named if path.key == "url" else [_as("onnx", path), *named[1:]]
                fields += about
            else:
                each = "".join(_step_text(s, one.node[:n], self._outline) for n, s in _steps(one))
                lead = [] if one.node == () else [Line("each", f"${each}")]
                tables.append((*lead, *named, *about))
        paths = tuple(path for one in sets for path in one.paths)
        beside = self._companions(main, sets)
        hints = [name for name in beside if not name.endswith(MODEL_SUFFIX)]
        for name in beside:
            if name not in hints:
                comment = "no row names it, but it is beside every model"
                tables.append((Line("path", f"{places.ONNX_FOLDER}/{name}", comment),))
        taken = {names for chosen in digests for _, d in chosen for names in d.names}
        skipped = {*taken, *urls, *(one.names for one in sets if one.node == ())}
        fields += self._usual(skipped)
        proofs = [d for chosen in digests for d in chosen]
        made = self._draft(tuple(fields), tuple(tables), base, paths, proofs)
        return replace(made, hints=tuple(hints))

    def _chosen(self, sets: Sequence[FileSet]) -> list[list[tuple[Column, Digests]]]:
        """Return the digests of each set: those that are proved, or else those by their names."""
        could = [self._digests(one) for one in sets]
        proved: list[list[tuple[Column, Digests]]] = []
        used: set[Names] = set()
        for found in could:
            chosen = _best_proved(found)
            used |= {c.names for c, _ in chosen}
            proved.append(chosen)
        for number, found in enumerate(could):
            if proved[number]:
                continue
            named = [
                (c, d) for c, d in found if c.names not in used and fields_.is_named_digest(c, d)
            ]
            proved[number] = self._by_name(sets[number], named, found)
            used |= {c.names for c, _ in proved[number]}
        return proved

    def _by_name(
        self,
        one: FileSet,
        named: list[tuple[Column, Digests]],
        found: Sequence[tuple[Column, Digests]],
    ) -> list[tuple[Column, Digests]]:
        """Return the unproved digests of a set: one field for each algorithm, by its name."""
        result: list[tuple[Column, Digests]] = []
        for key in dict.fromkeys(d.key for _, d in named):
            among = [(c, d) for c, d in named if d.key == key]
            if len(among) > 1:
                exact = [
                    (c, d)
                    for c, d in among
                    if len(c.names) == 1 and fields_.plain(c.names[0]) == key
                ]
                near = [
                    (c, d)
                    for c, d in among
                    if fields_.stem(c.names[-1:]) == fields_.stem(one.names[-1:])
                ]
                among = near if len(near) == 1 else exact
            if len(among) == 1 and (among[0][1].compared == 0 or among[0][1].key != "sha1"):
                column, digests = among[0]
                result.append((column, fields_.united(digests, column, found)))
        return result

    def _path_lines(self, one: FileSet, prefix: str) -> tuple[Line, Line | None]:
        """Return the line for the path of a set, and that for its address if both are in one."""
        text = _own_text(one)
        if one.resolved.by_name:
            if not one.resolved.distinct:
                comment = f"{len(one.written):,} addresses; no file of them is here"
                return Line("url", text, comment), None
            name = f"{{{_in_braces(one)[1:-1]}|name}}"
            path = Line("path", f"{prefix}{name}", _here(one.paths, self._disk))
            return path, Line("url", text)
        if prefix:
            text = f"{prefix}{_in_braces(one)}"
        return Line("path", text, _here(one.paths, self._disk)), None

    def _base(self, sets: Sequence[FileSet]) -> tuple[str | None, list[str]]:
        """Return the base, and what stands before the name of each set, relative to the base."""
        found = [one.resolved.prefix for one in sets]
        folders = dict.fromkeys(d.folder for d in self._documents)
        here = [n for n, one in enumerate(sets) if one.resolved.distinct]
        absolute = {n: found[n] for n in here if found[n] not in (places.OWN, places.ONNX_FOLDER)}
        own = [n for n in here if found[n] == places.OWN]
        prefixes = ["" for _ in sets]
        for number, prefix in enumerate(found):
            if prefix == places.ONNX_FOLDER:
                prefixes[number] = f"{places.ONNX_FOLDER}/"
        for number, one in enumerate(sets):
            if number not in here and not one.is_remote and _is_repeated(one, self._depth):
                prefixes[number] = f"{places.ID}/"
        if not absolute:
            return None, prefixes
        if len(folders) == 1:
            (folder,) = folders
            statics = dict.fromkeys(places.static(p) for p in absolute.values())
            if own:
                statics[folder] = None
            base = places.common(statics)
            if folder != "." and base != folder and base.startswith(f"{folder}/"):
                base = base if not own else folder
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

    def _usual(self, skipped: set[Names]) -> list[Line]:
        """Return the lines for the other fields of a row, by their usual names."""
        free = [c for c in self._columns if c.names and c.names not in skipped]
        lines: list[Line] = []
        could = fields_.licenses(free)
        if len(could) == 1:
            lines.append(Line("license", fields_.reference(could[0].names)))
        elif could:
            names = " or ".join(quoted(fields_.reference(c.names)) for c in could[:5])
            lines.append(Line("# license", fields_.reference(could[0].names), f"choose {names}"))
        for name in fields_.USUAL:
            column = fields_.usual(free, name)
            if column is not None:
                lines.append(Line(name, fields_.reference(column.names)))
        address = could and len(could) == 1 and all(map(is_address, could[0].said))
        if address and not any(line.key == "license_url" for line in lines):
            lines.append(Line("license_url", fields_.reference(could[0].names)))
        return lines

    def _draft(
        self,
        fields: tuple[Line, ...],
        files: tuple[tuple[Line, ...], ...],
        base: str | None,
        paths: Sequence[str | None],
        digests: Sequence[tuple[Column, Digests]],
    ) -> Draft:
        meanings: dict[str, tuple[tuple[str, str], ...]] = {}
        for _, one in digests:
            if one.placeholders:
                had = dict(meanings.get(one.key, ()))
                had.update((value, "") for value in one.placeholders)
                meanings[one.key] = tuple(had.items())
        covers = frozenset(path for path in paths if path is not None)
        shape = tuple((line.key, line.value) for line in fields if line.key != "id")
        return Draft(
            documents=tuple(self._documents),
            rows=self._rows_text(),
            number=len(self._rows),
            base=base,
            fields=fields,
            files=files,
            meanings=meanings,
            proved=sum(one.proved for _, one in digests),
            here=len(covers),
            found=sum(path is not None for path in paths),
            covers=covers,
            models=len(self._rows),
            key=(shape[:1], files[:1] if not shape else (), base),
            patterns=self._patterns,
            filtered=self._filtered,
        )

    def _rows_text(self) -> str:
        steps: list[str] = []
        first = self._patterns[0]
        for number, step in enumerate(first):
            several = tuple(dict.fromkeys(p[number] for p in self._patterns))
            if len(several) > 1:
                inside = ",".join(fields_.in_quotes(s) for s in several if isinstance(s, str))
                steps.append(f"[{inside}]")
            elif step is None and number == len(first) - 1 and self._filter:
                steps.append(self._filter)
            else:
                steps.append(_step_text(step, first[:number], self._all))
        return "$" + "".join(steps)


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


def _is_repeated(one: FileSet, depth: int) -> bool:
    """Return whether different rows name files alike, such as `model.onnx` in folders of theirs."""
    rows: dict[str, set[tuple[int, Any]]] = {}
    for name, item in zip(one.written, one.items, strict=True):
        rows.setdefault(name, set()).add(item.place(depth))
    return one.node != () and any(len(found) > 1 for found in rows.values())


def _best_proved(found: Sequence[tuple[Column, Digests]]) -> list[tuple[Column, Digests]]:
    """Return for each algorithm the field that proves most files."""
    best: dict[str, tuple[Column, Digests]] = {}
    for column, one in found:
        if one.proved and (one.key not in best or one.proved > best[one.key][1].proved):
            best[one.key] = (column, one)
    return [(column, fields_.united(one, column, found)) for column, one in best.values()]


def _is_silent_at(value: Any, names: Pattern) -> bool:
    """Return whether the value that `names` lead to is missing or says nothing."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return is_silent(value) or value in ([], {})


def _not_silent(without: Sequence[Item], names: Pattern, path: str) -> str:
    """Return further conditions that leave out entries whose name is null or empty."""
    found: dict[str, None] = {}
    for row in without:
        value: Any = row.value
        for name in names:
            value = value.get(name, found) if isinstance(value, dict) else found
        if value is None:
            found[f" && @{path} != null"] = None
        elif value == "":
            found[f" && @{path} != ''"] = None
    return "".join(found)


def _steps(one: FileSet) -> Iterator[tuple[int, Step]]:
    yield from enumerate(one.node)


def _step_text(step: Step, before: Pattern, outline: Outline) -> str:
    if step is None:
        return ".*" if (*before, None) in outline.maps else "[*]"
    assert isinstance(step, str)
    return fields_.path_text([step])[1:]


def _own_text(one: FileSet) -> str:
    if one.is_key:
        return "~"
    return fields_.reference(one.names) if one.names else "$"


def _in_braces(one: FileSet) -> str:
    return "{~}" if one.is_key else f"{{{fields_.path_text(one.names)}}}"


def _all_models(one: FileSet) -> bool:
    return all(map(is_model, one.written))


def _as(key: str, line: Line) -> Line:
    return Line(key, line.value, line.comment)


def _slash(prefix: str) -> str:
    return f"{prefix}/" if prefix else ""


def _here(paths: Sequence[str | None], disk: Disk) -> str:
    found = [disk.look(path).state for path in paths if path is not None]
    if not found:
        return "not proved: no file of it is here"
    pointers = found.count(State.POINTER)
    suffix = f", {pointers:,} as Git LFS pointers" if pointers else ""
    if len(paths) == 1:
        return f"proved: the file is here{suffix and ', as a Git LFS pointer'}"
    return f"proved: {len(found):,} of {len(paths):,} files are here{suffix}"


def _is_name(text: str) -> bool:
    """Return whether a string can be the name or address of a file: it has a suffix."""
    if not 0 < len(text) <= 1024 or not text.isprintable():
        return False
    if is_address(text):
        text = part_of(text, "name")
    elif unsafe_reason(text) is not None:
        return False
    suffix = text.rpartition("/")[2][1:].rpartition(".")[2]
    return "." in text.rpartition("/")[2][1:] and 0 < len(suffix) <= 10 and suffix.isalnum()
