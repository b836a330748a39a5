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
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from provenance.artifacts import limits, paths, repository
from provenance.artifacts.registry import FIELDS, FieldNames
from provenance.artifacts.strict_json import Position
from provenance.artifacts.toml_tables import known, optional, string, tables
from provenance.artifacts.toml_text import Tables
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
    *("registry", "repository", "baseline", "fields", "run", "layout"),
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
        fields: What the registry calls its rows and their fields.
        baseline: What `check` compares the registry with, as `--baseline` takes it.
        run: How models are run, where they are.
        repository: OWNER/REPO of the repository that this is, None where git says it.
        layout: Who may do which step of a release, and until when.
        trust_table: Whose signatures count. The paths in it are relative to `key_folder`.
        key_folder: The configuration's own folder: a policy that somebody keeps elsewhere never
            takes its keys from the tree that it is applied to.
        policy_sha256: The digest of what decides a verdict, independent of layout and comments.
    """

    root: Path
    path: str
    registry: str
    trust_table: TrustTable
    deferrals: tuple[Deferral, ...]
    policy_sha256: str
    text: str
    key_folder: Path
    fields: FieldNames = field(default_factory=FieldNames)
    baseline: str | None = None
    run: RunSettings = field(default_factory=RunSettings)
    repository: str | None = None
    layout: LayoutTable = field(default_factory=LayoutTable)

    @property
    def in_tree(self) -> bool:
        """Whether the configuration is part of the tree that it is applied to."""
        return self.key_folder == self.root

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
                raise InputError(f"{self.path}: trust.{what}: {e.message}") from e

        own = " (the configuration in this tree)" if self.in_tree else ""
        return self.trust_table.open(
            f"{self.path}{own}",
            lambda p: read(p, limits.KEY, "key"),
            lambda p: roots.of_bytes(read(p, limits.TRUSTED_ROOT, "trusted_root"), p),
        )

    @property
    def position(self) -> Position:
        """Where the configuration starts in its file."""
        lines = self.text.splitlines()
        tables = (n for n, line in enumerate(lines, 1) if line.startswith("[tool.provenance"))
        return Position(next(tables, 1), 1)

    def deferral_position(self, deferral: Deferral, key: str | None = None) -> Position:
        """Where a `[[deferral]]` stands, or one of its keys where it has that."""
        return self._deferral_tables.locate(deferral.index, len(self.deferrals), key)

    @cached_property
    def _deferral_tables(self) -> Tables:
        prefix = "tool.provenance." if self.path.rpartition("/")[2] == PYPROJECT else ""
        return Tables.of(self.text, f"{prefix}deferral")


def load(start: Path, explicit: Path | None = None) -> Config:
    """The configuration in `explicit`, or the nearest one in `start` or a folder above it.

    With `explicit`, the registry is relative to `start`, so that one configuration can serve many
    trees; keys are always relative to the configuration.

    Raises:
        InputError: None is found, or it cannot be read or understood.
    """
    start = Path(os.path.realpath(start))
    if explicit is not None:
        found = _read(explicit, start)
        if found is None:
            raise InputError(f"{explicit}: no [tool.provenance]", help="Write it: provenance init")
        return found
    for folder in (start, *start.parents):
        for name in (FILE, PYPROJECT):
            candidate = folder / name
            if candidate.is_file():
                config = _read(candidate, folder)
                if config is not None:
                    return config
    raise InputError(
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
        option = {recognition.TRUSTED_ROOT: "--trusted-root", recognition.BUNDLE: "--bundle"}
        option |= {recognition.PUBLIC_KEY: "--key", recognition.CLIENT_CONFIG: "--trusted-root"}
        raise InputError(
            f"{path}: it is {named}, expected a TOML file with [[trust.…]] tables",
            help=f"Give it with {option[named]}." if named in option else trust_table.EXAMPLE,
        )
    table = parse_toml(text, str(path))
    known(table, {"trust"}, str(path), "")
    found = trust_table.parse(table, str(path))
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
    found = tuple(TrustedKey.of_pem(pem.read_file(k), str(k)) for k in keys)
    identities = () if identity is None else (identity,)
    given = (("--key", found), ("--identity", identities))
    return Trust(" and ".join(name for name, some in given if some), found, identities)


def trust_from_keys(keys: Iterable[Path]) -> Trust:
    """Trust in public keys that were given by name. Raises InputError."""
    return trust_from_options(keys)


def _read(path: Path, root: Path) -> Config | None:
    """The configuration in `path`; None for a pyproject.toml without [tool.provenance]."""
    return of_text(read_text(path), path, root)


def of_text(text: str, path: Path, root: Path) -> Config | None:
    """The configuration that `text` is, at `path`, where it may be yet to be written.

    None for a pyproject.toml without [tool.provenance]. Raises InputError.
    """
    shown = os.path.relpath(path, root)
    shown = path.name if shown.startswith("..") else shown.replace(os.sep, "/")
    table = parse_toml(text, shown)
    folder = Path(os.path.realpath(path)).parent
    if path.name != PYPROJECT:
        tool = table.get("tool")
        if isinstance(tool, dict) and "provenance" in tool:
            raise InputError(
                f"{shown}: [tool.provenance] is for {PYPROJECT}",
                help='Here its keys stand alone: registry = "…", and [[trust.key]] for its tables.',
            )
        return _parse(table, text, shown, root, folder)
    tool = table.get("tool")
    section = tool.get("provenance") if isinstance(tool, dict) else None
    if section is None:
        return None
    if not isinstance(section, dict):
        raise InputError(f"{shown}: [tool.provenance] is not a table")
    return _parse(section, text, shown, root, folder)


def _parse(table: Mapping[str, Any], text: str, path: str, root: Path, key_folder: Path) -> Config:
    known(table, _KEYS, path, "")
    registry = table.get("registry")
    if not isinstance(registry, str) or not registry.strip():
        found = (
            "is required" if registry is None else "is empty" if registry == "" else "is no path"
        )
        raise InputError(
            f"{path}: `registry` {found}: the path of the registry",
            help='For example: registry = "model/tiny/registry.json"',
        )
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
        trust_table=trust_table.parse(table, path),
        deferrals=tuple(
            _deferral(i, d, path) for i, d in enumerate(tables(table, "deferral", path))
        ),
        policy_sha256=_policy_sha256(table),
        text=text,
        key_folder=key_folder,
        fields=_fields(table, path),
        baseline=optional(table, "baseline", path),
        run=settings.parse(table, path),
        repository=_repository(table, path),
        layout=layout_table.parse(table, path),
    )


def _repository(table: Mapping[str, Any], path: str) -> str | None:
    name = optional(table, "repository", path)
    if name and repository.NAME.fullmatch(name) is None:
        raise InputError(
            f"{path}: `repository` {name!r} is not OWNER/REPO",
            help='For example: repository = "lusoris/vmaf"',
        )
    return name


def _fields(table: Mapping[str, Any], path: str) -> FieldNames:
    fields = table.get("fields", {})
    if not isinstance(fields, dict):
        raise InputError(f"{path}: `fields` is not a table", help="Write it as [fields].")
    known(fields, {"rows", *FIELDS}, path, "fields.")
    for key, name in fields.items():
        if not isinstance(name, str) or not name:
            raise InputError(
                f"{path}: `fields.{key}` is not a name",
                help=f'Write what the registry calls it: {key} = "…"',
            )
    renamed = {f: n for f, n in fields.items() if f != "rows" and f != n}
    # A name may be that of another field only where that one is called something else itself.
    taken = [renamed.get(f, f) for f in FIELDS]
    for key, name in renamed.items():
        if taken.count(name) > 1:
            raise InputError(
                f"{path}: `fields.{key}` is {name!r}, which is the name of another field too",
                help="Each field has a name of its own.",
            )
    return FieldNames(fields.get("rows", FieldNames.rows), renamed)


def _deferral(index: int, entry: Mapping[str, Any], path: str) -> Deferral:
    where = f"{path}: [[deferral]] {index + 1}"
    known(entry, {"rule", "rows", "reason", "reference", "expires"}, path, "deferral.")
    rows = entry.get("rows")
    if not isinstance(rows, list) or not rows or not all(isinstance(r, str) and r for r in rows):
        raise InputError(
            f"{where}: `rows` must be a list of row ids; * and ? match",
            help='For example: rows = ["my_ensemble_seed*"]',
        )
    expires = entry.get("expires")
    if isinstance(expires, datetime.datetime) or not isinstance(expires, datetime.date | None):
        raise InputError(f"{where}: `expires` must be a date", help="expires = 2026-12-31")
    rule = entry.get("rule")
    if not isinstance(rule, str) or not rule:
        raise InputError(f"{where}: `rule` is required: a code such as SID402")
    return Deferral(
        index=index,
        rule=rule,
        rows=tuple(rows),
        # Empty is for the gate to report (DEF904), with the deferral's other defects.
        reason=string(entry, "reason", where),
        reference=string(entry, "reference", where),
        expires=expires,
    )


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
        return tomllib.loads(text)
    except (ValueError, RecursionError) as e:  # ValueError: also a number of 5,000 digits
        raise InputError(f"{path}: not TOML: {e}") from e
