# SPDX-License-Identifier: Apache-2.0
"""Read the files that a consumer names: the file to verify, its bundles, its release summary."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final

from provenance.artifacts import digest, limits
from provenance.artifacts.paths import FileError, FileProblem, open_named_file, read_named_file
from provenance.attestations import bundle as bundles
from provenance.attestations import recognition
from provenance.attestations.signed_row import is_row
from provenance.attestations.statement import StatementError, decode
from provenance.errors import InputError
from provenance.evidence.evidence import Evidence
from provenance.evidence.read_rows import read_bundle
from provenance.evidence.rows import BundleEvidence
from provenance.gate.finding import Report, Verdict

MAX_NEAR: Final = 10_000
"""How many files near a file are looked at to find the bundle about it."""

_COUNTERSIGNED: Final = re.compile(rf"\.\d+{re.escape(bundles.SUFFIX)}$", re.ASCII)

MAX_TRIED: Final = 32
"""How many bundles about the same file are tried until one verifies."""

Judged = tuple[Report, Evidence]


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading inside the `with` block.

    Raises:
        InputError: If the file cannot be opened or read.
    """
    try:
        with open_named_file(path) as stream:
            yield stream
    except FileError as e:
        raise InputError(f"{path}: {e.message}", help=e.help) from e
    except OSError as e:
        raise InputError(f"{path}: {e.strerror or e}") from e


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        InputError: If the file cannot be read.
    """
    with opened(path) as stream:
        return digest.of_stream(stream).sha256


def compared_by_sha384(document: BundleEvidence, file: Path, sha256: str | None) -> BundleEvidence:
    """Return the bundle after comparing its SHA-384 with the file that has that SHA-256.

    ECDSA P-384 keys sign the SHA-384 of a file. The file is read again and both digests are
    computed in one pass, so the bytes that were signed are the bytes of that SHA-256.

    Raises:
        InputError: If the file cannot be read.
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
    """Return the signature over the bytes of a file if it states their SHA-384, or None."""
    content = document.bundle.content if document.bundle else None
    return content if isinstance(content, bundles.MessageSignature) and content.sha384 else None


def judged(
    bundle: Path, sha256_of: Callable[[], str], judge: Callable[[BundleEvidence], Judged]
) -> Judged:
    """Judge a file by the bundle or bundles at a path.

    The path may hold one bundle per line, as `gh attestation download` writes them. The first
    bundle about the file that verifies decides. If none verifies, the closest one is reported: a
    bundle by a trusted signer first, then one of the expected type, then the one with the fewest
    errors.

    Args:
        bundle: The path of the bundles.
        sha256_of: Returns the digest of the file.
        judge: Judges the file by one bundle.

    Raises:
        InputError: If the bundles cannot be read, none is about the file, or too many are.
    """
    data = bundle_bytes(bundle)
    if not recognition.is_lines_of(recognition.BUNDLE, data):
        return judge(with_countersignatures(bundle, data))
    failed = []
    for name, line in _bundles_about(bundle, recognition.lines(data), sha256_of()):
        found = judge(read_bundle(name, line, foreign=True))
        if found[0].verdict is Verdict.VERIFIED:
            return found
        failed.append(found)
    return min(failed, key=lambda found: _distance(found[0]))


def _bundles_about(
    path: Path, lines: tuple[bytes, ...], sha256: str
) -> Iterator[tuple[str, bytes]]:
    """Yield each bundle that may be about a file with that digest, with a name for messages."""
    found = [(n, line) for n, line in enumerate(lines, 1) if _may_be_about(line, sha256)]
    if not found:
        raise InputError(
            f"bundle {path}: none of its {len(lines)} bundles is about the file (sha256 {sha256})",
            help="Fetch the bundles of this file again from where it comes from.",
        )
    if len(found) > MAX_TRIED:
        raise InputError(
            f"bundle {path}: {len(found)} of its bundles are about this file, but at most "
            f"{MAX_TRIED} are tried",
            help="Put the bundle that matters into a file of its own.",
        )
    for number, line in found:
        yield f"{path} (line {number})", line


def _distance(report: Report) -> tuple[bool, bool, int]:
    codes = [finding.code for finding in report.failing]
    return any(c.startswith("SIG") for c in codes), "ATT701" in codes, len(codes)


def _may_be_about(line: bytes, sha256: str) -> bool:
    """Whether a bundle claims to be about a digest. The claim is not verified."""
    try:
        content = bundles.decode(line).content
        if not isinstance(content, bundles.Envelope):
            return content.sha256 in (None, sha256)
        statement = decode(content.payload, foreign=True)
    except (bundles.BundleError, StatementError):
        return False
    return statement.name_of(sha256) is not None


