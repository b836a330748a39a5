# SPDX-License-Identifier: Apache-2.0
"""Calls of the operating system that fail, and the files that are left."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest


def refuse(monkeypatch: pytest.MonkeyPatch, call: str, code: int = errno.ENOSPC) -> None:
    """Let a function, such as `os.replace`, raise OSError."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(call, fail)


def files_in(root: Path) -> dict[str, bytes]:
    """Return all files below a folder."""
    found = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def names_in(root: Path) -> list[str]:
    """Return all files and folders below a folder, hidden ones included."""
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))
