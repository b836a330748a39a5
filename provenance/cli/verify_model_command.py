# SPDX-License-Identifier: Apache-2.0
"""`provenance verify-model`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from provenance.cli.consumer_options import PREDICATE_TYPES, requiring
from provenance.cli.options import Session, consuming


@click.command(
    "verify-model",
    epilog="\b\nExamples:\n"
    "  provenance verify-model downloads/vmaf_tiny_v2.onnx --key release.pub\n"
    "  provenance verify-model model.onnx --repo lusoris/vmaf --workflow release.yml \\\n"
    "    --ref 'refs/tags/v*'\n"
    "  provenance verify-model model.onnx --identity release@example.org \\\n"
    "    --issuer https://accounts.example.org\n"
    "  provenance verify-model model.onnx --bundle model.sigstore.json \\\n"
    "    --trust my-trust.toml\n"
    "  provenance verify-model model.onnx --key release.pub \\\n"
    "    --require production,no-deferrals --license-allow MIT,Apache-2.0 \\\n"
    "    --max-age 90d --state seen.json",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--bundle",
    metavar="FILE",
    help="The bundle of a single FILE. Default: FILE.sigstore.json, or a bundle about the file in "
    "its folder, or in a folder bundles beside it or above it.",
)
@click.option(
    "--summary",
    metavar="FILE",
    help="The release summary that must list the model. Default, if one is needed: the summary "
    "beside the bundle or the model.",
)
@PREDICATE_TYPES
@consuming
@requiring
def command(
    session: Session,
    verifier: Callable[..., Any],
    files: tuple[str, ...],
    bundle: str | None,
    summary: str | None,
) -> int:
    """Verify a model file that you have, with its bundle.

    The bundle contains the signed row of the model, so no registry is needed: the model and its
    external data must have the signed digests and names. No configuration is read: name the
    trusted signer with --repo, with --key, with --identity and --issuer, or with --trust.

    --require, --license-allow, --max-age and --state add requirements of your own.
    """
    if bundle and len(files) != 1:
        raise click.UsageError("--bundle needs exactly one FILE")
    first = session.path(files[0])
    consumer = verifier(signers=lambda _: _signers(first, session.path(bundle) if bundle else None))
    reports = [
        consumer.model(
            session.path(file),
            bundle=session.path(bundle) if bundle else None,
            summary=session.path(summary) if summary else None,
        )
        for file in files
    ]
    return session.emit_report(reports[0] if len(reports) == 1 else _together(reports))


def _signers(file: Path, bundle: Path | None) -> str | None:
    """Return who claims to have signed a file, for a consumer who trusts no signer yet."""
    from provenance.operations.claimed_signers import claimed_signers

    return claimed_signers(file, bundle)


def _together(reports: list[Any]) -> Any:
    from provenance.gate.finding import Report

    return Report(
        registry=f"{len(reports)} files",
        rows=tuple(r for report in reports for r in report.rows),
        findings=tuple(f for report in reports for f in report.findings),
        suppressed=tuple(s for report in reports for s in report.suppressed),
        trust=reports[0].trust,
        notes=tuple(dict.fromkeys(note for report in reports for note in report.notes)),
        release=reports[0].release if len({r.release for r in reports}) == 1 else None,
    )
