# SPDX-License-Identifier: Apache-2.0
"""Search a repository for its index, and propose how it is read.

Each proposal is written as a configuration and read back before it is offered: what counts is what
the reader of registries makes of it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from provenance.artifacts.paths import Tree
from provenance.errors import InputError
from provenance.frozen import dataclass
from provenance.operations.adoption import places
from provenance.operations.adoption.disk import Disk, Listing
from provenance.operations.adoption.documents import Document, groups, read_all, read_named
from provenance.operations.adoption.draft import Draft
from provenance.operations.adoption.drafts import drafts
from provenance.operations.adoption.finishing import Finishing
from provenance.operations.adoption.places import Named
from provenance.operations.adoption.proposal import (
    Candidate,
    Proposal,
)
from provenance.operations.adoption.structure import is_model
from provenance.registry.mapping import Format

_TESTS: Final = frozenset(("test", "tests", "testing", "fixtures", "examples", "example", "docs"))


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


def search(
    tree: Tree,
    listing: Listing,
    named: str | None = None,
    known: Mapping[str, str] | None = None,
) -> Proposal | None:
    """Return the proposed reading of the index, or None if none is found.

    Args:
        tree: The repository.
        listing: Its files.
        named: The path of the index that the user named, or None to choose the best.
        known: The SHA-256 of files that were hashed before, by path.

    Raises:
        InputError: If the named index cannot be read.
    """
    disk = Disk(tree, listing, known)
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
            if read.unread:
                raise InputError(
                    f"no index of models found, but {notes[0]}",
                    help="If one of them is the index: provenance init --registry PATH",
                )
    problem: InputError | None = None
    found.sort(key=lambda c: c.documents[0].path)
    found.sort(key=lambda c: c.rank, reverse=True)
    for number, one in enumerate(found):
        finishing = Finishing(tree, disk, one.drafts, is_stock=one.is_stock)
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
        if kept and (len(documents) == 1 or _is_whole(kept)):
            used |= {d.path for draft in kept for d in draft.documents}
            yield _Candidate(documents, kept, is_stock)


def _is_whole(made: Sequence[Draft]) -> bool:
    """Return whether several documents are one registry, and not copies of each other.

    Most of their files are on disk, each named by one of them. If no file is on disk, the documents
    have the same name.
    """
    number = sum(draft.number for draft in made)
    here = sum(draft.here for draft in made)
    paths = {document.path for draft in made for document in draft.documents}
    if number < len(paths):
        return False
    if not here:
        return len({path.rpartition("/")[2] for path in paths}) == 1
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
