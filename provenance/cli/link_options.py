# SPDX-License-Identifier: Apache-2.0
"""The options of a command that is a step of a pipeline, and how it is recorded."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

import click

from provenance.cli.options import Session
from provenance.cli.signing_options import resolved

if TYPE_CHECKING:
    from provenance.config import Config
    from provenance.gate.finding import Report
    from provenance.operations.record import Recording

F = TypeVar("F", bound=Callable[..., Any])


def recorded(function: F) -> F:
    """The options of a step; the command receives them as `link_dir` and `link_key`."""
    link_key = click.option(
        "--link-key",
        envvar="PROVENANCE_LINK_KEY",
        metavar="URI",
        help="Whose key signs the link: file:PATH, or in a token or a KMS, whose public key is "
        "then in PROVENANCE_LINK_PUBLIC_KEY (a PEM file). Also PROVENANCE_LINK_KEY.",
    )
    link_dir = click.option(
        "--link-dir",
        metavar="DIR",
        help="Record this step: write its in-toto link into DIR, where it succeeds.",
    )
    return link_dir(link_key(function))


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
    with (
        session.progress() as progress,
        _recording(session, name, config, progress, link_dir, link_key, partial) as step,
    ):
        report = judge(progress)
        step.succeeded(report.exit_code == 0)
    if step.link is not None:
        session.say(f"link: {step.link}")
    return session.emit_report(report)


def _recording(
    session: Session,
    name: str,
    config: Config,
    progress: Any,
    link_dir: str | None,
    link_key: str | None,
    partial: bool,
) -> AbstractContextManager[Recording]:
    from provenance.operations.record import Recording, record_step

    if link_dir is None:
        refuse_key(link_key, "--link-key goes with --link-dir DIR, where the link is written")
        return nullcontext(Recording())
    if partial:
        raise click.UsageError("--link-dir records a step of the whole release: leave out the rows")
    if link_key is None:
        raise click.UsageError(
            "--link-dir: whose step is this? Give --link-key file:NAME.key, or PROVENANCE_LINK_KEY"
        )
    public_key = os.environ.get("PROVENANCE_LINK_PUBLIC_KEY")
    return record_step(
        name,
        config,
        session.path(link_dir),
        resolved(session, link_key),
        public_key=session.path(public_key) if public_key else None,
        ask=session.asking,
        progress=progress,
    )


def refuse_key(link_key: str | None, why: str) -> None:
    """Raises UsageError if a key was given as an option; the environment is for other commands."""
    source = click.get_current_context().get_parameter_source("link_key")
    if link_key is not None and source is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError(why)
