# SPDX-License-Identifier: Apache-2.0
"""`provenance hash`."""

from __future__ import annotations

from typing import Any

import click

from provenance.cli.options import ROWS, Session, common
from provenance.gate.finding import EXIT_CODES


@click.command(
    "hash",
    epilog="\b\nExamples:\n  provenance hash\n  provenance hash vmaf_tiny_v2 --write\n"
    "  provenance hash --write --add-external-data\n"
    "  provenance hash vmaf_tiny_v2 --write --accept vmaf_tiny_v2",
)
@ROWS
@click.option("--write", is_flag=True, help="Fill in the digests that are missing from the rows.")
@click.option(
    "--add-external-data",
    is_flag=True,
    help="Also add external_data_sha256 to rows whose external data has no digest.",
)
@click.option(
    "--accept",
    metavar="ROW",
    multiple=True,
    help="Accept the changed files of ROW: replace digests that differ. May be repeated.",
)
@common
def command(session: Session, rows: tuple[str, ...], **options: Any) -> int:
    """Print the digest of every model file, and add missing ones to the rows.

    With --write, the missing digests are written to the registry; without it, the changes are only
    shown. Key order, indentation and everything else in the registry stay as they are.

    A digest that differs from that of the file is kept, and the exit code is 1, unless --accept
    names its row.
    """
    from provenance.operations.hashing import hash_models
    from provenance.output import listing, machine

    config = session.load()
    with session.progress() as progress:
        result = hash_models(config, rows=rows, progress=progress, **options)
    session.emit(result, listing.hashes, machine.hashes)
    return EXIT_CODES[result.verdict]
