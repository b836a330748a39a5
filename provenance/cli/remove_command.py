# SPDX-License-Identifier: Apache-2.0
"""`provenance remove`."""

from __future__ import annotations

import click

from provenance.cli.options import Session, common


@click.command(
    "remove",
    epilog="\b\nExample:\n"
    '  provenance remove detector_v1 --reason "wrong label order" --replaced-by detector_v2',
)
@click.argument("row", metavar="ROW")
@click.option(
    "--reason",
    metavar="TEXT",
    required=True,
    help="Why the model is no longer to be used. Consumers read it.",
)
@click.option("--replaced-by", metavar="ROW", help="The row to use instead.")
@common
def command(session: Session, row: str, reason: str, replaced_by: str | None) -> int:
    """Remove a row, and withdraw its models.

    The digests of its ONNX models and of their external data, the reason and the day are added to
    withdrawn.json beside the configuration. The next release signs them: from then on, consumers
    refuse these models. A withdrawal cannot be undone.

    A registry of another shape is not edited: the row to delete is shown.
    """
    from provenance.operations.remove import remove
    from provenance.output import row_changes

    config = session.load()
    with session.progress() as progress:
        done = remove(config, row, reason, replaced_by=replaced_by, progress=progress)
    session.emit(done, row_changes.removal, row_changes.removal_as_json)
    for line in row_changes.after_removal(done):
        session.say(line)
    return 0
