# SPDX-License-Identifier: Apache-2.0
"""The command line in a process of its own, with a real terminal for its streams."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Literal

from tests.support.command import DEADLINE, Result, clean_environment


def run_on_terminal(
    *args: str | Path, cwd: Path, stream: Literal["stdout", "stderr"], term: str = "xterm"
) -> Result:
    """Run `provenance ARGS` where one stream is a terminal and the other is a pipe."""
    ours, theirs = pty.openpty()
    shown: list[bytes] = []

    def read() -> None:
        while True:
            try:
                part = os.read(ours, 1 << 16)
            except OSError:  # how Linux says that nobody writes to a terminal any more
                return
            if not part:
                return
            shown.append(part)

    reader = Thread(target=read, daemon=True)
    reader.start()
    piped = "stderr" if stream == "stdout" else "stdout"
    with clean_environment({"TERM": term}):
        process = subprocess.Popen(
            [sys.executable, "-m", "provenance", *args],
            cwd=cwd,
            text=True,
            stdin=subprocess.DEVNULL,
            **{stream: theirs, piped: subprocess.PIPE},  # type: ignore[call-overload]
        )
    os.close(theirs)
    out, err = process.communicate(timeout=DEADLINE * 3)
    reader.join(DEADLINE)
    os.close(ours)
    terminal = b"".join(shown).decode()
    if stream == "stdout":
        return Result(process.returncode, terminal, err)
    return Result(process.returncode, out, terminal)
