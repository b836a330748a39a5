# SPDX-License-Identifier: Apache-2.0
"""in-toto Statements v1 (https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md).

Statements are encoded as JSON by this module, because a predicate with a verbatim registry row must
keep its integers and its order of keys, and protobuf's `Struct` does not. Before a statement is
signed, the reference implementation, `in-toto-attestation`, must accept it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

from provenance.artifacts import limits
from provenance.artifacts.digest import is_sha256
from provenance.artifacts.documents.strict_json import JsonError, parse_object, type_name
from provenance.artifacts.packed import PackedMembers, kept
from provenance.frozen import dataclass

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
OLDER_TYPE: Final = "https://in-toto.io/Statement/v0.1"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
MAX_SUBJECTS: Final = 200_000
OWN: Final = "https://onnx-provenance.dev/"
"""The prefix of the predicate types, build types and verifier ids of this project."""


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that a DSSE signature signs. The lengths are in bytes, as ASCII decimals.

    Source: https://github.com/secure-systems-lab/dsse, protocol v1.0.0.
    """
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


class StatementError(ValueError):
    """The bytes are not a Statement v1 that this project accepts. The message says why."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A name with a SHA-256: a signed artifact, or a document that a statement refers to.

    The name of a signed artifact is relative to the registry's folder.
    """

    name: str
    sha256: str

    def as_json(self) -> dict[str, Any]:
        """Return the ResourceDescriptor."""
        return {"name": self.name, "digest": {"sha256": self.sha256}}


@dataclass(frozen=True, slots=True)
class OtherSubject:
    """A signed artifact without a SHA-256. Its other digests are not used."""

    name: str
    algorithms: tuple[str, ...]


@dataclass(frozen=True)
class Statement:
    """A statement: its subjects, the type of its claim, and the claim.

    Attributes:
        subjects: The artifacts with a SHA-256. Only these are verified. In a foreign statement,
            names may be empty or repeated.
        others: The artifacts without a SHA-256. Only foreign statements have any.
    """

    subjects: tuple[Subject, ...]
    predicate_type: str
    predicate: Mapping[str, Any]
    type: str = STATEMENT_TYPE
    others: tuple[OtherSubject, ...] = ()

    @property
    def unsupported(self) -> tuple[str, ...]:
        """The algorithms of the digests of `others`, sorted."""
        return tuple(sorted({a for other in self.others for a in other.algorithms}))

    def digest_of(self, name: str) -> str | None:
        """Return the SHA-256 of the subject `name`, or None."""
        return self._digests.get(name)

    def name_of(self, sha256: str) -> str | None:
        """Return the name of the first subject with this SHA-256, or None."""
        return self._names.get(sha256)

    @cached_property
    def inputs(self) -> Mapping[str, str]:
        """The SHA-256 of each input attestation of a release summary, by its URI."""
        return digests_of(self.predicate.get("inputAttestations"), "uri")

    @cached_property
    def _digests(self) -> Mapping[str, str]:
        return {s.name: s.sha256 for s in reversed(self.subjects)}

    @cached_property
    def _names(self) -> Mapping[str, str]:
        return {s.sha256: s.name for s in reversed(self.subjects)}


def encode(statement: Statement) -> bytes:
    """Return the payload to sign. Raises StatementError if in-toto-attestation refuses it."""
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


def decode(
    payload: bytes, *, foreign: bool = False, texts: Mapping[str, str] | None = None
) -> Statement:
    """Return the statement in `payload`, read strictly.

    Every subject must have a different name and a lower-case SHA-256. A statement with a weaker
    digest, or with two digests for one name, would bind nothing.

    Args:
        payload: The bytes of the statement.
        foreign: Whether to accept statements of other projects. A statement whose predicate type is
            not this project's is then read by in-toto's rules for consumers: v0.1 is accepted;
            unknown fields and digests are ignored; names may be unset or repeated, because subjects
            are matched by digest; and the predicate may be unset.
        texts: Strings that are already in memory, to be reused for names and digests.

    Raises:
        StatementError: If `payload` is not such a statement.
    """
    if len(payload) > LARGE:
        listed, rest = _written_subjects(payload, texts or {})
        if listed:
            try:
                return _statement(parse_object(rest), payload, foreign, listed)
            except JsonError:
                pass  # the whole payload is parsed below, so that the error has the right position
    try:
        value = parse_object(payload)
    except JsonError as e:
        raise StatementError(f"the statement {e}") from e
    return _statement(value, payload, foreign, ())


