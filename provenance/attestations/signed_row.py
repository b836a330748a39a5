# SPDX-License-Identifier: Apache-2.0
"""A registry row as its signer understood it: what the predicate of a row bundle says.

The signed row needs nothing outside the bundle to be understood: no registry, no configuration, no
mapping. Requirements of a consumer are judged on it and on nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from provenance.artifacts.digest import is_sha256
from provenance.attestations.statement import STATEMENT_TYPE, Statement

REGISTRY_ROW: Final = "https://onnx-provenance.dev/predicates/registry-row/v1"
"""The row bundle: one canonical row of a registry, over all of its files."""

MODEL: Final = "model"
QUANTIZED: Final = "quantized-model"
EXTERNAL_DATA: Final = "external-data"
ROLES: Final = (MODEL, QUANTIZED, EXTERNAL_DATA)
"""What a signed file is to its row."""

PRODUCTION: Final = "production"
SMOKE: Final = "smoke"
CLASSIFICATIONS: Final = (PRODUCTION, SMOKE, "unclaimed")
"""What a row claims of its model."""

_MEMBERS: Final = {"row", "files", "source", "sidecars", "models", "deferrals"}
_SOURCE: Final = {"index", "format", "location", "verbatim", "mapping"}


class MalformedRowError(ValueError):
    """A predicate of the type `REGISTRY_ROW` that does not follow it. The message says where."""


@dataclass(frozen=True, slots=True)
class SignedFile:
    """A file of a signed row.

    Attributes:
        name: Relative to the registry's folder; also the name of its subject.
        role: One of `ROLES`.
        declared: The digests that the registry declared for it, by algorithm.
        size: In bytes.
    """

    name: str
    role: str
    declared: Mapping[str, str]
    size: int


@dataclass(frozen=True, slots=True)
class SignedRow:
    """The content of a row bundle.

    Attributes:
        row: The canonical row, under this project's names, with `classification`.
        files: Every file of the row; each is a subject of the statement.
        index: The path of the registry file, relative to the root of the project.
        verbatim: The row as the registry had it.
        mapping: The digest of the mapping that the registry was read through.
        sidecars: The SHA-256 of each sidecar, by name.
        deferrals: The exceptions in force when the row was signed.
    """

    row: Mapping[str, Any]
    files: tuple[SignedFile, ...]
    index: str
    verbatim: Mapping[str, Any]
    mapping: str
    sidecars: Mapping[str, str]
    deferrals: tuple[Mapping[str, Any], ...]

    @property
    def id(self) -> str:
        """The id of the row."""
        return str(self.row["id"])

    @property
    def classification(self) -> str:
        """One of `CLASSIFICATIONS`."""
        return str(self.row["classification"])

    @property
    def smoke(self) -> bool | None:
        """The `smoke` field that stands for the classification; None if nothing was claimed."""
        return {PRODUCTION: False, SMOKE: True}.get(self.classification)


def signed_row(statement: Statement | None) -> SignedRow | None:
    """The row in a row bundle's statement, or None if the statement is of another kind.

    A statement of this kind whose predicate is malformed says nothing of a row either:
    `malformed_row` gives the reason.
    """
    if statement is None or not is_row(statement):
        return None
    try:
        return _parse(statement)
    except MalformedRowError:
        return None


def malformed_row(statement: Statement) -> str | None:
    """Why a statement that claims to be of a row is not; None if it is, or claims nothing."""
    if not is_row(statement):
        return None
    try:
        _parse(statement)
    except MalformedRowError as e:
        return str(e)
    return None


def is_row(statement: Statement | None) -> bool:
    """Whether a statement claims to be of a registry row. Statements v0.1 never are."""
    return (
        statement is not None
        and statement.predicate_type == REGISTRY_ROW
        and statement.type == STATEMENT_TYPE
    )


def _parse(statement: Statement) -> SignedRow:
    value = statement.predicate
    _exactly(value, _MEMBERS, "predicate")
    row = _object(value["row"], "row")
    id = row.get("id")
    if not isinstance(id, str) or not id:
        raise MalformedRowError("`row.id` is not a non-empty string")
    if row.get("classification") not in CLASSIFICATIONS:
        raise MalformedRowError(f"`row.classification` is not one of {', '.join(CLASSIFICATIONS)}")
    for field in ("license", "license_url", "sigstore_bundle", "kind"):
        if field in row and not isinstance(row[field], str):
            raise MalformedRowError(f"`row.{field}` is not a string")
    source = _object(value["source"], "source")
    _exactly(source, _SOURCE, "source")
    index, mapping = source["index"], _object(source["mapping"], "source.mapping").get("sha256")
    if not isinstance(index, str) or not index:
        raise MalformedRowError("`source.index` is not a non-empty string")
    if not is_sha256(mapping):
        raise MalformedRowError("`source.mapping.sha256` is not a SHA-256 digest")
    _object(value["models"], "models")
    files = tuple(_file(f) for f in _list(value["files"], "files"))
    if sorted(f.name for f in files) != sorted(s.name for s in statement.subjects):
        raise MalformedRowError("`files` are not the subjects of the statement")
    return SignedRow(
        row=row,
        files=files,
        index=index,
        verbatim=_object(source["verbatim"], "source.verbatim"),
        mapping=str(mapping),
        sidecars=dict(_sidecar(s) for s in _list(value["sidecars"], "sidecars")),
        deferrals=tuple(_object(d, "deferrals") for d in _list(value["deferrals"], "deferrals")),
    )


def _file(entry: object) -> SignedFile:
    file = _object(entry, "files")
    name, role, size = file.get("name"), file.get("role"), file.get("size")
    declared = _object(file.get("declared", {}), "files.declared")
    if not isinstance(name, str) or role not in ROLES:
        raise MalformedRowError(f"an entry of `files` has no name, or no role of {ROLES}")
    if type(size) is not int or size < 0:
        raise MalformedRowError("`files.size` is not a number of bytes")
    if not all(isinstance(v, str) for v in declared.values()):
        raise MalformedRowError("`files.declared` holds a value that is not a string")
    return SignedFile(name, str(role), declared, size)


def _sidecar(entry: object) -> tuple[str, str]:
    sidecar = _object(entry, "sidecars")
    sha256 = _object(sidecar.get("digest"), "sidecars.digest").get("sha256")
    name = sidecar.get("name")
    if not isinstance(name, str) or not is_sha256(sha256):
        raise MalformedRowError("an entry of `sidecars` has no name or no SHA-256 digest")
    return name, str(sha256)


def _object(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise MalformedRowError(f"`{where}` is not an object")
    return value


def _list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise MalformedRowError(f"`{where}` is not a list")
    return value


def _exactly(value: Mapping[str, Any], members: set[str], where: str) -> None:
    if value.keys() != members:
        found = sorted(map(str, value.keys() ^ members))[0]
        state = "unknown" if found in value else "missing"
        raise MalformedRowError(f"{where}: `{found[:60]}` is {state}")
