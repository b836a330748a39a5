# SPDX-License-Identifier: Apache-2.0
"""`provenance verify-release`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from provenance.cli.consumer_options import requiring
from provenance.cli.options import Session, consuming


@click.command(
    "verify-release",
    epilog="\b\nExamples:\n  provenance verify-release downloads --key release.pub\n"
    "  provenance verify-release model/registry.json --key release.pub \\\n"
    "    --summary bundles/registry.json.vsa.sigstore.json\n"
    "  provenance verify-release downloads --key release.pub --max-age 90d --state seen.json",
)
@click.argument("path")
@click.option(
    "--summary",
    metavar="FILE",
    help="The release summary. By default the one beside the registry file; for a folder, the one "
    "in it or in a folder directly below it.",
)
@consuming
@requiring
def command(session: Session, verifier: Callable[..., Any], path: str, summary: str | None) -> int:
    """Verify a whole release by the one signature of its summary.

    PATH is the registry file, or the folder that you downloaded the release to, with the files in
    the folders of the repository. Every file that the summary names is hashed and compared. No
    configuration is read: say whose signature counts, with --key, --identity and --issuer, or
    --trust.

    With --require, --license-allow, --max-age or --state, every row is also judged by what you
    require of it before you use it.
    """
    by = verifier()
    given = session.path(path)
    if given.is_dir():
        session.spare_below(given)
    with session.progress() as progress:
        report = by.release(
            given, summary=session.path(summary) if summary else None, progress=progress
        )
    return session.emit_report(report)
