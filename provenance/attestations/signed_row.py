# SPDX-License-Identifier: Apache-2.0
"""A signed registry row: the predicate of a row bundle.

A signed row is complete: it can be read without the registry, the configuration or a mapping. The
requirements of a consumer are checked against the signed row only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar, cast

from provenance.artifacts.digest import is_sha256
from provenance.artifacts.forms import FILLED, LIST, OBJECT, STRING, Form, is_whole
from provenance.attestations.statement import STATEMENT_TYPE, Statement
from provenance.frozen import dataclass

REGISTRY_ROW: Final = "https://onnx-provenance.dev/predicates/registry-row/v1"
"""The predicate type of a row bundle: one canonical row of a registry, and all of its files."""

MODEL: Final = "model"
QUANTIZED: Final = "quantized-model"
EXTERNAL_DATA: Final = "external-data"
COMPANION: Final = "companion"
T = TypeVar("T")

ROLES: Final = (MODEL, QUANTIZED, EXTERNAL_DATA, COMPANION)
"""The roles of the files of a row."""

PRODUCTION: Final = "production"
SMOKE: Final = "smoke"
CLASSIFICATIONS: Final = (PRODUCTION, SMOKE, "unclaimed")
"""The classifications: what a row claims about its model."""

_MEMBERS: Final = {"row", "files", "source", "sidecars", "models", "deferrals"}
_SOURCE: Final = {"index", "format", "location", "verbatim", "mapping"}


class MalformedRowError(ValueError):
    """A predicate of the type `REGISTRY_ROW` is not valid. The message says where."""


@dataclass(frozen=True, slots=True)
class SignedFile:
    """A file of a signed row.

    Attributes:
        name: Relative to the registry's folder; also the name of its subject.
        role: One of `ROLES`.
        declared: The digests that the registry declares for the file, by algorithm.
        size: The size in bytes.
        url: The address that the registry gives for the file, or None.
    """

    name: str
    role: str
    declared: Mapping[str, str]
    size: int
    url: str | None = None


@dataclass(frozen=True, slots=True)
class SignedRow:
    """The content of a row bundle.

    Attributes:
        row: The canonical row, under this project's names, with `classification`.
        files: All files of the row. Each is a subject of the statement.
        index: The path of the registry file, relative to the root of the project.
        verbatim: The row as it was in the registry.
        mapping: The digest of the mapping of field names with which the registry was read.
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
        """The value of `smoke` for the classification, or None if the row is unclaimed."""
        return {PRODUCTION: False, SMOKE: True}.get(self.classification)


def signed_row(statement: Statement | None) -> SignedRow | None:
    """Return the row in the statement of a row bundle.

    Return None if the statement is of another type, or if its predicate is not valid; then
    `malformed_row` returns the reason.
    """
    if statement is None or not is_row(statement):
        return None
    try:
        return _parse(statement)
    except MalformedRowError:
        return None


def malformed_row(statement: Statement) -> str | None:
    """Return why the predicate of a row bundle is not valid.

    Return None if it is valid, or if the statement is of another type.
    """
    if not is_row(statement):
        return None
    try:
        _parse(statement)
    except MalformedRowError as e:
        return str(e)
    return None


def is_row(statement: Statement | None) -> bool:
    """Return whether a statement is of the type of row bundles. Statements v0.1 never are."""
    return (
        statement is not None
        and statement.predicate_type == REGISTRY_ROW
        and statement.type == STATEMENT_TYPE
    )


def _parse(statement: Statement) -> SignedRow:
    value = statement.predicate
    _exactly(value, _MEMBERS, "predicate")
    row = _object(value["row"], "row")
    _need(FILLED, row.get("id"), "row.id")
    _need(_CLASSIFICATION, row.get("classification"), "row.classification")
    for field in ("license", "license_url", "sigstore_bundle", "kind"):
        if field in row:
            _text(row[field], f"row.{field}")
    source = _object(value["source"], "source")
    _exactly(source, _SOURCE, "source")
    mapping = _object(source["mapping"], "source.mapping")
    _object(value["models"], "models")
    files = tuple([_file(f) for f in _need(LIST, value["files"], "files")])
    if sorted([f.name for f in files]) != sorted([s.name for s in statement.subjects]):
        raise MalformedRowError("`files` does not list exactly the subjects of the statement")
    deferrals = _need(LIST, value["deferrals"], "deferrals")
    return SignedRow(
        row=row,
        files=files,
        index=_need(FILLED, source["index"], "source.index"),
        verbatim=_object(source["verbatim"], "source.verbatim"),
        mapping=_need(_SHA256, mapping.get("sha256"), "source.mapping.sha256"),
        sidecars=dict([_sidecar(s) for s in _need(LIST, value["sidecars"], "sidecars")]),
        deferrals=tuple([_object(d, "deferrals") for d in deferrals]),
    )


def _file(entry: object) -> SignedFile:
    file = _object(entry, "files")
    declared = _object(file.get("declared", {}), "files.declared")
    for value in declared.values():
        _text(value, "files.declared")
    return SignedFile(
        _text(file.get("name"), "files.name"),
        _need(_ROLE, file.get("role"), "files.role"),
        declared,
        _need(_SIZE, file.get("size"), "files.size"),
        None if file.get("url") is None else _text(file["url"], "files.url"),
    )


def _sidecar(entry: object) -> tuple[str, str]:
    sidecar = _object(entry, "sidecars")
    digest = _object(sidecar.get("digest"), "sidecars.digest")
    name = _text(sidecar.get("name"), "sidecars.name")
    return name, _need(_SHA256, digest.get("sha256"), "sidecars.digest.sha256")


def _need(form: Form[T], value: object, where: str) -> T:
    if not form.has(value):
        raise MalformedRowError(form.refused(where, value))
    return cast("T", value)


def _object(value: object, where: str) -> dict[str, Any]:
    """Do the same as `_need`, faster, for the most frequent form."""
    return value if isinstance(value, dict) else _need(OBJECT, value, where)


def _text(value: object, where: str) -> str:
    return value if isinstance(value, str) else _need(STRING, value, where)


_CLASSIFICATION: Final = Form[str](
    f"one of {', '.join(CLASSIFICATIONS)}",
    lambda value: isinstance(value, str) and value in CLASSIFICATIONS,
)
_ROLE: Final = Form[str](
    f"one of {', '.join(ROLES)}", lambda value: isinstance(value, str) and value in ROLES
)
_SIZE: Final = Form[int]("a number of bytes", lambda value: is_whole(value) and value >= 0)
_SHA256: Final = Form[str]("a SHA-256 digest", is_sha256)


def _exactly(value: Mapping[str, Any], members: set[str], where: str) -> None:
    if value.keys() != members:
        found = sorted(map(str, value.keys() ^ members))[0]
        state = "unknown" if found in value else "missing"
        raise MalformedRowError(f"{where}: `{found[:60]}` is {state}")
