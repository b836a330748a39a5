# SPDX-License-Identifier: Apache-2.0
"""Search a repository for its index, and propose how it is read.

Each proposal is written as a configuration and read back before it is offered: what counts is what
the reader of registries makes of it.
"""

from __future__ import annotations

import glob
import re
import shlex
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from provenance.artifacts import spdx
from provenance.artifacts.baseline import Checkout
from provenance.artifacts.digest import sha256_of
from provenance.artifacts.documents.toml_tables import Table
from provenance.artifacts.documents.toml_text import quoted
from provenance.artifacts.paths import Tree, unsafe_reason
from provenance.errors import InputError
from provenance.frozen import dataclass
from provenance.operations.adoption import licenses, places
from provenance.operations.adoption.columns import Line
from provenance.operations.adoption.disk import Disk, Listing, State
from provenance.operations.adoption.documents import Document, groups, read_all, read_named
from provenance.operations.adoption.draft import Draft, drafts, is_model
from provenance.operations.adoption.places import Named
from provenance.operations.adoption.proposal import (
    TODO,
    Candidate,
    Counts,
    Proposal,
    Proposed,
)
from provenance.operations.adoption.workflows import is_text
from provenance.registry import mapping, reading
from provenance.registry.mapping import Format
from provenance.registry.registry import Registry
from provenance.registry.rows import Row, int8_of

_TESTS: Final = frozenset(("test", "tests", "testing", "fixtures", "examples", "example", "docs"))
_BUNDLE: Final = "bundles/{id}.sigstore.json"
_MAX_VALUES: Final = 200
_DIGESTS: Final = ("sha256", "sha384", "sha512", "blake2b", "sha1", "md5", "digest")


@dataclass(frozen=True)
class _Candidate:
    """A set of documents that can be read as one registry."""

    documents: tuple[Document, ...]
    drafts: tuple[Draft, ...]
    is_stock: bool

    @property
    def rank(self) -> tuple[Any, ...]:
        """How good a candidate it is: proved files first."""
        first = self.documents[0].path
        proved, here, models = (sum(n) for n in zip(*(d.score for d in self.drafts), strict=True))
        return (
            not _TESTS & set(first.lower().split("/")[:-1]),
            proved,
            here,
            self.is_stock,
            models,
            self.documents[0].format.algorithm is None,
            any(draft.says("license") for draft in self.drafts),
            -first.count("/"),
        )

    @property
    def is_index(self) -> bool:
        """Whether it is certain enough to be proposed without being named."""
        lines = [line for d in self.drafts for t in (d.fields, *d.files) for line in t]
        has_digest = any(line.key in _DIGESTS for line in lines)
        many = sum(d.number for d in self.drafts) > 1 and any(d.here for d in self.drafts)
        is_sums = self.documents[0].format.algorithm is not None
        return self.is_stock or has_digest or many or is_sums

    @property
    def proved(self) -> int:
        """The number of files whose digest is proved."""
        return sum(draft.proved for draft in self.drafts)

    def is_sidecar(self, covered: frozenset[str]) -> bool:
        """Return whether each document is about one model, and another index names them all."""
        return all(draft.rows == "$" and draft.covers <= covered for draft in self.drafts)


