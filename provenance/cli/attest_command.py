# SPDX-License-Identifier: Apache-2.0
"""`provenance attest`."""

from __future__ import annotations

import click

from provenance.cli.options import ROWS, SIGNER, Session, reporting


@click.command("attest", epilog="\b\nExample:\n  provenance attest --signer file:release.key")
@ROWS
@SIGNER
@reporting
def command(session: Session, rows: tuple[str, ...], signer: str | None) -> int:
    """Attest ensemble seeds: how these bytes came to be.

    Writes SLSA provenance for each member of an ensemble, beside its row bundle: seed, recipe,
    corpus, manifest, sidecar and verdict. Only where the sidecar describes these very bytes.
    """
    from provenance.journeys.sign import attest
    from provenance.signing.keyed import require_signer

    config, key = session.load(), require_signer(session.signer(signer))
    with session.progress() as progress:
        report = attest(config, key, rows=rows, progress=progress)
    return session.emit_report(report)
