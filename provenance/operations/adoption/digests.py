# SPDX-License-Identifier: Apache-2.0
"""Recognize digests and sizes of files: first by what the files prove, then by their names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from provenance.artifacts import digest
from provenance.artifacts.forms import is_whole
from provenance.frozen import dataclass
from provenance.operations.adoption.columns import (
    Column,
    Line,
    Names,
    in_quotes,
    path_text,
    plain,
    reference,
    stem,
)
from provenance.operations.adoption.disk import Disk
from provenance.registry.references import is_silent
from provenance.registry.stock_rows import SIZES


@dataclass(frozen=True)
class Digests:
    """A field with digests of files.

    Attributes:
        names: The names of the field. Several fields, each in a part of the nodes, count as one.
        key: The key of the configuration: an algorithm, or `digest`.
        text: The reference to it.
        proved: The number of files on disk that have the digest.
        compared: The number of files on disk with a digest in this field.
        placeholders: Values that stand for a missing digest.
    """

    names: tuple[Names, ...]
    key: str
    text: str
    proved: int
    compared: int
    placeholders: tuple[str, ...] = ()

    def line(self) -> Line:
        """Return the line of the configuration."""
        if not self.compared:
            return Line(self.key, self.text, "not proved: no file with a digest is here")
        if self.proved == self.compared:
            number = (
                f"{self.compared:,} file has"
                if self.compared == 1
                else (f"{self.proved:,} of {self.compared:,} files have")
            )
            return Line(self.key, self.text, f"proved: {number} this digest")
        return Line(
            self.key,
            self.text,
            f"proved in part: {self.proved:,} of {self.compared:,} files have this digest"
            if self.proved
            else f"not proved: {self.compared:,} files here have another digest",
        )


def digests_of(
    found: Sequence[Column], paths: Sequence[str | None], disk: Disk
) -> list[tuple[Column, Digests]]:
    """Return the fields that could be digests of the files at `paths`, with their proof."""
    kinds = [c for c in found if c.said and all(_algorithm(v) in SIZES for v in c.said)]
    result = []
    for column in found:
        candidate = _digests(column, paths, disk, kinds)
        if candidate is not None:
            result.append((column, candidate))
    return result


def _digests(
    column: Column, paths: Sequence[str | None], disk: Disk, kinds: Sequence[Column]
) -> Digests | None:
    written = [_parsed(value) for value in column.values]
    read = [one for one in written if one is not None]
    said = column.said
    name = plain(column.names[-1]) if column.names else ""
    if name in SIZES and said and not read and all(map(_is_stand_in, said)):
        stand_ins = tuple(dict.fromkeys(said))
        return Digests((column.names,), name, reference(column.names), 0, 0, stand_ins[:20])
    if not read or 2 * len(read) < len(said):
        return None
    others = [v for v, one in zip(column.values, written, strict=True) if one is None]
    odd = [v for v in others if not is_silent(v)]
    if not all(map(_is_stand_in, odd)):
        odd = []  # a damaged digest is for `check` to report
    algorithms = {one.algorithm for one in read}
    proved: Counter[str] = Counter()
    compared = 0
    for path, one in zip(paths, written, strict=True):
        if path is None or one is None:
            continue
        wanted = [one.algorithm] if one.algorithm in SIZES else []
        if len(one.hex) == 128 and not one.prefix:
            wanted = ["sha512", "blake2b"]
        there = disk.digests(path, wanted)
        compared += any(name in there for name in wanted)
        proved.update(name for name in wanted if there.get(name) == one.hex)
    best, number = proved.most_common(1)[0] if proved else ("", 0)
    text, key = reference(column.names), _key(algorithms, read, best)
    if key == "digest" and algorithms == {name}:
        (key,) = algorithms  # a field `sha256` with values such as sha256:…
    kind = next((k for k in kinds if k is not column and _agrees(k, written)), None)
    if kind is not None and all(not one.prefix for one in read):
        key, text = "digest", f"{{{path_text(kind.names)}}}:{{{path_text(column.names)}}}"
    if key is None:
        return None
    stand_ins = tuple(dict.fromkeys(str(v) for v in odd))[:20]
    total = sum(proved.values()) if key == "digest" else number
    return Digests((column.names,), key, text, total, compared, stand_ins)


def _is_stand_in(value: object) -> bool:
    """Return whether a value can stand for a missing digest: it has no run of hex digits."""
    return isinstance(value, str) and len(value) <= 64 and _HEX_LIKE.search(value) is None


def _key(algorithms: set[str], read: Sequence[digest.Written], proved: str) -> str | None:
    if all(one.prefix for one in read):
        return "digest" if algorithms <= SIZES.keys() else None
    if len(algorithms) != 1:
        return None
    (algorithm,) = algorithms
    if all(len(one.hex) == 128 for one in read):
        return proved or None  # SHA-512 and BLAKE2b have the same length
    return algorithm if algorithm in SIZES else None


def _agrees(kind: Column, written: Sequence[digest.Written | None]) -> bool:
    pairs = zip(kind.values, written, strict=True)
    return all(
        not is_silent(value) and len(one.hex) == 2 * SIZES[_algorithm(value)]
        for value, one in pairs
        if one is not None
    )


def _algorithm(value: object) -> str:
    return re.sub("[-_ ]", "", value.lower()) if isinstance(value, str) and len(value) < 20 else ""


def _parsed(value: object) -> digest.Written | None:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 10**15:
        value = str(value)  # a digest of decimal digits
    return digest.parse(value)


def is_named_digest(column: Column, chosen: Digests) -> bool:
    """Return whether the name of a field says that it is a digest of a file."""
    words = {*column.words}
    if words & _NO_DIGEST or not (words & _DIGEST_WORDS or _DIGEST_NAME.search("".join(words))):
        return False
    # A bare `sha` of 40 digits is usually a commit.
    return chosen.key != "sha1" or bool(words & {"sha1", "checksum", "digest", "hash", "sha1sum"})


def united(chosen: Digests, column: Column, others: Sequence[tuple[Column, Digests]]) -> Digests:
    """Return a field together with those of the same kind that the other nodes have instead."""
    if len(column.names) != 1 or "{" in chosen.text:
        return chosen
    taken = [value is not None for value in column.values]
    proved, compared = chosen.proved, chosen.compared
    names: list[Names] = [column.names]
    for other, digests in others:
        has = [value is not None for value in other.values]
        apart = not any(a and b for a, b in zip(taken, has, strict=True))
        is_like = digests.key == chosen.key and len(other.names) == 1 and "{" not in digests.text
        if other is not column and is_like and apart and digests.proved == digests.compared:
            taken = [a or b for a, b in zip(taken, has, strict=True)]
            names.append(other.names)
            proved, compared = proved + digests.proved, compared + digests.compared
    if len(names) == 1:
        return chosen
    text = f"$[{','.join(in_quotes(n) for (n, *_) in names)}]"
    return Digests(tuple(names), chosen.key, text, proved, compared, chosen.placeholders)


def size_of(
    found: Sequence[Column], paths: Sequence[str | None], disk: Disk, near: str
) -> tuple[Line, Column] | None:
    """Return the line for the sizes of files in bytes and their field, or None.

    `near` is the stem of the field with the names of the files. Without a proof, a field whose stem
    is another one does not count.
    """
    stored = [None if path is None else disk.look(path) for path in paths]
    best: tuple[tuple[int, int, int], Line, Column] | None = None
    for column in found:
        if column.is_mixed or not all(is_whole(v) and v >= 0 for v in column.said):
            continue
        pairs = [
            (value, one.size)
            for value, one in zip(column.values, stored, strict=True)
            if value is not None and one is not None and one.size is not None
        ]
        proved = sum(value == size for value, size in pairs)
        name = plain(column.names[-1]) if column.names else ""
        if not proved and stem(column.names) not in ("", near):
            continue
        usual = name in _SIZE_NAMES or {*column.words} >= {"size", "bytes"}
        by_name = (usual or "bytes" in column.words) and (proved > 0 or not pairs)
        if not (pairs and proved == len(pairs)) and not by_name:
            continue
        comment = "not proved: no file of it is here"
        if pairs:
            all_of = "proved" if proved == len(pairs) else "proved in part"
            comment = f"{all_of}: {proved:,} of {_files(len(pairs))} this size"
        line = Line("size", reference(column.names), comment)
        score = (proved, int(usual), -len(column.names))
        if best is None or score > best[0]:
            best = (score, line, column)
    return None if best is None else best[1:]


def _files(number: int) -> str:
    return "1 file has" if number == 1 else f"{number:,} files have"


_HEX_LIKE: Final = re.compile(r"[0-9A-Fa-f]{8}")


_DIGEST_WORDS: Final = {
    *("sha", "sha256", "sha384", "sha512", "sha1", "md5", "digest", "checksum", "hash"),
    *("sha256sum", "md5sum", "sha1sum", "sha512sum", "blake2b", "b2sum", "sum", "integrity"),
}


_DIGEST_NAME: Final = re.compile(r"sha(?:1|256|384|512)|md5|checksum|digest")


_NO_DIGEST: Final = {"revision", "commit", "git", "rev", "tree", "int8", "etag", "uuid"}


_SIZE_NAMES: Final = {
    *("size", "bytes", "size_bytes", "file_size", "filesize", "length", "size_in_bytes"),
    *("byte_size", "model_bytes", "model_size", "num_bytes", "file_bytes", "content_length"),
}


def best_proved(found: Sequence[tuple[Column, Digests]]) -> list[tuple[Column, Digests]]:
    """Return for each algorithm the field that proves most files."""
    best: dict[str, tuple[Column, Digests]] = {}
    for column, one in found:
        if one.proved and (one.key not in best or one.proved > best[one.key][1].proved):
            best[one.key] = (column, one)
    return [(column, united(one, column, found)) for column, one in best.values()]
