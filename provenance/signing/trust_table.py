# SPDX-License-Identifier: Apache-2.0
"""The table `[trust]` of a configuration or a trust file."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from dataclasses import fields
from typing import Final

from provenance.artifacts import limits
from provenance.artifacts.documents.toml_tables import Table
from provenance.artifacts.forms import FILLED, Form, filled, is_whole, whole_in
from provenance.attestations.bundle import MAX_SIGNERS
from provenance.errors import InputError
from provenance.frozen import dataclass
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
WORKFLOW_PATH: Final = re.compile(r"\.github/workflows/[\w./-]+\.ya?ml")
"""The form of `workflow` in a `[[trust.github]]` table."""
_PERIOD: Final = ("not_before", "not_after")
_OF_WORKFLOW: Final = {f.name for f in fields(TrustedWorkflow)}


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """A `[[trust.key]]` table, whose key file has not been read yet."""

    path: str
    period: Period | None = None


@dataclass(frozen=True)
class TrustTable:
    """The table `[trust]`. Paths are as written."""

    keys: tuple[KeyEntry, ...] = ()
    identities: tuple[TrustedIdentity, ...] = ()
    workflows: tuple[TrustedWorkflow, ...] = ()
    signatures: int = 1
    trusted_root: str | None = None

    def __bool__(self) -> bool:
        """Return whether it has any trust entries."""
        return bool(self.keys or self.identities or self.workflows)

    def open(
        self,
        source: str,
        read_key: Callable[[str], bytes],
        read_root: Callable[[str], TrustedRoot],
    ) -> Trust:
        """Read the files that the table names, and return the trust.

        Raises:
            InputError: If a file is not valid, or fewer signers are trusted than must sign.
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
        """Check that enough signers are trusted.

        Raises:
            InputError: If there are fewer than `signatures`.
        """
        signers = keys + len(self.identities) + len(self.workflows)
        if self.signatures > signers:
            raise InputError(
                f"{where}: trust.signatures is {self.signatures}, but the number of trusted "
                f"signers is {signers}",
                help="Add a trust entry for each signer, or lower trust.signatures. Each signer "
                "counts once.",
            )


def parse(table: Table) -> TrustTable:
    """Return the table `trust` of a configuration or a trust file.

    Raises:
        InputError: If it is not valid.
    """
    trust = table.table("trust", _KEYS, "[[trust.key]]")
    parsed = TrustTable(
        keys=tuple(map(_key, trust.tables("key", {"path", *_PERIOD}))),
        identities=tuple(
            TrustedIdentity(entry.need("issuer", FILLED), entry.need("subject", FILLED))
            for entry in trust.tables("identity", {"issuer", "subject"})
        ),
        workflows=tuple(map(_workflow, trust.tables("github", _OF_WORKFLOW))),
        signatures=trust.get("signatures", _SIGNATURES, 1),
        trusted_root=trust.optional("trusted_root"),
    )
    entries = len(parsed.keys) + len(parsed.identities) + len(parsed.workflows)
    if entries > limits.TRUST_ENTRIES:
        raise trust.error(
            f"`trust` has {entries:,} entries; at most {limits.TRUST_ENTRIES:,} are read"
        )
    if parsed and not parsed.keys:  # a key file can hold several keys, which are not read yet
        parsed.need_enough(0, table.path)
    return parsed


def _key(entry: Table) -> KeyEntry:
    path = entry.need("path", filled("the path of a public key", 'path = "release.pub"'))
    start, end = (_moment(entry, key) for key in _PERIOD)
    if start and end and end < start:
        raise entry.error(f"{path}: not_after is before not_before")
    return KeyEntry(path, Period(start, end) if start or end else None)


def _moment(entry: Table, key: str) -> datetime.datetime | None:
    """Return a time in UTC. A date means the first or the last moment of that day."""
    example = f"{key} = 2026-12-31, or {key} = 2026-12-31T12:00:00Z"
    form = Form[datetime.date]("a date, or a time with its zone", _is_moment, example)
    value = entry.get(key, form, None)
    if value is None or isinstance(value, datetime.datetime):
        return value and value.astimezone(datetime.UTC)
    edge = datetime.time.max if key == "not_after" else datetime.time.min
    return datetime.datetime.combine(value, edge, datetime.UTC)


def _workflow(entry: Table) -> TrustedWorkflow:
    return TrustedWorkflow(
        repository=entry.need("repository", _REPOSITORY),
        workflow=entry.need("workflow", _WORKFLOW),
        ref=entry.need("ref", _REF),
        event=entry.optional("event"),
        environment=entry.optional("environment"),
        owner_id=_number(entry, "owner_id"),
        repository_id=_number(entry, "repository_id"),
        runner_environment=entry.optional("runner_environment"),
        issuer=entry.optional("issuer") or GITHUB_ISSUER,
        server=(entry.optional("server") or GITHUB_SERVER).rstrip("/"),
    )


def _number(entry: Table, key: str) -> str | None:
    form = Form[int | str]("a number", _is_number, f"{key} = 1234567")
    value = entry.get(key, form, None)
    return None if value is None else str(value)


def _is_number(value: object) -> bool:
    digits = str(value) if is_whole(value) else value
    return isinstance(digits, str) and digits.isascii() and digits.isdigit()


def _is_moment(value: object) -> bool:
    if isinstance(value, datetime.datetime):
        return value.tzinfo is not None
    return isinstance(value, datetime.date)


_REPOSITORY: Final = filled("owner/name", 'repository = "lusoris/vmaf"', r"[\w.-]+/[\w.-]+")
_WORKFLOW: Final = filled(
    "its path in the repository", 'workflow = ".github/workflows/release.yml"', WORKFLOW_PATH
)
_REF: Final = filled(
    "a whole ref, which starts with refs/",
    'ref = "refs/tags/v*" or ref = "refs/heads/main"',
    "(?s)refs/.*",
)
_SIGNATURES: Final = whole_in(range(1, MAX_SIGNERS + 1), "signatures = 2")
