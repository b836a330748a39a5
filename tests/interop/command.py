# SPDX-License-Identifier: Apache-2.0
"""Running a client in an environment without variables of this machine."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.interop.release import environment


def run(command: Sequence[str | Path], more: Mapping[str, str]) -> str | None:
    """Return None if the command succeeds, else its standard error."""
    done = subprocess.run(
        command, env=environment(more), capture_output=True, text=True, check=False
    )
    return None if done.returncode == 0 else done.stderr or f"exit {done.returncode}"
