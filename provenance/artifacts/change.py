# SPDX-License-Identifier: Apache-2.0
"""A text file and what an edit makes of it: shown as a unified diff, written if it is still so."""

from __future__ import annotations

from collections.abc import Iterable

from provenance.artifacts import digest, writing
from provenance.artifacts.documents import text_diff
from provenance.artifacts.paths import Tree
from provenance.errors import InputError
from provenance.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    """The file at `path`, relative to the repository's root, before and after an edit."""

    path: str
    before: str
    after: str

    @property
    def diff(self) -> str:
        """The difference as `git diff` and `patch` read it; empty if nothing changed."""
        return text_diff.unified(self.path, self.before, self.after)


def changed(path: str) -> InputError:
    """The error that a file is no longer the one that was judged."""
    return InputError(
        f"{path} changed while it was checked",
        help="Check where nobody else writes, or check a copy.",
    )


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
