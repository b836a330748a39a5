# SPDX-License-Identifier: Apache-2.0
"""`provenance init`."""

from __future__ import annotations

import click

from provenance.cli.options import Session, common
from provenance.output.text import printable


@click.command(
    "init",
    epilog="\b\nExamples:\n  provenance init\n"
    "  provenance init --registry model/tiny/registry.json",
)
@click.option("--registry", metavar="PATH", help="The registry, where there are several.")
@common
def command(session: Session, registry: str | None) -> int:
    """Write the configuration for the registry in this repository.

    Looks for a JSON file whose `models` lists rows, and writes [tool.provenance] into
    pyproject.toml, or provenance.toml where there is none. An existing configuration is never
    touched.
    """
    from provenance.journeys.setup import init
    from provenance.output import machine

    done = init(session.folder, registry)
    if session.format == "json":
        session.emit(
            machine.render(
                {"version": 1, "path": done.path, "registry": done.registry, "rows": done.rows}
            )
        )
    else:
        session.emit(printable(f"{done.path}: registry {done.registry}, {done.rows} rows") + "\n")
    for key in done.keys:
        session.say(printable(f"It trusts {key}: look whether that is the release key."))
    session.say("Next: provenance check")
    return 0
