# SPDX-License-Identifier: Apache-2.0
"""Recognize the other fields of a row by their usual names, if their values fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from provenance.artifacts import digest
from provenance.artifacts.forms import FLAG, is_whole
from provenance.attestations import bundle as bundles
from provenance.frozen import dataclass
from provenance.operations.adoption.columns import Column, Names, plain, words_of
from provenance.operations.adoption.places import is_address
from provenance.registry.references import part_of
from provenance.registry.rows import INT8_MODES, OTHER_MODES


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


_ADDRESS_NAMES: Final = {
    *("url", "link", "source", "source_url", "download_url", "download", "href", "uri"),
    *("model_url", "file_url", "remote", "address", "origin", "original_source", "mirror"),
}


_NO_ADDRESS: Final = {
    *("license", "licence", "paper", "homepage", "repo", "repository", "docs", "documentation"),
    *("reference", "project", "site", "website", "arxiv", "doi", "citation", "config", "image"),
}


_NO_LICENSE: Final = {"url", "link", "uri", "file", "path", "text", "notice", "note", "notes"}
