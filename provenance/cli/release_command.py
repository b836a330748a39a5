# SPDX-License-Identifier: Apache-2.0
"""`provenance release`."""

from __future__ import annotations

import os
from typing import Any

import click

from provenance.cli.options import Session, reporting
from provenance.cli.signing_options import open_signer, signing


@click.command("release", epilog="\b\nExample:\n  provenance release --signer file:release.key")
@signing
@reporting
def command(session: Session, **who: Any) -> int:
    """Check, sign, attest, verify and summarise. All or nothing.

    Nothing is written before everything that will be has passed the rules of `verify`. A run that
    is cut short leaves the old state or the new one, and the next run finishes.
    """
    from provenance.journeys.sign import release

    config = session.load()
    signer = open_signer(session, config, **who)
    with session.progress() as progress:
        report = release(config, signer, progress=progress, processes=os.cpu_count() or 1)
    return session.emit_report(report)
