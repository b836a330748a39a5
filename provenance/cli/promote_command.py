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
@click.option("--ensemble", metavar="ID", help="All members of the ensemble, and its manifest.")
@BASELINE
@click.option("--dry-run", is_flag=True, help="Write nothing; show what would be.")
@common
def command(
    session: Session,
    rows: tuple[str, ...],
    ensemble: str | None,
    baseline: str | None,
    dry_run: bool,
) -> int:
    """Flip smoke to false, and only on complete evidence.

    The sidecar describes these bytes, the verdict is PROMOTE by its own numbers (an imported model
    needs none, but its origin), widths agree, the license is complete, and nothing fails that
    `provenance check` judges, also of what changed since the baseline. Otherwise the reasons are
    shown and nothing is written. Members of an ensemble are promoted together.
    """
    if bool(rows) == (ensemble is not None):
        raise click.UsageError("give the rows, or --ensemble ID for all of its members")
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
