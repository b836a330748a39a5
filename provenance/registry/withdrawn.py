# SPDX-License-Identifier: Apache-2.0
"""`withdrawn.json`: the models that were released and are no longer to be used.

It lies beside the configuration. Entries are only ever added: the release summary signs them, and a
consumer who has that summary refuses these models by their digests.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Final

from provenance.artifacts import digest, limits
from provenance.artifacts.digest import Digest, is_sha256
from provenance.artifacts.documents import json_edit
from provenance.artifacts.documents.json_edit import Insert, Raw, Set
from provenance.artifacts.documents.source_map import SourceMap
from provenance.artifacts.documents.strict_json import (
    START,
    JsonError,
    Position,
    decode,
    parse_object_text,
)
from provenance.artifacts.paths import FileError, FileProblem
from provenance.errors import InputError
from provenance.frozen import dataclass
from provenance.registry.reading import Files
from provenance.registry.registry import Registry
from provenance.registry.rows import MAX_ID, MODEL_SUFFIX, Row, int8_of

FILE: Final = "withdrawn.json"
"""The path, relative to the folder of the configuration."""

VERSION: Final = 1
MAX_REASON: Final = 1_000
"""Characters of a reason."""

_LIST: Final = "withdrawn"
_KEYS: Final = frozenset(("id", "digests", "reason", "date"))
_APPEND_ONLY: Final = "Restore the file: entries are only ever added to it."


class WithdrawnError(ValueError):
    """A value is not a list of withdrawn models. The message is a clause."""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A model that is withdrawn.

    Attributes:
        id: The id of its row.
        digests: The SHA-256 of its ONNX models and their external data, by name relative to the
            registry's folder.
        reason: Why it is withdrawn.
        date: The day on which it was withdrawn, as an ISO date.
        replaced_by: The id of the row to use instead, or None.
    """

    id: str
    digests: Mapping[str, str]
    reason: str
    date: str
    replaced_by: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the entry as the file and the release summary have it."""
        return {
            "id": self.id,
            "digests": dict(self.digests),
            "reason": self.reason,
            "date": self.date,
            **({} if self.replaced_by is None else {"replaced_by": self.replaced_by}),
        }

    @property
    def why(self) -> str:
        """The reason, the day, and the replacement, as the end of a sentence."""
        instead = "" if self.replaced_by is None else f"; it is replaced by {self.replaced_by!r}"
        return f"was withdrawn on {self.date}: {self.reason}{instead}"


@dataclass(frozen=True)
class Withdrawals:
    """The file with the withdrawn models.

    Attributes:
        entries: The entries, the oldest first.
        text: The text of the file, or None if there is no file.
        digest: The digest of its bytes, or None if there is no file.
    """

    entries: tuple[Withdrawal, ...] = ()
    text: str | None = None
    digest: Digest | None = None

    @cached_property
    def by_digest(self) -> Mapping[str, Withdrawal]:
        """The first entry with each digest."""
        return by_digest(self.entries)

    def position(self, number: int) -> Position:
        """Return the position of an entry."""
        if self.text is None:
            return START
        source = SourceMap(self.text)
        member = source.find((_LIST, number))
        return START if member is None else source.position(member.start)

    def place_of(self, id: str) -> Position | None:
        """Return the position of the entry of an id or else of the file, or None without a file."""
        if self.text is None:
            return None
        ids = [entry.id for entry in self.entries]
        return self.position(ids.index(id)) if id in ids else START

    def lacking(self, others: Iterable[Withdrawal]) -> list[Withdrawal]:
        """Return those of `others` that this file does not have unchanged."""
        return lacking(self.entries, others)

    def covers(self, row: Row, registry: Registry) -> bool:
        """Return whether a row that `registry` no longer has is gone because it was withdrawn.

        Each model that the row declared has to be withdrawn under its id, except those that another
        row still has.
        """
        own = [entry for entry in self.entries if entry.id == row.label]
        digests = {sha256 for entry in own for sha256 in entry.digests.values()}
        needed = set(declared(row).values()) - digests
        if needed and own:
            needed -= {sha256 for other in registry.rows for sha256 in declared(other).values()}
        return bool(own) and not needed

    def with_entry(self, entry: Withdrawal) -> str:
        """Return the text of the file with one more entry at its end."""
        value = json.dumps(entry.as_json(), indent=2, ensure_ascii=False)
        if self.text is None:
            document = {"schema_version": VERSION, _LIST: [entry.as_json()]}
            return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        source, count = SourceMap(self.text), len(self.entries)
        edit: Insert | Set = Insert((_LIST, count), Raw(value), count - 1 if count else None)
        if not count:
            edit = Set((_LIST,), Raw(Raw(f"[\n  {Raw(value).placed(_GAP)}\n]").placed("\n  ")))
        return json_edit.edit(source, [edit], FILE)


def declared(row: Row) -> Mapping[str, str]:
    """Return the declared SHA-256 of the models of a row and of their external data.

    They are returned by name, or by address for a model without a name.
    """
    found: dict[str, object] = {}
    if row.onnx is not None:
        found[row.onnx] = row.fields.get("sha256")
        found[int8_of(row.onnx)] = row.fields.get("int8_sha256")
    elif (url := row.text("url")) is not None:
        found[url] = row.fields.get("sha256")
    found |= row.external_data_sha256
    for file in row.files:
        name = file.name or file.url
        if name is not None and name.endswith(MODEL_SUFFIX):
            found[name] = file.digest("sha256")
    digests = ((name, digest.sha256_of(value)) for name, value in found.items())
    return {name: sha256 for name, sha256 in digests if sha256 is not None}


_GAP: Final = "\n  "


def by_digest(entries: Iterable[Withdrawal]) -> dict[str, Withdrawal]:
    """Return the first entry with each digest."""
    found: dict[str, Withdrawal] = {}
    for entry in entries:
        for sha256 in entry.digests.values():
            found.setdefault(sha256, entry)
    return found


def lacking(present: Iterable[Withdrawal], others: Iterable[Withdrawal]) -> list[Withdrawal]:
    """Return those of `others` that are not in `present` unchanged."""
    known = {_mark(entry) for entry in present}
    return [entry for entry in others if _mark(entry) not in known]


def _mark(entry: Withdrawal) -> str:
    return json.dumps(entry.as_json(), sort_keys=True)


def read(files: Files, of: str = "") -> Withdrawals:
    """Return the withdrawn models of a tree or a commit; no entries if it has no such file.

    Args:
        files: The files, relative to the folder of the configuration.
        of: What the files belong to, for messages, such as "baseline git:main: ".

    Raises:
        InputError: If the file cannot be read or is not valid.
    """
    try:
        data = files.read(FILE, limits.DOCUMENT)
    except FileError as e:
        if e.problem is FileProblem.MISSING:
            return Withdrawals()
        raise InputError(f"{of}{e.message}", help=e.help) from e
    return parse(data, of)


def parse(data: bytes, of: str = "") -> Withdrawals:
    """Return the withdrawn models in the bytes of a file.

    Raises:
        InputError: If they are not valid.
    """
    try:
        text = decode(data)
        value = parse_object_text(text)
    except JsonError as e:
        raise InputError(f"{of}{FILE}: {e}", help=_APPEND_ONLY) from e
    try:
        unknown = value.keys() - {"$schema", "schema_version", _LIST}
        if unknown:
            raise WithdrawnError(f"unknown key {min(unknown)[:60]!r}")
        if value.get("schema_version", VERSION) != VERSION:
            raise WithdrawnError(f"`schema_version`: expected {VERSION}")
        entries = entries_of(value.get(_LIST))
    except WithdrawnError as e:
        raise InputError(f"{of}{FILE}: {e}", help=_APPEND_ONLY) from e
    return Withdrawals(entries, text, digest.of_bytes(data))


def entries_of(value: object) -> tuple[Withdrawal, ...]:
    """Return the withdrawn models in a JSON value.

    Raises:
        WithdrawnError: If it is not a list of them.
    """
    if not isinstance(value, list):
        raise WithdrawnError(f"`{_LIST}`: expected a list of entries")
    if len(value) > limits.WITHDRAWN:
        raise WithdrawnError(f"{len(value):,} entries; at most {limits.WITHDRAWN:,} are read")
    return tuple(_entry(number, each) for number, each in enumerate(value))


def _entry(number: int, value: object) -> Withdrawal:
    at = f"entry {number + 1}"
    if not isinstance(value, dict) or value.keys() - {"replaced_by"} != _KEYS:
        keys = "`id`, `digests`, `reason`, `date` and optionally `replaced_by`"
        raise WithdrawnError(f"{at}: expected an object with {keys}")
    id, digests, replaced_by = value["id"], value["digests"], value.get("replaced_by")
    if not _is_line(id, MAX_ID) or not (replaced_by is None or _is_line(replaced_by, MAX_ID)):
        raise WithdrawnError(f"{at}: `id` and `replaced_by` are not valid ids")
    if not _is_line(value["reason"], MAX_REASON):
        limit = f"one line of at most {MAX_REASON:,} characters"
        raise WithdrawnError(f"{at}: `reason`: expected {limit}")
    if not isinstance(digests, dict) or not all(map(is_sha256, digests.values())):
        raise WithdrawnError(f"{at}: `digests`: expected an object of names and SHA-256 digests")
    if len(digests) > limits.EXTERNAL_FILES:
        raise WithdrawnError(f"{at}: more than {limits.EXTERNAL_FILES:,} digests")
    if not _is_date(value["date"]):
        raise WithdrawnError(f"{at}: `date`: expected YYYY-MM-DD")
    return Withdrawal(id, digests, value["reason"], value["date"], replaced_by)


def _is_line(value: object, most: int) -> bool:
    if not isinstance(value, str) or len(value) > most or not value.isprintable():
        return False
    return any(map(str.isalnum, value))


def _is_date(value: object) -> bool:
    if not isinstance(value, str) or len(value) != len("2026-12-31"):
        return False
    try:
        datetime.date.fromisoformat(value)
    except ValueError:
        return False
    return True
