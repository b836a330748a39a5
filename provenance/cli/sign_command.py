# SPDX-License-Identifier: Apache-2.0
"""`provenance sign`."""

from __future__ import annotations

import click

from provenance.cli.options import ROWS, SIGNER, Session, reporting


@click.command(
    "sign",
    epilog="\b\nExamples:\n  provenance sign --signer file:release.key\n"
    "  provenance sign vmaf_tiny_v2 --signer file:release.key",
)
@ROWS
@SIGNER
@reporting
def command(session: Session, rows: tuple[str, ...], signer: str | None) -> int:
    """Sign each row: bytes, name, license and sidecar in one bundle.

    Writes a Sigstore bundle at each row's `sigstore_bundle`. Refuses while `check` has findings.
    What is already signed over the same statement is kept. For a release, `provenance release`.
    """
    from provenance.journeys.sign import sign
    from provenance.signing.keyed import require_signer

    config, key = session.load(), require_signer(session.signer(signer))
    with session.progress() as progress:
        report = sign(config, key, rows=rows, progress=progress)
    return session.emit_report(report)
