# SPDX-License-Identifier: Apache-2.0
"""TOML tables that people write, read strictly: what is misspelt is an error, never ignored."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any

from provenance.errors import InputError


def tables(
    table: Mapping[str, Any], key: str, path: str, prefix: str = ""
) -> list[Mapping[str, Any]]:
    """The array of tables `[[PREFIX KEY]]`, empty where there is none. Raises InputError."""
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(v, dict) for v in value):
        raise InputError(f"{path}: `{prefix}{key}` must be tables: [[{prefix}{key}]]")
    return value


def known(table: Mapping[str, Any], names: Collection[str], path: str, prefix: str) -> None:
    """Raises InputError where a key is none of `names`, with the nearest that is."""
    for key in table:
        if key not in names:
            near = difflib.get_close_matches(key, names, 1, 0.5)
            raise InputError(
                f"{path}: unknown key `{prefix}{key}`",
                help=f"Did you mean `{prefix}{near[0]}`?"
                if near
                else f"Known here: {', '.join(f'`{prefix}{k}`' for k in sorted(names))}.",
            )


def string(entry: Mapping[str, Any], key: str, where: str) -> str:
    """The string under `key`, empty where there is none. Raises InputError."""
    value = entry.get(key, "")
    if not isinstance(value, str):
        raise InputError(f"{where}: `{key}` must be a string")
    return value.strip()


def optional(entry: Mapping[str, Any], key: str, where: str) -> str | None:
    """The string under `key`, None where there is none. Raises InputError, also where it is empty.

    Whoever writes `baseline = ""` would otherwise have a comparison that never takes place.
    """
    value = string(entry, key, where)
    if not value and key in entry:
        raise InputError(f"{where}: `{key}` is empty", help=f"Say what it is, or remove `{key}`.")
    return value or None
