# SPDX-License-Identifier: Apache-2.0
"""Files with one bundle a line, as `gh attestation download` writes them.

One attestation that verifies is enough: those that may be about the file are tried in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from provenance.attestations import bundle as bundles
from provenance.attestations import recognition
from provenance.attestations.bundle import BundleError, Envelope
from provenance.attestations.statement import StatementError
from provenance.attestations.statement import decode as decode_statement
from provenance.errors import InputError
from provenance.evidence.evidence import Evidence
from provenance.evidence.read_rows import read_bundle
from provenance.evidence.rows import BundleEvidence
from provenance.gate.finding import Report, Verdict
from provenance.operations import named_files

MAX_TRIED: Final = 32
"""Bundles about one file that are verified until one counts."""


Judged = tuple[Report, Evidence]


def judged(
    bundle: Path, sha256_of: Callable[[], str], judge: Callable[[BundleEvidence], Judged]
) -> Judged:
    """Judge a file by the bundle at a path, or by each one in it that may be about the file.

    Of several, the first that verifies decides; if none does, the one that comes nearest to it: a
    bundle of a trusted signer before any other, then one of the expected type, then the one with
    the fewest errors. `sha256_of` returns the digest of the file.

    Raises:
        InputError: If the bundle cannot be read, no line is about the file, or more than are tried.
    """
    data = named_files.bundle_bytes(bundle)
    if not recognition.is_lines_of(recognition.BUNDLE, data):
        return judge(named_files.with_countersignatures(bundle, data))
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
        if not isinstance(content, Envelope):
            return content.sha256 in (None, sha256)
        statement = decode_statement(content.payload, foreign=True)
    except (BundleError, StatementError):
        return False
    return statement.name_of(sha256) is not None
