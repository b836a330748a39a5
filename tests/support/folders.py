# SPDX-License-Identifier: Apache-2.0
"""Systems that do not do with folders what Linux does on most file systems."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace

import pytest


def cannot_exchange(monkeypatch: pytest.MonkeyPatch, code: int | None) -> None:
    """Let the exchange of two folders fail with `code`, or with None let the call be missing."""

    def refuse(*_: object) -> int:
        ctypes.set_errno(code or 0)
        return -1

    library = SimpleNamespace() if code is None else SimpleNamespace(renameat2=refuse)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: library)
