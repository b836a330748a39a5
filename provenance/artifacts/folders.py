# SPDX-License-Identifier: Apache-2.0
"""Folders that are kept open, so that each is opened once and not for every file in it."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable
from typing import Final

MOST: Final = 32
"""Folders that are kept open. A process may often have no more than 256 open files."""


class OpenFolders:
    """Descriptors of folders by path.

    They stay open and unchanged until the object is garbage-collected: another thread may be about
    to use one.
    """

    def __init__(self) -> None:
        self._descriptors: dict[str, int] = {}
        self.get = self._descriptors.get
        weakref.finalize(self, _close, self._descriptors.values())

    def keep(self, folder: str, descriptor: int) -> bool:
        """Take over the descriptor of a folder. If this returns False, the caller closes it."""
        if len(self._descriptors) >= MOST:
            return False
        return self._descriptors.setdefault(folder, descriptor) == descriptor

    def __reduce__(self) -> tuple[type[OpenFolders], tuple[()]]:
        """Pickle as an empty object: another process opens the folders itself."""
        return OpenFolders, ()


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