def _statement(
    value: dict[str, Any], payload: bytes, foreign: bool, listed: tuple[Subject, ...]
) -> Statement:
    """Return the statement in the object `value`, with the subjects `listed` if there are any."""
    kind, predicate_type = value.get("_type"), value.get("predicateType")
    liberal = foreign and not str(predicate_type).startswith(OWN)
    if kind != STATEMENT_TYPE and not (liberal and kind == OLDER_TYPE):
        short = isinstance(kind, str) and len(kind) < 80
        shown = repr(kind) if short else type_name(kind)
        raise StatementError(f"the statement's _type is {shown}, not {STATEMENT_TYPE}")
    unknown = value.keys() - {"_type", "subject", "predicateType", "predicate"}
    if unknown and not liberal:
        raise StatementError(f"the statement has an unknown field {sorted(unknown)[0]!r}")
    if not isinstance(predicate_type, str) or not predicate_type:
        raise StatementError("the statement has no predicateType")
    predicate = value.get("predicate")
    if predicate is None and liberal:
        predicate = {}
    if not isinstance(predicate, dict):
        raise StatementError(f"the predicate is {type_name(predicate)}, not an object")
    subjects, others = _subjects(listed or value.get("subject"), liberal)
    if len(payload) <= LARGE:
        predicate = kept(predicate, payload)
        return Statement(subjects, predicate_type, predicate, str(kind), others)
    packed = PackedMembers(predicate)
    found = Statement(subjects, predicate_type, packed, str(kind), others)
    # Looked up now, because unpacking them later takes four times the memory.
    vars(found)["inputs"] = digests_of(predicate.get("inputAttestations"), "uri")
    return found


LARGE: Final = 64 * 1024
"""Bytes of a payload or bundle above which it is read in parts, to save memory."""

_BEGIN: Final = f'{{"_type":"{STATEMENT_TYPE}","subject":['.encode()
_WRITTEN: Final = re.compile(
    rb'\{"name":"([^"\\\x00-\x1f]+)","digest":\{"sha256":"([0-9a-f]{64})"\}\}([,\]])'
)


def _written_subjects(
    payload: bytes, texts: Mapping[str, str]
) -> tuple[tuple[Subject, ...], bytes]:
    """Return the subjects of a payload that `encode` wrote, and the payload without them.

    If the payload is formatted differently, or has too many values, return no subjects and the
    whole payload.
    """
    values = sum(map(payload.count, (b",", b"[", b"{")))
    found: list[Subject] = []
    at = len(_BEGIN)
    if payload.startswith(_BEGIN) and values <= limits.JSON_VALUES:
        for match in _WRITTEN.finditer(payload, at):
            if match.start() != at:
                break
            at = match.end()
            try:
                name, sha256 = match[1].decode("utf-8"), match[2].decode("ascii")
            except UnicodeDecodeError:
                break
            found.append(Subject(texts.get(name, name), texts.get(sha256, sha256)))
            if match[3] == b"]":
                return tuple(found), b"".join((_BEGIN, b"]", memoryview(payload)[at:]))
    return (), payload


def _subjects(value: object, liberal: bool) -> tuple[tuple[Subject, ...], tuple[OtherSubject, ...]]:
    if not isinstance(value, list | tuple) or not value:
        raise StatementError("the statement has no subject")
    if len(value) > MAX_SUBJECTS:
        raise StatementError(f"the statement has more than {MAX_SUBJECTS:,} subjects")
    if liberal and isinstance(value, list):
        found = [_foreign_subject(i, s) for i, s in enumerate(value)]
        subjects = tuple(s for s in found if isinstance(s, Subject))
        return subjects, tuple(s for s in found if isinstance(s, OtherSubject))
    if isinstance(value, list):
        value = tuple(_subject(i, s) for i, s in enumerate(value))
    if liberal:
        return value, ()
    names: set[str] = set()
    for subject in value:
        if subject.name in names:
            raise StatementError(f"the statement names the subject {subject.name!r} twice")
        names.add(subject.name)
    return value, ()


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


def _foreign_subject(index: int, value: object) -> Subject | OtherSubject:
    """Return a subject of a foreign statement. In proto3 JSON, `null` is an unset field."""
    if not isinstance(value, dict):
        raise StatementError(f"subject {index} is {type_name(value)}, not an object")
    name, digests = value.get("name"), value.get("digest")
    name, digests = "" if name is None else name, {} if digests is None else digests
    if not isinstance(name, str):
        raise StatementError(f"the name of subject {index} is {type_name(name)}, not a string")
    if not isinstance(digests, dict) or not all(isinstance(d, str) for d in digests.values()):
        raise StatementError(f"the digest of subject {index} is not an object of strings")
    sha256 = digests.get("sha256", "").lower()
    if is_sha256(sha256):
        return Subject(name, sha256)
    return OtherSubject(name, tuple(a if a != "sha256" else "a malformed sha256" for a in digests))


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


def digests_of(entries: object, name: str) -> dict[str, str]:
    """Return the SHA-256 of each ResourceDescriptor in a list, by its member `name`."""
    found: dict[str, str] = {}
    for entry in entries if isinstance(entries, list) else ():
        digests = entry.get("digest") if isinstance(entry, dict) else None
        sha256 = digests.get("sha256") if isinstance(digests, dict) else None
        if isinstance(sha256, str):
            found[str(entry.get(name))] = sha256
    return found
