# SPDX-License-Identifier: Apache-2.0
"""Files that a consumer names: what is verified, its bundle, the summary of its release."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from provenance.artifacts import digest, limits
from provenance.artifacts.paths import FileError, FileProblem, open_named_file, read_named_file
from provenance.attestations import bundle as bundles
from provenance.errors import InputError
from provenance.evidence.collect import read_bundle
from provenance.evidence.rows import BundleEvidence


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file to read it inside the block.

    Raises:
        InputError: If it cannot be opened, or reading it fails.
    """
    try:
        with open_named_file(path) as stream:
            yield stream
    except FileError as e:
        raise InputError(f"{path}: {e.message}", help=e.help) from e
    except OSError as e:
        raise InputError(f"{path}: {e.strerror or e}") from e


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file. Raises InputError if it cannot be read."""
    with opened(path) as stream:
        return digest.of_stream(stream).sha256


def bundle_bytes(path: Path) -> bytes:
    """Return the content of a bundle. Raises InputError if it cannot be read."""
    try:
        return read_named_file(path, limits.BUNDLE)
    except FileError as e:
        raise InputError(
            f"bundle {path}: {e.message}",
            help=e.help
            if e.problem is FileProblem.POINTER
            else "A bundle lies beside its model as <file>.onnx.sigstore.json; "
            "name another with --bundle.",
        ) from e


def with_countersignatures(path: Path, data: bytes, *, foreign: bool = True) -> BundleEvidence:
    """Return the bundle at `path`, which holds `data`, and the countersignatures beside it.

    Raises:
        InputError: If a countersignature exists and cannot be read.
    """
    found = []
    for number in range(2, bundles.MAX_SIGNERS + 1):
        other = Path(bundles.countersignature_path(str(path), number))
        if not other.exists():
            break
        found.append(read_bundle(str(other), bundle_bytes(other), foreign=True))
    return replace(read_bundle(str(path), data, foreign=foreign), countersigned=tuple(found))


def read_summary(path: Path) -> BundleEvidence:
    """Return a release summary and its countersignatures. Raises InputError."""
    try:
        data = read_named_file(path, limits.BUNDLE)
    except FileError as e:
        raise InputError(f"release summary {path}: {e.message}", help=e.help) from e
    return with_countersignatures(path, data, foreign=False)


def summary_in(folders: Iterable[Path]) -> Path | None:
    """Return the release summary in any of the folders, or None.

    Raises:
        InputError: If there are several, a folder cannot be listed, or there are too many files.
    """
    distinct = {os.path.realpath(folder): folder for folder in folders}
    found: list[Path] = []
    seen = 0
    for folder in distinct.values():
        listed = names(folder)
        seen += len(listed)
        if seen > limits.FOLDER_ENTRIES:
            raise InputError(
                f"more than {limits.FOLDER_ENTRIES:,} files in {folder}",
                help="Name the release summary: --summary FILE",
            )
        found += [folder / name for name in listed if name.endswith(bundles.SUMMARY_SUFFIX)]
    if len(found) > 1:
        raise InputError(
            f"{found[0]} and {found[1]}: which is the summary of the release?",
            help="Name it: --summary FILE",
        )
    return found[0] if found else None


def names(folder: Path) -> list[str]:
    """Return the sorted names in a folder. Raises InputError if it cannot be listed."""
    try:
        return sorted(os.listdir(folder))
    except OSError as e:
        raise InputError(f"cannot list {folder}: {e.strerror}") from e