def bundle_bytes(path: Path) -> bytes:
    """Return the bytes of a bundle.

    Raises:
        InputError: If the file cannot be read.
    """
    try:
        return read_named_file(path, limits.BUNDLE)
    except FileError as e:
        raise InputError(
            f"bundle {path}: {e.message}",
            help=e.help
            if e.problem is FileProblem.POINTER
            else "The default is <file>.onnx.sigstore.json beside the model; "
            "name another with --bundle.",
        ) from e


def with_countersignatures(path: Path, data: bytes, *, foreign: bool = True) -> BundleEvidence:
    """Return the bundle at `path`, which holds `data`, and its countersignatures.

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
    """Return a release summary and its countersignatures.

    Raises:
        InputError: If one of them cannot be read.
    """
    try:
        data = read_named_file(path, limits.BUNDLE)
    except FileError as e:
        raise InputError(f"release summary {path}: {e.message}", help=e.help) from e
    return with_countersignatures(path, data, foreign=False)


def bundle_of(path: Path, sha256_of: Callable[[], str]) -> Path:
    """Return the path of the bundle of a file: beside it, or a bundle about it near it.

    Bundles are looked for in the folder of the file, and below a folder `bundles` beside it or in
    one of the three folders above it. A bundle is about the file if its statement has the digest of
    the file among its subjects. Whether its signature counts is judged later.

    Raises:
        InputError: If a folder cannot be listed, or several bundles are about the file.
    """
    beside = path.with_name(path.name + bundles.SUFFIX)
    if beside.exists():
        return beside
    absolute = path.absolute()
    above = (absolute.parent, *absolute.parents[1 : limits.CLIMB + 1])
    places = [[absolute.parent / name for name in names(absolute.parent)]]
    places += [_files_below(folder / "bundles", path) for folder in above]
    for candidates in places:
        found = [one for one in candidates if _may_be_row_of(one, sha256_of)]
        if found:
            break
    if len(found) > 1:
        raise InputError(
            f"{path}: several bundles are about this file: {found[0]} and {found[1]}",
            help="Name the one to use: --bundle FILE",
        )
    return found[0] if found else beside


def _files_below(folder: Path, path: Path) -> list[Path]:
    """Return the files below a folder, without following links, sorted."""
    found: list[Path] = []
    for at, folders, files in os.walk(folder):
        folders.sort()
        found += [Path(at) / name for name in sorted(files)]
        if len(found) + len(folders) > MAX_NEAR:
            raise InputError(
                f"more than {MAX_NEAR:,} files near {path}", help="Name the bundle: --bundle FILE"
            )
    return found


def _may_be_row_of(bundle: Path, sha256_of: Callable[[], str]) -> bool:
    """Return whether a file claims to be the row bundle of a file with that digest."""
    name = bundle.name
    if not name.endswith(bundles.SUFFIX) or name.endswith(bundles.SUMMARY_SUFFIX):
        return False
    if _COUNTERSIGNED.search(name) is not None:
        return False
    sha256 = sha256_of()
    try:
        content = bundles.decode(read_named_file(bundle, limits.BUNDLE)).content
        if not isinstance(content, bundles.Envelope):
            return False
        statement = decode(content.payload)
    except (FileError, bundles.BundleError, StatementError):
        return False
    return is_row(statement) and statement.name_of(sha256) is not None


def summary_in(folders: Iterable[Path]) -> Path | None:
    """Return the release summary in one of the folders, or None.

    Raises:
        InputError: If there are several, a folder cannot be listed, or there are too many files.
    """
    distinct = {os.path.realpath(folder): folder for folder in folders}
    found = list(summaries_in(distinct.values()))
    if len(found) > 1:
        raise InputError(
            f"several release summaries: {found[0]} and {found[1]}",
            help="Name the one to use: --summary FILE",
        )
    return found[0] if found else None


def summaries_in(folders: Iterable[Path]) -> Iterator[Path]:
    """Yield the release summaries in the folders.

    Raises:
        InputError: If a folder cannot be listed, or there are too many files.
    """
    seen = 0
    for folder in folders:
        listed = names(folder)
        seen += len(listed)
        if seen > limits.FOLDER_ENTRIES:
            raise InputError(
                f"more than {limits.FOLDER_ENTRIES:,} files in {folder}",
                help="Name the release summary: --summary FILE",
            )
        yield from (folder / name for name in listed if name.endswith(bundles.SUMMARY_SUFFIX))


def names(folder: Path) -> list[str]:
    """Return the sorted names in a folder.

    Raises:
        InputError: If the folder cannot be listed.
    """
    try:
        return sorted(os.listdir(folder))
    except OSError as e:
        raise InputError(f"cannot list {folder}: {e.strerror}") from e
