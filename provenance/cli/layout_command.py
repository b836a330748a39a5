# SPDX-License-Identifier: Apache-2.0
"""`provenance layout`."""

from __future__ import annotations

import json

import click

from provenance.cli.options import Session, common
from provenance.cli.signing_options import PUBLIC_KEY, resolved


@click.command(
    "layout",
    epilog="\b\nExample:\n  provenance layout --signer file:owner.key --output release.layout",
)
@click.option(
    "--signer",
    metavar="URI",
    required=True,
    help="The key of the project's owner: file:PATH, or in a token or a KMS.",
)
@PUBLIC_KEY
@common
def command(session: Session, signer: str, public_key: str | None) -> int:
    """Say who may do which step of a release, as a signed in-toto layout.

    The steps are export, check, sign and verify. Who may do them, how many have to, and until when
    this holds is in [layout] of the configuration. The layout also says what a step may do to the
    files, and names those that the registry names now.

    The result is the layout: --output FILE writes it there.
    """
    from provenance.operations.layout import layout

    config = session.load()
    with session.progress() as progress:
        made = layout(
            config,
            resolved(session, signer),
            public_key=session.path(public_key) if public_key else None,
            ask=session.asking(),
            progress=progress,
        )
    session.emit(made, lambda made, _: made.data.decode(), lambda made: json.loads(made.data))
    for step in made.steps:
        keys = ", ".join(k.path for k in step.keys)
        session.say(f"{step.name}: {step.threshold} of {keys}")
    session.say(f"signed by {made.signer}, expires {made.expires}")
    if made.left_out:
        session.say(
            f"not required by name: {made.left_out:,} files that the registry names, more than "
            "in-toto bears"
        )
    return 0
