# SPDX-License-Identifier: Apache-2.0
"""`provenance verify`."""

from __future__ import annotations

from typing import Any

import click

from provenance.cli.options import RUN, Session, reporting


@click.command(
    "verify",
    epilog="\b\nExamples:\n  provenance verify\n"
    "  provenance verify vmaf_tiny_v2 --key release.pub\n"
    "  provenance verify downloads/vmaf_tiny_v2.onnx --key release.pub\n"
    "  provenance verify model.onnx --bundle model.sigstore.json --trust my-trust.toml",
)
@click.argument("targets", nargs=-1, metavar="[ROW|FILE.onnx]...")
@click.option(
    "--key", "keys", multiple=True, metavar="PEM", help="Trust this public key. May be repeated."
)
@click.option("--trust", "trust_file", metavar="FILE", help="Trust what this TOML file says.")
@click.option("--bundle", metavar="FILE", help="The bundle of the one FILE.onnx that is given.")
@RUN
@reporting
def command(
    session: Session,
    targets: tuple[str, ...],
    keys: tuple[str, ...],
    trust_file: str | None,
    bundle: str | None,
    run: bool,
) -> int:
    """Check, and judge signatures, signers and attestations.

    Without arguments: the whole registry, with its release summary. With ROWs: those rows.

    With FILE.onnx: that file as a consumer has it, by the bundle beside it. No configuration is
    read then; say whose signature counts with --key or --trust.
    """
    files = [t for t in targets if t.endswith(".onnx")]
    rows = [t for t in targets if not t.endswith(".onnx")]
    if files and rows:
        raise click.UsageError("give rows or files, not both")
    if files and run:
        raise click.UsageError("--run goes with the rows of a registry, not with FILE.onnx")
    if bundle and len(files) != 1:
        raise click.UsageError("--bundle goes with exactly one FILE.onnx")
    trust = _trust(session, keys, trust_file)
    if files:
        if trust is None:
            raise click.UsageError(
                "whose signature counts? Give --key PEM or --trust FILE: trust never comes from "
                "the files that are verified"
            )
        return session.emit_report(_verify_files(session, files, bundle, trust))
    from provenance.journeys.verify import verify

    config = session.load()
    with session.progress() as progress:
        report = verify(config, rows=rows, trust=trust, run=run, progress=progress)
    return session.emit_report(report)


def _trust(session: Session, keys: tuple[str, ...], trust_file: str | None) -> Any:
    from provenance.config import trust_from_file, trust_from_keys

    if keys and trust_file:
        raise click.UsageError("give --key or --trust, not both")
    if trust_file:
        return trust_from_file(session.path(trust_file))
    return trust_from_keys(session.path(k) for k in keys) if keys else None


def _verify_files(session: Session, files: list[str], bundle: str | None, trust: Any) -> Any:
    from provenance.gate.finding import Report
    from provenance.journeys.verify import verify_file

    reports = [
        verify_file(session.path(f), trust, bundle=session.path(bundle) if bundle else None)
        for f in files
    ]
    if len(reports) == 1:
        return reports[0]
    return Report(
        registry=f"{len(files)} files",
        rows=tuple(r for report in reports for r in report.rows),
        findings=tuple(f for report in reports for f in report.findings),
        trust=reports[0].trust,
    )
