# SPDX-License-Identifier: Apache-2.0
"""Complete the proposal of an index with what its rows show when they are read."""

from __future__ import annotations

import glob
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from provenance.artifacts import spdx
from provenance.artifacts.baseline import Checkout
from provenance.artifacts.documents.toml_tables import Table
from provenance.artifacts.documents.toml_text import quoted
from provenance.artifacts.paths import Tree, unsafe_reason
from provenance.errors import InputError
from provenance.operations.adoption import licenses
from provenance.operations.adoption.columns import Line
from provenance.operations.adoption.disk import Disk, Listing
from provenance.operations.adoption.documents import Document
from provenance.operations.adoption.draft import Draft
from provenance.operations.adoption.proposal import (
    TODO,
    Counts,
    Proposal,
    Proposed,
)
from provenance.operations.adoption.states import States, remarks
from provenance.operations.adoption.workflows import is_text
from provenance.registry import mapping, reading
from provenance.registry.registry import Registry
from provenance.registry.rows import Row

_BUNDLE: Final = "bundles/{id}.sigstore.json"


_MAX_VALUES: Final = 200


class Finishing:
    """Completes the tables of a candidate with what its rows show when they are read.

    Attributes:
        covered: The paths of all files that the rows name.
        problem: Why the proposal cannot be read back, or None.
    """

    def __init__(self, tree: Tree, disk: Disk, drafts: Sequence[Draft], *, is_stock: bool) -> None:
        self._tree, self._disk, self._drafts, self._is_stock = tree, disk, drafts, is_stock
        self.covered: frozenset[str] = frozenset()
        self.problem: InputError | None = None

    def proposal(self) -> Proposal | None:
        """Return the proposal, or None if it cannot be read back."""
        tables = tuple(self._table(draft) for draft in self._drafts)
        proposal = Proposal(tables, self._is_stock, 0, Counts())
        registry = self._read(proposal)
        if registry is None or not registry.rows:
            return None
        states = States(registry, self._disk)
        self.covered = frozenset(states.by_path)
        todo: list[str] = []
        if not self._is_stock:
            tables = tuple(
                self._completed(table, number, registry, states, todo)
                for number, table in enumerate(tables)
            )
            proposal = replace(proposal, tables=tables)
            registry = self._read(proposal)
            if registry is None:
                return None
        notes = [*(n for d in self._drafts for n in d.notes)]
        notes += remarks(registry, states)
        return replace(
            proposal,
            rows=len(registry.rows),
            counts=states.counts,
            todo=tuple(dict.fromkeys(todo)),
            notes=tuple(dict.fromkeys(notes)),
            unnamed=self._unnamed(states),
        )

    def _unnamed(self, states: States) -> tuple[str, ...]:
        folders = {path.rpartition("/")[0] for path in states.by_path}
        return tuple(
            path
            for path in self._disk.listing.ending_in((".onnx",))
            if path not in states.by_path and path.rpartition("/")[0] in folders and is_text(path)
        )

    def _read(self, proposal: Proposal) -> Registry | None:
        text = "\n".join(proposal.lines())
        try:
            table = Table(tomllib.loads(text), {"registry"}, "provenance.toml")
            return reading.read(Checkout(self._tree), mapping.parse_registry(table))
        except InputError as e:
            self.problem = InputError(f"the index cannot be read: {e.message}", help=e.help)
            return None

    def _table(self, draft: Draft) -> Proposed:
        lines: list[Line] = []
        if draft.rows is not None:
            number = "1 row" if draft.number == 1 else f"{draft.number:,} rows"
            comment = number
            if draft.filtered:
                entries = "entry names" if draft.filtered == 1 else "entries name"
                comment += f"; {draft.filtered:,} other {entries} no file"
            lines.append(Line("rows", draft.rows, comment))
        if draft.base is not None:
            comment = "proved: the files are here" if draft.here else ""
            lines.append(Line("base", draft.base, comment))
        values = {
            key: tuple(
                Line(value, meaning, "stands for a missing digest") for value, meaning in meanings
            )
            for key, meanings in draft.meanings.items()
        }
        paths: tuple[str, ...] = (draft.documents[0].path,)
        if not self._is_stock:
            paths = _paths(draft.documents, self._disk.listing)
        return Proposed(
            paths,
            tuple(lines),
            draft.fields,
            draft.files,
            values,
            notes=draft.notes,
            hints=draft.hints,
        )

    def _completed(
        self, table: Proposed, number: int, registry: Registry, states: States, todo: list[str]
    ) -> Proposed:
        rows = [row for row in registry.rows if registry.mapping_of(row).number == number]
        lines = list(table.lines)
        absent = states.absent(rows)
        if absent:
            lines.append(Line("absent", "skip", absent))
        shared = states.shared(rows)
        if shared:
            lines.append(Line("shared", "allow", shared))
        values = dict(table.values)
        unknown = Counter(
            text
            for row in rows
            if (text := row.text("license")) is not None and not spdx.is_known(text)
        )
        if unknown:
            values["license"] = tuple(
                _meaning(text, count) for text, count in unknown.most_common(_MAX_VALUES)
            )
            which = "license is" if len(unknown) == 1 else "licenses are"
            todo.append(
                f"{len(unknown):,} {which} no SPDX expression: write what each means under "
                "[registry.values.license]"
            )
        if any(line.key == "# license" for line in table.fields):
            todo.append("several fields could be the license: choose one in [registry.fields]")
        defaults = self._defaults(table, registry, rows, set(unknown), todo)
        return replace(table, lines=tuple(lines), values=values, defaults=tuple(defaults))

    def _defaults(
        self,
        table: Proposed,
        registry: Registry,
        rows: Sequence[Row],
        unknown: set[str],
        todo: list[str],
    ) -> Iterator[Line]:
        stated = {text for row in rows if (text := row.text("license")) is not None}
        without = sum(row.text("license") is None for row in rows)
        ids = {text for text in stated if text not in unknown}
        if without:
            found = self._license(registry, rows)
            ids |= {found.value} - {TODO}
            if found.value == TODO:
                todo.append(f"{_without(without, rows)}: write it under [registry.defaults]")
            yield replace(found, comment=f"{_without(without, rows)}; {found.comment}")
        if any(row.text("license_url") is None for row in rows):
            url = _license_url(ids, certain=not unknown and len(ids) == 1 and not todo)
            if url.value == TODO:
                todo.append("no address of the license is certain: write it as `license_url`")
            yield url
        if any(row.text("sigstore_bundle") is None for row in rows):
            yield Line("sigstore_bundle", _BUNDLE)

    def _license(self, registry: Registry, rows: Sequence[Row]) -> Line:
        names = (registry.absolute(n) for row in rows for n in row.names if not unsafe_reason(n))
        folders = {name.rpartition("/")[0] or "." for name in names}
        found = licenses.nearest(self._tree, self._disk.listing, folders or {"."})
        if found is None:
            return Line("license", TODO, "no license file is near the models")
        where = quoted(found.path) if not found.path.isascii() else found.path
        if found.id is None:
            return Line("license", TODO, f"the license in {where} is not certain")
        return Line("license", found.id, f"that of {where}: does it cover the models?")


