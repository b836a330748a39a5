# SPDX-License-Identifier: Apache-2.0
"""Recognize the fields of rows and files: first by what the files prove, then by their names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from provenance.artifacts import digest
from provenance.artifacts.forms import FLAG, is_whole
from provenance.attestations import bundle as bundles
from provenance.frozen import dataclass
from provenance.operations.adoption.disk import Disk
from provenance.operations.adoption.outline import Outline, Pattern
from provenance.operations.adoption.places import is_address
from provenance.registry.json_path import MAX_LENGTH
from provenance.registry.references import is_silent, part_of
from provenance.registry.rows import INT8_MODES, OTHER_MODES
from provenance.registry.stock_rows import SIZES

Names = tuple[str, ...]


@dataclass(frozen=True)
class Column:
    """The values of one field of nodes that are alike.

    Attributes:
        names: The names that lead from the node to the value; empty for the node itself.
        values: The value of each node, or None.
        is_mixed: Whether some nodes have an object or a list there.
    """

    names: Names
    values: tuple[Any, ...]
    is_mixed: bool = False

    @property
    def said(self) -> list[Any]:
        """The values that say something."""
        return [value for value in self.values if not is_silent(value)]

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the last name, in lower case."""
        return words_of(self.names[-1]) if self.names else ()


@dataclass(frozen=True)
class Line:
    """A key of a table, with its value and the comment behind it."""

    key: str
    value: str
    comment: str = ""


def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a name in `snake_case`, `camelCase` or `kebab-case`, in lower case."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name[:200])
    return tuple(word for word in re.split(r"[^A-Za-z0-9]+", parted.lower()) if word)


def stem(names: Names) -> str:
    """Return the last of `names` without the words that say what kind of value it has."""
    words = words_of(names[-1]) if names else ()
    return "_".join(word for word in words if word not in _KINDS)


def plain(name: str) -> str:
    """Return a name in lower case with single underscores between its words."""
    return "_".join(words_of(name))


def path_text(names: Iterable[str]) -> str:
    """Return the path of the value that `names` lead to."""
    return "$" + "".join(f".{n}" if _PLAIN.fullmatch(n) else f"[{in_quotes(n)}]" for n in names)


def reference(names: Names) -> str:
    """Return the reference to the value that `names` lead to."""
    if len(names) == 1 and not names[0].startswith(("$", "~")) and not set("{}") & set(names[0]):
        return names[0]
    return path_text(names)


def is_literal(name: str) -> bool:
    """Return whether a name can be part of a template as it is."""
    return not set("{}") & set(name) and name.isprintable() and "\\" not in name


def in_quotes(name: str) -> str:
    """Return a name in the quotes of a path."""
    from provenance.registry.json_path import normalized

    return normalized((name,))[2:-1]


def is_expressible(pattern: Pattern) -> bool:
    """Return whether a path with these steps is short enough for a reference."""
    return sum(len(step) + 6 for step in pattern if isinstance(step, str)) < MAX_LENGTH // 2


def columns(outline: Outline, node: Pattern, places: Sequence[tuple[int, Any]]) -> list[Column]:
    """Return the fields of the nodes at a pattern, each with a value for each of `places`."""
    found: list[Column] = []
    numbers = {place: number for number, place in enumerate(places)}
    for pattern, items in outline.leaves.items():
        rest = pattern[len(node) :]
        names = tuple(step for step in rest if isinstance(step, str))
        if pattern[: len(node)] != node or len(names) != len(rest) or not is_expressible(rest):
            continue
        values: list[Any] = [None] * len(places)
        for item in items:
            number = numbers.get(item.place(len(item.location) - len(rest)))
            if number is not None:
                values[number] = item.value
        if any(not is_silent(value) for value in values):
            mixed = pattern in outline.records or (*pattern, None) in outline.nodes
            found.append(Column(names, tuple(values), mixed))
    return found


# Digests


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


# Sizes and addresses


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


def address_of(found: Sequence[Column], names: Sequence[str | None]) -> Column | None:
    """Return the field with the address of each file, or None if it is not certain.

    `names` are the names of the files: an address usually ends in the name.
    """
    could: list[tuple[int, Column]] = []
    for column in found:
        addresses = column.said
        if not all(isinstance(v, str) and is_address(v) for v in addresses):
            continue
        if column.is_mixed or any({*words_of(name)} & _NO_ADDRESS for name in column.names):
            continue
        same = sum(
            isinstance(value, str) and name is not None and _last(value) == _last(name)
            for value, name in zip(column.values, names, strict=True)
        )
        usual = bool(column.names) and plain(column.names[-1]) in _ADDRESS_NAMES
        if usual or 2 * same > len(addresses):
            could.append((same, column))
    best = max((same for same, _ in could), default=0)
    among = [column for same, column in could if same == best]
    return among[0] if len(among) == 1 or (best and among) else None


