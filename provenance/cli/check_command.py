# SPDX-License-Identifier: Apache-2.0
"""`provenance check`."""

from __future__ import annotations

import functools
from typing import Any

import click

from provenance.cli.options import BASELINE, ROWS, RUN, Session, cores, reporting
from provenance.cli.signing_options import recorded, report_step
from provenance.gate.pool import prepare


@click.command(
    "check",
    epilog="\b\nExamples:\n  provenance check\n  provenance check vmaf_tiny_v2\n"
    "  provenance check --baseline git:origin/main\n  provenance check --fix\n"
    "  provenance check --format json --output report.json\n"
    "  provenance check --link-dir links --link-key file:ci.key",
)
@ROWS
@BASELINE
@RUN
@click.option("--fix", is_flag=True, help="Make the safe edits, and show them.")
@recorded
@reporting
def command(
    session: Session,
    rows: tuple[str, ...],
    baseline: str | None,
    run: bool,
    fix: bool,
    link_dir: str | None,
    link_key: str | None,
) -> int:
    """Check everything that can be checked before signing.

    Checks every ROW, or all rows: the registry, licenses, digests, external data, sidecars and
    deferrals. With a baseline, also checks what was lost since then. `provenance rules` lists all
    rules. Signatures are not verified; use `provenance verify` for that.

    With --fix, findings that have exactly one correct fix are fixed, and the others are reported.

    With --link-dir, the run is recorded as the release step `check`.
    """
    if fix and link_dir is not None:
        raise click.UsageError(
            "--fix cannot be used with --link-dir: it would change the files that the link records"
        )
    config = session.load()
    prepare(config.root / config.registry, cores())
    if fix:
        from provenance.operations.fix import fix as run_fix

        operation = functools.partial(run_fix, processes=cores())
    else:
        from provenance.operations.check import check

        operation = functools.partial(check, processes=cores())

    def run_checks(progress: Any) -> Any:
        former = session.baseline(config, baseline)
        return operation(config, rows=rows, baseline=former, run=run, progress=progress)

    return report_step(session, "check", config, link_dir, link_key, run_checks, partial=bool(rows))
