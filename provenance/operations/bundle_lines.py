# SPDX-License-Identifier: Apache-2.0
"""Files with one bundle a line, as `gh attestation download` writes them.

Of a file's attestations one that verifies is enough. Which line that is, is found by trying those
that may be about the file, in their order.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from provenance.attestations import bundle as bundles
from provenance.attestations import recognition
from provenance.attestations.bundle import BundleError, Envelope
from provenance.attestations.statement import StatementError
from provenance.attestations.statement import decode as decode_statement
from provenance.errors import InputError
from provenance.gate.finding import Report, Verdict

MAX_TRIED: Final = 32
"""Bundles about one file that are verified until one counts."""


def of(data: bytes) -> tuple[bytes, ...]:
    """The bundles in a file that has several, one a line; none for any other file."""
    return recognition.lines(data) if recognition.is_lines_of(recognition.BUNDLE, data) else ()


def about(path: Path, lines: tuple[bytes, ...], sha256: str) -> Iterator[tuple[str, bytes]]:
    """Each bundle that may be about a file with that digest, and its name for messages.

    Raises:
        InputError: If no line is about the file, or more than are tried.
    """
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


def best(reports: Iterator[Report]) -> Report:
    """The first report that verified; else the one that comes nearest to that.

    A bundle of a trusted signer goes before any other, then one of the expected type, then the one
    with the fewest errors.
    """
    failed = []
    for report in reports:
        if report.verdict is Verdict.VERIFIED:
            return report
        failed.append(report)
    return min(failed, key=_distance)


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
