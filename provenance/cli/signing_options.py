# SPDX-License-Identifier: Apache-2.0
"""The options that say who signs, of every command that signs."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from provenance.cli.options import Session
from provenance.errors import UnavailableError

F = TypeVar("F", bound=Callable[..., Any])

_TOKEN: Final = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")


class _File(click.ParamType[str]):
    """A file. A token itself would be in every list of processes, and in the shell's history."""

    name = "file"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if _TOKEN.match(value.strip()):
            self.fail(
                "this is a token, not a file with one. Others on this machine could see it: take "
                "it as spent. Put the token in a file, or in SIGSTORE_ID_TOKEN.",
                param,
                ctx,
            )
        return value


_OPTIONS: Final = (
    click.option(
        "--signer",
        envvar="PROVENANCE_SIGNER",
        metavar="URI",
        help="Who signs: keyless, or file:PATH, an ECDSA P-256 private key in PEM. Also "
        "PROVENANCE_SIGNER. Without it, keyless where there is an identity token.",
    ),
    click.option(
        "--identity-token",
        type=_File(),
        metavar="FILE",
        help="Keyless: the identity token in FILE. Also SIGSTORE_ID_TOKEN, with the token itself.",
    ),
    click.option(
        "--trust-config",
        metavar="FILE",
        help="Keyless: the Sigstore instance that this client trust configuration describes.",
    ),
    click.option("--staging", is_flag=True, help="Keyless: sigstage.dev, to try it."),
    click.option(
        "--timeout",
        type=click.FloatRange(min=1),
        default=120,
        show_default=True,
        metavar="SECONDS",
        help="Keyless: what signing one document may take.",
    ),
)


def signing(function: F) -> F:
    """The options that say who signs; the command receives them as keywords for `open_signer`."""
    decorated = function
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def open_signer(
    session: Session,
    *,
    signer: str | None,
    identity_token: str | None,
    trust_config: str | None,
    staging: bool,
    timeout: float,
) -> Any:
    """The signer that the options name."""
    if trust_config and staging:
        raise click.UsageError("give --trust-config or --staging, not both")
    if session.offline and (signer is None or signer == "keyless"):
        raise UnavailableError(
            "--offline: signing with an identity asks a certificate authority and a log",
            help="Sign without --offline, or with a key: --signer file:release.key.",
        )
    from provenance.signing.signers import open_signer as open_

    return open_(
        None if signer is None else resolved(session, signer),
        trust_config=session.path(trust_config) if trust_config else None,
        staging=staging,
        identity_token=session.path(identity_token) if identity_token else None,
        interactive=sys.stdin.isatty() and sys.stderr.isatty(),
        timeout=timeout,
    )


def resolved(session: Session, uri: str) -> str:
    """The URI of a key, a relative file in it relative to DIR as all paths are."""
    if not uri.startswith("file:"):
        return uri
    return f"file:{session.path(uri.removeprefix('file:'))}"
