# SPDX-License-Identifier: Apache-2.0
"""Draft the mapping of the rows at one path: their ids, files, and fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from provenance.artifacts.documents.toml_text import quoted
from provenance.operations.adoption import columns as fields_
from provenance.operations.adoption import digests as digests_
from provenance.operations.adoption import ids, places, usual_fields
from provenance.operations.adoption.bases import base_of, here, in_braces, path_lines
from provenance.operations.adoption.columns import Column, Line, Names
from provenance.operations.adoption.digests import Digests
from provenance.operations.adoption.disk import Disk
from provenance.operations.adoption.documents import Document
from provenance.operations.adoption.draft import Draft
from provenance.operations.adoption.file_sets import FileSet, RowFiles
from provenance.operations.adoption.ids import Id
from provenance.operations.adoption.outline import Item, Outline, Pattern, Step
from provenance.operations.adoption.places import is_address
from provenance.operations.adoption.structure import is_model
from provenance.registry.references import is_silent
from provenance.registry.rows import MODEL_SUFFIX


class Drafting:
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
        first = self._patterns[0]
        self._depth = len(first)
        # How far above each row its keys are: steps of wildcards over keys, and of several names.
        self._keys = [
            self._depth - 1 - number
            for number, step in enumerate(first)
            if any(p[number] != step for p in self._patterns)
            or (step is None and first[: number + 1] in self._all.maps)
        ]
        self._files = RowFiles(
            self._rows, self._depth, self._documents, self._disk, has_key=0 in self._keys
        )

    def draft(self) -> Draft | None:
        """Return the draft, or None if the rows name no files."""
        if not self._rows:
            return None
        id = self._id(None, None)
        sets = self._files.sets(id)
        if not sets:
            return self._by_id(id)
        if self._leave_out(sets):
            id = self._id(None, None)
            sets = self._files.sets(id)
            if not sets:
                return None
        return self._mapped(sets, id)

    # Files

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
        found = self._files.fields
        could = digests_.digests_of(found, paths, self._disk)
        proved = digests_.best_proved(could)
        if not proved:
            return None
        base = places.static(template)
        path = Line("onnx", places.below(base, template), here(paths, self._disk))
        lines = [self._id_line(id), path]
        column = usual_fields.address_of(found, paths)
        if column is not None:
            lines.append(Line("url", fields_.reference(column.names)))
        lines += [one.line() for _, one in proved]
        size = digests_.size_of(found, paths, self._disk, "")
        lines += [] if size is None else [size[0]]
        skipped = {names for _, one in proved for names in one.names}
        lines += self._usual(skipped | ({column.names} if column is not None else set()))
        return self._draft(tuple(lines), (), base, paths, proved)

    # Fields

    def _id(self, model: FileSet | None, text: str | None) -> Id | None:
        """Return the id of the rows, or None."""
        options = list(ids.of_rows(self._rows, self._keys, self._files.fields, self._documents))
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
                one, text = sets[0], f"{in_braces(sets[0])}"[1:-1]
            id = self._id(one, text) or id
        if id is None:
            return None
        base, prefixes = base_of(sets, self._documents, self._depth)
        digests = self._chosen(sets)
        fields: list[Line] = [self._id_line(id)]
        tables: list[tuple[Line, ...]] = []
        urls: list[Names] = []
        sizes: list[Names] = []
        for number, one in enumerate(sets):
            path, url = path_lines(one, prefixes[number], self._disk)
            found = self._files.columns_of(one)
            if one.node == ():  # what is said of one file is not said of another
                found = [c for c in found if c.names not in (*urls, *sizes)]
            if url is None:
                column = usual_fields.address_of(found, one.written)
                if column is not None and column.names != one.names:
                    url = Line("url", fields_.reference(column.names))
                    urls.append(column.names)
            named = [path, *([url] if url is not None else [])]
            if path.key == "url":
                named = [path]
            about = [d.line() for _, d in digests[number]]
            size = digests_.size_of(found, one.paths, self._disk, fields_.stem(one.names[-1:]))
            if size is not None:
                about.append(size[0])
                sizes.append(size[1].names)
            if one is main:
                fields += named if path.key == "url" else [_as("onnx", path), *named[1:]]
                fields += about
            else:
                each = "".join(
                    _step_text(s, one.node[:n], self._files.outline) for n, s in _steps(one)
                )
                lead = [] if one.node == () else [Line("each", f"${each}")]
                tables.append((*lead, *named, *about))
        paths = tuple(path for one in sets for path in one.paths)
        beside = self._files.companions(main, sets)
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
        could = [self._files.digests(one) for one in sets]
        proved: list[list[tuple[Column, Digests]]] = []
        used: set[tuple[Pattern, Names]] = set()
        for one, found in zip(sets, could, strict=True):
            chosen = digests_.best_proved(found)
            used |= {(one.node, c.names) for c, _ in chosen}
            proved.append(chosen)
        for number, found in enumerate(could):
            if proved[number]:
                continue
            named = [
                (c, d)
                for c, d in found
                if (sets[number].node, c.names) not in used and digests_.is_named_digest(c, d)
            ]
            proved[number] = self._by_name(sets[number], named, found)
            used |= {(sets[number].node, c.names) for c, _ in proved[number]}
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
                result.append((column, digests_.united(digests, column, found)))
        return result

    def _usual(self, skipped: set[Names]) -> list[Line]:
        """Return the lines for the other fields of a row, by their usual names."""
        free = [c for c in self._files.fields if c.names and c.names not in skipped]
        lines: list[Line] = []
        could = usual_fields.licenses(free)
        if len(could) == 1:
            lines.append(Line("license", fields_.reference(could[0].names)))
        elif could:
            names = " or ".join(quoted(fields_.reference(c.names)) for c in could[:5])
            lines.append(Line("# license", fields_.reference(could[0].names), f"choose {names}"))
        for name in usual_fields.USUAL:
            column = usual_fields.usual(free, name)
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
        # A document without rows, as one about a model that has no file, is not part of the index.
        with_rows = {row.document for row in self._rows}
        covers = frozenset(path for path in paths if path is not None)
        shape = tuple((line.key, line.value) for line in fields if line.key != "id")
        return Draft(
            documents=tuple(d for n, d in enumerate(self._documents) if n in with_rows),
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


def _all_models(one: FileSet) -> bool:
    return all(map(is_model, one.written))


def _as(key: str, line: Line) -> Line:
    return Line(key, line.value, line.comment)
