# SPDX-License-Identifier: Apache-2.0
"""`provenance promote`."""

from __future__ import annotations

import click

from provenance.cli.options import BASELINE, ROWS, Session, common


@click.command(
    "promote",
    epilog="\b\nExamples:\n  provenance promote vmaf_tiny_v2\n"
    "  provenance promote --ensemble fr_regressor_v2_ensemble_v1\n"
    "  provenance promote vmaf_tiny_v2 --baseline git:origin/main --dry-run",
)
@ROWS
@click.option(
    "--ensemble", metavar="ID", help="Promote all members of this ensemble, and its manifest."
)
@BASELINE
@click.option("--dry-run", is_flag=True, help="Show the changes without writing them.")
@common
def command(
    session: Session,
    rows: tuple[str, ...],
    ensemble: str | None,
    baseline: str | None,
    dry_run: bool,
) -> int:
    """Set smoke to false on rows whose evidence is complete.

    The evidence is complete if the sidecar describes the model file, the numbers of the gate
    verdict support PROMOTE (an imported model needs an origin instead), the widths agree, the
    license is complete, and `provenance check` passes, also for the changes since the baseline.
    Otherwise the reasons are shown and nothing is written. The members of an ensemble are promoted
    together.
    """
    if bool(rows) == (ensemble is not None):
        raise click.UsageError("give either rows, or --ensemble ID for all of its members")
    from provenance.operations.promote import promote
    from provenance.output import promotion

    config = session.load()
    with session.progress() as progress:
        done = promote(
            config,
            rows=rows,
            ensemble=ensemble,
            baseline=session.baseline(config, baseline),
            dry_run=dry_run,
            progress=progress,
        )
    session.emit(done, promotion.render, promotion.as_json)
    return done.exit_code
