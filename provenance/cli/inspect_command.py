# SPDX-License-Identifier: Apache-2.0
"""`provenance inspect`."""

from __future__ import annotations

import click

from provenance.cli.options import Session, common


@click.command(
    "inspect", epilog="\b\nExample:\n  provenance inspect bundles/registry.json.vsa.sigstore.json"
)
@click.argument("bundle")
@common
def command(session: Session, bundle: str) -> int:
    """Print what a bundle contains, without verifying it.

    The signature is not verified: the author of the bundle can have written anything into it. To
    verify it, use `provenance verify`.
    """
    from provenance.operations.inspect import inspect
    from provenance.output import inspection

    session.emit(inspect(session.path(bundle)), inspection.render, inspection.as_json)
    return 0
