# SPDX-License-Identifier: Apache-2.0
"""`provenance hash`."""

from __future__ import annotations

import click

from provenance.cli.options import ROWS, Session, common
from provenance.gate.finding import EXIT_CODES


@click.command(
    "hash",
    epilog="\b\nExamples:\n  provenance hash\n  provenance hash vmaf_tiny_v2 --write\n"
    "  provenance hash --write --add-external-data",
)
@ROWS
@click.option("--write", is_flag=True, help="Update the digests that the rows declare.")
@click.option(
    "--add-external-data",
    is_flag=True,
    help="Add external_data_sha256 to rows whose weights no digest covers.",
)
@common
def command(session: Session, rows: tuple[str, ...], write: bool, add_external_data: bool) -> int:
    """Print every model file's digest; with --write, update the rows.

    Only digests change: key order, indentation and every other character of the registry stay as
    they are. Without --write the difference is only shown.
    """
    from provenance.journeys.hashing import hash_models
    from provenance.output import listing, machine

    config = session.load()
    with session.progress() as progress:
        result = hash_models(
            config,
            rows=rows,
            write=write,
            add_external_data=add_external_data,
            progress=progress,
        )
    session.emit(
        human=lambda style: listing.hashes(result, style), json=lambda: machine.hashes(result)
    )
    return EXIT_CODES[result.verdict]
