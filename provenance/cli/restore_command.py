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
    help="The earlier registry: git:REF, a folder, or a registry file.",
)
@click.option("--dry-run", is_flag=True, help="Show the changes without writing them.")
@common
def command(session: Session, rows: tuple[str, ...], baseline: str, dry_run: bool) -> int:
    """Restore rows and fields that were lost since the baseline.

    Each returns to its former place, exactly as it was written; nothing else in the registry
    changes. Rows and fields that were changed, not lost, are left alone. A value that would be
    wrong for the current files, such as the digest of an older file, is refused with the reason.

    Without ROWs, everything is restored except losses that a deferral declares.
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
