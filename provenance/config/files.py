# SPDX-License-Identifier: Apache-2.0
"""The files that hold a configuration or a trust table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from provenance.artifacts import limits, paths
from provenance.artifacts.documents import toml_text
from provenance.errors import InputError

FILE: Final = "provenance.toml"
PYPROJECT: Final = "pyproject.toml"


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
        return toml_text.parse(text)
    except toml_text.TomlError as e:
        raise InputError(f"{path}: {e}") from e


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
