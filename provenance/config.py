# SPDX-License-Identifier: Apache-2.0
"""The configuration: `[tool.provenance]` in pyproject.toml, or provenance.toml with the same keys.

Strict: an unknown key is an error that names the nearest known one, because a misspelt `deferral`
or `trust` would otherwise be a policy that nobody enforces.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from provenance.artifacts import limits, paths, repository
from provenance.artifacts.documents import strict_toml
from provenance.artifacts.documents.strict_json import Position
from provenance.artifacts.documents.toml_tables import Table
from provenance.artifacts.documents.toml_text import Tables
from provenance.artifacts.forms import STRING, Form, filled, is_day, is_filled, is_names
from provenance.attestations import layout_table, recognition
from provenance.attestations.layout_table import LayoutTable
from provenance.errors import InputError
from provenance.runtime import settings
from provenance.runtime.settings import RunSettings
from provenance.signing import pem, roots, trust_table
from provenance.signing.trust import Trust, TrustedIdentity, TrustedKey
from provenance.signing.trust_table import TrustTable

FILE: Final = "provenance.toml"
PYPROJECT: Final = "pyproject.toml"

_KEYS: Final = {
    *("registry", "repository", "resource_uri", "baseline", "run", "layout"),
    *("trust", "deferral"),
}
_NO_POLICY: Final = ("layout",)
"""Keys that do not decide what a release is: a layout is signed by itself."""


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

    def trust(self) -> Trust | None:
        """The trust that the configuration declares, None where it declares none.

        Raises:
            InputError: A key or the trusted root is missing, outside the root, or not what it has
                to be.
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
            lambda p: roots.of_bytes(read(p, limits.TRUSTED_ROOT, "trusted_root"), p),
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

    @cached_property
    def table(self) -> Mapping[str, Any]:
        """The configuration's keys and values as written."""
        return section(parse_toml(self.text, self.path), self.path) or {}

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


class NoConfigError(InputError):
    """No configuration was found. The help is for authors, who can write one."""


def load(start: Path, explicit: Path | None = None) -> Config:
    """The configuration in `explicit`, or the nearest one in `start` or a folder above it.

    With `explicit`, the registry is relative to `start`, so that one configuration can serve many
    trees; its keys are relative to its own folder. A configuration that is found belongs to the
    folder it is found in, also if it is a link: the registry and the keys are relative to that.

    Raises:
        NoConfigError: None is found.
        InputError: It cannot be read or understood.
    """
    start = Path(os.path.realpath(start))
    if explicit is not None:
        found = _read(explicit, start, named=True)
        if found is None:
            raise NoConfigError(
                f"{explicit}: no [tool.provenance]", help="Write it: provenance init"
            )
        return replace(found, start=start)
    for folder in (start, *start.parents):
        for name in (FILE, PYPROJECT):
            candidate = folder / name
            if candidate.is_file():
                config = _read(candidate, folder)
                if config is not None:
                    return replace(config, start=start)
    raise NoConfigError(
        f"no configuration: neither {FILE} nor [tool.provenance] in {PYPROJECT}, "
        f"in {start} or any folder above it",
        help="Write one: provenance init",
    )


def trust_from_file(path: Path) -> Trust:
    """Trust that a consumer keeps in a TOML file with `[[trust.…]]` tables.

    Paths in it are relative to that file's folder.

    Raises:
        InputError: The file, or one that it names, cannot be read or understood.
    """
    text = read_text(path)
    named = recognition.name_of(text.encode("utf-8"))
    if named is not None:
        options = {recognition.TRUSTED_ROOT: "--trusted-root", recognition.BUNDLE: "--bundle"}
        options |= {recognition.PUBLIC_KEY: "--key", recognition.CLIENT_CONFIG: "--trusted-root"}
        option, help = options.get(named), trust_table.EXAMPLE
        if option is not None:
            help = f"Give it with {option}: {option} {shlex.quote(str(path))}"
        elif named == recognition.PRIVATE_KEY:
            help = "Keep it secret. Trust the public key of the pair: --key PUBLIC.pub"
        raise InputError(
            f"{path}: it is {named}, expected a TOML file with [[trust.…]] tables", help=help
        )
    found = trust_table.parse(Table(parse_toml(text, str(path)), {"trust"}, str(path)))
    if not found:
        raise InputError(f"{path}: trusts nobody", help=trust_table.EXAMPLE)
    folder = path.resolve().parent
    return found.open(
        str(path),
        lambda p: pem.read_file(folder / p),
        lambda p: roots.of_file(folder / p),
    )


def trust_from_options(keys: Iterable[Path] = (), identity: TrustedIdentity | None = None) -> Trust:
    """Trust in public keys and an identity that were given by name. Raises InputError."""
    found = tuple(t for k in keys for t in TrustedKey.all_of_pem(pem.read_file(k), str(k)))
    identities = () if identity is None else (identity,)
    given = (("--key", found), ("--identity", identities))
    return Trust(" and ".join(name for name, some in given if some), found, identities)


def trust_from_keys(keys: Iterable[Path]) -> Trust:
    """Trust in public keys that were given by name. Raises InputError."""
    return trust_from_options(keys)


def _read(path: Path, root: Path, *, named: bool = False) -> Config | None:
    """The configuration in `path`; None for a pyproject.toml without [tool.provenance]."""
    return of_text(read_text(path), path, root, named=named)


