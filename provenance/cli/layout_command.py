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
    help="The key of the project's owner: file:PATH, or a key in a token or KMS.",
)
@PUBLIC_KEY
@common
def command(session: Session, signer: str, public_key: str | None) -> int:
    """Sign an in-toto layout: who may perform which step of a release.

    The steps are export, check, sign and verify. The table [layout] of the configuration sets who
    may perform each step, how many must, and when the layout expires. The layout also lists the
    files that the registry names now, and what each step may do to them.

    The layout is printed; --output FILE writes it to FILE.
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
            f"not required by name: {made.left_out:,} of the files that the registry names, "
            "because they exceed the limits of in-toto"
        )
    return 0
