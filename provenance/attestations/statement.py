# SPDX-License-Identifier: Apache-2.0
"""in-toto Statements v1 (https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md).

Statements are written as JSON by us, because a predicate that holds a registry row verbatim must
keep its integers and its key order, which protobuf's `Struct` does not. Before anything is signed
the reference implementation, `in-toto-attestation`, has to accept it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from provenance.artifacts.digest import is_sha256
from provenance.artifacts.packed import PackedObject
from provenance.artifacts.strict_json import JsonError, parse_object, type_name

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
OLDER_TYPE: Final = "https://in-toto.io/Statement/v0.1"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
MAX_SUBJECTS: Final = 200_000


class StatementError(ValueError):
    """Bytes that are not a Statement v1 as this project accepts it. The message says why."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A signed artifact: its name relative to the registry's folder, and its SHA-256."""

    name: str
    sha256: str

    def as_json(self) -> dict[str, Any]:
        """The subject as a ResourceDescriptor."""
        return {"name": self.name, "digest": {"sha256": self.sha256}}


@dataclass(frozen=True)
class Statement:
    """A statement: what it is about, what kind of claim it makes, and the claim."""

    subjects: tuple[Subject, ...]
    predicate_type: str
    predicate: Mapping[str, Any]
    type: str = STATEMENT_TYPE

    def digest_of(self, name: str) -> str | None:
        """The SHA-256 that is signed under `name`."""
        return self._digests.get(name)

    def name_of(self, sha256: str) -> str | None:
        """The first name that `sha256` is signed under."""
        return self._names.get(sha256)

    @cached_property
    def _digests(self) -> Mapping[str, str]:
        return {s.name: s.sha256 for s in reversed(self.subjects)}

    @cached_property
    def _names(self) -> Mapping[str, str]:
        return {s.sha256: s.name for s in reversed(self.subjects)}


def encode(statement: Statement) -> bytes:
    """The payload to sign.

    Raises:
        StatementError: The reference implementation or our own reader would not accept it.
    """
    payload = json.dumps(
        {
            "_type": STATEMENT_TYPE,
            "subject": [s.as_json() for s in statement.subjects],
            "predicateType": statement.predicate_type,
            "predicate": statement.predicate,
        },
        ensure_ascii=False,
        allow_nan=False,
        separators=(",", ":"),
    ).encode("utf-8")
    decode(payload)
    _reference_accepts(payload)
    return payload


def decode(payload: bytes, *, older: bool = False) -> Statement:
    """The statement that `payload` holds, strictly. Where it is `older`, also one of v0.1.

    Every subject needs a name of its own and one lower-case SHA-256: a statement whose subject is
    known by a weaker digest, or which says two things of one name, binds nothing.

    Raises:
        StatementError: Anything else.
    """
    try:
        value = parse_object(payload)
    except JsonError as e:
        raise StatementError(f"the statement {e}") from e
    kind = value.get("_type")
    if kind != STATEMENT_TYPE and not (older and kind == OLDER_TYPE):
        raise StatementError(f"the statement's _type is {_short(kind)}, not {STATEMENT_TYPE}")
    unknown = value.keys() - {"_type", "subject", "predicateType", "predicate"}
    if unknown:
        raise StatementError(f"the statement has an unknown field {sorted(unknown)[0]!r}")
    predicate_type = value.get("predicateType")
    if not isinstance(predicate_type, str) or not predicate_type:
        raise StatementError("the statement has no predicateType")
    predicate = value.get("predicate")
    if not isinstance(predicate, dict):
        raise StatementError(f"the predicate is {type_name(predicate)}, not an object")
    return Statement(
        _subjects(value.get("subject")), predicate_type, PackedObject(predicate), str(kind)
    )


def _subjects(value: object) -> tuple[Subject, ...]:
    if not isinstance(value, list) or not value:
        raise StatementError("the statement has no subject")
    if len(value) > MAX_SUBJECTS:
        raise StatementError(f"the statement has more than {MAX_SUBJECTS:,} subjects")
    subjects = tuple(_subject(i, s) for i, s in enumerate(value))
    names: set[str] = set()
    for subject in subjects:
        if subject.name in names:
            raise StatementError(f"the statement names the subject {subject.name!r} twice")
        names.add(subject.name)
    return subjects


def _subject(index: int, value: object) -> Subject:
    if not isinstance(value, dict):
        raise StatementError(f"subject {index} is {type_name(value)}, not an object")
    name, digests = value.get("name"), value.get("digest")
    if not isinstance(name, str) or not name:
        raise StatementError(f"subject {index} has no name")
    sha256 = digests.get("sha256") if isinstance(digests, dict) else None
    if not isinstance(sha256, str) or not is_sha256(sha256):
        raise StatementError(f"subject {name!r} has no SHA-256 digest of 64 lower-case hex digits")
    return Subject(name, sha256)


def _reference_accepts(payload: bytes) -> None:
    from google.protobuf import json_format
    from in_toto_attestation.v1 import statement as reference
    from in_toto_attestation.v1 import statement_pb2

    message = statement_pb2.Statement()
    try:
        json_format.Parse(payload, message)
        reference.Statement.copy_from_pb(message).validate()
    except (json_format.ParseError, ValueError) as e:
        raise StatementError(f"in-toto-attestation does not accept the statement: {e}") from e


def descriptors(digests: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """ResourceDescriptors for (name, SHA-256) pairs."""
    return [Subject(name, sha256).as_json() for name, sha256 in digests]


def _short(value: object) -> str:
    return repr(value) if isinstance(value, str) and len(value) < 80 else type_name(value)
