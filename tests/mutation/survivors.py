# SPDX-License-Identifier: Apache-2.0
"""What is known of mutants that no test refuses (`survivors.toml`), held against a run.

An entry that fits no survivor is an error, as a survivor without an entry is.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.mutation.mutants import Mutant

FILE: Final = Path(__file__).with_name("survivors.toml")


@dataclass(frozen=True)
class Result:
    """What became of one mutant.

    Attributes:
        becomes: The line with the change.
        killer: The test that refuses it, None where none does.
        tests: How many tests run the line.
    """

    mutant: Mutant
    becomes: str
    killer: str | None
    tests: int

    @property
    def change(self) -> tuple[str, str, str]:
        """File, the line as it is, and with the change: what an entry of the file names."""
        return self.mutant.path, self.mutant.was, self.becomes

    def __str__(self) -> str:
        m = self.mutant
        return f"{m.path}:{m.line} {m.operator}\n  - {m.was}\n  + {self.becomes}"


@dataclass(frozen=True)
class Known:
    """An entry: why one survivor, or several of one cause, cannot change a verdict."""

    path: str
    was: str
    becomes: frozenset[str]
    why: str

    def fits(self, result: Result) -> bool:
        """Whether it speaks of this survivor."""
        path, was, becomes = result.change
        return path == self.path and was == self.was and becomes in self.becomes


def known(file: Path = FILE) -> Sequence[Known]:
    table = tomllib.loads(file.read_text("utf-8"))
    return [
        Known(e["file"], e["was"], frozenset(e["becomes"]), e["why"])
        for e in table.get("survivor", [])
    ]


def unexplained(results: Iterable[Result], entries: Sequence[Known]) -> list[Result]:
    """Return the survivors without an entry."""
    survived = [r for r in results if r.killer is None]
    return [r for r in survived if not any(k.fits(r) for k in entries)]


def stale(results: Iterable[Result], entries: Sequence[Known]) -> list[str]:
    """The changes that an entry names and that did not survive."""
    survived = {r.change for r in results if r.killer is None}
    return [
        f"{k.path}: {k.was} -> {becomes}"
        for k in entries
        for becomes in sorted(k.becomes)
        if (k.path, k.was, becomes) not in survived
    ]
