# SPDX-License-Identifier: Apache-2.0
"""Folders that are kept open, so that each is walked to once and not for every file in it."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable
from typing import Final

MOST: Final = 32
"""Folders that are kept open. A process may often have no more than 256 open files."""


class OpenFolders:
    """Descriptors of folders by path. They are closed when the object is garbage-collected.

    None is closed or replaced before that: another thread may be about to use it.
    """

    def __init__(self) -> None:
        self._descriptors: dict[str, int] = {}
        self.get = self._descriptors.get
        weakref.finalize(self, _close, self._descriptors.values())

    def keep(self, folder: str, descriptor: int) -> bool:
        """Take over the descriptor of a folder; False if it remains the caller's to close."""
        if len(self._descriptors) >= MOST:
            return False
        return self._descriptors.setdefault(folder, descriptor) == descriptor

    def __reduce__(self) -> tuple[type[OpenFolders], tuple[()]]:
        """Another process opens the folders itself."""
        return OpenFolders, ()


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
