# SPDX-License-Identifier: Apache-2.0
"""`provenance sign`."""

from __future__ import annotations

from typing import Any

import click

from provenance.cli.options import ROWS, Session, reporting
from provenance.cli.signing_options import open_signer, signing


@click.command(
    "sign",
    epilog="\b\nExamples:\n  provenance sign --signer file:release.key\n"
    "  provenance sign vmaf_tiny_v2 --signer file:release.key",
)
@ROWS
@signing
@reporting
def command(session: Session, rows: tuple[str, ...], **signer_options: Any) -> int:
    """Sign each row: files, name, license and sidecar in one bundle.

    Writes a Sigstore bundle to the `sigstore_bundle` path of each row. Refuses to sign while
    `check` fails. A bundle that already signs the same statement is kept. To make a release, use
    `provenance release`.
    """
    from provenance.operations.sign import sign

    config = session.load()
    signer = open_signer(session, config, **signer_options)
    with session.progress() as progress:
        report = sign(config, signer, rows=rows, progress=progress)
    return session.emit_report(report)
