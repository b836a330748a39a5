# SPDX-License-Identifier: Apache-2.0
"""`provenance restore`."""

from __future__ import annotations

import click

from provenance.cli.options import ROWS, Session, common
from provenance.gate.finding import EXIT_CODES


@click.command(
    "restore",
    epilog="\b\nExamples:\n  provenance restore --baseline git:origin/main --dry-run\n"
    "  provenance restore vmaf_tiny_v2 --baseline git:v3.0.0\n"
    "  provenance restore --baseline ../last-release",
)
@ROWS
@click.option(
    "--baseline",
    metavar="SPEC",
    required=True,
    help="The registry as it was: git:REF, a folder, or a registry file.",
)
@click.option("--dry-run", is_flag=True, help="Only show the difference.")
@common
def command(session: Session, rows: tuple[str, ...], baseline: str, dry_run: bool) -> int:
    """Put back rows and fields that were lost since the baseline.

    Each returns to where it stood, as it was written; no other character of the registry changes.
    What was changed is left alone. What would be a lie about the bytes that are here now, such as a
    former digest, is refused with the reason. Without rows: everything but what a deferral
    declares.
    """
    from provenance.operations.restore import restore
    from provenance.output import listing, machine

    config = session.load()
    with session.progress() as progress:
        result = restore(
            config,
            session.baseline(config, baseline) or baseline,
            rows=rows,
            write=not dry_run,
            progress=progress,
        )
    session.emit(result, listing.restoration, machine.restoration)
    return EXIT_CODES[result.verdict]
