# SPDX-License-Identifier: Apache-2.0
"""`provenance keygen`."""

from __future__ import annotations

import click

from provenance.cli.options import Session, common
from provenance.errors import InputError
from provenance.output.text import printable


@click.command("keygen", epilog="\b\nExample:\n  provenance keygen ../keys/release")
@click.argument("name", default="release")
@click.option(
    "--encrypt",
    is_flag=True,
    help="Encrypt NAME.key with the passphrase in PROVENANCE_KEY_PASSPHRASE. If it is not set, "
    "ask for one.",
)
@common
def command(session: Session, name: str, encrypt: bool) -> int:
    """Generate a key pair for signing: NAME.key and NAME.pub, ECDSA P-256.

    NAME.key is the private key. Only you can read the file; never add it to a repository. NAME.pub
    is the public key, which others trust. Missing folders in NAME are created.
    """
    from provenance.config import load
    from provenance.operations.setup import keygen, trusting
    from provenance.signing.schemes import PASSPHRASE
    from provenance.signing.trust import TrustedKey

    stem = session.path(name)
    ask = session.asking(twice=True)
    private, public = keygen(stem, PASSPHRASE.get(f"the key {name}.key", ask) if encrypt else None)
    sha256 = TrustedKey.of_pem(public.read_bytes(), str(public)).fingerprint
    session.emit(
        {"version": 1, "private": str(private), "public": str(public), "sha256": sha256},
        human=lambda made, _style: f"{printable(str(private))}\n{printable(str(public))}\n",
        json=lambda made: made,
    )
    try:
        config = load(session.folder, session.config)
    except InputError:
        config = None  # the key exists, so an invalid configuration is not an error
    copy, table = trusting(public, session.folder, config)
    session.say(f"Keep {private.name} secret and out of the repository.")
    session.say(f"{public.name} has the fingerprint sha256 {sha256}. To trust it:")
    for line in (*([copy, ""] if copy else []), *table.splitlines()):
        session.say(f"  {line}".rstrip())
    return 0
