# SPDX-License-Identifier: Apache-2.0
"""Files that a consumer names: what is verified, its bundles, the summary of its release."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final

from provenance.artifacts import digest, limits
from provenance.artifacts.paths import FileError, FileProblem, open_named_file, read_named_file
from provenance.attestations import bundle as bundles
from provenance.attestations import recognition
from provenance.attestations.statement import StatementError, decode
from provenance.errors import InputError
from provenance.evidence.evidence import Evidence
from provenance.evidence.read_rows import read_bundle
from provenance.evidence.rows import BundleEvidence
from provenance.gate.finding import Report, Verdict

MAX_TRIED: Final = 32
"""Bundles about one file that are verified until one counts."""

Judged = tuple[Report, Evidence]


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file to read it inside the block. Raises InputError if that fails."""
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


def compared_by_sha384(document: BundleEvidence, file: Path, sha256: str | None) -> BundleEvidence:
    """The bundle, its stated SHA-384 compared with the file whose bytes have that SHA-256.

    Keys of ECDSA P-384 sign the SHA-384 of a file. The file is read once more, for both digests at
    once: what is compared by SHA-256 was signed. Raises InputError if it cannot be read.
    """
    if not any(map(_stating_sha384, document.files)):
        return document
    smaller, larger = hashlib.sha256(), hashlib.sha384()
    with opened(file) as stream:
        while chunk := stream.read(digest.CHUNK):
            smaller.update(chunk)
            larger.update(chunk)
    same = smaller.hexdigest() == sha256

    def compared(document: BundleEvidence) -> BundleEvidence:
        content = _stating_sha384(document)
        if document.bundle is None or content is None:
            return document
        content = replace(content, is_of_file=same and content.sha384 == larger.hexdigest())
        return replace(document, bundle=replace(document.bundle, content=content))

    return replace(compared(document), countersigned=tuple(map(compared, document.countersigned)))


def _stating_sha384(document: BundleEvidence) -> bundles.MessageSignature | None:
    """The signature over the bytes of a file, if it states their SHA-384."""
    content = document.bundle.content if document.bundle else None
    return content if isinstance(content, bundles.MessageSignature) and content.sha384 else None


def judged(
    bundle: Path, sha256_of: Callable[[], str], judge: Callable[[BundleEvidence], Judged]
) -> Judged:
    """Judge a file by the bundle at a path, or by each one in it that may be about the file.

    A file can hold one bundle a line, as `gh attestation download` writes them. Of several, the
    first that verifies decides; if none does, the one that comes nearest to it: a bundle of a
    trusted signer before any other, then one of the expected type, then the one with the fewest
    errors. `sha256_of` returns the digest of the file.

    Raises:
        InputError: If the bundle cannot be read, no line is about the file, or more than are tried.
    """
    data = bundle_bytes(bundle)
    if not recognition.is_lines_of(recognition.BUNDLE, data):
        return judge(with_countersignatures(bundle, data))
    failed = []
    for name, line in _about(bundle, recognition.lines(data), sha256_of()):
        found = judge(read_bundle(name, line, foreign=True))
        if found[0].verdict is Verdict.VERIFIED:
            return found
        failed.append(found)
    return min(failed, key=lambda found: _distance(found[0]))


def _about(path: Path, lines: tuple[bytes, ...], sha256: str) -> Iterator[tuple[str, bytes]]:
    """Each bundle that may be about a file with that digest, and its name for messages."""
    found = [(n, line) for n, line in enumerate(lines, 1) if _may_be_about(line, sha256)]
    if not found:
        raise InputError(
            f"bundle {path}: none of its {len(lines)} bundles is about the file (sha256 {sha256})",
            help="Fetch the bundles of this file again from where it comes from.",
        )
    if len(found) > MAX_TRIED:
        raise InputError(
            f"bundle {path}: {len(found)} of its bundles are about one file, at most {MAX_TRIED} "
            "are tried",
            help="Give the one that matters in a file of its own.",
        )
    for number, line in found:
        yield f"{path} (line {number})", line


def _distance(report: Report) -> tuple[bool, bool, int]:
    codes = [finding.code for finding in report.failing]
    return any(c.startswith("SIG") for c in codes), "ATT701" in codes, len(codes)


def _may_be_about(line: bytes, sha256: str) -> bool:
    """What a bundle claims, before anything of it is judged."""
    try:
        content = bundles.decode(line).content
        if not isinstance(content, bundles.Envelope):
            return content.sha256 in (None, sha256)
        statement = decode(content.payload, foreign=True)
    except (bundles.BundleError, StatementError):
        return False
    return statement.name_of(sha256) is not None


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
    """Return the bundle at `path`, which holds `data`, and its countersignatures.

    Raises InputError if one of these exists and cannot be read.
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
