# SPDX-License-Identifier: Apache-2.0
"""Speed and memory, as ratios in one run on this machine: `make bench`.

Prints a Markdown table. Nothing here is part of the tests: a ratio on a busy machine is not a
verdict on a change. Exit status 1 says that a target was missed.

A second table is that of `tests.benchmarks.scale`: 100, 1,000 and 10,000 rows.

Times are the least of several fresh processes, with the files in the page cache. The registries
are generated in a temporary folder (set TMPDIR to choose the disk; 8 GiB) and removed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.benchmarks import consuming, scale
from tests.benchmarks.measure import MIB, BenchmarkError, Command, best
from tests.interop.peers import cached

REPOSITORY: Final = Path(__file__).resolve().parents[2]
ROUNDS: Final = 7
LARGE_ROUNDS: Final = 5
MEMORY_LIMIT: Final = 150 * MIB

BEYOND: Final = 100_000_000
"""Bytes beyond the model itself that loading it verified may take, interpreter included."""

MEMORY: Final = Path("/dev/shm")
"""Where a file is in memory, on Linux."""


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


class Bench:
    """The commands to measure, in the folder where the registries are."""

    def __init__(self, folder: Path) -> None:
        self.small = folder / "small"
        self.large = folder / "large"
        self.scratch = folder
        self._bin = Path(sys.executable).parent

    def tool(self, name: str, *arguments: str | Path, folder: Path) -> Command:
        """A command of this environment."""
        return Command([self._bin / name, *arguments], folder)

    def start(self) -> Iterator[Result]:
        """What a user waits for before anything is read."""
        help = self.tool("provenance", "--help", folder=self.scratch)
        click = self.tool("python", "-c", "import click", folder=self.scratch)
        ours, theirs = best(ROUNDS, help.seconds, click.seconds)
        yield _times("`provenance --help`", ours, '`python -c "import click"`', theirs, 1.5)

    def registry(self) -> Iterator[Result]:
        """The whole registry of 24 rows, cold."""
        verify = self.tool("provenance", "verify", folder=self.small)
        check = self.tool("provenance", "check", folder=self.small)
        sigstore = self.tool("sigstore", "--version", folder=self.small)
        verified, checked, theirs = best(ROUNDS, verify.seconds, check.seconds, sigstore.seconds)
        yield _times("`verify`, 24 rows", verified, "`sigstore --version`", theirs, 0.7)
        yield _times("`check`, 24 rows", checked, "`sigstore --version`", theirs, 0.5)

    def hashing(self) -> Iterator[Result]:
        """2 GiB against `openssl dgst`, and two such files at once."""
        data = self.large / "model" / "large_0.onnx.data"
        empty = self.scratch / "empty"
        empty.touch()
        openssl = Command(["openssl", "dgst", "-sha256", data], self.scratch)
        nothing = Command(["openssl", "dgst", "-sha256", empty], self.scratch)
        module = ("-m", "tests.benchmarks.hashing")
        python = self._bin / "python"
        file = Command([python, *module, "file", data], REPOSITORY)
        one = Command([python, *module, "rows", self.large, "large_0"], REPOSITORY)
        two = Command([python, *module, "rows", self.large, "large_0", "large_1"], REPOSITORY)
        ours, theirs, start, single, double = best(
            LARGE_ROUNDS,
            file.printed,
            openssl.seconds,
            nothing.seconds,
            one.printed,
            two.printed,
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
            module = ("-m", "tests.benchmarks.consuming", how)
            return Command([self._bin / "python", *module, root, *private], REPOSITORY)

        way("make").run()
        hashed, plain = way("hash"), way("plain")
        places = [("on disk", root), *([("in memory", MEMORY)] if MEMORY.is_dir() else [])]
        for place, private in places:
            opening, verified = way("open", private), way("verified", private)
            alone, unverified, opened, loaded = best(
                LARGE_ROUNDS, hashed.printed, plain.printed, opening.printed, verified.printed
            )
            yield _times(f"`open_model`, 2 GiB, copy {place}", opened, "hashing", alone, None)
            what = f"load and run it, copy {place}"
            yield _times(what, loaded, "onnxruntime alone", unverified, None)
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
        # Not bin/model_signing: it names the folder in which the environment was built.
        tool = (_environment_of_model_signing() / "bin" / "python", "-m", "model_signing")
        for label, root in (("24 rows", self.small), ("2 x 2 GiB", self.large)):
            signature = self.scratch / f"{root.name}.sig"
            model = root / "model"
            sign: list[str | Path] = [*tool, "sign", "key", model, "--signature", signature]
            Command([*sign, "--private_key", root / "release.key"], root).run()
            check: list[str | Path] = [*tool, "verify", "key", model, "--signature", signature]
            theirs = Command([*check, "--public_key", root / "release.pub"], root)
            ours = self.tool("provenance", "verify", folder=root)
            rounds = ROUNDS if root == self.small else LARGE_ROUNDS
            mine, other = best(rounds, ours.seconds, theirs.seconds)
            yield _times(f"`verify`, {label}", mine, "`model_signing verify key`", other, None)


def _times(what: str, ours: float, against: str, theirs: float, most: float | None) -> Result:
    return Result(
        what,
        f"{ours:.3f} s",
        f"{against}: {theirs:.3f} s",
        f"{ours / theirs:.2f}",
        "" if most is None else f"<= {most:.2f}",
        None if most is None else ours / theirs <= most,
    )


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


def _environment_of_model_signing() -> Path:
    lock = REPOSITORY / "requirements" / "bench.txt"
    script = REPOSITORY / "scripts" / "environment.py"

    def build(folder: Path) -> None:
        command: list[str | Path] = [sys.executable, script, folder, "--requirements", lock]
        subprocess.run(command, check=True, stdout=sys.stderr)

    return cached("model-signing", (lock,), build)


def main() -> int:
    """Measure everything and print the table; the exit status."""
    if shutil.which("openssl") is None:
        sys.stderr.write("error: `openssl` is not on PATH, and hashing is compared with it\n")
        return 2
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="onnx-provenance-bench-") as name:
        sys.stderr.write("generating registries ...\n")
        generate = [sys.executable, "-m", "tests.benchmarks.registries", name]
        subprocess.run(generate, cwd=REPOSITORY, check=True)
        bench = Bench(Path(name))
        parts: tuple[Callable[[], Iterator[Result]], ...] = (
            bench.start,
            bench.registry,
            bench.hashing,
            bench.memory,
            bench.consumer,
            bench.model_signing,
        )
        print_heading()
        for part in parts:
            try:
                for result in part():
                    sys.stdout.write(f"{result}\n")
                    sys.stdout.flush()
                    results.append(result)
            except BenchmarkError as e:
                sys.stderr.write(f"error: {e}\n")
                return 2
        sys.stdout.write("\n")
        try:
            scales = scale.print_table()
        except BenchmarkError as e:
            sys.stderr.write(f"error: {e}\n")
            return 2
    return 0 if scales and all(result.met is not False for result in results) else 1


def print_heading() -> None:
    """The heading of the table."""
    sys.stdout.write("| what | measured | against | ratio | target | met |\n")
    sys.stdout.write("| --- | --- | --- | --- | --- | --- |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