def of_text(text: str, path: Path, root: Path, *, named: bool = False) -> Config | None:
    """Return the configuration in `text`, which is or will be written to `path`.

    None for a pyproject.toml without [tool.provenance].

    Raises:
        InputError: If the text is not a valid configuration.
    """
    shown = os.path.relpath(path, root)
    shown = path.name if shown.startswith("..") else shown.replace(os.sep, "/")
    table = section(parse_toml(text, shown), shown)
    if table is None:
        return None
    folder = Path(os.path.realpath(path)).parent if named else root
    return _parse(table, text, shown, root, folder, path if named else None)


def section(table: Mapping[str, Any], path: str) -> Mapping[str, Any] | None:
    """Return the part of a TOML file at `path` that is the configuration.

    None for a pyproject.toml without [tool.provenance]. Raises InputError.
    """
    tool = table.get("tool")
    if path.rpartition("/")[2] != PYPROJECT:
        if isinstance(tool, dict) and "provenance" in tool:
            raise InputError(
                f"{path}: [tool.provenance] is for {PYPROJECT}",
                help='Here its keys stand alone: registry = "…", and [[trust.key]] for its tables.',
            )
        return table
    found = tool.get("provenance") if isinstance(tool, dict) else None
    if found is not None and not isinstance(found, dict):
        raise InputError(f"{path}: [tool.provenance] is not a table")
    return found


def _parse(
    table: Mapping[str, Any],
    text: str,
    path: str,
    root: Path,
    key_folder: Path,
    named: Path | None,
) -> Config:
    if "fields" in table:
        raise InputError(
            f"{path}: `fields` is not supported: unsigned names cannot say what a signed row means",
            help="Remove the table and give the registry's rows this project's names: a list "
            "`models` of rows with `id`, `onnx`, `sha256`, `license`, … (docs: Configuration).",
        )
    of_file = Table(table, _KEYS, path)
    registry = of_file.need("registry", _REGISTRY)
    reason = paths.unsafe_reason(registry)
    normal = os.path.normpath(registry)
    if reason is None and (normal == ".." or normal.startswith("../")):
        reason = "leaves the folder of the configuration"
    if reason is not None:
        raise InputError(f"{path}: `registry` {registry!r} {reason}")
    return Config(
        root=root,
        path=path,
        registry=normal.replace(os.sep, "/"),
        trust_table=trust_table.parse(of_file),
        deferrals=_deferrals(of_file),
        text=text,
        key_folder=key_folder,
        named=named,
        baseline=of_file.optional("baseline"),
        run=settings.parse(of_file),
        repository=of_file.optional("repository", _REPOSITORY),
        resource_uri=of_file.optional("resource_uri", _RESOURCE_URI),
        layout=layout_table.parse(of_file),
        policy_sha256=_policy_sha256(table),  # last: what is refused is not hashed, however deep
    )


_REGISTRY: Final = filled("the path of the registry", 'registry = "model/tiny/registry.json"')
_REPOSITORY: Final = filled("OWNER/REPO", 'repository = "lusoris/vmaf"', repository.NAME)
_RESOURCE_URI: Final = Form[str](
    f"an absolute URI of at most {repository.MAX_URI:,} printable ASCII characters",
    lambda value: is_filled(value) and repository.is_absolute_uri(value.strip()),
    'resource_uri = "https://example.org/models/registry.json"',
)
_ROWS: Final = Form[list[str]](
    "a list of row ids, in which * and ? match",
    lambda value: is_names(value) and bool(value) and all(value),
    'rows = ["my_ensemble_seed*"]',
)
_RULE: Final = filled("the code of a rule", 'rule = "SID402"')
_EXPIRES: Final = Form[datetime.date]("a date", is_day, "expires = 2026-12-31")


def _deferrals(table: Table) -> tuple[Deferral, ...]:
    keys = {"rule", "rows", "reason", "reference", "expires"}
    found = tuple(
        Deferral(
            index,
            rows=tuple(entry.need("rows", _ROWS)),
            rule=entry.need("rule", _RULE),
            # Empty is for the gate to report (DEF904), with the deferral's other defects.
            reason=entry.get("reason", STRING, ""),
            reference=entry.get("reference", STRING, ""),
            expires=entry.get("expires", _EXPIRES, None),
        )
        for index, entry in enumerate(table.tables("deferral", keys))
    )
    for limit, number, what in (
        (limits.DEFERRALS, len(found), "deferrals"),
        (limits.PATTERNS, sum(is_pattern(r) for d in found for r in d.rows), "patterns in `rows`"),
    ):
        if number > limit:
            raise table.error(f"[[deferral]]: {number:,} {what}; at most {limit:,} are read")
    return found


def is_pattern(row: str) -> bool:
    """Return whether an entry of a deferral's `rows` is a pattern, and not an id."""
    return any(mark in row for mark in "*?[")


def _policy_sha256(table: Mapping[str, Any]) -> str:
    """The digest of the configuration's values: keys sorted, dates in ISO form, no white space."""
    policy = {k: v for k, v in table.items() if k not in _NO_POLICY}
    encoded = json.dumps(
        policy, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str
    )
    return hashlib.sha256(encoded.encode("ascii")).hexdigest()


def read_text(path: Path) -> str:
    """The text of a configuration file. Raises InputError."""
    try:
        data = paths.read_named_file(path, limits.DOCUMENT)
    except paths.FileError as e:
        raise InputError(f"configuration {path}: {e.message}") from e
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise InputError(f"configuration {path}: not UTF-8 (byte {e.start})") from e


def parse_toml(text: str, path: str) -> dict[str, Any]:
    """The table that TOML `text` holds; `path` is for messages. Raises InputError."""
    try:
        return strict_toml.parse(text)
    except strict_toml.TomlError as e:
        raise InputError(f"{path}: {e}") from e
