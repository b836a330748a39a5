# SPDX-License-Identifier: Apache-2.0
"""A tree of which every model file that is opened is first copied into a private folder.

What the gate judges and what is used afterwards are one file, whatever becomes of the original.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from provenance.artifacts.paths import Tree
from provenance.consumer.folder import PrivateFolder


@dataclass(frozen=True)
class CopyingTree(Tree):
    """The files below a folder of downloads, and the private folder that keeps them."""

    kept: PrivateFolder | None = None

    @classmethod
    def of(cls, folder: Path, kept: PrivateFolder) -> CopyingTree:
        """The tree below `folder`, whose links may lead out of it. Raises InputError."""
        return cls(Tree.at(folder).root, confined=False, kept=kept)

    def open(self, path: str) -> BinaryIO:
        """A private copy of the file at `path`, made once. Raises as `Tree.open`, and InputError.

        VerificationError if the copy was changed since another of several bundles was judged by it.
        Documents are read whole (`read`) and are not kept as files.
        """
        assert self.kept is not None
        if path in self.kept:
            return self.kept.again(path)
        with super().open(path) as source:
            return self.kept.copy(source, path)
