# SPDX-License-Identifier: Apache-2.0
"""`provenance list`."""

from __future__ import annotations

import click

from provenance.cli.options import ROWS, Session, common, cores
from provenance.gate.finding import EXIT_CODES
from provenance.gate.pool import prepare


@click.command(
    "list",
    epilog="\b\nExamples:\n  provenance list\n  provenance list vmaf_tiny_v2 --format json",
)
@ROWS
@common
def command(session: Session, rows: tuple[str, ...]) -> int:
    """List the rows: file, size, license, state, who signed them, and when.

    Signatures are judged as `provenance verify` judges them, with the trusted signers of the
    configuration. A key leaves no time: then the time is that of the release.
    """
    config = session.load()
    prepare(config.root / config.registry, cores())
    from provenance.operations.list_rows import list_rows
    from provenance.operations.verify_options import VerifyOptions
    from provenance.output import row_table

    with session.progress() as progress:
        options = VerifyOptions(offline=session.offline, processes=cores())
        listed = list_rows(config, options, rows=rows, progress=progress)
    session.emit(listed, row_table.table, row_table.as_json)
    if listed.note is not None:
        session.say(f"note: {listed.note}")
    return EXIT_CODES[listed.verdict]
