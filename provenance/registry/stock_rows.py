# SPDX-License-Identifier: Apache-2.0
"""Rows in this project's own shape, and the values that both kinds of rows share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from provenance.artifacts import digest
from provenance.artifacts.documents.strict_json import JsonPath, Position
from provenance.registry.json_path import Node
from provenance.registry.mapping import DIGESTS
from provenance.registry.rows import DeclaredDigest, DeclaredFile, Row, Unreadable

SIZES: Final[Mapping[str, int]] = {
    "md5": 16, "sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64, "blake2b": 64,
}  # fmt: skip
"""Bytes of the digests that are compared. `blake2b` is that of `b2sum`."""

_OTHER_DIGESTS: Final = tuple(name for name in (*DIGESTS, "digest") if name != "sha256")


class DigestError(ValueError):
    """A value is not a digest of the expected algorithm. The message is a clause.

    Attributes:
        help: How to correct it.
    """

    def __init__(self, message: str, help: str) -> None:
        super().__init__(message)
        self.help = help


def read_digest(name: str, value: object, place: JsonPath | None) -> DeclaredDigest:
    """Return the digest in a field.

    Args:
        name: The algorithm that the field is for, or `digest` for a value that names its algorithm.
        value: The value.
        place: Where it is.

    Raises:
        DigestError: If it is not a digest, or of an unknown or another algorithm.
    """
    shown = repr(value)[:60]
    written = digest.parse(value)
    bare = isinstance(value, str) and written is not None and not written.prefix
    if name == "digest":
        if written is None or bare:
            raise DigestError(
                f"{shown} does not name its algorithm",
                "Write it as sha256:…, or map the field by its algorithm: sha256 = …",
            )
        if written.algorithm not in SIZES:
            raise DigestError(
                f"{shown}: the algorithm {written.algorithm!r} is not supported",
                f"Supported algorithms: {', '.join(SIZES)}.",
            )
        return DeclaredDigest(written.algorithm, written.hex, place)
    if written is not None:
        fits = len(written.hex) == 2 * SIZES[name]
        if fits and (written.algorithm == name or bare):
            return DeclaredDigest(name, written.hex, place)
    raise DigestError(
        f"expected a digest of the algorithm {name}, found {shown}",
        f"Write {2 * SIZES[name]} hex digits.",
    )


def read_size(value: object) -> int | None:
    """Return a size in bytes, from a whole number or its decimal digits, or None."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def stock_row(index: int, node: Node, position: Position) -> Row:
    """Return the row of a node in this project's own shape."""
    value = node.value
    if not (value.keys() & _FURTHER):
        return Row(index, value, value, position, at=_at(index, node))
    unreadable: list[Unreadable] = []
    files = own_files(node, unreadable)
    digests = tuple(_digests(value, node.location, _OTHER_DIGESTS, unreadable))
    return Row(
        index,
        value,
        value,
        position,
        at=_at(index, node),
        digests=digests,
        files=files,
        unreadable=tuple(unreadable),
    )


def _at(index: int, node: Node) -> JsonPath | None:
    """Return the location of a row, or None if it follows from the index: 100,000 are kept."""
    return None if node.location == ("models", index) else node.location


def own_files(node: Node, unreadable: list[Unreadable]) -> tuple[DeclaredFile, ...]:
    """Return the files in the member `files` of a row in this project's own shape."""
    listed = node.value.get("files")
    return tuple(
        _file(entry, (*node.location, "files", number), unreadable)
        for number, entry in enumerate(listed if isinstance(listed, list) else ())
        if isinstance(entry, dict)
    )


def _file(entry: Mapping[str, Any], place: JsonPath, unreadable: list[Unreadable]) -> DeclaredFile:
    digests = tuple(_digests(entry, place, (*DIGESTS, "digest"), unreadable))
    name, url = _text(entry.get("path")), _text(entry.get("url"))
    size = read_size(entry.get("size"))
    return DeclaredFile(name, url, digests, size, (*place, "path"), (*place, "size"))


def _digests(
    value: Mapping[str, Any], place: JsonPath, names: tuple[str, ...], unreadable: list[Unreadable]
) -> Iterator[DeclaredDigest]:
    for name in names:
        written = value.get(name)
        if written is None or written == "":
            continue
        try:
            yield read_digest(name, written, (*place, name))
        except DigestError as e:
            field = "files" if "files" in place else name
            unreadable.append(Unreadable(field, f"`{name}`: {e}", e.help, (*place, name)))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and any(map(str.isalnum, value)) else None


_FURTHER: Final = frozenset(("files", *_OTHER_DIGESTS))
