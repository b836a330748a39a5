# SPDX-License-Identifier: Apache-2.0
"""`provenance keygen`."""

from __future__ import annotations

from functools import partial

import click

from provenance.cli.options import Session, common
from provenance.output.text import printable


@click.command("keygen", epilog="\b\nExample:\n  provenance keygen ../keys/release")
@click.argument("name", default="release")
@click.option(
    "--encrypt",
    is_flag=True,
    help="Encrypt NAME.key with the passphrase in PROVENANCE_KEY_PASSPHRASE, or one that is asked "
    "for.",
)
@common
def command(session: Session, name: str, encrypt: bool) -> int:
    """Make a key pair for signing: NAME.key and NAME.pub, ECDSA P-256.

    NAME.key is the private key: only you can read it, and it belongs in no repository. NAME.pub is
    what others trust.
    """
    from provenance.journeys.setup import keygen

    private, public = keygen(session.path(name), _passphrase(session, name) if encrypt else None)
    session.emit(
        human=lambda style: f"{printable(str(private))}\n{printable(str(public))}\n",
        json=lambda: {"version": 1, "private": str(private), "public": str(public)},
    )
    session.say(f"Keep {private.name} secret and out of the repository. Trust {public.name} with:")
    session.say(f'  [[trust.key]]\n  path = "{public.name}"')
    return 0


def _passphrase(session: Session, name: str) -> str:
    from provenance.signing.secret import PASSPHRASE

    ask = partial(session.ask, twice=True) if session.interactive else None
    return PASSPHRASE.get(f"the key {name}.key", ask)
