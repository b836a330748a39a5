# SPDX-License-Identifier: Apache-2.0
"""The options for the signer of a release, and for the recorded steps of a release."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import click

from provenance.cli.options import Session, with_options
from provenance.errors import UnavailableError

if TYPE_CHECKING:
    from provenance.config import Config
    from provenance.gate.finding import Report
    from provenance.signing.signers import StatementSigner

_TOKEN: Final = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")


class _File(click.ParamType[str]):
    """The path of a file with a token.

    The token itself is refused: on the command line it would be visible in the process list and in
    the history of the shell.
    """

    name = "file"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if _TOKEN.match(value.strip()):
            self.fail(
                "expected the path of a file, found a token. Other users of this machine could "
                "see it on the command line: do not use it any more. Put a new token in a file, "
                "or in SIGSTORE_ID_TOKEN.",
                param,
                ctx,
            )
        return value


PUBLIC_KEY: Final = click.option(
    "--public-key",
    envvar="PROVENANCE_PUBLIC_KEY",
    metavar="PEM",
    help="With a token or KMS: the public key of the signing key. Environment variable: "
    "PROVENANCE_PUBLIC_KEY.",
)
signing = with_options(
    click.option(
        "--signer",
        envvar="PROVENANCE_SIGNER",
        metavar="URI",
        help="The signer: keyless, or an ECDSA P-256 private key in a file (file:PATH), a PKCS#11 "
        "token (hsm:) or a KMS (awskms:, gcpkms:, azurekms:, hv:). Environment variable: "
        "PROVENANCE_SIGNER. Default: keyless, if there is an identity token.",
    ),
    PUBLIC_KEY,
    click.option(
        "--timestamp-url",
        "timestamp_urls",
        multiple=True,
        metavar="URL",
        help="With a key: get a timestamp from this RFC 3161 timestamp authority. May be repeated.",
    ),
    click.option(
        "--identity-token",
        type=_File(),
        metavar="FILE",
        help="With keyless: read the identity token from FILE. The environment variable "
        "SIGSTORE_ID_TOKEN holds the token itself.",
    ),
    click.option(
        "--trust-config",
        metavar="FILE",
        help="Use the Sigstore instance that this client trust configuration describes. Default: "
        "keyless uses sigstore.dev, and a key uses no log.",
    ),
    click.option(
        "--staging", is_flag=True, help="Use the Sigstore instance sigstage.dev, for testing."
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(min=1),
        default=120,
        show_default=True,
        metavar="SECONDS",
        help="Time limit for signing one document.",
    ),
)
"""Add the options for the signer. The command receives them as keywords for `open_signer`."""

recorded = with_options(
    click.option(
        "--link-dir",
        metavar="DIR",
        help="Record this step: if it succeeds, write its in-toto link to DIR.",
    ),
    click.option(
        "--link-key",
        envvar="PROVENANCE_LINK_KEY",
        metavar="URI",
        help="The key that signs the link: file:PATH, or a key in a token or KMS, with its public "
        "key in the PEM file PROVENANCE_LINK_PUBLIC_KEY. Environment variable: "
        "PROVENANCE_LINK_KEY.",
    ),
)
"""Add the options for recording a step. The command receives `link_dir` and `link_key`."""


def open_signer(
    session: Session,
    config: Config,
    *,
    signer: str | None,
    public_key: str | None,
    timestamp_urls: tuple[str, ...],
    identity_token: str | None,
    trust_config: str | None,
    staging: bool,
    timeout: float,
) -> StatementSigner:
    """Open the signer that the options name.

    Raises:
        UsageError: If --trust-config and --staging are both given.
        UnavailableError: If signing needs the network and --offline is given.
    """
    if trust_config and staging:
        raise click.UsageError("--trust-config and --staging cannot be used together")
    if session.offline and signer in (None, "keyless"):
        raise UnavailableError(
            "--offline: keyless signing needs a certificate authority and a log",
            help="Sign without --offline, or with a key: --signer file:release.key.",
        )
    if session.offline and (timestamp_urls or trust_config or staging):
        raise UnavailableError(
            "--offline: timestamp authorities and logs need the network",
            help="Sign without --offline, or without --timestamp-url, --trust-config, --staging.",
        )
    from provenance.signing.signers import open_signer as open_

    # Only the root is needed here; the operation itself reports an invalid trust.
    declared = config.trust() if timestamp_urls and not trust_config else None
    return open_(
        None if signer is None else resolved(session, signer),
        public_key=session.path(public_key) if public_key else None,
        timestamp_urls=timestamp_urls,
        root=declared.root if declared else None,
        trust_config=session.path(trust_config) if trust_config else None,
        staging=staging,
        identity_token=session.path(identity_token) if identity_token else None,
        interactive=session.interactive,
        ask=session.asking(),
        timeout=timeout,
    )


def resolved(session: Session, uri: str) -> str:
    """Return the URI of a key; the path in a file: URI is resolved relative to DIR."""
    if not uri.startswith("file:"):
        return uri
    return f"file:{session.path(uri.removeprefix('file:'))}"


def report_step(
    session: Session,
    name: str,
    config: Config,
    link_dir: str | None,
    link_key: str | None,
    work: Callable[[Any], Report],
    *,
    partial: bool = False,
) -> int:
    """Run a step of a release, write its report, and return the exit code.

    With --link-dir, the step is recorded.

    Args:
        session: The options that all commands share.
        name: The name of the step in the layout.
        config: The configuration.
        link_dir: The value of --link-dir, or None.
        link_key: The value of --link-key, or None.
        work: The work of the step. It receives the progress bar and returns the report.
        partial: Whether the run covers only some rows. Such a run cannot be recorded.

    Raises:
        UsageError: If the options for recording do not fit together.
    """
    step = None
    with ExitStack() as stack:
        progress = stack.enter_context(session.progress())
        if link_dir is None:
            refuse_key(link_key, "--link-key needs --link-dir DIR, the folder for the link")
        elif partial:
            raise click.UsageError(
                "--link-dir records a step for the whole release: do not name rows"
            )
        elif link_key is None:
            raise click.UsageError(
                "--link-dir: no key to sign the link with; give --link-key file:NAME.key, or set "
                "PROVENANCE_LINK_KEY"
            )
        else:
            from provenance.operations.record import record_step

            public_key = os.environ.get("PROVENANCE_LINK_PUBLIC_KEY")
            recording = record_step(
                name,
                config,
                session.path(link_dir),
                resolved(session, link_key),
                public_key=session.path(public_key) if public_key else None,
                ask=session.asking(),
                progress=progress,
            )
            step = stack.enter_context(recording)
        report = work(progress)
        if step is not None:
            step.succeeded(report.exit_code == 0)
    if step is not None and step.link is not None:
        session.say(f"link: {step.link}")
    return session.emit_report(report)


def refuse_key(link_key: str | None, why: str) -> None:
    """Refuse --link-key. PROVENANCE_LINK_KEY is ignored, since it can be meant for other commands.

    Raises:
        UsageError: If --link-key was given on the command line; `why` is its message.
    """
    source = click.get_current_context().get_parameter_source("link_key")
    if link_key is not None and source is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError(why)
