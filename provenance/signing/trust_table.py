# SPDX-License-Identifier: Apache-2.0
"""`[trust]` as people write it, in a configuration or a trust file of its own."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from provenance.artifacts import limits
from provenance.artifacts.documents.toml_tables import known, optional, string, tables
from provenance.attestations.bundle import MAX_SIGNERS
from provenance.errors import InputError
from provenance.signing.trust import (
    GITHUB_ISSUER,
    GITHUB_SERVER,
    Trust,
    TrustedIdentity,
    TrustedKey,
    TrustedWorkflow,
)
from provenance.signing.trusted_root import Period, TrustedRoot

EXAMPLE: Final = 'Add:\n[[trust.key]]\npath = "release.pub"'
_KEYS: Final = {"key", "identity", "github", "signatures", "trusted_root"}
_REPOSITORY: Final = re.compile(r"[\w.-]+/[\w.-]+")
WORKFLOW_PATH: Final = re.compile(r"\.github/workflows/[\w./-]+\.ya?ml")
"""What the `workflow` of a `[[trust.github]]` table is."""
_OPTIONAL: Final = ("event", "environment", "runner_environment")
_IDS: Final = ("owner_id", "repository_id")


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """`[[trust.key]]`: a key that has not been read yet."""

    path: str
    period: Period | None = None


@dataclass(frozen=True)
class TrustTable:
    """`[trust]`. Paths are as written."""

    keys: tuple[KeyEntry, ...] = ()
    identities: tuple[TrustedIdentity, ...] = ()
    workflows: tuple[TrustedWorkflow, ...] = ()
    signatures: int = 1
    trusted_root: str | None = None

    def __bool__(self) -> bool:
        """Whether it trusts anybody."""
        return bool(self.keys or self.identities or self.workflows)

    def open(
        self,
        source: str,
        read_key: Callable[[str], bytes],
        read_root: Callable[[str], TrustedRoot],
    ) -> Trust:
        """The trust, with the files that it names read.

        Raises:
            InputError: A file cannot be read, is not what it has to be, or there are fewer signers
                than have to sign.
        """
        keys = tuple(
            key
            for entry in self.keys
            for key in TrustedKey.all_of_pem(read_key(entry.path), entry.path, entry.period)
        )
        self.need_enough(len({k.fingerprint for k in keys}), source)
        return Trust(
            source,
            keys,
            self.identities,
            self.workflows,
            self.signatures,
            read_root(self.trusted_root) if self.trusted_root else None,
        )

    def need_enough(self, keys: int, where: str) -> None:
        """Raise InputError if fewer can sign than have to."""
        signers = keys + len(self.identities) + len(self.workflows)
        if self.signatures > signers:
            raise InputError(
                f"{where}: trust.signatures is {self.signatures}, and {signers} can sign",
                help="Each signer counts once, under a trust entry of its own.",
            )


def parse(table: Mapping[str, Any], path: str) -> TrustTable:
    """The member `trust` of `table`; `path` is for messages. Raises InputError."""
    trust = table.get("trust", {})
    if not isinstance(trust, dict):
        raise InputError(f"{path}: `trust` is not a table", help="Write it as [[trust.key]]")
    known(trust, _KEYS, path, "trust.")
    found = TrustTable(
        keys=tuple(_key(e, path) for e in tables(trust, "key", path, "trust.")),
        identities=tuple(_identity(e, path) for e in tables(trust, "identity", path, "trust.")),
        workflows=tuple(_workflow(e, path) for e in tables(trust, "github", path, "trust.")),
        signatures=_signatures(trust, path),
        trusted_root=optional(trust, "trusted_root", f"{path}: trust"),
    )
    entries = len(found.keys) + len(found.identities) + len(found.workflows)
    if entries > limits.TRUST_ENTRIES:
        raise InputError(
            f"{path}: `trust` has {entries:,} entries; at most {limits.TRUST_ENTRIES:,} are read"
        )
    if found and not found.keys:  # a file of keys may hold several: that is known once it is read
        found.need_enough(0, path)
    return found


def _signatures(trust: Mapping[str, Any], path: str) -> int:
    value = trust.get("signatures", 1)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_SIGNERS:
        raise InputError(
            f"{path}: trust.signatures must be a number from 1 to {MAX_SIGNERS}",
            help="How many different signers have to sign each row: signatures = 2",
        )
    return value


def _key(entry: Mapping[str, Any], path: str) -> KeyEntry:
    known(entry, {"path", "not_before", "not_after"}, path, "trust.key.")
    value = string(entry, "path", f"{path}: [[trust.key]]")
    if not value:
        raise InputError(f"{path}: [[trust.key]] needs `path`, the path of a public key")
    start, end = _moment(entry, "not_before", path), _moment(entry, "not_after", path)
    if start and end and end < start:
        raise InputError(f"{path}: [[trust.key]] {value}: not_after is before not_before")
    return KeyEntry(value, Period(start, end) if start or end else None)


def _moment(entry: Mapping[str, Any], key: str, path: str) -> datetime.datetime | None:
    """A moment, or a day in UTC, of which the first or last moment counts."""
    value = entry.get(key)
    if value is None:
        return None
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return value.astimezone(datetime.UTC)
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        edge = datetime.time.max if key == "not_after" else datetime.time.min
        return datetime.datetime.combine(value, edge, datetime.UTC)
    raise InputError(
        f"{path}: [[trust.key]] `{key}` must be a date, or a time with its zone",
        help=f"{key} = 2026-12-31, or {key} = 2026-12-31T12:00:00Z",
    )


def _identity(entry: Mapping[str, Any], path: str) -> TrustedIdentity:
    known(entry, {"issuer", "subject"}, path, "trust.identity.")
    where = f"{path}: [[trust.identity]]"
    return TrustedIdentity(_required(entry, "issuer", where), _required(entry, "subject", where))


def _workflow(entry: Mapping[str, Any], path: str) -> TrustedWorkflow:
    names = {"repository", "workflow", "ref", "issuer", "server", *_OPTIONAL, *_IDS}
    known(entry, names, path, "trust.github.")
    where = f"{path}: [[trust.github]]"
    repository = _required(entry, "repository", where)
    if _REPOSITORY.fullmatch(repository) is None:
        raise InputError(
            f"{where}: `repository` is {repository!r}, expected owner/name",
            help='For example: repository = "lusoris/vmaf"',
        )
    workflow = _required(entry, "workflow", where)
    if WORKFLOW_PATH.fullmatch(workflow) is None:
        raise InputError(
            f"{where}: `workflow` is {workflow!r}, expected its path in the repository",
            help='For example: workflow = ".github/workflows/release.yml"',
        )
    ref = _required(entry, "ref", where)
    if not ref.startswith("refs/"):
        raise InputError(
            f"{where}: `ref` is {ref!r}, expected a whole ref, which starts with refs/",
            help='For example: ref = "refs/tags/v*" or ref = "refs/heads/main"',
        )
    return TrustedWorkflow(
        repository=repository,
        workflow=workflow,
        ref=ref,
        event=optional(entry, "event", where),
        environment=optional(entry, "environment", where),
        owner_id=_number(entry, "owner_id", where),
        repository_id=_number(entry, "repository_id", where),
        runner_environment=optional(entry, "runner_environment", where),
        issuer=optional(entry, "issuer", where) or GITHUB_ISSUER,
        server=(optional(entry, "server", where) or GITHUB_SERVER).rstrip("/"),
    )


def _required(entry: Mapping[str, Any], key: str, where: str) -> str:
    value = string(entry, key, where)
    if not value:
        raise InputError(f"{where} needs `{key}`")
    return value


def _number(entry: Mapping[str, Any], key: str, where: str) -> str | None:
    value = entry.get(key)
    if value is None:
        return None
    spelt = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(spelt, str) or not spelt.isascii() or not spelt.isdigit():
        raise InputError(f"{where}: `{key}` must be a number", help=f"{key} = 1234567")
    return spelt
