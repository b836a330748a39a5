# SPDX-License-Identifier: Apache-2.0
"""Tables of measurements, with their targets."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from tests.benchmarks.measure import BenchmarkError

COLUMNS: Final = ("what", "measured", "against", "ratio", "target", "met")
MARKS: Final = {True: "yes", False: "**no**", None: ""}


class Line(Protocol):
    """A line of a table. `met` is None where there is no target."""

    @property
    def met(self) -> bool | None: ...


@dataclass(frozen=True)
class Result:
    """A line with the columns `COLUMNS`."""

    what: str
    measured: str
    against: str
    ratio: str
    target: str
    met: bool | None

    def __str__(self) -> str:
        return row(self.what, self.measured, self.against, self.ratio, self.target, MARKS[self.met])


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def times(what: str, ours: float, against: str, theirs: float, most: float | None) -> Result:
    """Compare two times in seconds: `ours` may take `most` times as long as `theirs`."""
    return Result(
        what,
        f"{ours:.3f} s",
        f"{against}: {theirs:.3f} s",
        f"{ours / theirs:.2f}",
        "" if most is None else f"<= {most:.2f}",
        None if most is None else ours / theirs <= most,
    )


def report(lines: Callable[[Path], Iterable[Line]], columns: Iterable[str] = COLUMNS) -> int:
    """Print the lines that are measured in a temporary folder, each as soon as it is known.

    Returns:
        The exit status: 1 if a target was missed, 2 if a command failed.
    """
    columns = tuple(columns)
    sys.stdout.write(f"{row(*columns)}\n{row(*('---' for _ in columns))}\n")
    met = True
    with tempfile.TemporaryDirectory(prefix="onnx-provenance-bench-") as name:
        try:
            for line in lines(Path(name).resolve()):
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()
                met = met and line.met is not False
        except BenchmarkError as e:
            sys.stderr.write(f"error: {e}\n")
            return 2
    return 0 if met else 1
