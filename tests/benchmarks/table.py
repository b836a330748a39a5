# SPDX-License-Identifier: Apache-2.0
"""The table of `make bench`: one line for each measurement, with its target."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """One line of the table. `met` is None where there is no target."""

    what: str
    measured: str
    against: str
    ratio: str
    target: str
    met: bool | None

    def __str__(self) -> str:
        mark = {True: "yes", False: "**no**", None: ""}[self.met]
        cells = (self.what, self.measured, self.against, self.ratio, self.target, mark)
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


def print_heading() -> None:
    sys.stdout.write("| what | measured | against | ratio | target | met |\n")
    sys.stdout.write("| --- | --- | --- | --- | --- | --- |\n")
    sys.stdout.flush()


def print_lines(results: Iterable[Result]) -> bool:
    """Print each line as soon as it is measured, and return whether all targets were met."""
    met = True
    for result in results:
        sys.stdout.write(f"{result}\n")
        sys.stdout.flush()
        met = met and result.met is not False
    return met