def search(tree: Tree, listing: Listing, named: str | None = None) -> Proposal | None:
    """Return the proposed reading of the index, or None if none is found.

    Args:
        tree: The repository.
        listing: Its files.
        named: The path of the index that the user named, or None to choose the best.

    Raises:
        InputError: If the named index cannot be read.
    """
    disk = Disk(tree, listing)
    notes: list[str] = []
    if named is not None:
        found = list(_candidates([(read_named(tree, named),)], disk))
    else:
        read = read_all(tree, listing.files)
        if read.unread:
            notes.append(f"{len(read.unread):,} files were too many or too large to be searched")
        every = list(_candidates(groups(read.documents), disk))
        found = [c for c in every if c.is_index]
        if not found and read.unnamed:
            raise InputError(
                f"{read.unnamed[0]!r}: the name is not UTF-8, so no configuration can name this "
                "file",
                help="Rename it.",
            )
        if not found:
            _refuse_unproved(every)
    problem: InputError | None = None
    found.sort(key=lambda c: c.documents[0].path)
    found.sort(key=lambda c: c.rank, reverse=True)
    for number, one in enumerate(found):
        finishing = _Finishing(tree, disk, one)
        proposal = finishing.proposal()
        if proposal is not None:
            others = [
                Candidate(_shown(c), sum(d.number for d in c.drafts), c.proved)
                for c in found[:number] + found[number + 1 :]
                if not c.is_sidecar(finishing.covered)
            ]
            if disk.unhashed:
                notes.append(f"{disk.unhashed:,} files were too large to be hashed")
            notes += proposal.notes
            return replace(proposal, others=tuple(others), notes=tuple(notes))
        problem = problem or finishing.problem
    if problem is not None:
        raise problem
    return None


def _refuse_unproved(candidates: Sequence[_Candidate]) -> None:
    """Raise InputError if a document could be an index of several models, but nothing proves it."""
    for one in candidates:
        path = one.documents[0].path
        number = sum(draft.number for draft in one.drafts)
        if number > 1 and one.rank[0]:
            raise InputError(
                f"{path}: it names {number:,} models, but no file of them is here, and no field "
                "of it has their digests",
                help="To use it as the index all the same: provenance init --registry "
                f"{shlex.quote(path)}",
            )


def _shown(candidate: _Candidate) -> str:
    first = candidate.documents[0].path
    more = len(candidate.documents) - 1
    return f"{first} and {more:,} more" if more else first


def _candidates(sets: Any, disk: Disk) -> Iterator[_Candidate]:
    """Yield the sets of documents that can be read as a registry, each document once."""
    used: set[str] = set()
    for documents in sets:
        if any(d.path in used for d in documents):
            continue
        if documents[0].format.algorithm is not None:
            sums = _sums(documents, disk)
            made = [] if sums is None else [sums]
        else:
            if len(documents) > 1 and any(map(_has_stock_rows, documents)):
                continue
            made = drafts(documents, disk)
        kept = tuple(d for d in made if d.models or d.here)
        is_stock = len(documents) == 1 and _is_stock(documents[0], kept)
        if not kept and is_stock:
            kept = (Draft(documents, None, len(documents[0].value["models"]), models=1),)
        if kept and (len(documents) == 1 or _is_whole(kept, documents)):
            used |= {d.path for d in documents}
            yield _Candidate(documents, kept, is_stock)


def _is_whole(made: Sequence[Draft], documents: Sequence[Document]) -> bool:
    """Return whether several documents are one registry, and not copies of each other.

    Most of their files are on disk, each named by one of them. If no file is on disk, the documents
    have the same name.
    """
    number = sum(draft.number for draft in made)
    here = sum(draft.here for draft in made)
    if number < len(documents):
        return False
    if not here:
        return len({document.path.rpartition("/")[2] for document in documents}) == 1
    return 2 * here >= number and here == sum(draft.found for draft in made)


def _has_stock_rows(document: Document) -> bool:
    value = document.value
    rows = value.get("models") if isinstance(value, dict) else None
    if document.format is not Format.JSON or not isinstance(rows, list) or not rows:
        return False
    models = [r for r in rows if isinstance(r, dict) and isinstance(r.get("onnx"), str)]
    return 2 * len(models) > len(rows) and all("id" in row for row in models)


def _is_stock(document: Document, made: Sequence[Draft]) -> bool:
    """Return whether a document has this project's own shape, and its fields the usual names."""
    if not _has_stock_rows(document):
        return False
    expected = {"id": "id", "onnx": "onnx", "sha256": "sha256", "license": "license"}
    expected["sigstore_bundle"] = "sigstore_bundle"
    lines = [line for draft in made for line in draft.fields]
    return len(made) <= 1 and all(
        expected.get(line.key, line.value) == line.value for line in lines if line.key != "digest"
    )