def _without(number: int, rows: Sequence[Row]) -> str:
    if number == len(rows):
        return "no row has a license"
    return f"{number:,} of {len(rows):,} rows {'has' if number == 1 else 'have'} no license"


def _meaning(text: str, count: int) -> Line:
    near = licenses.similar(text)
    number = "1 row" if count == 1 else f"{count:,} rows"
    hint = f"perhaps {near}" if near is not None else "an SPDX expression"
    return Line(text, TODO, f"{number}; {hint}")


def _license_url(ids: set[str], *, certain: bool) -> Line:
    pages = {id: licenses.page(id) for id in ids}
    if certain and len(pages) == 1 and None not in pages.values():
        (page,) = pages.values()
        return Line("license_url", str(page))
    if None not in pages.values():
        return Line(
            "license_url", "https://spdx.org/licenses/{license}.html", "the page of the SPDX id"
        )
    return Line("license_url", TODO, "the address or path of the license text")


def _paths(documents: Sequence[Document], listing: Listing) -> tuple[str, ...]:
    """Return the paths of documents as the configuration names them: one pattern if possible."""
    found = sorted(document.path for document in documents)
    if len(found) == 1:
        return (glob.escape(found[0]),)
    if len(found) > 2:
        pattern = _pattern([path.split("/") for path in found])
        if pattern is not None and _matches(pattern, listing) == found:
            return (pattern,)
    return tuple(map(glob.escape, found))


def _pattern(paths: Sequence[Sequence[str]]) -> str | None:
    if len({len(path) for path in paths}) != 1:
        return None
    steps = []
    for names in zip(*paths, strict=True):
        if len({*names}) == 1:
            steps.append(glob.escape(names[0]))
            continue
        suffixes = {name.rpartition(".")[2] for name in names}
        is_file = len(steps) + 1 == len(paths[0]) and len(suffixes) == 1
        steps.append(f"*.{glob.escape(suffixes.pop())}" if is_file else "*")
    return "/".join(steps)


def _matches(pattern: str, listing: Listing) -> list[str]:
    from fnmatch import translate

    steps = [re.compile(translate(step)) for step in pattern.split("/")]
    return sorted(
        path
        for path in listing.files
        if path.count("/") == len(steps) - 1
        and all(step.match(name) for step, name in zip(steps, path.split("/"), strict=True))
    )
