# SPDX-License-Identifier: Apache-2.0
"""`provenance release`."""

from __future__ import annotations

import click

from provenance.cli.options import SIGNER, Session, reporting


@click.command("release", epilog="\b\nExample:\n  provenance release --signer file:release.key")
@SIGNER
@reporting
def command(session: Session, signer: str | None) -> int:
    """Check, sign, attest, verify and summarise. All or nothing.

    Nothing is written before everything that will be has passed the rules of `verify`. A run that
    is cut short leaves the old state or the new one, and the next run finishes.
    """
    from provenance.journeys.sign import release
    from provenance.signing.keyed import require_signer

    config, key = session.load(), require_signer(session.signer(signer))
    with session.progress() as progress:
        report = release(config, key, progress=progress)
    return session.emit_report(report)