def _sums(documents: Sequence[Document], disk: Disk) -> Draft | None:
    """Return the draft of checksum files, which are relative to their folder or to another."""
    named: list[Named] = []
    digests: list[tuple[str, str]] = []
    for document in documents:
        for row in document.value:
            file = row["files"][0] if "files" in row else row
            algorithm = next(name for name in file if name in _DIGESTS)
            named.append(Named(file.get("path") or file["onnx"], document.folder))
            digests.append((algorithm, file[algorithm].lower()))
    if not any(is_model(one.name) for one in named):
        return None
    resolved = places.resolve(named, disk)
    proved = sum(
        path is not None and disk.digests(path, [name]).get(name) == value
        for path, (name, value) in zip(resolved.paths, digests, strict=True)
    )
    base = None if resolved.prefix == places.OWN or not resolved.distinct else resolved.prefix
    return Draft(
        tuple(documents),
        None,
        len(named),
        base,
        proved=proved,
        here=resolved.distinct,
        models=sum(is_model(one.name) for one in named),
    )


class _Finishing:
    """Completes the tables of a candidate with what its rows show when they are read.

    Attributes:
        covered: The paths of all files that the rows name.
        problem: Why the proposal cannot be read back, or None.
    """

    def __init__(self, tree: Tree, disk: Disk, candidate: _Candidate) -> None:
        self._tree, self._disk, self._candidate = tree, disk, candidate
        self.covered: frozenset[str] = frozenset()
        self.problem: InputError | None = None
        self._paths = (
            (candidate.documents[0].path,)
            if candidate.is_stock
            else _paths(candidate.documents, disk.listing)
        )

    def proposal(self) -> Proposal | None:
        """Return the proposal, or None if it cannot be read back."""
        tables = tuple(self._table(draft) for draft in self._candidate.drafts)
        proposal = Proposal(tables, self._candidate.is_stock, 0, Counts())
        registry = self._read(proposal)
        if registry is None or not registry.rows:
            return None
        states = _States(registry, self._disk)
        self.covered = frozenset(states.by_path)
        todo: list[str] = []
        if not self._candidate.is_stock:
            tables = tuple(
                self._completed(table, number, registry, states, todo)
                for number, table in enumerate(tables)
            )
            proposal = replace(proposal, tables=tables)
            registry = self._read(proposal)
            if registry is None:
                return None
        notes = [*(n for d in self._candidate.drafts for n in d.notes)]
        notes += _remarks(registry, states)
        return replace(
            proposal,
            rows=len(registry.rows),
            counts=states.counts,
            todo=tuple(dict.fromkeys(todo)),
            notes=tuple(dict.fromkeys(notes)),
            unnamed=self._unnamed(states),
        )

    def _unnamed(self, states: _States) -> tuple[str, ...]:
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
        return Proposed(
            self._paths,
            tuple(lines),
            draft.fields,
            draft.files,
            values,
            notes=draft.notes,
            hints=draft.hints,
        )

    def _completed(
        self, table: Proposed, number: int, registry: Registry, states: _States, todo: list[str]
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
            yield _license_url(ids, certain=not unknown and len(ids) == 1 and not todo)
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


class _States:
    """The files that the rows of a registry name, as they are on disk."""

    def __init__(self, registry: Registry, disk: Disk) -> None:
        self._disk = disk
        self.by_path: dict[str, set[str]] = {}
        self._of_row: dict[int, list[tuple[str | None, Mapping[str, str]]]] = {}
        self._declared: dict[str, set[tuple[tuple[str, str], ...]]] = {}
        for row in registry.rows:
            files = list(_files(registry, row))
            self._of_row[row.index] = files
            for path, declared in files:
                if path is not None:
                    self.by_path.setdefault(path, set()).add(row.label)
                    self._declared.setdefault(path, set()).add(tuple(sorted(declared.items())))

    def _counted(self, files: Sequence[tuple[str | None, Mapping[str, str]]]) -> Counter[str]:
        found: Counter[str] = Counter()
        seen: set[str] = set()
        for path, declared in files:
            if path is None:
                found["remote"] += 1
            elif path not in seen:
                seen.add(path)
                state = self._disk.look(path).state
                found[state] += 1
                if state is not State.MISSING and declared:
                    there = self._disk.digests(path, declared.keys())
                    known = [
                        there.get(name) == hex for name, hex in declared.items() if name in there
                    ]
                    found["proved"] += bool(known) and all(known)
                    found["differing"] += not all(known)
        return found

    @property
    def counts(self) -> Counts:
        """The counts over all rows."""
        found = self._counted([file for files in self._of_row.values() for file in files])
        return Counts(
            here=found[State.HERE],
            pointers=found[State.POINTER],
            missing=found[State.MISSING],
            remote=found["remote"],
            proved=found["proved"],
            differing=found["differing"],
            shared=sum(len(labels) > 1 for labels in self.by_path.values()),
        )

    def absent(self, rows: Sequence[Row]) -> str:
        """Return how many files of some rows are not on disk, or "" if all are."""
        found = self._counted([file for row in rows for file in self._of_row[row.index]])
        parts = [
            f"{found[kind]:,} {said}"
            for kind, said in (
                (State.MISSING, "not here"),
                (State.POINTER, "Git LFS pointers"),
                ("remote", "with only an address"),
            )
            if found[kind]
        ]
        total = sum(found[k] for k in (*State, "remote"))
        return f"of {total:,} files: {', '.join(parts)}" if parts else ""

    def shared(self, rows: Sequence[Row]) -> str:
        """Return how many files several rows have with equal digests, or ""."""
        names = {path for row in rows for path, _ in self._of_row[row.index]}
        several = [p for p in names if p is not None and len(self.by_path[p]) > 1]
        if not several or self.conflicting:
            return ""
        number = "1 file is" if len(several) == 1 else f"{len(several):,} files are"
        return f"{number} in several rows, which declare no different digests of it"

    @property
    def conflicting(self) -> list[str]:
        """The files of which rows declare different digests."""
        return sorted(
            path
            for path, declared in self._declared.items()
            if len({d for d in declared if d}) > 1 and len(self.by_path[path]) > 1
        )


def _files(registry: Registry, row: Row) -> Iterator[tuple[str | None, Mapping[str, str]]]:
    """Yield the path of each file of a row, or None for an address, with its digests."""
    if row.onnx is not None:
        declared = {d.algorithm: d.hex for d in row.digests}
        sha256 = row.digest("sha256")
        if sha256 is not None:
            declared["sha256"] = sha256
        yield registry.absolute(row.onnx), declared
    elif row.text("url") is not None:
        yield None, {}
    if row.onnx is not None and row.quantized:
        int8 = row.digest("int8_sha256")
        yield registry.absolute(int8_of(row.onnx)), {} if int8 is None else {"sha256": int8}
    for name in row.external_data_sha256:
        data = sha256_of(row.external_data_sha256[name])
        yield registry.absolute(name), {} if data is None else {"sha256": data}
    for file in row.files:
        digests = {d.algorithm: d.hex for d in file.digests}
        yield None if file.name is None else registry.absolute(file.name), digests


def _remarks(registry: Registry, states: _States) -> Iterator[str]:
    labels = Counter(row.label for row in registry.rows)
    several = [label for label, count in labels.items() if count > 1]
    if several:
        yield (
            f"{len(several):,} ids occur more than once, such as {several[0][:80]!r}: choose "
            "another `id` in [registry.fields]"
        )
    if states.conflicting:
        yield (f"rows declare different digests of one file, such as {states.conflicting[0][:200]}")
    unreadable = sum(len(row.unreadable) for row in registry.rows)
    if unreadable:
        yield f"{unreadable:,} values cannot be read; `provenance check` names them"


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
