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
    "  provenance verify --layout release.layout --layout-key owner.pub --link-dir links",
)
@ROWS
@RUN
@click.option(
    "--layout",
    metavar="FILE",
    help="Also judge the steps by which the release came about, by this in-toto layout.",
)
@click.option(
    "--layout-key",
    "layout_keys",
    multiple=True,
    metavar="PEM",
    help="Whose layout that has to be. May be repeated: then all have to have signed it.",
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
    """Check, and judge signatures, signers and attestations.

    Without arguments: the whole registry of this repository, with its release summary. With ROWs:
    those rows. To verify a file that you downloaded: `provenance verify-model`, `verify-release` or
    `verify-blob`.

    The configuration says whose signatures count, unless you do, with --key, --identity and
    --issuer, or --trust.

    With --require, --license-allow, --max-age or --state, what verifies is also judged by what you
    require of it before you use it.

    With --layout, the links of the steps are read from --link-dir, or the layout's own folder. With
    --link-dir alone, this is the step `verify` of the release, recorded for its layout.
    """
    if rows and (layout or link_dir):
        raise click.UsageError(
            "--layout and --link-dir are about the whole release: leave out rows"
        )
    if layout_keys and not layout:
        raise click.UsageError("--layout-key goes with --layout FILE")
    if layout:
        refuse_key(
            link_key,
            "--link-key records the step `verify`, and --layout judges the steps that were "
            "recorded: run it first without --layout, then without --link-key",
        )
    by = verifier(needs_trust=False)
    config = _load(session, rows)
    prepare(config.root / config.registry, cores())
    from provenance.operations.verify import verify

    trust = getattr(by, "trust", None)  # or else the configuration says whom to trust
    steps = None
    if layout:
        from provenance.operations.layout import layout_request

        links = session.path(link_dir) if link_dir else None
        keys = [session.path(key) for key in layout_keys]
        steps = layout_request(session.path(layout), keys, links)

    def judged(progress: Any) -> Any:
        return verify(config, by, trust=trust, rows=rows, run=run, layout=steps, progress=progress)

    recorded_in = None if layout else link_dir
    return report_step(session, "verify", config, recorded_in, link_key, judged, partial=bool(rows))


def _load(session: Session, rows: tuple[str, ...]) -> Any:
    """The configuration. Without one, this is not a repository: a file was downloaded."""
    from provenance.config import NoConfigError

    try:
        return session.load()
    except NoConfigError as e:
        file = shlex.quote(rows[0]) if rows else "FILE.onnx"
        raise InputError(
            e.message,
            help="Name the configuration of the repository with --config, or verify what you "
            f"downloaded:\nprovenance verify-model {file} --key PUBLISHER.pub",
        ) from e
