# SPDX-License-Identifier: Apache-2.0
"""in-toto Statements v1 (https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md).

Statements are written as JSON by us, because a predicate that holds a registry row verbatim must
keep its integers and its key order, which protobuf's `Struct` does not. Before anything is signed
the reference implementation, `in-toto-attestation`, has to accept it.
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
"""What the predicate types, build types and verifier ids of this project start with."""


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Return what a DSSE signature is over; both lengths are in bytes, as ASCII decimals.

    Source: https://github.com/secure-systems-lab/dsse, protocol v1.0.0.
    """
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


class StatementError(ValueError):
    """Bytes that are not a Statement v1 as this project accepts it. The message says why."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A file by name and SHA-256: a signed artifact, or a document that a statement speaks of.

    The name of a signed artifact is relative to the registry's folder.
    """

    name: str
    sha256: str

    def as_json(self) -> dict[str, Any]:
        """Return the ResourceDescriptor."""
        return {"name": self.name, "digest": {"sha256": self.sha256}}


@dataclass(frozen=True, slots=True)
class OtherSubject:
    """A signed artifact without a SHA-256: it is known only by digests that do not count here."""

    name: str
    algorithms: tuple[str, ...]


@dataclass(frozen=True)
class Statement:
    """A statement: what it is about, what kind of claim it makes, and the claim.

    Attributes:
        subjects: The artifacts by their SHA-256. Only these count. In a statement by others, a name
            may be empty, and several may have the same.
        others: In a statement by others, the artifacts without a SHA-256.
    """

    subjects: tuple[Subject, ...]
    predicate_type: str
    predicate: Mapping[str, Any]
    type: str = STATEMENT_TYPE
    others: tuple[OtherSubject, ...] = ()

    @property
    def unsupported(self) -> tuple[str, ...]:
        """The algorithms by which the `others` are known, sorted."""
        return tuple(sorted({a for other in self.others for a in other.algorithms}))

    def digest_of(self, name: str) -> str | None:
        """The SHA-256 that is signed under `name`."""
        return self._digests.get(name)

    def name_of(self, sha256: str) -> str | None:
        """The first name that `sha256` is signed under."""
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
    """Return the payload to sign, which in-toto-attestation accepts. Raises StatementError."""
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
    """Return the statement that `payload` holds, read strictly. Raises StatementError.

    Every subject needs a name of its own and one lower-case SHA-256: a statement whose subject is
    known by a weaker digest, or which says two things of one name, binds nothing.

    Where it may be `foreign`, a statement whose predicate type is not this project's is read as
    in-toto tells consumers to: v0.1 too; unknown fields and digests are ignored; names may be unset
    or repeated, because subjects are matched by digest alone; and the predicate may be unset.

    `texts` are strings that are in memory already, and that many subjects need not hold again.
    """
    if len(payload) > LARGE:
        listed, rest = _written_subjects(payload, texts or {})
        if listed:
            try:
                return _statement(parse_object(rest), payload, foreign, listed)
            except JsonError:
                pass  # the whole is parsed below, so that the error names the place in it
    try:
        value = parse_object(payload)
    except JsonError as e:
        raise StatementError(f"the statement {e}") from e
    return _statement(value, payload, foreign, ())


def _statement(
    value: dict[str, Any], payload: bytes, foreign: bool, listed: tuple[Subject, ...]
) -> Statement:
    """The statement whose object is `value`; its subjects are those `listed` if there are any."""
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
    """The subjects of a payload as `encode` writes it, and the payload without them.

    None, and the whole payload, where it is written in another way, or has more than is read.
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
    """A ResourceDescriptor. An unset field and `null` are the same in proto3 JSON."""
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
    """SHA-256 by the member `name`, of the ResourceDescriptors in a list that was signed."""
    found: dict[str, str] = {}
    for entry in entries if isinstance(entries, list) else ():
        digests = entry.get("digest") if isinstance(entry, dict) else None
        sha256 = digests.get("sha256") if isinstance(digests, dict) else None
        if isinstance(sha256, str):
            found[str(entry.get(name))] = sha256
    return found
