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
@click.option("--registry", metavar="PATH", help="The index to use, if the repository has several.")
@click.option(
    "--defer/--no-defer",
    default=None,
    help="Record the current findings as deferrals, whose reasons you fill in later. Default: ask, "
    "if run in a terminal.",
)
@common
def command(session: Session, registry: str | None, defer: bool | None) -> int:
    """Write the configuration for the registry in this repository.

    Looks for an index of models in JSON, YAML, TOML or a checksum file, whatever its fields are
    called, and writes how it is read. Digests and sizes are compared with the files on disk, and
    each line of the configuration says what was proved. Also looks for the workflows that sign.
    If there are models and no index, writes models.json with a row for each model.

    Writes [tool.provenance] to pyproject.toml, or to provenance.toml if there is no
    pyproject.toml. An existing configuration is never changed.
    """
    from provenance.operations.init import init
    from provenance.output import adoption

    session.spare_below(session.folder)
    with ExitStack() as bar:
        progress = bar.enter_context(session.progress())

        def consent(recorded: Any) -> bool:
            """Return whether to record the findings: the value of the option, or the answer."""
            if defer is not None:
                return defer
            bar.close()  # the bar would be drawn over the question
            return click.confirm(printable(adoption.question(recorded)), default=False, err=True)

        asks = session.interactive if defer is None else defer
        done = init(session.folder, registry, defer=consent if asks else None, progress=progress)
    session.emit(done, adoption.render, adoption.as_json)
    for line in adoption.advice(done):
        session.say(line)
    return 0
