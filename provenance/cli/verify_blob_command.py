# SPDX-License-Identifier: Apache-2.0
"""`provenance verify-blob`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from provenance.cli.consumer_options import PREDICATE_TYPES, trusting
from provenance.cli.options import Session, consuming


@click.command(
    "verify-blob",
    epilog="\b\nExamples:\n"
    "  provenance verify-blob corpus.tar --bundle corpus.tar.sigstore.json \\\n"
    "    --key release.pub\n"
    "  provenance verify-blob sha256:DIGEST --bundle corpus.tar.sigstore.json \\\n"
    "    --identity release@example.org --issuer https://accounts.example.org",
)
@click.argument("blob", metavar="FILE|DIGEST")
@click.option(
    "--bundle",
    metavar="FILE",
    required=True,
    help="The bundle, or a file with one bundle on each line; one must verify.",
)
@PREDICATE_TYPES
@consuming
@trusting
def command(session: Session, verifier: Callable[..., Any], blob: str, bundle: str) -> int:
    """Verify any file, with a bundle from any Sigstore client.

    A DIGEST is sha256: and 64 lower-case hexadecimal digits. No configuration is read: name the
    trusted signer with --key, with --identity and --issuer, or with --trust.
    """
    from provenance.operations.verify_download import DIGEST_PREFIX

    consumer = verifier()
    given = blob if blob.startswith(DIGEST_PREFIX) else session.path(blob)
    return session.emit_report(consumer.blob(given, session.path(bundle)))
