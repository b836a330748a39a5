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
    "  provenance verify-release downloads --key release.pub --max-age 90d \\\n"
    "    --state seen.json",
)
@click.argument("path")
@click.option(
    "--summary",
    metavar="FILE",
    help="The release summary. Default: the summary beside the registry file, or the one in the "
    "folder PATH or directly below it.",
)
@consuming
@requiring
def command(session: Session, verifier: Callable[..., Any], path: str, summary: str | None) -> int:
    """Verify a whole release through its signed summary.

    PATH is the registry file, or the folder with the downloaded release, laid out as in the
    repository. Every file that the summary names is hashed and compared. No configuration is read:
    name the trusted signer with --key, with --identity and --issuer, or with --trust.

    --require, --license-allow, --max-age and --state add requirements of your own, which every row
    must meet.
    """
    consumer = verifier()
    given = session.path(path)
    if given.is_dir():
        session.spare_below(given)
    with session.progress() as progress:
        report = consumer.release(
            given, summary=session.path(summary) if summary else None, progress=progress
        )
    return session.emit_report(report)
