# SPDX-License-Identifier: Apache-2.0
"""Running a command and measuring it: wall time, and the peak of its memory."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

KIB = 1 << 10
MIB = 1 << 20


class BenchmarkError(Exception):
    """A command failed, so that its time says nothing."""


@dataclass(frozen=True)
class Run:
    """One run of a command: seconds on the wall and of its CPUs, peak resident bytes, output."""

    seconds: float
    cpu: float
    peak: int
    output: str


@dataclass(frozen=True)
class Command:
    """A command with the folder that it runs in."""

    arguments: Sequence[str | Path]
    folder: Path

    def run(self) -> Run:
        """Run it in a fresh process. Raises BenchmarkError where it fails."""
        began = time.perf_counter()
        # Into a file: a pipe that nobody reads yet would fill, and hold the process up.
        with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
            process = subprocess.Popen(
                self.arguments, cwd=self.folder, stdout=subprocess.PIPE, stderr=said, text=True
            )
            assert process.stdout is not None
            output = process.stdout.read()
            # wait4 and not getrusage: the children's peak there is that of the largest ever.
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - began
            process.stdout.close()
            said.seek(0)
            errors = said.read()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            shown = " ".join(map(str, self.arguments))
            raise BenchmarkError(f"exit {process.returncode} from: {shown}\n{output}{errors}")
        return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * KIB, output)

    def seconds(self) -> float:
        """The wall time of one run."""
        return self.run().seconds

    def printed(self) -> float:
        """The seconds that the command itself measured and printed."""
        return float(self.run().output)


def best(rounds: int, *measures: Callable[[], float]) -> tuple[float, ...]:
    """The least that each measure gave, one round after another.

    In turns, so that whatever else the machine does meets all of them; the least, because noise
    only ever adds. One round before the first is not counted: it fills the caches of files.
    """
    for measure in measures:
        measure()
    results = [[measure() for measure in measures] for _ in range(rounds)]
    return tuple(min(column) for column in zip(*results, strict=True))
