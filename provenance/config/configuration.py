# SPDX-License-Identifier: Apache-2.0
"""The values of a configuration, with its deferrals."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from provenance.artifacts import limits, paths, repository
from provenance.artifacts.documents.strict_json import Position
from provenance.artifacts.documents.toml_text import Tables, locate
from provenance.attestations.layout import LayoutTable
from provenance.config.gates import Gates
from provenance.errors import InputError
from provenance.frozen import dataclass
from provenance.registry.mapping import Index
from provenance.runtime.settings import RunSettings
from provenance.signing import trusted_root
from provenance.signing.trust import Trust
from provenance.signing.trust_table import TrustTable

FILE: Final = "provenance.toml"
PYPROJECT: Final = "pyproject.toml"

LIBVMAF: Final = "libvmaf"
"""The C consumer of VMAF models, which scans the text of the registry (REG104 to 106, REG115)."""

CONSUMERS: Final = (LIBVMAF,)
"""The consumers that rules know."""


@dataclass(frozen=True, slots=True)
class Deferral:
    """A declared exception to a rule: a `[[deferral]]` table of the configuration.

    Attributes:
        index: The place of the table in the file, counted from 0.
    """

    index: int
    rule: str
    rows: tuple[str, ...]
    reason: str
    reference: str
    expires: datetime.date | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the deferral as reports show it and as row bundles sign it."""
        return {
            "rule": self.rule,
            "reason": self.reason,
            "reference": self.reference,
            "expires": self.expires.isoformat() if self.expires else None,
        }


@dataclass(frozen=True)
class Config:
    """The values of a configuration file.

    Attributes:
        root: The folder that all paths are relative to. No path may leave it.
        path: The path of the configuration file, as messages and findings show it.
        indexes: How the index files of the registry are read. Paths are relative to `root`.
        text: The text of the configuration file.
        baseline: What `check` compares the registry with, in the form of `--baseline`.
        run: How `--run` runs models.
        repository: OWNER/REPO of this repository, or None to take it from git.
        resource_uri: The absolute URI that names this project's registry in the release summary,
            or None to derive it from the repository.
        layout: Who may perform each step of a release, and when the layout expires.
        consumers: The consumers whose format the registry must have, of `CONSUMERS`.
        gates: The gates that production models and ensembles have to pass.
        trust_table: Whose signatures count. Its paths are relative to `key_folder`.
        key_folder: The folder that key paths are relative to: `root`, or the folder of the
            configuration file if the user named that file. The keys of a named configuration
            never come from the tree that it is applied to.
        policy_sha256: The digest of the values that decide a verdict. White space, comments and
            the order of keys do not change it.
        start: The folder in which the search for a configuration began, or None if there was no
            search.
        table: The keys and values as written.
        named: The file that the user named on the command line, or None. A configuration that was
            found in the tree must be the signer's; one that was named is the user's own.
    """

    root: Path
    path: str
    indexes: tuple[Index, ...]
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
    consumers: tuple[str, ...] = ()
    gates: Gates = Gates()
    table: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def registry(self) -> str:
        """The path of the registry, relative to `root`: of its first index file, or a pattern."""
        return self.indexes[0].paths[0]

    def trust(self) -> Trust | None:
        """Return the trust that the configuration declares, or None.

        Raises:
            InputError: If a key or a trusted root cannot be read.
        """
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
        """The URI that names this project's registry: `resource_uri`, or one from the git remote.

        None if there is neither.
        """
        return self.resource_uri or repository.registry_uri(self.root, self.registry)

    @property
    def is_in_root(self) -> bool:
        """Whether the configuration file is in the folder that it is applied to."""
        return self.key_folder == self.root

    @property
    def position(self) -> Position:
        """The position at which the configuration starts in its file."""
        lines = self.text.splitlines()
        tables = (n for n, line in enumerate(lines, 1) if line.startswith("[tool.provenance"))
        return Position(next(tables, 1), 1)

    @property
    def prefix(self) -> str:
        """The prefix of all table headers: `tool.provenance.` in a pyproject.toml, or empty."""
        return "tool.provenance." if self.path.rpartition("/")[2] == PYPROJECT else ""

    def deferral_position(self, deferral: Deferral, key: str | None = None) -> Position:
        """Return the position of `key` in a `[[deferral]]`, or of the table if `key` is missing."""
        return self._deferral_tables.locate(deferral.index, len(self.deferrals), key)

    def gate_position(self, index: int | None, key: str | None = None) -> Position:
        """Return the position of `key` in a `[[gate]]`, or of the table if `key` is missing.

        Without an index, this is the position of the configuration.
        """
        if index is None:
            return self.position
        tables = Tables.of(self.text, f"{self.prefix}gate")
        return tables.locate(index, len(self.gates.declared), key)

    def registry_position(self, number: int, key: str) -> Position:
        """Return the position of a key of a `[registry]` table, or of the configuration."""
        tables = self.table.get("registry")
        count = len(tables) if isinstance(tables, list) else 1
        if count > 1:
            return Tables.of(self.text, f"{self.prefix}registry").locate(number, count)
        for path in (("registry", "fields", key), ("registry", key), ("registry", "path")):
            place = locate(self.text, self.prefix, path)
            if place is not None:
                return place
        return self.position

    @cached_property
    def _deferral_tables(self) -> Tables:
        return Tables.of(self.text, f"{self.prefix}deferral")
