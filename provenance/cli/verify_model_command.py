# SPDX-License-Identifier: Apache-2.0
"""`provenance verify-model`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from provenance.cli.consumer_options import PREDICATE_TYPES, requiring
from provenance.cli.options import Session, consuming


@click.command(
    "verify-model",
    epilog="\b\nExamples:\n"
    "  provenance verify-model downloads/vmaf_tiny_v2.onnx --key release.pub\n"
    "  provenance verify-model model.onnx --identity release@example.org \\\n"
    "    --issuer https://accounts.example.org\n"
    "  provenance verify-model model.onnx --bundle model.sigstore.json --trust my-trust.toml\n"
    "  provenance verify-model model.onnx --key release.pub --require production,no-deferrals \\\n"
    "    --license-allow MIT,Apache-2.0 --max-age 90d --state seen.json",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--bundle", metavar="FILE", help="The bundle of the one FILE. By default FILE.sigstore.json."
)
@click.option(
    "--summary",
    metavar="FILE",
    help="The release summary that has to hold the model. Where one is needed, by default the one "
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
    """Verify a model as you have it: a file with its bundle.

    The row that the bundle signs takes the place of the registry: the model and its external data
    must have the signed bytes and names. No configuration is read: say whose signature counts, with
    --key, --identity and --issuer, or --trust.

    With --require, --license-allow, --max-age or --state, what verifies is also judged by what you
    require of it before you use it.
    """
    if bundle and len(files) != 1:
        raise click.UsageError("--bundle goes with exactly one FILE")
    by = verifier()
    reports = [
        by.model(
            session.path(file),
            bundle=session.path(bundle) if bundle else None,
            summary=session.path(summary) if summary else None,
        )
        for file in files
    ]
    return session.emit_report(reports[0] if len(reports) == 1 else _together(reports))


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
