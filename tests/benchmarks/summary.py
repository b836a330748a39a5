# SPDX-License-Identifier: Apache-2.0
"""A release of 10,000 rows, by its summary alone and row by row: `-m tests.benchmarks.summary`.

Both judge the same release, signed with a key. Prints a Markdown table: the ratio, what of it is
opening and hashing the very files one after the other, in this process, as `sha256sum -c` would
have to, and the size of a file from which on its hashing is most of the work: these models have
3 KB, so that what is measured is everything else. Exit status 1 says that a target was missed.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.benchmarks.measure import KIB, MIB, BenchmarkError, Command, Run

REPOSITORY: Final = Path(__file__).resolve().parents[2]
ROWS: Final = 10_000
ROUNDS: Final = 3
SUMMARY: Final = "bundles/registry.json.vsa.sigstore.json"

FASTER: Final = 0.25
"""What it may take of the time of `verify`."""

DOMINATES: Final = 256
"""KiB of a file whose hashing takes as long as all that is done for the file beside it."""

SAMPLE: Final = bytes(64 * MIB)


class Bench:
    """A release of many rows, and what verifies it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._provenance = Path(sys.executable).with_name("provenance")

    def prepare(self) -> None:
        module = "tests.benchmarks.many_rows"
        command: list[str | Path] = [sys.executable, "-m", module, self._root, str(ROWS)]
        subprocess.run(command, cwd=REPOSITORY, check=True)
        self._run("keygen", "release", "-q")
        config = self._root / "provenance.toml"
        trust = '[[trust.key]]\npath = "release.pub"\n'
        config.write_text(config.read_text("utf-8") + trust, "utf-8")
        self._run("release", "--signer", "file:release.key", "-q", "--output", "sha256sums=SUMS")

    def table(self) -> bool:
        """Measure in turns and print; whether all targets were met."""
        summary_and_key = ("--summary", SUMMARY, "--key", "release.pub")
        by_summary = ("verify-release", "model/registry.json", *summary_and_key)
        columns: tuple[list[Run], list[Run], list[Run]] = ([], [], [])
        hashing = []
        for _ in range(ROUNDS):
            columns[0].append(self._run("verify", "-q"))
            columns[1].append(self._run(*by_summary, "-q"))
            columns[2].append(self._run("verify-release", "--help"))
            hashing.append(self._hashing())
        whole, summary, start = (min(runs, key=lambda r: r.seconds) for runs in columns)
        hashed = min(hashing)
        ratio = summary.seconds / whole.seconds
        besides = (summary.cpu - start.cpu - hashed) / len(self._files())
        size = besides * self._speed() / KIB
        lines = [
            "| what | measured | against | ratio | target | met |",
            "| --- | --- | --- | --- | --- | --- |",
            self._line(
                f"`verify-release` of {ROWS:,} rows",
                f"{summary.seconds:.2f} s, {summary.peak / MIB:.0f} MiB",
                f"`verify`: {whole.seconds:.2f} s, {whole.peak / MIB:.0f} MiB",
                ratio,
                FASTER,
            ),
            self._line(
                f"its CPU, without the start, of {len(self._files()):,} files",
                f"{summary.cpu - start.cpu:.2f} s",
                f"opening and hashing the same files: {hashed:.2f} s; as much again for files of",
                size,
                DOMINATES,
                unit=" KiB",
            ),
        ]
        sys.stdout.write("\n".join(lines) + "\n")
        return ratio <= FASTER and size <= DOMINATES

    def _run(self, *arguments: str) -> Run:
        return Command([self._provenance, *arguments], self._root).run()

    def _files(self) -> list[str]:
        return [line[66:] for line in (self._root / "SUMS").read_text("utf-8").splitlines()]

    def _hashing(self) -> float:
        """CPU seconds for opening and hashing every file of the release."""
        names = self._files()
        began = time.process_time()
        for name in names:
            with open(self._root / name, "rb", buffering=0) as stream:
                hashlib.file_digest(stream, "sha256")
        return time.process_time() - began

    @staticmethod
    def _speed() -> float:
        began = time.process_time()
        hashlib.sha256(SAMPLE).digest()
        return len(SAMPLE) / (time.process_time() - began)

    @staticmethod
    def _line(
        what: str, ours: str, against: str, ratio: float, target: float, unit: str = ""
    ) -> str:
        met = "yes" if ratio <= target else "**no**"
        return f"| {what} | {ours} | {against} | {ratio:.2f}{unit} | <= {target}{unit} | {met} |"


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="onnx-provenance-summary-") as name:
        bench = Bench(Path(name) / "registry")
        try:
            bench.prepare()
            return 0 if bench.table() else 1
        except BenchmarkError as e:
            sys.stderr.write(f"error: {e}\n")
            return 2


if __name__ == "__main__":
    sys.exit(main())