def _last(name: str) -> str:
    return part_of(name, "name")


# Fields of a row


@dataclass(frozen=True)
class _Usual:
    """The usual names of a field, the best first, and the form of its values."""

    names: Names
    fits: Callable[[Any], bool]


def is_label(value: object) -> bool:
    """Return whether a value is a short string that is no digest, path or address."""
    if not isinstance(value, str) or not 0 < len(value) <= 128 or digest.parse(value):
        return False
    return value.isprintable() and not is_address(value)


USUAL: Final[dict[str, _Usual]] = {
    "kind": _Usual(("kind", "type", "task", "task_type", "role", "category"), is_label),
    "opset": _Usual(
        ("opset", "onnx_opset", "opset_version", "onnx_opset_version"),
        lambda v: is_whole(v) and 0 < v < 100,
    ),
    "smoke": _Usual(("smoke", "is_smoke", "placeholder", "is_placeholder"), FLAG.has),
    "quant_mode": _Usual(
        ("quant_mode", "quantization", "quantisation", "precision"),
        lambda v: v in (*INT8_MODES, *OTHER_MODES),
    ),
    "license_url": _Usual(
        (
            *("license_url", "licence_url", "license_link", "licence_link", "license_uri"),
            *("license_file", "licence_file", "license_path"),
        ),
        lambda v: isinstance(v, str) and 0 < len(v) <= 1000,
    ),
    "sigstore_bundle": _Usual(
        ("sigstore_bundle", "bundle", "sigstore", "signature_bundle"),
        lambda v: isinstance(v, str) and v.endswith(bundles.SUFFIX),
    ),
    "int8_sha256": _Usual(("int8_sha256",), lambda v: digest.sha256_of(v) is not None),
    "external_data_sha256": _Usual(("external_data_sha256",), lambda v: isinstance(v, dict)),
    "notes": _Usual(("notes", "note", "comment", "remarks"), lambda v: isinstance(v, str)),
    "description": _Usual(
        ("description", "desc", "summary"), lambda v: isinstance(v, str) and len(v) < 10_000
    ),
}
"""Fields that are recognized by their usual names, if all values fit."""

LICENSE_NAMES: Final = (
    *("license_id", "licence_id", "license_spdx", "spdx_license", "spdx_id", "spdx"),
    *("spdx_expression", "license", "licence"),
)
IDS: Final = ("id", "name", "model_id", "model_name", "key", "slug", "identifier", "uid")


def usual(found: Sequence[Column], field: str) -> Column | None:
    """Return the column that a field usually is, by its name, or None."""
    how = USUAL[field]
    by_name = {plain(c.names[0]): c for c in reversed(found) if len(c.names) == 1}
    if field == "license_url":
        by_name |= {"_".join(map(plain, c.names)): c for c in found if len(c.names) == 2}
    for name in how.names:
        column = by_name.get(name)
        if column is not None and all(map(how.fits, column.said)):
            return column
    return None


def licenses(found: Sequence[Column]) -> list[Column]:
    """Return the columns that could be the license: one, or several that the author chooses from.

    An empty list means that no row states a license.
    """
    could = []
    for column in found:
        if not column.said or not all(isinstance(v, str) and len(v) <= 1000 for v in column.said):
            continue
        names = [plain(name) for name in column.names]
        if not names or {*column.words} & _NO_LICENSE:
            continue
        below = len(names) > 1 and names[-2] in ("license", "licence", "spdx")
        if below and names[-1] in ("id", "spdx", "spdx_id", "license", "key", "name", "expression"):
            could.append((1 if names[-1] == "name" else 0, column))
        elif len(names) == 1 and names[0] in LICENSE_NAMES:
            could.append((LICENSE_NAMES.index(names[0]), column))
        elif names[-1].endswith(("license", "licence")):
            could.append((len(LICENSE_NAMES), column))
    best = min((rank for rank, _ in could), default=0)
    return [column for rank, column in could if rank == best]


_KINDS: Final = frozenset(
    (
        *("path", "file", "filename", "name", "url", "sha", "sha256", "sha1", "sha384", "sha512"),
        *("md5", "digest", "checksum", "hash", "bytes", "size", "sum"),
    )
)
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
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
_ADDRESS_NAMES: Final = {
    *("url", "link", "source", "source_url", "download_url", "download", "href", "uri"),
    *("model_url", "file_url", "remote", "address", "origin", "original_source", "mirror"),
}
_NO_ADDRESS: Final = {
    *("license", "licence", "paper", "homepage", "repo", "repository", "docs", "documentation"),
    *("reference", "project", "site", "website", "arxiv", "doi", "citation", "config", "image"),
}
_NO_LICENSE: Final = {"url", "link", "uri", "file", "path", "text", "notice", "note", "notes"}
