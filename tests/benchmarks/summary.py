# SPDX-License-Identifier: Apache-2.0
"""A release of 10,000 rows, verified by its summary and row by row: `-m tests.benchmarks.summary`.

Also compares the summary with opening and hashing the same files, as `sha256sum -c` would. The
models have 3 KB: the second line shows from which size on hashing is most of the work.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.benchmarks.measure import KIB, MIB, Run, benchmark, provenance
from tests.benchmarks.table import Result, report

ROWS: Final = 10_000
ROUNDS: Final = 3
SUMMARY: Final = "bundles/registry.json.vsa.sigstore.json"

FASTER: Final = 0.25
"""What it may take of the time of `verify`."""

DOMINATES: Final = 256
"""KiB of a file whose hashing takes as long as all that is done for the file beside it."""

SAMPLE: Final = bytes(64 * MIB)


def lines(folder: Path) -> Iterator[Result]:
    """Yield the lines of the table."""
    root = folder / "registry"
    _release(root)
    names = [line[66:] for line in (root / "SUMS").read_text("utf-8").splitlines()]
    summary_and_key = ("--summary", SUMMARY, "--key", "release.pub")
    commands = (
        provenance(root, "verify", "-q"),
        provenance(root, "verify-release", "model/registry.json", *summary_and_key, "-q"),
        provenance(root, "verify-release", "--help"),
    )
    runs: list[tuple[Run, ...]] = []
    hashing = []
    for _ in range(ROUNDS):  # in turns, so that other work on the machine meets all of them
        runs.append(tuple(command.run() for command in commands))
        hashing.append(_hashing([root / name for name in names]))
    whole, summary, start = (
        min(column, key=lambda run: run.seconds) for column in zip(*runs, strict=True)
    )
    cpu, hashed = summary.cpu - start.cpu, min(hashing)
    ratio = summary.seconds / whole.seconds
    yield Result(
        f"`verify-release` of {ROWS:,} rows",
        f"{summary.seconds:.2f} s, {summary.peak / MIB:.0f} MiB",
        f"`verify`: {whole.seconds:.2f} s, {whole.peak / MIB:.0f} MiB",
        f"{ratio:.2f}",
        f"<= {FASTER}",
        ratio <= FASTER,
    )
    size = (cpu - hashed) / len(names) * _speed() / KIB
    yield Result(
        f"its CPU, without the start, of {len(names):,} files",
        f"{cpu:.2f} s",
        f"opening and hashing the same files: {hashed:.2f} s; as much again for files of",
        f"{size:.2f} KiB",
        f"<= {DOMINATES} KiB",
        size <= DOMINATES,
    )


def _release(root: Path) -> None:
    benchmark("many_rows", root, str(ROWS)).run()
    provenance(root, "keygen", "release", "-q").run()
    with (root / "provenance.toml").open("a", encoding="utf-8") as stream:
        stream.write('[[trust.key]]\npath = "release.pub"\n')
    options = ("--signer", "file:release.key", "-q", "--output", "sha256sums=SUMS")
    provenance(root, "release", *options).run()


def _hashing(files: Sequence[Path]) -> float:
    """Return the CPU seconds for opening and hashing these files."""
    began = time.process_time()
    for file in files:
        with file.open("rb", buffering=0) as stream:
            hashlib.file_digest(stream, "sha256")
    return time.process_time() - began


def _speed() -> float:
    """Return the bytes that are hashed in a second of CPU."""
    began = time.process_time()
    hashlib.sha256(SAMPLE).digest()
    return len(SAMPLE) / (time.process_time() - began)


if __name__ == "__main__":
    sys.exit(report(lines))
