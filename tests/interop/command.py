# SPDX-License-Identifier: Apache-2.0
"""Running a client with an environment that says nothing of this machine."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.interop.release import environment


def run(command: Sequence[str | Path], more: Mapping[str, str]) -> str | None:
    """None where the command succeeds, else what it said on standard error."""
    done = subprocess.run(
        command, env=environment(more), capture_output=True, text=True, check=False
    )
    return None if done.returncode == 0 else done.stderr or f"exit {done.returncode}"
