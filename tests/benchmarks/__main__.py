# SPDX-License-Identifier: Apache-2.0
"""Speed and memory as ratios on this machine: `make bench`.

The registries are generated in a temporary folder (set TMPDIR to choose the disk; 8 GiB). A ratio
on a busy machine says nothing about a change. The exit status is 1 if a target was missed.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.benchmarks import consuming, scale, units
from tests.benchmarks.measure import MIB, Command, benchmark, best
from tests.benchmarks.table import Result, report, times

ROUNDS: Final = 7
LARGE_ROUNDS: Final = 5
MEMORY_LIMIT: Final = 150 * MIB

BEYOND: Final = 100_000_000
"""Bytes beyond the model itself that loading it verified may take, interpreter included."""

MEMORY: Final = Path("/dev/shm")
"""Where a file is in memory, on Linux."""


class Bench:
    def __init__(self, folder: Path) -> None:
        self.small = folder / "small"
        self.large = folder / "large"
        self.scratch = folder
        self._bin = Path(sys.executable).parent

    def tool(self, name: str, *arguments: str | Path, folder: Path) -> Command:
        return Command([self._bin / name, *arguments], folder)

    def start(self) -> Iterator[Result]:
        """What a user waits for before anything is read."""
        help = self.tool("provenance", "--help", folder=self.scratch)
        click = self.tool("python", "-c", "import click", folder=self.scratch)
        ours, theirs = best(ROUNDS, help.seconds, click.seconds)
        yield times("`provenance --help`", ours, '`python -c "import click"`', theirs, 1.5)

    def registry(self) -> Iterator[Result]:
        """The whole registry of 24 rows, cold."""
        verify = self.tool("provenance", "verify", folder=self.small)
        check = self.tool("provenance", "check", folder=self.small)
        sigstore = self.tool("sigstore", "--version", folder=self.small)
        verified, checked, theirs = best(ROUNDS, verify.seconds, check.seconds, sigstore.seconds)
        yield times("`verify`, 24 rows", verified, "`sigstore --version`", theirs, 0.7)
        yield times("`check`, 24 rows", checked, "`sigstore --version`", theirs, 0.4)

    def hashing(self) -> Iterator[Result]:
        """2 GiB against `openssl dgst`, and two such files at once."""
        data = self.large / "model" / "large_0.onnx.data"
        empty = self.scratch / "empty"
        empty.touch()
        openssl = Command(["openssl", "dgst", "-sha256", data], self.scratch)
        nothing = Command(["openssl", "dgst", "-sha256", empty], self.scratch)
        file = benchmark("hashing", "file", data)
        one = benchmark("hashing", "rows", self.large, "large_0")
        two = benchmark("hashing", "rows", self.large, "large_0", "large_1")
        ours, theirs, start, single, double = best(
            LARGE_ROUNDS, file.printed, openssl.seconds, nothing.seconds, one.printed, two.printed
        )
        size = data.stat().st_size
        yield _speeds("SHA-256 of 2 GiB", size / ours, "`openssl dgst`", size / (theirs - start))
        yield Result(
            "two files of 2 GiB at once",
            _speed(2 * size / double),
            f"one: {_speed(size / single)}",
            f"{2 * single / double:.2f}",
            ">= 1.90",
            2 * single / double >= 1.9,
        )

    def memory(self) -> Iterator[Result]:
        """The peak of the whole process, the interpreter included."""
        for name in ("hash", "verify"):
            peak = self.tool("provenance", name, folder=self.large).run().peak
            yield Result(
                f"peak memory of `{name}`, 2 x 2 GiB",
                f"{peak / MIB:.0f} MiB",
                "",
                "",
                f"< {MEMORY_LIMIT / MIB:.0f} MiB",
                peak < MEMORY_LIMIT,
            )

    def consumer(self) -> Iterator[Result]:
        """A model of 2 GiB that is loaded only if it verifies, on disk and in memory."""
        root = self.scratch / "consumer"

        def way(how: str, *private: Path) -> Command:
            return benchmark("consuming", how, root, *private)

        way("make").run()
        hashed, plain = way("hash"), way("plain")
        places = [("on disk", root), *([("in memory", MEMORY)] if MEMORY.is_dir() else [])]
        for place, private in places:
            opening, verified = way("open", private), way("verified", private)
            alone, unverified, opened, loaded = best(
                LARGE_ROUNDS, hashed.printed, plain.printed, opening.printed, verified.printed
            )
            yield times(f"`open_model`, 2 GiB, copy {place}", opened, "hashing", alone, None)
            what = f"load and run it, copy {place}"
            yield times(what, loaded, "onnxruntime alone", unverified, None)
            # What of the model is mapped counts as memory of the process, once.
            beyond = verified.run().peak - consuming.SIZE
            theirs = plain.run().peak - consuming.SIZE
            yield Result(
                f"peak memory of that beyond the 2 GiB, copy {place}",
                f"{beyond / MIB:.0f} MiB",
                f"onnxruntime alone: {theirs / MIB:.0f} MiB",
                f"{beyond / theirs:.2f}",
                f"< {BEYOND / 1e6:.0f} MB",
                beyond < BEYOND,
            )

    def model_signing(self) -> Iterator[Result]:
        """The same bytes with OpenSSF model signing and the same key. It judges no registry."""
        for label, root in (("24 rows", self.small), ("2 x 2 GiB", self.large)):
            theirs = units.model_signing_of(root, root / "release.key")
            ours = self.tool("provenance", "verify", folder=root)
            rounds = ROUNDS if root == self.small else LARGE_ROUNDS
            mine, other = best(rounds, ours.seconds, theirs.seconds)
            yield times(f"`verify`, {label}", mine, "`model_signing verify key`", other, None)


def _speeds(what: str, ours: float, against: str, theirs: float) -> Result:
    return Result(
        what,
        _speed(ours),
        f"{against}: {_speed(theirs)}",
        f"{ours / theirs:.2f}",
        ">= 0.95",
        ours / theirs >= 0.95,
    )


def _speed(bytes_per_second: float) -> str:
    return f"{bytes_per_second / MIB:,.0f} MiB/s"


def lines(folder: Path) -> Iterator[Result]:
    """Yield the lines of the first table."""
    sys.stderr.write("generating registries ...\n")
    benchmark("registries", folder).run()
    bench = Bench(folder)
    for part in (
        *(bench.start, bench.registry, bench.hashing, bench.memory),
        *(bench.consumer, bench.model_signing),
    ):
        yield from part()
    yield from units.lines(folder)


def main() -> int:
    if shutil.which("openssl") is None:
        sys.stderr.write("error: `openssl` is not on PATH, and hashing is compared with it\n")
        return 2
    status = report(lines)
    sys.stdout.write("\n")
    return max(status, report(scale.lines, scale.COLUMNS))


if __name__ == "__main__":
    sys.exit(main())
