# SPDX-License-Identifier: Apache-2.0
"""The command line, run in this process or in a fresh one."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

DEADLINE = 20.0
"""Seconds after which a command counts as one that hangs."""


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def codes(self) -> list[tuple[str, str | None]]:
        """Code and row of every finding of a JSON report, in its order."""
        return [(f["code"], f["row"]) for f in self.json["findings"]]


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def run_cli(
    *args: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    terminal: bool = False,
    deadline: float = DEADLINE,
) -> Result:
    """Run `provenance ARGS` in this process, through its real entry point.

    Any exception but SystemExit passes through: it is a traceback that a user would have seen.
    """
    from provenance.cli import main

    stream = Terminal if terminal else io.StringIO
    out, err = stream(), stream()
    code: Any = "the command returned without an exit code"
    with contextlib.ExitStack() as stack:
        if cwd is not None:
            stack.enter_context(contextlib.chdir(cwd))
        stack.enter_context(clean_environment(env))
        stack.enter_context(mock.patch.object(sys, "argv", ["provenance", *(str(a) for a in args)]))
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        stack.enter_context(time_limit(deadline))
        try:
            main()
        except SystemExit as e:
            code = e.code
    assert isinstance(code, int), code
    return Result(code, out.getvalue(), err.getvalue())


def run_process(
    *args: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    python: tuple[str, ...] = ("-m", "provenance"),
) -> Result:
    """Run `python PYTHON ARGS` in a process of its own. Slow: for what only a process shows."""
    with clean_environment(env):
        done = subprocess.run(
            [sys.executable, *python, *(str(a) for a in args)],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=DEADLINE * 3,
            check=False,
        )
    return Result(done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def clean_environment(extra: Mapping[str, str] | None = None) -> Iterator[None]:
    """The environment without what changes the output of the command, and with `extra`."""
    with mock.patch.dict(os.environ):
        for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM"):
            os.environ.pop(name, None)
        for name in [n for n in os.environ if n.startswith("PROVENANCE_")]:
            del os.environ[name]
        os.environ.update(extra or {})
        yield


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises TimeoutError in the main thread where the block takes longer."""

    def stop(_number: int, _frame: object) -> None:
        raise TimeoutError(f"still running after {seconds} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    # Repeated, because leaving a thread pool may wait for the very thread that hangs.
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
