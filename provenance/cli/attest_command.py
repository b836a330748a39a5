# SPDX-License-Identifier: Apache-2.0
"""`provenance attest`."""

from __future__ import annotations

from typing import Any

import click

from provenance.cli.options import ROWS, Session, reporting
from provenance.cli.signing_options import open_signer, signing


@click.command("attest", epilog="\b\nExample:\n  provenance attest --signer file:release.key")
@ROWS
@signing
@reporting
def command(session: Session, rows: tuple[str, ...], **signer_options: Any) -> int:
    """Attest how the members of an ensemble were trained.

    Writes SLSA provenance for each member beside its row bundle. The provenance records the seed,
    recipe, corpus, manifest, sidecar and verdict. Members whose sidecar describes a different
    model file are not attested.
    """
    from provenance.operations.sign import attest

    config = session.load()
    signer = open_signer(session, config, **signer_options)
    with session.progress() as progress:
        report = attest(config, signer, rows=rows, progress=progress)
    return session.emit_report(report)
