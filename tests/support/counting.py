# SPDX-License-Identifier: Apache-2.0
"""Work that is counted: the same on every machine, however busy it is."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

T = TypeVar("T")


class Compared(str):
    """A text that counts how often one like it is compared with anything."""

    __slots__ = ()
    times = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Compared.times += 1
        return str.__eq__(self, other)


def calls(work: Callable[[], T]) -> tuple[int, T]:
    """How many functions are called, those of the interpreter included; and what comes of it."""
    count = 0

    def profile(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        if event in ("call", "c_call"):
            count += 1

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        done = work()
    finally:
        sys.setprofile(before)
    return count, done


def opened_files(monkeypatch: pytest.MonkeyPatch) -> Counter[Path]:
    found: Counter[Path] = Counter()
    open_file = os.open

    def counted(*arguments: Any, **options: Any) -> int:
        descriptor = open_file(*arguments, **options)
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path.is_file():
            found[path] += 1
        return descriptor

    monkeypatch.setattr(os, "open", counted)
    return found
