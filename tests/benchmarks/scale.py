# SPDX-License-Identifier: Apache-2.0
"""`check` of 100, 1,000 and 10,000 rows: `python -m tests.benchmarks.scale`.

Compares the time of a row with that of a row among 100, and measures the growth of the peak memory
for each row. The start of the command is subtracted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.benchmarks.measure import MIB, Run, benchmark, provenance
from tests.benchmarks.table import MARKS, report, row

SIZES: Final = (100, 1_000, 10_000)
ROUNDS: Final = {1: 5, 100: 5, 1_000: 3, 10_000: 2}
SIDECARS: Final = {"realistic": "3 KB", "minimal": "smallest"}

SLOWER: Final = 1.5
"""How much slower a row may be in a larger registry: caches of the machine, not of ours."""

BYTES: Final = 24_000
"""What a row may add to the peak of the process."""


@dataclass(frozen=True)
class Line:
    """One registry: how long its check takes, and how large the process gets."""

    sidecars: str
    rows: int
    run: Run
    seconds_a_row: float
    ratio: float
    bytes_a_row: float | None

    @property
    def met(self) -> bool:
        """Whether time and memory are within their targets."""
        return self.ratio <= SLOWER and (self.bytes_a_row is None or self.bytes_a_row < BYTES)

    def __str__(self) -> str:
        return row(
            self.sidecars,
            f"{self.rows:,}",
            f"{self.run.seconds:.2f} s",
            f"{self.seconds_a_row * 1e6:.0f} µs",
            f"{self.ratio:.2f}",
            f"{self.run.peak / MIB:.0f} MiB",
            "" if self.bytes_a_row is None else f"{self.bytes_a_row / 1000:.1f} KB",
            MARKS[self.met],
        )


COLUMNS: Final = (
    *("sidecars", "rows", "`check`", "CPU a row", f"to a row of 100 (<= {SLOWER:.2f})"),
    *("peak memory", f"a row more (< {BYTES // 1000} KB)", "met"),
)


def lines(folder: Path) -> Iterator[Line]:
    """Yield the lines of the table. Raises BenchmarkError where a registry is not clean."""
    for kind, sidecars in SIDECARS.items():
        start = _check(folder, kind, 1)
        before, first = start, 0.0
        counted = 1
        for rows in SIZES:
            run = _check(folder, kind, rows)
            # Of the CPU, because on a busy machine the wall's time is that of others too.
            seconds = (run.cpu - start.cpu) / (rows - 1)
            first = first or seconds
            # A registry of 100 shows the caches rather than the rows.
            grown = (run.peak - before.peak) / (rows - counted) if rows > SIZES[0] else None
            yield Line(sidecars, rows, run, seconds, seconds / first, grown)
            before, counted = run, rows


def _check(folder: Path, kind: str, rows: int) -> Run:
    """Return the least time and memory of several runs over a new registry."""
    root = folder / f"{kind}-{rows}"
    benchmark("many_rows", root, str(rows), kind).run()
    command = provenance(root, "check", "--quiet")
    command.run()  # fills the caches of files
    runs = [command.run() for _ in range(ROUNDS[rows])]
    return Run(
        seconds=min(run.seconds for run in runs),
        cpu=min(run.cpu for run in runs),
        peak=min(run.peak for run in runs),
        output=runs[0].output,
    )


if __name__ == "__main__":
    sys.exit(report(lines, COLUMNS))
