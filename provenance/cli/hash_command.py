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
@click.option("--write", is_flag=True, help="Fill in the digests that rows have a field for.")
@click.option(
    "--add-external-data",
    is_flag=True,
    help="Add external_data_sha256 to rows whose weights no digest covers.",
)
@click.option(
    "--accept",
    metavar="ROW",
    multiple=True,
    help="The new bytes of ROW are meant: also replace digests of other bytes. May be repeated.",
)
@common
def command(session: Session, rows: tuple[str, ...], **options: Any) -> int:
    """Print every model file's digest; with --write, fill in those that the rows lack.

    Only digests change: key order, indentation and every other character of the registry stay as
    they are. A digest of other bytes is kept, and the exit code is 1, unless --accept names its
    row. Without --write the difference is only shown.
    """
    from provenance.operations.hashing import hash_models
    from provenance.output import listing, machine

    config = session.load()
    with session.progress() as progress:
        result = hash_models(config, rows=rows, progress=progress, **options)
    session.emit(result, listing.hashes, machine.hashes)
    return EXIT_CODES[result.verdict]
