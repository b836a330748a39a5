# SPDX-License-Identifier: Apache-2.0
"""Running a command and measuring it: wall time, and the peak of its memory and its workers'."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

INTERVAL = 0.01
"""Seconds from one look at the memory of all processes to the next."""

SEEN = 5
"""How often a worker is seen at least. A process that is about to become `git` is not a worker."""

ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
"""With bytecode, which the first run writes: an installed package has it."""

KIB = 1 << 10
MIB = 1 << 20
REPOSITORY = Path(__file__).resolve().parents[2]


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
        # Into a file: a pipe without a reader would fill, and block the process.
        with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
            process = subprocess.Popen(
                self.arguments,
                cwd=self.folder,
                env=ENVIRONMENT,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
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
        return self.run().seconds

    def printed(self) -> float:
        """The seconds that the command itself measured and printed."""
        return float(self.run().output)


def provenance(root: Path, *arguments: str | Path) -> Command:
    """The `provenance` that `python` imports, run in a registry."""
    return Command([sys.executable, "-P", "-m", "provenance", *arguments], root)


def benchmark(name: str, *arguments: str | Path) -> Command:
    """A module of this package."""
    return Command([sys.executable, "-m", f"tests.benchmarks.{name}", *arguments], REPOSITORY)


def best(rounds: int, *measures: Callable[[], float]) -> tuple[float, ...]:
    """The least that each measure gave, one round after another.

    In turns, so that other work on the machine meets all of them; the least, because noise
    only ever adds. One round before the first is not counted: it fills the caches of files.
    """
    for measure in measures:
        measure()
    results = [[measure() for measure in measures] for _ in range(rounds)]
    return tuple(min(column) for column in zip(*results, strict=True))


@dataclass(frozen=True)
class Memory:
    """Peak resident bytes of the main process of a command, and of each of its workers."""

    main: int
    workers: tuple[int, ...]


def memory(command: Command) -> Memory:
    """Run a command, and look at its processes until it ends. Linux alone.

    The peak of `Command.run` would be that of the largest process that the command has waited for.
    """
    seen: dict[int, list[int]] = {}
    main: set[int] = set()
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(INTERVAL):
            parents = _parents()
            main.update(pid for pid, parent in parents.items() if parent == os.getpid())
            for pid in parents:
                if _is_below(pid, main, parents) and (peak := _peak(pid)):
                    seen.setdefault(pid, []).append(peak)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        command.run()
    finally:
        ended.set()
        looking.join()
    # The last look counts: a process that has been forked shows its parent's peak at first.
    workers = (peaks[-1] for pid, peaks in seen.items() if pid not in main and len(peaks) >= SEEN)
    return Memory(max(seen[pid][-1] for pid in main if pid in seen), tuple(workers))


def _parents() -> dict[int, int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name of the program, in parentheses, may contain anything.
            parents[int(stat.parent.name)] = int(
                stat.read_text("utf-8").rpartition(")")[2].split()[1]
            )
        except OSError:  # it has ended
            continue
    return parents


def _is_below(pid: int, above: set[int], parents: dict[int, int]) -> bool:
    while pid in parents:
        if pid in above:
            return True
        pid = parents[pid]
    return False


def _peak(pid: int) -> int:
    """The peak resident bytes of a process that runs this interpreter, or 0."""
    try:
        if not os.path.samefile(f"/proc/{pid}/exe", sys.executable):
            return 0
        status = Path(f"/proc/{pid}/status").read_text("utf-8")
    except OSError:  # it has ended
        return 0
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * KIB if found else 0
