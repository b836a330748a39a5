# SPDX-License-Identifier: Apache-2.0
"""`provenance release`."""

from __future__ import annotations

from typing import Any

import click

from provenance.cli.options import Session, cores, reporting
from provenance.cli.signing_options import open_signer, recorded, report_step, signing


@click.command(
    "release",
    epilog="\b\nExamples:\n  provenance release --signer file:release.key\n"
    "  provenance release --release-version v1.2.0 --output sha256sums=SHA256SUMS \\\n"
    "    --output markdown=release.md\n"
    "  provenance release --signer file:release.key --link-dir links \\\n"
    "    --link-key file:release.key",
)
@click.option(
    "--release-version", "version", metavar="TEXT", help="Version of the release, such as v1.2.0."
)
@click.option(
    "--without",
    metavar="ROW",
    multiple=True,
    help="Release without this row, whose files are not here. * and ? match. May be repeated.",
)
@signing
@recorded
@reporting
def command(
    session: Session,
    version: str | None,
    without: tuple[str, ...],
    link_dir: str | None,
    link_key: str | None,
    **signer_options: Any,
) -> int:
    """Check, sign, attest, verify and summarize. All or nothing.

    Nothing is written until every new file has passed the rules of `verify`. An interrupted run
    leaves either the old state or the new one, and the next run completes it.

    With --link-dir, the run is recorded as the release step `sign`.
    """
    from provenance.operations.sign import release

    config = session.load()
    signer = open_signer(session, config, **signer_options)

    def run_release(progress: Any) -> Any:
        return release(
            config,
            signer,
            version=version,
            without=without,
            progress=progress,
            processes=cores(),
        )

    return report_step(session, "sign", config, link_dir, link_key, run_release)
