# SPDX-License-Identifier: Apache-2.0
"""`provenance verify`."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

import click

from provenance.cli.consumer_options import requiring
from provenance.cli.options import ROWS, RUN, Session, cores, reporting
from provenance.cli.signing_options import recorded, refuse_key, report_step
from provenance.errors import InputError
from provenance.gate.pool import prepare


@click.command(
    "verify",
    epilog="\b\nExamples:\n  provenance verify\n"
    "  provenance verify vmaf_tiny_v2\n"
    "  provenance verify --key release.pub --require no-deferrals --state seen.json\n"
    "  provenance verify --link-dir links --link-key file:ci.key\n"
    "  provenance verify --layout release.layout --layout-key owner.pub \\\n"
    "    --link-dir links",
)
@ROWS
@RUN
@click.option(
    "--layout",
    metavar="FILE",
    help="Also verify the steps of the release with this in-toto layout.",
)
@click.option(
    "--layout-key",
    "layout_keys",
    multiple=True,
    metavar="PEM",
    help="Public key of the layout's signer. May be repeated; every key must have signed.",
)
@recorded
@reporting
@requiring
def command(
    session: Session,
    verifier: Callable[..., Any],
    rows: tuple[str, ...],
    run: bool,
    layout: str | None,
    layout_keys: tuple[str, ...],
    link_dir: str | None,
    link_key: str | None,
) -> int:
    """Run all checks, and verify signatures, signers and attestations.

    Without ROWs, verifies the whole registry of this repository and its release summary. To verify
    a downloaded file, use `provenance verify-model`, `verify-release` or `verify-blob`.

    The configuration names the trusted signers. --key, --identity with --issuer, or --trust
    replace them.

    --require, --license-allow, --max-age and --state add requirements of your own.

    With --layout, the links of the steps are read from --link-dir, or from the folder of the
    layout. With --link-dir alone, the run is recorded as the release step `verify`.
    """
    if rows and (layout or link_dir):
        raise click.UsageError(
            "--layout and --link-dir apply to the whole release: do not name rows"
        )
    if layout_keys and not layout:
        raise click.UsageError("--layout-key needs --layout FILE")
    if layout:
        refuse_key(
            link_key,
            "--link-key and --layout cannot be used together: first record the step `verify` "
            "without --layout, then verify the layout without --link-key",
        )
    consumer = verifier(needs_trust=False)
    config = _load(session, rows)
    prepare(config.root / config.registry, cores())
    from provenance.operations.verify import verify

    trust = getattr(consumer, "trust", None)  # without it, the trust of the configuration is used
    steps = None
    if layout:
        from provenance.operations.layout import layout_request

        links = session.path(link_dir) if link_dir else None
        keys = [session.path(key) for key in layout_keys]
        steps = layout_request(session.path(layout), keys, links)

    def run_verification(progress: Any) -> Any:
        return verify(
            config, consumer, trust=trust, rows=rows, run=run, layout=steps, progress=progress
        )

    recorded_in = None if layout else link_dir
    return report_step(
        session, "verify", config, recorded_in, link_key, run_verification, partial=bool(rows)
    )


def _load(session: Session, rows: tuple[str, ...]) -> Any:
    """Load the configuration.

    Raises:
        InputError: If it cannot be read. If it is missing, the help suggests `verify-model`, since
            the user probably wants to verify a downloaded file.
    """
    from provenance.config import NoConfigError

    try:
        return session.load()
    except NoConfigError as e:
        file = shlex.quote(rows[0]) if rows else "FILE.onnx"
        raise InputError(
            e.message,
            help="Name the configuration of the repository with --config, or verify a downloaded "
            f"file:\nprovenance verify-model {file} --key PUBLISHER.pub",
        ) from e
