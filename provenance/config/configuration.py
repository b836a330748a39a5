# SPDX-License-Identifier: Apache-2.0
"""A configuration as read, with its deferrals."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from provenance.artifacts import limits, paths, repository
from provenance.artifacts.documents.strict_json import Position
from provenance.artifacts.documents.toml_text import Tables
from provenance.attestations.layout import LayoutTable
from provenance.errors import InputError
from provenance.frozen import dataclass
from provenance.runtime.settings import RunSettings
from provenance.signing import trusted_root
from provenance.signing.trust import Trust
from provenance.signing.trust_table import TrustTable

FILE: Final = "provenance.toml"
PYPROJECT: Final = "pyproject.toml"


@dataclass(frozen=True, slots=True)
class Deferral:
    """A declared, reasoned, strict exception to a rule. `index` is its place in the file."""

    index: int
    rule: str
    rows: tuple[str, ...]
    reason: str
    reference: str
    expires: datetime.date | None = None

    def as_json(self) -> dict[str, Any]:
        """The deferral as it is shown and signed."""
        return {
            "rule": self.rule,
            "reason": self.reason,
            "reference": self.reference,
            "expires": self.expires.isoformat() if self.expires else None,
        }


@dataclass(frozen=True)
class Config:
    """A configuration as read.

    Attributes:
        root: The folder that all paths are relative to, and that none may leave.
        path: Where the configuration was read, for messages and findings.
        registry: The registry, relative to `root`.
        baseline: What `check` compares the registry with, as `--baseline` takes it.
        run: How models are run, where they are.
        repository: OWNER/REPO of this repository, or None to take it from git.
        resource_uri: The absolute URI that names this project's registry in the release summary,
            or None to derive it from the repository.
        layout: Who may do which step of a release, and until when.
        trust_table: Whose signatures count. The paths in it are relative to `key_folder`.
        key_folder: The folder that key paths are relative to: `root`, or the configuration's own
            folder if the user named it. Such a policy never takes its keys from the tree.
        policy_sha256: The digest of what decides a verdict, independent of layout and comments.
        start: The folder in which the search for it began; None if it was not searched for.
        table: Its keys and values as written.
        named: The file that the user named on the command line, or None. A configuration that was
            found in the tree must be the signer's; one that was named is the user's own.
    """

    root: Path
    path: str
    registry: str
    trust_table: TrustTable
    deferrals: tuple[Deferral, ...]
    policy_sha256: str
    text: str
    key_folder: Path
    baseline: str | None = None
    run: RunSettings = field(default_factory=RunSettings)
    repository: str | None = None
    resource_uri: str | None = None
    layout: LayoutTable = field(default_factory=LayoutTable)
    start: Path | None = None
    named: Path | None = None
    table: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def trust(self) -> Trust | None:
        """Return the trust that the configuration declares, or None. Raises InputError."""
        if not self.trust_table:
            return None
        tree = paths.Tree.at(self.key_folder)

        def read(path: str, limit: int, what: str) -> bytes:
            try:
                return tree.read(path, limit)
            except paths.FileError as e:
                help = e.help
                if e.problem in (paths.FileProblem.MISSING, paths.FileProblem.UNSAFE):
                    help = f"Copy it into the folder of {self.path}, and write its path from there."
                raise InputError(f"{self.path}: trust.{what}: {e.message}", help=help) from e

        own = "" if self.named else " (the configuration in this tree)"
        return self.trust_table.open(
            f"{self.path}{own}",
            lambda p: read(p, limits.KEY, "key"),
            lambda p: trusted_root.of_bytes(read(p, limits.TRUSTED_ROOT, "trusted_root"), p),
        )

    @property
    def project(self) -> str | None:
        """The URI that names this project's registry: `resource_uri`, or by the git remote."""
        return self.resource_uri or repository.registry_uri(self.root, self.registry)

    @property
    def is_in_root(self) -> bool:
        """Whether the configuration file lies in the folder that it is applied to."""
        return self.key_folder == self.root

    @property
    def position(self) -> Position:
        """Where the configuration starts in its file."""
        lines = self.text.splitlines()
        tables = (n for n, line in enumerate(lines, 1) if line.startswith("[tool.provenance"))
        return Position(next(tables, 1), 1)

    @property
    def prefix(self) -> str:
        """What stands before the configuration's keys in a table header of its file."""
        return "tool.provenance." if self.path.rpartition("/")[2] == PYPROJECT else ""

    def deferral_position(self, deferral: Deferral, key: str | None = None) -> Position:
        """Where a `[[deferral]]` stands, or one of its keys where it has that."""
        return self._deferral_tables.locate(deferral.index, len(self.deferrals), key)

    @cached_property
    def _deferral_tables(self) -> Tables:
        return Tables.of(self.text, f"{self.prefix}deferral")
