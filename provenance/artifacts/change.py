# SPDX-License-Identifier: Apache-2.0
"""A text file and what an edit makes of it: shown as a unified diff, written if it is still so."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from provenance.artifacts import digest, writing
from provenance.artifacts.paths import Tree

_NO_NEWLINE = "\\ No newline at end of file"


@dataclass(frozen=True, slots=True)
class Change:
    """The file at `path`, relative to the repository's root, before and after an edit."""

    path: str
    before: str
    after: str

    @property
    def diff(self) -> str:
        """The difference as `git diff` and `patch` read it; empty where there is none."""
        return "".join(self._lines())

    def _lines(self) -> Iterator[str]:
        before, after = _lines(self.before), _lines(self.after)
        for line in difflib.unified_diff(before, after, f"a/{self.path}", f"b/{self.path}"):
            yield line if line.endswith("\n") else f"{line}\n{_NO_NEWLINE}\n"


def write(tree: Tree, changes: Iterable[Change]) -> None:
    """Write all `changes`, in their order, or none.

    Raises:
        InputError: A file is no longer what was edited, or cannot be written; nothing has changed.
    """
    real = [c for c in changes if c.after != c.before]
    writing.replace_files(
        tree,
        {
            c.path: (digest.of_bytes(c.before.encode("utf-8")), c.after.encode("utf-8"))
            for c in real
        },
    )


def _lines(text: str) -> list[str]:
    """Lines with their ends. JSON may hold other line separators; editors and `patch` know none."""
    lines = text.split("\n")
    return [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
