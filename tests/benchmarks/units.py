# SPDX-License-Identifier: Apache-2.0
"""Many signed rows against a plain loop: `python -m tests.benchmarks.units [ROWS [DIR]]`

The released registries are kept in DIR for the next run. Ratios are of wall time; the seconds of
CPU in parentheses mean more on a busy machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from tests.benchmarks.measure import (
    REPOSITORY,
    BenchmarkError,
    Command,
    Run,
    benchmark,
    best,
    memory,
    provenance,
)
from tests.benchmarks.table import Result, report, times
from tests.interop.peers import cached

SIZES: Final = (2_000, 10_000)
ROUNDS: Final = {2_000: 5, 10_000: 2}

TARGETS: Final = {("verify", 1): 3.5, ("verify", 2): 2.2, ("check", 1): 2.5, ("check", 2): 1.6}
"""What a command may take of the loop's time, by the number of cores."""

MODEL_SIGNING: Final = 1.5
"""What `verify` may take of the time of `model_signing verify key`."""

MAIN: Final = 90_000_000
"""Bytes at the peak of the main process, with `MAIN_ROWS` rows."""
MAIN_ROWS: Final = 10_000

WORKER: Final = 25_000_000
"""Bytes at the peak of a worker beyond those of an idle one."""

IDLE: Final = """\
import concurrent.futures.process, multiprocessing.spawn, time
import provenance.gate.judge
time.sleep(0.5)
"""
"""A worker that has judged nothing: the least that a spawned one has imported."""


def release(root: Path, rows: int) -> None:
    """Generate a registry and release it with a key, unless `root` exists.

    The private key is beside `root`, the public one in it.
    """
    if root.exists():
        return
    sys.stderr.write(f"releasing {rows:,} rows ...\n")
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{root.name}-", dir=root.parent) as name:
        made = Path(name) / "registry"
        benchmark("many_rows", made, str(rows)).run()
        key = root.with_name(f"{root.name}-key")
        for old in (f"{key}.key", f"{key}.pub"):
            Path(old).unlink(missing_ok=True)
        provenance(root.parent, "keygen", str(key), "-q").run()
        shutil.copy(f"{key}.pub", made / "release.pub")
        with (made / "provenance.toml").open("a", encoding="utf-8") as stream:
            stream.write('[[trust.key]]\npath = "release.pub"\n')
        provenance(made, "release", "--signer", f"file:{key}.key", "-q").run()
        made.rename(root)


@contextmanager
def cores(count: int) -> Iterator[None]:
    """Let every process that is started here run on `count` cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def speed(root: Path, rows: int) -> Iterator[Result]:
    """`verify` and `check` against the loop, on one core and on two."""
    verify, check = provenance(root, "verify", "-q"), provenance(root, "check", "-q")
    for count in (1, 2):
        if count > len(os.sched_getaffinity(0)):
            raise BenchmarkError("two cores are needed")
        with cores(count):
            verified, checked, plain = least(rows, verify, check, benchmark("plain_loop", root))
        where = f"{rows:,} rows, {count} core{'s' if count > 1 else ''}"
        for name, took in (("verify", verified), ("check", checked)):
            yield _compared(f"`{name}`, {where}", took, "plain loop", plain, TARGETS[name, count])


def model_signing(root: Path, rows: int) -> Iterator[Result]:
    """The files of the same registry, signed by OpenSSF model signing with the same key."""
    verify, theirs = provenance(root, "verify", "-q"), model_signing_of(root, f"{root}-key.key")
    ours, other = least(rows, verify, theirs)
    against = "`model_signing verify key`"
    yield _compared(f"`verify`, {rows:,} rows", ours, against, other, MODEL_SIGNING)


def least(rows: int, *commands: Command) -> Iterator[tuple[float, float]]:
    """The least wall time and the least CPU time of each command, run in turns."""
    runs: list[list[Run]] = [[] for _ in commands]

    def measured(command: Command, column: list[Run]) -> float:
        column.append(command.run())
        return column[-1].seconds

    each = zip(commands, runs, strict=True)
    wall = best(ROUNDS.get(rows, 3), *(partial(measured, *pair) for pair in each))
    return ((w, min(run.cpu for run in column)) for w, column in zip(wall, runs, strict=True))


def _compared(
    what: str, ours: tuple[float, float], against: str, theirs: tuple[float, float], most: float
) -> Result:
    line = times(what, ours[0], against, theirs[0], most)
    return replace(
        line,
        measured=f"{line.measured} (CPU {ours[1]:.3f})",
        against=f"{line.against} (CPU {theirs[1]:.3f})",
        ratio=f"{line.ratio} (CPU {ours[1] / theirs[1]:.2f})",
    )


def memory_of(root: Path, rows: int) -> Iterator[Result]:
    """The peaks of the main process and of its workers, if it has any."""
    measured = memory(provenance(root, "verify", "-q"))
    limit = MAIN if rows >= MAIN_ROWS else None
    yield _size(f"peak memory of `verify`, {rows:,} rows", measured.main, "", limit)
    if measured.workers:
        idle = memory(Command([sys.executable, "-P", "-c", IDLE], root)).main
        against = f"idle: {idle / 1e6:.0f} MB; {len(measured.workers)} workers"
        beyond = max(measured.workers) - idle
        yield _size(
            f"its largest worker beyond an idle one, {rows:,} rows", beyond, against, WORKER
        )


def _size(what: str, size: int, against: str, limit: int | None) -> Result:
    target = "" if limit is None else f"< {limit / 1e6:.0f} MB"
    met = None if limit is None else size < limit
    return Result(what, f"{size / 1e6:.0f} MB", against, "", target, met)


def lines(folder: Path, sizes: tuple[int, ...] = SIZES) -> Iterator[Result]:
    """Every line of the table. Raises BenchmarkError if a command fails."""
    for rows in sizes:
        root = folder / f"rows{rows}"
        release(root, rows)
        yield from speed(root, rows)
        if rows == SIZES[0]:
            yield from model_signing(root, rows)
        yield from memory_of(root, rows)


def model_signing_of(root: Path, key: str | Path) -> Command:
    """Sign the models in `root` with model signing, and return how to verify that."""
    lock = REPOSITORY / "requirements" / "bench.txt"
    script = REPOSITORY / "scripts" / "environment.py"

    def build(folder: Path) -> None:
        command: list[str | Path] = [sys.executable, script, folder, "--requirements", lock]
        subprocess.run(command, check=True, stdout=sys.stderr)

    # Not bin/model_signing: it names the folder in which the environment was built.
    python = cached("model-signing", (lock,), build) / "bin" / "python"
    signature = root.with_name(f"{root.name}.sig")

    def command(verb: str, *options: str | Path) -> Command:
        module: list[str | Path] = [python, "-m", "model_signing", verb, "key"]
        return Command([*module, root / "model", "--signature", signature, *options], root)

    command("sign", "--private_key", key).run()
    return command("verify", "--public_key", root / "release.pub")


def main(arguments: list[str]) -> int:
    sizes = (int(arguments[0]),) if arguments else SIZES
    kept = Path(arguments[1]).resolve() if len(arguments) > 1 else None
    return report(lambda folder: lines(kept or folder, sizes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
