# SPDX-License-Identifier: Apache-2.0
"""Replacing one file by a rename: the old content or the new one, and never a part of either."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from provenance.artifacts import file_system

STAGING: Final = ".provenance-new"
"""Suffix of what is being prepared, and of what an exchange has put out of use."""


def staging_of(target: Path) -> Path:
    """Where the new content of `target` is prepared."""
    return file_system.twin(target, STAGING)


def replace(target: Path, data: bytes) -> str | None:
    """Replace one file; what is uncertain about it afterwards. Raises OSError: it is as before."""
    staged = staging_of(target)
    try:
        file_system.write_new(staged, data, file_system.status(target))
        os.replace(staged, target)
    except BaseException:  # an interrupt too
        with contextlib.suppress(OSError):
            staged.unlink(missing_ok=True)
        raise
    return flushed(target.parent)


def flushed(folder: Path) -> str | None:
    """Flush the names in a folder after a rename; the note that it failed, or None.

    What was renamed is written, and every reader sees it: only a crash could undo it.
    """
    try:
        file_system.sync_folder(folder)
    except OSError as e:
        return (
            f"written, but {str(folder)!r} could not be flushed to the disk ({e.strerror or e}): "
            "a crash of the system could undo it"
        )
    return None


def warn(note: str | None) -> None:
    """Log a note about a file that was written."""
    if note is not None:
        import logging

        logging.getLogger("provenance").warning("%s", note)
