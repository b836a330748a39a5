# SPDX-License-Identifier: Apache-2.0
"""Read the files below a root that could be an index: JSON, YAML, TOML and checksum files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from provenance.artifacts import ensemble, limits
from provenance.artifacts.paths import FileError, Tree
from provenance.attestations import bundle as bundles
from provenance.config import FILE, PYPROJECT
from provenance.errors import InputError
from provenance.frozen import dataclass
from provenance.operations.adoption.workflows import is_text
from provenance.registry import index_file
from provenance.registry.mapping import Format

MAX_DOCUMENTS: Final = 10_000
"""Files that are read in search of an index."""

MAX_BYTES: Final = 64 * limits.MIB
"""Bytes of all files that are parsed."""

MAX_SLOW_BYTES: Final = 8 * limits.MIB
"""Bytes of all YAML and TOML files that are parsed: half a second for a megabyte."""

MAX_READ: Final = 512 * limits.MIB
"""Bytes of all files that are read, most of which are not parsed."""

_MAX_SHAPES: Final = 50
"""The maximum number of different shapes of documents with one name, or in one folder."""

_NO_INDEX: Final = frozenset(
    (FILE, PYPROJECT, "package.json", "package-lock.json", "composer.lock", "tsconfig.json")
)
_HINTS: Final = re.compile(rb"\.onnx|[0-9A-Fa-f]{32}")
"""What an index contains: the name of a model, or a digest."""

_SLOW: Final = (Format.YAML, Format.TOML)


@dataclass(frozen=True)
class Document:
    """A file that could be an index.

    Attributes:
        path: The path relative to the root.
        format: The format.
        value: The value, made of JSON types.
    """

    path: str
    format: Format
    value: Any

    @property
    def folder(self) -> str:
        """The folder of the file; "." for the root."""
        return self.path.rpartition("/")[0] or "."


@dataclass(frozen=True)
class Found:
    """The documents below a root.

    Attributes:
        documents: Those that could be an index.
        unread: The paths of those that were too many or too large.
        unnamed: The paths that are not UTF-8, so that no configuration can name them.
    """

    documents: tuple[Document, ...]
    unread: tuple[str, ...] = ()
    unnamed: tuple[str, ...] = ()


def read_all(tree: Tree, paths: Iterable[str]) -> Found:
    """Read the files at `paths` that could be an index, as far as the limits allow."""
    documents: list[Document] = []
    unread: list[str] = []
    unnamed: list[str] = []
    left = {"files": MAX_DOCUMENTS, "read": MAX_READ, "parsed": MAX_BYTES, "slow": MAX_SLOW_BYTES}
    for path, format in _named(paths):
        if left["files"] <= 0 or left["read"] <= 0:
            unread.append(path)
            continue
        left["files"] -= 1
        try:
            data = tree.read(path, index_file.limit_of(format))
        except FileError:
            continue
        left["read"] -= len(data)
        if _HINTS.search(data) is None:
            continue
        kind = "slow" if format in _SLOW else "parsed"
        if len(data) > left[kind]:
            unread.append(path)
            continue
        left[kind] -= len(data)
        document = _parsed(path, format, data)
        if document is not None and not is_text(path):
            unnamed.append(path)
        elif document is not None:
            documents.append(document)
    return Found(tuple(documents), tuple(unread), tuple(unnamed))


def read_named(tree: Tree, path: str) -> Document:
    """Read the index that the user named.

    Raises:
        InputError: If it cannot be read, or is not of a known format.
    """
    try:
        tree.open(path).close()
    except FileError as e:
        raise InputError(f"the registry {e.message}", help=e.help) from e
    format = index_file.format_of(path)
    if format is None:
        raise InputError(
            f"{path}: the name of the file does not tell its format",
            help="An index is a .json, .yaml, .yml or .toml file, or a checksum file such as "
            "SHA256SUMS.",
        )
    try:
        data = tree.read(path, index_file.limit_of(format))
        value = index_file.value_of(index_file.decoded(data), format, [])
    except FileError as e:
        raise InputError(f"the registry {e.message}", help=e.help) from e
    except index_file.IndexFormatError as e:
        raise InputError(f"{path}: {e}", help="Correct the file, or name another one.") from e
    return Document(path, format, value)


def _named(paths: Iterable[str]) -> Iterator[tuple[str, Format]]:
    for path in paths:
        name = path.rpartition("/")[2]
        format = index_file.format_of(name)
        no_index = name in _NO_INDEX or name.endswith((bundles.SUFFIX, ".schema.json"))
        if format is not None and not no_index:
            yield path, format


def _parsed(path: str, format: Format, data: bytes) -> Document | None:
    try:
        value = index_file.value_of(index_file.decoded(data), format, [])
    except index_file.IndexFormatError:
        return None
    return None if _is_other(value) else Document(path, format, value)


def _is_other(value: Any) -> bool:
    """Return whether a value is another document of a release, which also names models."""
    if isinstance(value, dict):
        return (
            ensemble.is_manifest(value)
            or ensemble.is_gate_verdict(value)
            or {"payloadType", "predicateType", "mediaType", "bomFormat"} & value.keys() != set()
        )
    return not isinstance(value, list)


def groups(documents: Sequence[Document]) -> Iterator[tuple[Document, ...]]:
    """Yield the sets of documents that can be read as one registry, the larger ones first.

    Documents belong together if they have the same name in several folders, or are in one folder
    and of one format, and their values look alike.
    """
    by_name: dict[tuple[str, str], list[Document]] = {}
    by_folder: dict[tuple[str, str], list[Document]] = {}
    for one in documents:
        if one.format.algorithm is not None:
            by_folder.setdefault((one.format, ""), []).append(one)
        else:
            by_name.setdefault((one.format, one.path.rpartition("/")[2]), []).append(one)
            by_folder.setdefault((one.format, one.folder), []).append(one)
    for together in (*by_name.values(), *by_folder.values()):
        for alike in _alike(together):
            if len(alike) > 1:
                yield tuple(alike)
    for one in documents:
        yield (one,)


def _alike(documents: Sequence[Document]) -> Iterator[list[Document]]:
    """Yield the documents, those with the same type and mostly the same keys together."""
    waiting = list(documents)
    for _ in range(_MAX_SHAPES):
        if not waiting:
            return
        first = waiting[0]
        yield [d for d in waiting if _similar(first.value, d.value)]
        waiting = [d for d in waiting if not _similar(first.value, d.value)]


def _similar(a: Any, b: Any) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return 2 * len(a.keys() & b.keys()) > min(len(a), len(b))
    return isinstance(a, list) and isinstance(b, list)
