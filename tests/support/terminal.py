# SPDX-License-Identifier: Apache-2.0
"""The command line in a process of its own, with a real terminal for its streams."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Thread, Timer
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
            except OSError:  # Linux: the terminal has no writer any more
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


_WITH_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "provenance", *sys.argv[1:]])
"""


def converse(*args: str | Path, cwd: Path, answers: Sequence[str]) -> Result:
    """Run `provenance ARGS` at a terminal of its own, and answer each of its prompts in turn.

    What is shown is in `out`: the prompts, and what the terminal echoes.
    """
    ours, theirs = pty.openpty()
    with clean_environment({"TERM": "xterm"}):
        process = subprocess.Popen(
            [sys.executable, "-c", _WITH_TERMINAL, *args],
            cwd=cwd,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
    os.close(theirs)
    stop = Timer(DEADLINE * 3, process.kill)
    stop.start()
    shown, left = b"", list(answers)
    while True:
        try:
            part = os.read(ours, 1 << 16)
        except OSError:  # the terminal has no writer any more
            break
        shown += part
        if left and shown.endswith(b": "):
            os.write(ours, f"{left.pop(0)}\n".encode())
    code = process.wait()
    stop.cancel()
    os.close(ours)
    assert not left, f"{len(left)} answers were not asked for: {shown.decode()}"
    return Result(code, shown.decode(), "")
