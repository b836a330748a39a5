# SPDX-License-Identifier: Apache-2.0
"""`provenance init`."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import click

from provenance.cli.options import Session, common
from provenance.output.text import printable


@click.command(
    "init",
    epilog="\b\nExamples:\n  provenance init\n"
    "  provenance init --registry model/tiny/registry.json\n  provenance init --defer",
)
@click.option("--registry", metavar="PATH", help="The registry, where there are several.")
@click.option(
    "--defer/--no-defer",
    default=None,
    help="Record today's findings as deferrals, each still to be explained. Asked on a terminal.",
)
@common
def command(session: Session, registry: str | None, defer: bool | None) -> int:
    """Write the configuration for the registry in this repository.

    Looks for a JSON file that lists models, under whatever names, and for the workflows that sign,
    and writes [tool.provenance] into pyproject.toml, or provenance.toml where there is none. An
    existing configuration is never touched.
    """
    from provenance.operations.init import init
    from provenance.output import adoption

    session.spare_below(session.folder)
    with ExitStack() as bar:
        progress = bar.enter_context(session.progress())

        def consent(recorded: Any) -> bool:
            """Whether findings are recorded: as the option says, or the user where there is one."""
            if defer is not None:
                return defer
            bar.close()  # it would be drawn over the question
            return click.confirm(printable(adoption.question(recorded)), default=False, err=True)

        asks = session.interactive if defer is None else defer
        done = init(session.folder, registry, defer=consent if asks else None, progress=progress)
    session.emit(done, adoption.render, adoption.as_json)
    for line in adoption.advice(done):
        session.say(line)
    return 0
