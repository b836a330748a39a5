# SPDX-License-Identifier: Apache-2.0
"""`provenance add`."""

from __future__ import annotations

import click

from provenance.cli.options import Session, common


@click.command(
    "add",
    epilog="\b\nExamples:\n  provenance add models/detector.onnx\n"
    "  provenance add models/detector.onnx --id detector --license Apache-2.0\n"
    "  provenance add models/asr.onnx --with models/tokens.txt --with models/config.json",
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--id", metavar="ID", help="The id of the row. Default: the name of the file.")
@click.option(
    "--license",
    metavar="SPDX",
    help="The SPDX expression of the license. Default: from README.md, the model or LICENSE.",
)
@click.option(
    "--with",
    "companions",
    metavar="FILE",
    multiple=True,
    help="A further file of the model, such as its tokenizer. May be repeated.",
)
@common
def command(
    session: Session,
    files: tuple[str, ...],
    id: str | None,
    license: str | None,
    companions: tuple[str, ...],
) -> int:
    """Add a row for each model, or bring its row up to date.

    Fills in the digests of the model, of its external data and of its int8 variant, its size and
    opset, its license with the source, and the path of its bundle. A value that only you can know
    is written as a TODO. Everything else in the registry stays as it is.

    A registry of another shape is not edited: the row to write is shown.
    """
    from provenance.operations.add import add
    from provenance.output import row_changes

    config = session.load()
    with session.progress() as progress:
        done = add(
            config,
            [session.path(file) for file in files],
            id=id,
            license=license,
            companions=[session.path(file) for file in companions],
            progress=progress,
        )
    session.emit(done, row_changes.addition, row_changes.addition_as_json)
    for line in row_changes.after_addition(done):
        session.say(line)
    return 0
