# SPDX-License-Identifier: Apache-2.0
"""Find and read a configuration.

An unknown key is an error that names the nearest known key. Otherwise a misspelt `deferral` or
`trust` would be a policy that is not enforced.
"""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from provenance.artifacts import limits, paths, repository
from provenance.artifacts.documents import toml_text
from provenance.artifacts.documents.toml_tables import Table
from provenance.artifacts.forms import STRING, Form, filled, is_day, is_filled, is_names
from provenance.attestations import layout
from provenance.config import gates
from provenance.config.configuration import CONSUMERS, FILE, PYPROJECT, Config, Deferral
from provenance.errors import InputError
from provenance.registry import mapping
from provenance.runtime import settings
from provenance.signing import trust_table

_KEYS: Final = {
    *("registry", "repository", "resource_uri", "baseline", "run", "layout"),
    *("trust", "deferral", "consumers", "gate"),
}
_NO_POLICY: Final = ("layout",)
"""Keys that are not part of the policy. A layout is signed as a document of its own."""


class NoConfigError(InputError):
    """No configuration was found. The help is for authors, who can write one."""


def load(start: Path, explicit: Path | None = None) -> Config:
    """Return the configuration in `explicit`, or the nearest one in `start` or a folder above it.

    With `explicit`, the registry is relative to `start`, so that one configuration can serve many
    trees; key paths are relative to the folder of `explicit`. Without it, the registry and the keys
    are relative to the folder in which the configuration is found, even if the file is a link.

    Raises:
        NoConfigError: If there is no configuration.
        InputError: If the configuration cannot be read or is not valid.
    """
    start = Path(os.path.realpath(start))
    if explicit is not None:
        found = of_text(read_text(explicit), explicit, start, named=True)
        if found is None:
            raise NoConfigError(
                f"{explicit}: no [tool.provenance]", help="Write it: provenance init"
            )
        return replace(found, start=start)
    for folder in (start, *start.parents):
        for name in (FILE, PYPROJECT):
            candidate = folder / name
            if candidate.is_file():
                config = of_text(read_text(candidate), candidate, folder)
                if config is not None:
                    return replace(config, start=start)
    raise NoConfigError(
        f"no configuration: neither {FILE} nor [tool.provenance] in {PYPROJECT}, "
        f"in {start} or any folder above it",
        help="Write one: provenance init",
    )


def of_text(text: str, path: Path, root: Path, *, named: bool = False) -> Config | None:
    """Return the configuration in `text`, which is or will be written to `path`.

    Return None if `text` is a pyproject.toml without [tool.provenance].

    Raises:
        InputError: If the configuration is not valid.
    """
    shown = os.path.relpath(path, root)
    shown = path.name if shown.startswith("..") else shown.replace(os.sep, "/")
    table = _section(parse_toml(text, shown), shown)
    if table is None:
        return None
    if "fields" in table:
        raise _old_fields(table, shown)
    of_file = Table(table, _KEYS, shown)
    return Config(
        root=root,
        path=shown,
        indexes=mapping.parse_registry(of_file),
        trust_table=trust_table.parse(of_file),
        deferrals=_deferrals(of_file),
        gates=gates.parse(of_file),
        text=text,
        key_folder=Path(os.path.realpath(path)).parent if named else root,
        named=path if named else None,
        consumers=tuple(of_file.get("consumers", _CONSUMERS, ())),
        table=table,
        baseline=of_file.optional("baseline"),
        run=settings.parse(of_file),
        repository=of_file.optional("repository", _REPOSITORY),
        resource_uri=of_file.optional("resource_uri", _RESOURCE_URI),
        layout=layout.parse(of_file),
        policy_sha256=_policy_sha256(table),  # last: only a valid table is hashed
    )


def read_text(path: Path) -> str:
    """Return the text of a configuration file.

    Raises:
        InputError: If the file cannot be read, is too large, or is not UTF-8.
    """
    try:
        data = paths.read_named_file(path, limits.DOCUMENT)
    except paths.FileError as e:
        raise InputError(f"configuration {path}: {e.message}") from e
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise InputError(f"configuration {path}: not UTF-8 (byte {e.start})") from e


def parse_toml(text: str, path: str) -> dict[str, Any]:
    """Return the table in TOML `text`. Messages show `path`.

    Raises:
        InputError: If `text` is not TOML, or exceeds a limit.
    """
    try:
        return toml_text.parse(text)
    except toml_text.TomlError as e:
        raise InputError(f"{path}: {e}") from e


def _section(table: Mapping[str, Any], path: str) -> Mapping[str, Any] | None:
    """Return the part of the TOML file at `path` that is the configuration.

    Return None if it is a pyproject.toml without [tool.provenance].

    Raises:
        InputError: If [tool.provenance] is not a table, or is in another file.
    """
    tool = table.get("tool")
    if path.rpartition("/")[2] != PYPROJECT:
        if isinstance(tool, dict) and "provenance" in tool:
            raise InputError(
                f"{path}: [tool.provenance] belongs in {PYPROJECT}",
                help='Write the keys without it: registry = "…", and [[trust.key]] for a table.',
            )
        return table
    found = tool.get("provenance") if isinstance(tool, dict) else None
    if found is not None and not isinstance(found, dict):
        raise InputError(f"{path}: [tool.provenance] is not a table")
    return found


_REPOSITORY: Final = filled("OWNER/REPO", 'repository = "lusoris/vmaf"', repository.NAME)
_RESOURCE_URI: Final = Form[str](
    f"an absolute URI of at most {repository.MAX_URI:,} printable ASCII characters",
    lambda value: is_filled(value) and repository.is_absolute_uri(value.strip()),
    'resource_uri = "https://example.org/models/registry.json"',
)
_CONSUMERS: Final = Form[list[str]](
    f"a list of known consumers: {', '.join(CONSUMERS)}",
    lambda value: is_names(value) and set(value) <= set(CONSUMERS),
    f'consumers = ["{CONSUMERS[0]}"]',
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
            # An empty value is reported by the gate (DEF904), with the deferral's other defects.
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
    """Return whether an entry of a deferral's `rows` is a pattern, not an id."""
    return any(mark in row for mark in "*?[")


def _policy_sha256(table: Mapping[str, Any]) -> str:
    """Return the digest of the configuration's values that decide a verdict."""
    return mapping.digest_of({k: v for k, v in table.items() if k not in _NO_POLICY})


def _old_fields(table: Mapping[str, Any], path: str) -> InputError:
    """Return the error about a table `[fields]`, with the table that replaces it filled in."""
    fields = table["fields"] if isinstance(table["fields"], dict) else {}
    rows = fields.get("rows", "models")
    steps = "$[*]" if rows == "." else f"$[{json.dumps(str(rows))}][*]"
    registry = table.get("registry")
    shown = registry if isinstance(registry, str) else "…"
    lines = ["[registry]", f"path = {toml_text.quoted(shown)}", f"rows = {toml_text.quoted(steps)}"]
    lines.append("[registry.fields]")
    lines += [
        f"{key} = {toml_text.quoted(str(value))}" for key, value in fields.items() if key != "rows"
    ]
    return InputError(
        f"{path}: `fields` is now [registry.fields], and `registry` a table",
        help="Write it as:\n" + "\n".join(lines[: 2 + len(fields) + 2]),
    )
