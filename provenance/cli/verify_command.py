# SPDX-License-Identifier: Apache-2.0
"""`provenance verify`."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import click

from provenance.cli.consumer_options import consumer_options, required
from provenance.cli.link_options import NEEDS_DIR, recorded, recording, refuse_key
from provenance.cli.options import RUN, Session, reporting
from provenance.errors import InputError


@click.command(
    "verify",
    epilog="\b\nExamples:\n  provenance verify\n"
    "  provenance verify vmaf_tiny_v2 --key release.pub\n"
    "  provenance verify --row vmaf_tiny_v2.onnx\n"
    "  provenance verify downloads/vmaf_tiny_v2.onnx --key release.pub\n"
    "  provenance verify model.onnx --identity release@example.org \\\n"
    "    --issuer https://accounts.example.org\n"
    "  provenance verify model.onnx --bundle model.sigstore.json --trust my-trust.toml\n"
    "  provenance verify model.tar.gz --bundle model.tar.gz.sigstore.json --key release.pub\n"
    "  provenance verify model.onnx --key release.pub --require production,no-deferrals \\\n"
    "    --license-allow MIT,Apache-2.0 --max-age 90d --state seen.json\n"
    "  provenance verify model/registry.json --summary registry.json.vsa.sigstore.json \\\n"
    "    --key release.pub\n"
    "  provenance verify --link-dir links --link-key file:ci.key\n"
    "  provenance verify --layout release.layout --layout-key owner.pub --link-dir links",
)
@click.argument("targets", nargs=-1, metavar="[ROW|FILE]...")
@click.option(
    "--row",
    "ids",
    multiple=True,
    metavar="ID",
    help="A ROW whatever its id looks like: one that ends in .onnx too. May be repeated.",
)
@click.option(
    "--key", "keys", multiple=True, metavar="PEM", help="Trust this public key. May be repeated."
)
@click.option("--trust", "trust_file", metavar="FILE", help="Trust what this TOML file says.")
@click.option(
    "--identity",
    metavar="SUBJECT",
    help="Trust this very subject of a certificate: an e-mail address or a URI.",
)
@click.option("--issuer", metavar="URL", help="Who has to vouch for it. Goes with --identity.")
@click.option(
    "--trusted-root",
    "--trust-config",
    "root",
    metavar="FILE",
    help="Judge certificates, logs and timestamps by this trusted root, or by the one in this "
    "client trust configuration.",
)
@click.option("--staging", is_flag=True, help="Judge them by the root of sigstage.dev.")
@click.option("--bundle", metavar="FILE", help="The bundle of the one FILE that is given.")
@click.option(
    "--predicate-type",
    "predicate_types",
    multiple=True,
    metavar="URI",
    help="With FILE: accept a statement of this type about it. By default, SLSA provenance.",
)
@consumer_options
@RUN
@click.option(
    "--layout",
    metavar="FILE",
    help="Also judge the steps by which the release came about, by this in-toto layout.",
)
@click.option(
    "--layout-key",
    "layout_keys",
    multiple=True,
    metavar="PEM",
    help="Whose layout that has to be. May be repeated: then all have to have signed it.",
)
@recorded
@reporting
def command(
    session: Session,
    targets: tuple[str, ...],
    ids: tuple[str, ...],
    keys: tuple[str, ...],
    trust_file: str | None,
    identity: str | None,
    issuer: str | None,
    root: str | None,
    staging: bool,
    bundle: str | None,
    predicate_types: tuple[str, ...],
    demands: tuple[str, ...],
    licenses: tuple[str, ...],
    max_age: str | None,
    summary: str | None,
    state: str | None,
    resource_uri: str | None,
    run: bool,
    layout: str | None,
    layout_keys: tuple[str, ...],
    link_dir: str | None,
    link_key: str | None,
) -> int:
    """Check, and judge signatures, signers and attestations.

    Without arguments: the whole registry, with its release summary. With ROWs: those rows.

    With FILE.onnx: that file as a consumer has it, by the bundle beside it. No configuration is
    read then; say whose signature counts with --key, --identity and --issuer, or --trust. A row
    whose id ends in .onnx is named with --row.

    With REGISTRY.json and --summary: the registry and every file of its release, by the one
    signature of the summary. No configuration is read.

    With --bundle and a FILE of any other kind, or sha256:DIGEST: its bytes, by a bundle that any
    Sigstore client made.

    With --require, --license-allow, --max-age or --state, what verifies is also judged by what you
    require of it before you use it.

    Certificates are judged by the trusted root of --trusted-root, or of the trust, or else of the
    public Sigstore instance, refreshed unless --offline.

    With --layout, the links of the steps are read from --link-dir, or the layout's own folder. With
    --link-dir alone, this is the step `verify` of the release, recorded for its layout.
    """
    files = [t for t in targets if bundle or t.endswith(".onnx")]
    registry = targets[0] if summary and not files and len(targets) == 1 and not ids else None
    rows = list(dict.fromkeys((*(t for t in targets if t not in files), *ids)))
    if files and rows:
        raise click.UsageError("give rows or files, not both")
    if (files or registry) and run:
        raise click.UsageError("--run goes with the rows of a registry, not with FILE.onnx")
    if bundle and len(files) != 1:
        raise click.UsageError("--bundle goes with exactly one FILE")
    if predicate_types and not files:
        raise click.UsageError("--predicate-type goes with FILE")
    if summary and not files and not registry:
        raise click.UsageError("--summary goes with FILE.onnx, or with the one REGISTRY.json")
    if root and staging:
        raise click.UsageError("give --trusted-root or --staging, not both")
    other = next((f for f in files if not f.endswith(".onnx")), None)
    if other is not None and (demands or licenses or max_age or summary or state or resource_uri):
        raise click.UsageError("what a consumer requires is about the row of a FILE.onnx")
    require = required(demands, licenses, max_age)
    if (targets or ids) and (layout or link_dir):
        raise click.UsageError(
            "--layout and --link-dir are about the whole release: leave out rows"
        )
    if layout_keys and not layout:
        raise click.UsageError("--layout-key goes with --layout FILE")
    if layout:
        refuse_key(
            link_key,
            "--link-key records the step `verify`, and --layout judges the steps that were "
            "recorded: run it first without --layout, then without --link-key",
        )
    elif files or registry:
        refuse_key(link_key, NEEDS_DIR)
    trust = _trust(session, keys, trust_file, identity, issuer)
    if files or registry:
        if trust is None:
            may_be_row = files and not bundle
            row = f". If {files[0]} is the id of a row: --row {files[0]}" if may_be_row else ""
            raise click.UsageError(
                "whose signature counts? Give --key PEM, --identity and --issuer, or --trust FILE: "
                f"trust never comes from the files that are verified{row}"
            )
        how = _judged_by(session, trust, root, staging)
        if other is not None:
            return session.emit_report(_verify_other(session, other, bundle, predicate_types, how))
        how |= {"require": require, "state": session.path(state) if state else None}
        how |= {"summary": session.path(summary) if summary else None}
        how |= {"resource_uri": resource_uri}
        if registry is not None:
            return session.emit_report(_verify_release(session, registry, how))
        return session.emit_report(_verify_files(session, files, bundle, predicate_types, how))
    from provenance.operations.verify import verify

    config = _load(session)
    if trust is None and (root or staging):
        trust = config.trust()
    how = _judged_by(session, trust, root, staging)
    how |= {"require": require, "state": session.path(state) if state else None}
    how |= {"resource_uri": resource_uri, "run": run, "processes": os.cpu_count() or 1}
    if layout:
        how["layout"] = _layout_request(session, layout, layout_keys, link_dir)
    with (
        session.progress() as progress,
        recording(
            session,
            "verify",
            config,
            link_dir=None if layout else link_dir,
            link_key=link_key,
            partial=bool(rows),
            progress=progress,
        ) as step,
    ):
        report = verify(config, rows=rows, progress=progress, **how)
        step.succeeded(report.exit_code == 0)
    return session.emit_report(report)


def _load(session: Session) -> Any:
    """The configuration. Who verifies is not advised to write one."""
    from provenance.config import NoConfigError
    from provenance.operations.verify import CONFIG_HELP

    try:
        return session.load()
    except NoConfigError as e:
        raise InputError(e.message, help=CONFIG_HELP) from e


def _layout_request(
    session: Session, layout: str, keys: tuple[str, ...], link_dir: str | None
) -> Any:
    from provenance.operations.layout import layout_request

    folder = session.path(link_dir) if link_dir else None
    return layout_request(session.path(layout), [session.path(k) for k in keys], folder)


def _trust(
    session: Session,
    keys: tuple[str, ...],
    trust_file: str | None,
    identity: str | None,
    issuer: str | None,
) -> Any:
    from provenance.config import trust_from_file, trust_from_options
    from provenance.signing.trust import TrustedIdentity

    if bool(identity) != bool(issuer):
        raise click.UsageError(
            "--identity and --issuer go together: a subject counts only with who vouches for it"
        )
    if trust_file and (keys or identity):
        raise click.UsageError("give --key and --identity, or --trust, not both")
    if trust_file:
        return trust_from_file(session.path(trust_file))
    if not keys and not identity:
        return None
    found = TrustedIdentity(issuer, identity) if identity and issuer else None
    return trust_from_options([session.path(k) for k in keys], found)


def _judged_by(session: Session, trust: Any, root: str | None, staging: bool) -> dict[str, Any]:
    """Whose signatures count and what they are judged by, as the journeys take it.

    A trusted root that was asked for takes the place of the trust's own one.
    """
    from provenance.signing import roots

    if trust is not None and root:
        trust = replace(trust, root=roots.of_file(session.path(root)))
    elif trust is not None and staging:
        trust = replace(trust, root=None)
    instance = roots.Instance.STAGING if staging else roots.Instance.PRODUCTION
    return {"trust": trust, "instance": instance, "offline": session.offline}


def _verify_other(
    session: Session,
    file: str,
    bundle: str | None,
    predicate_types: tuple[str, ...],
    how: dict[str, Any],
) -> Any:
    """A file that is no model, or a digest: it comes with a bundle."""
    from provenance.gate.requirements import EXPECTED_TYPES
    from provenance.operations.artifact import DIGEST_PREFIX, verify_artifact

    return verify_artifact(
        file if file.startswith(DIGEST_PREFIX) else session.path(file),
        bundle=session.path(bundle or ""),
        predicate_types=predicate_types or EXPECTED_TYPES,
        **how,
    )


def _verify_release(session: Session, registry: str, how: dict[str, Any]) -> Any:
    from provenance.operations.verify_release import verify_release

    with session.progress() as progress:
        return verify_release(session.path(registry), progress=progress, **how)


def _verify_files(
    session: Session,
    files: list[str],
    bundle: str | None,
    predicate_types: tuple[str, ...],
    how: dict[str, Any],
) -> Any:
    from provenance.gate.finding import Report
    from provenance.gate.requirements import EXPECTED_TYPES
    from provenance.operations.verify import verify_file

    reports = [
        verify_file(
            session.path(f),
            bundle=session.path(bundle) if bundle else None,
            predicate_types=predicate_types or EXPECTED_TYPES,
            **how,
        )
        for f in files
    ]
    if len(reports) == 1:
        return reports[0]
    return Report(
        registry=f"{len(files)} files",
        rows=tuple(r for report in reports for r in report.rows),
        findings=tuple(f for report in reports for f in report.findings),
        trust=reports[0].trust,
        notes=tuple(dict.fromkeys(note for report in reports for note in report.notes)),
        release=reports[0].release if len({r.release for r in reports}) == 1 else None,
    )
