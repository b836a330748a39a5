# SPDX-License-Identifier: Apache-2.0
"""Prints the seconds for hashing `file PATH`, or `rows DIR ROW...` as `provenance hash` does."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from provenance.artifacts import digest
from provenance.config import load
from provenance.operations.hashing import hash_models


def one_file(path: Path) -> float:
    """Seconds to hash one file."""
    began = time.perf_counter()
    with path.open("rb", buffering=0) as stream:
        digest.of_stream(stream)
    return time.perf_counter() - began


def rows(folder: Path, names: Sequence[str]) -> float:
    """Seconds to hash the model files of these rows."""
    config = load(folder, None)
    began = time.perf_counter()
    hashes = hash_models(config, rows=names)
    took = time.perf_counter() - began
    if not hashes.files or not all(file.matches for file in hashes.files):
        raise SystemExit("the registry's digests are not those of its files")
    return took


if __name__ == "__main__":
    kind, place, *given = sys.argv[1:]
    seconds = one_file(Path(place)) if kind == "file" else rows(Path(place), given)
    sys.stdout.write(f"{seconds}\n")
