# SPDX-License-Identifier: Apache-2.0
"""The options that say who signs what is released, and the links of recorded steps."""

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


PUBLIC_KEY: Final = click.option(
    "--public-key",
    envvar="PROVENANCE_PUBLIC_KEY",
    metavar="PEM",
    help="Token or KMS: the public key of the key that signs. Also PROVENANCE_PUBLIC_KEY.",
)
signing = with_options(
    click.option(
        "--signer",
        envvar="PROVENANCE_SIGNER",
        metavar="URI",
        help="Who signs: keyless, or an ECDSA P-256 private key in a file (file:PATH), a PKCS#11 "
        "token (hsm:) or a KMS (awskms:, gcpkms:, azurekms:, hv:). Also PROVENANCE_SIGNER. Without "
        "it, keyless where there is an identity token.",
    ),
    PUBLIC_KEY,
    click.option(
        "--timestamp-url",
        "timestamp_urls",
        multiple=True,
        metavar="URL",
        help="Key: have this RFC 3161 timestamp authority say when it signed. May be repeated.",
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
        help="The Sigstore instance that this client trust configuration describes. Without it, "
        "keyless signs with sigstore.dev; with a key, no log is asked.",
    ),
    click.option("--staging", is_flag=True, help="The instance sigstage.dev, to try it."),
    click.option(
        "--timeout",
        type=click.FloatRange(min=1),
        default=120,
        show_default=True,
        metavar="SECONDS",
        help="What signing one document may take.",
    ),
)
"""The options that say who signs; the command receives them as keywords for `open_signer`."""

recorded = with_options(
    click.option(
        "--link-dir",
        metavar="DIR",
        help="Record this step: write its in-toto link into DIR, where it succeeds.",
    ),
    click.option(
        "--link-key",
        envvar="PROVENANCE_LINK_KEY",
        metavar="URI",
        help="Whose key signs the link: file:PATH, or in a token or a KMS, whose public key is "
        "then in PROVENANCE_LINK_PUBLIC_KEY (a PEM file). Also PROVENANCE_LINK_KEY.",
    ),
)
"""The options of a step; the command receives them as `link_dir` and `link_key`."""


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
    """The signer that the options name."""
    if trust_config and staging:
        raise click.UsageError("give --trust-config or --staging, not both")
    if session.offline and signer in (None, "keyless"):
        raise UnavailableError(
            "--offline: signing with an identity asks a certificate authority and a log",
            help="Sign without --offline, or with a key: --signer file:release.key.",
        )
    if session.offline and (timestamp_urls or trust_config or staging):
        raise UnavailableError(
            "--offline: timestamp authorities and logs would have to be asked",
            help="Sign without --offline, or without --timestamp-url, --trust-config, --staging.",
        )
    from provenance.signing.signers import open_signer as open_

    # The operation reports a trust that is wrong; only its root is needed here.
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
    """The URI of a key, a relative file in it relative to DIR as all paths are."""
    if not uri.startswith("file:"):
        return uri
    return f"file:{session.path(uri.removeprefix('file:'))}"


def report_step(
    session: Session,
    name: str,
    config: Config,
    link_dir: str | None,
    link_key: str | None,
    judge: Callable[[Any], Report],
    *,
    partial: bool = False,
) -> int:
    """Do the step `name`, recorded where the user asked for it; write the report of `judge`.

    `judge` receives the progress bar. A step is about the whole release: `partial` says that this
    run is not.
    """
    step = None
    with ExitStack() as stack:
        progress = stack.enter_context(session.progress())
        if link_dir is None:
            refuse_key(link_key, "--link-key goes with --link-dir DIR, where the link is written")
        elif partial:
            raise click.UsageError(
                "--link-dir records a step of the whole release: leave out the rows"
            )
        elif link_key is None:
            raise click.UsageError(
                "--link-dir: whose step is this? Give --link-key file:NAME.key, or "
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
        report = judge(progress)
        if step is not None:
            step.succeeded(report.exit_code == 0)
    if step is not None and step.link is not None:
        session.say(f"link: {step.link}")
    return session.emit_report(report)


def refuse_key(link_key: str | None, why: str) -> None:
    """Raises UsageError if a key was given as an option; the environment is for other commands."""
    source = click.get_current_context().get_parameter_source("link_key")
    if link_key is not None and source is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError(why)
